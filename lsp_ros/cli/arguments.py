"""Arguments that several commands share, so that they are called the same everywhere."""

import argparse

from lsp_ros.rendering.sizes import ENGINES


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default where there is one to show."""

    def _get_help_string(self, action: argparse.Action) -> str:
        if action.default in (None, '', []) or isinstance(action.default, bool):
            return action.help or ''
        return super()._get_help_string(action)


def command(commands, name: str, run, help: str, **more) -> argparse.ArgumentParser:
    """Adds one sub-command that shows its defaults in ``--help`` and calls ``run(options)``."""
    parser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + '.',
                                 formatter_class=Help, **more)
    parser.set_defaults(run=run)
    return parser


def add_avatar_arguments(parser: argparse.ArgumentParser, frame_rate: int) -> None:
    parser.add_argument('--avatar', default='presenter', metavar='NAME', help='a built-in avatar, or the folder of one')
    parser.add_argument('--engine', default='auto', choices=ENGINES, help='what computes the pictures')
    parser.add_argument('--frame-rate', type=int, default=frame_rate, choices=(30, 60), help='pictures a second')
    parser.add_argument('--threads', type=whole_number, default=0, metavar='N',
                        help='CPU threads of the engine; 0: the engine chooses')
    parser.add_argument('--seed', type=whole_number, default=0, metavar='N', help='of the head motion')
    parser.add_argument('--idle-amplitude', type=amount, default=1.0, metavar='X',
                        help='how much the face moves while nobody speaks; 0: still')
    parser.add_argument('--no-mark', dest='mark', action='store_false', default=True,
                        help='leave out the small visible mark that says that the picture is generated')


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
