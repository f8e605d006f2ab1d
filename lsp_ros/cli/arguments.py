"""Arguments that several commands share, so that they are called the same everywhere."""

import argparse
import re

from lsp_ros.rendering.engines import ENGINES


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default where there is one to show."""

    def _get_help_string(self, action: argparse.Action) -> str:
        if action.default in (None, '', []) or isinstance(action.default, bool):
            return action.help or ''
        return super()._get_help_string(action)


def command(commands, name: str, run, help: str, **more) -> argparse.ArgumentParser:
    """Adds one sub-command that shows its defaults in ``--help`` and calls ``run(options)``."""
    parser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + '.', formatter_class=Help, **more
    )
    parser.set_defaults(run=run)
    return parser


def add_avatar_arguments(parser: argparse.ArgumentParser, frame_rate: int, left_to_nodes: bool = False) -> None:
    """``left_to_nodes``: what the user does not give is None, so that a parameter file or the nodes' default holds."""

    def add(name: str, default, help: str, **more) -> None:
        if left_to_nodes and default is not True:
            help, default = f'{help} (default: {default})', None
        parser.add_argument(name, default=None if left_to_nodes else default, help=help, **more)

    add('--avatar', 'presenter', 'a built-in avatar, or the folder of one', metavar='NAME')
    add('--engine', 'auto', 'what computes the pictures', choices=ENGINES)
    add('--frame-rate', frame_rate, 'pictures a second', type=int, choices=(30, 60))
    add('--threads', 0, 'CPU threads of the engine; 0: the engine chooses', type=whole_number, metavar='N')
    add('--seed', 0, 'of the head motion', type=whole_number, metavar='N')
    add('--idle-amplitude', 1.0, 'how much the face moves while nobody speaks; 0: still', type=amount, metavar='X')
    add(
        '--no-mark',
        True,
        'leave out the small visible mark that says that the picture is generated',
        dest='mark',
        action='store_false',
    )


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
