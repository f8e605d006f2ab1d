"""Arguments that several commands share, so that they are called the same everywhere."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from lsp_ros.graph.configuration import SETTINGS, Flag, Setting

Commands: TypeAlias = 'argparse._SubParsersAction[argparse.ArgumentParser]'
Run: TypeAlias = str | Callable[[argparse.Namespace], str]
"""What runs a command, as ``lsp_ros.commands.loading.load`` takes it; or what chooses it by the options."""


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default where there is one to show, and the help does not say it itself."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ''
        said = 'default:' in text or '(default)' in text
        if said or action.default in (None, '', [], ()) or isinstance(action.default, bool):
            return text
        return super()._get_help_string(action) or ''


def command(commands: Commands, name: str, run: Run, help: str) -> argparse.ArgumentParser:
    """Adds one sub-command that shows its defaults in ``--help`` and is run by ``run``."""
    parser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + '.', formatter_class=Help)
    parser.set_defaults(run=run)
    return parser


def add_settings(parser: argparse.ArgumentParser, names: tuple[str, ...]) -> None:
    """The flags of these settings of the graph. What the user does not give is None: the nodes know better."""
    for row in SETTINGS:
        if row.name in names:
            for flag in row.flags:
                _add_flag(parser, row, flag, None)


def add_avatar_arguments(parser: argparse.ArgumentParser, frame_rate: int) -> None:
    """The flags that a command which draws has in common with ``lsp up``, with their defaults."""
    for row in SETTINGS:
        if row.shared:
            for flag in row.flags:
                _add_flag(parser, row, flag, frame_rate if row.name == 'frame_rate' else row.default)


def shared_settings() -> tuple[str, ...]:
    """Names of the settings whose flags ``add_avatar_arguments`` adds."""
    return tuple(row.name for row in SETTINGS if row.shared)


def _add_flag(parser: argparse.ArgumentParser, row: Setting, flag: Flag, default: object) -> None:
    more: dict[str, Any] = {'dest': row.name, 'default': default, 'help': flag.help or row.description}
    if flag.switch is not None:
        parser.add_argument(flag.name, action='store_const', const=flag.switch, **more)
        return
    if default is None and row.default not in ('', [-1, -1]) and 'default:' not in more['help']:
        more['help'] += f' (default: {row.default})'
    types: dict[type, Callable[[str], Any]] = {int: whole_number, float: amount, list: position}
    if row.choices:
        more |= {'choices': row.choices, 'type': row.kind}
    else:
        more |= {'metavar': flag.metavar, 'type': Path if flag.path else types.get(row.kind, str)}
    parser.add_argument(flag.name, **more)


def position(text: str) -> list[int]:
    """[x, y] from 'X,Y'."""
    found = re.fullmatch(r'(\d+),(\d+)', text)
    if not found:
        raise argparse.ArgumentTypeError(f'{text!r} is no position: two whole numbers are needed, such as 1920,0')
    return [int(number) for number in found.groups()]


def whole_number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f'{text} is below 0')
    return number


def amount(text: str) -> float:
    number = float(text)
    if not 0 <= number < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is not a finite number from 0 up')
    return number
