"""``lsp render`` and ``lsp say``: speech to a film, offline, with the stages that also run live."""

import argparse
from pathlib import Path

from lsp_ros.cli.arguments import Commands, add_avatar_arguments, command, whole_number
from lsp_ros.graph.configuration import setting
from lsp_ros.text_to_speech import SPEAKERS


def add_commands(commands: Commands) -> None:
    render = command(
        commands, 'render', 'lsp_ros.commands.render:run_render', 'make a film of the avatar speaking a recording'
    )
    render.add_argument('speech', type=Path, help='any file with sound that FFmpeg reads')
    say = command(
        commands,
        'say',
        _how_to_say,
        'make a film of the avatar speaking a text, through an installed text-to-speech program',
    )
    say.add_argument('text', help="what to say; '-' reads it from standard input")
    say.add_argument('--tts', choices=('auto', *SPEAKERS), default='auto', help='the program that speaks')
    say.add_argument('--voice', default=None, help="a voice of that program, such as 'slt' or 'de'")
    say.add_argument(
        '--live',
        action='store_true',
        help='speak through the live ROS graph, the one that '
        'runs with --source topic or one of its own, instead of making a film',
    )
    say.add_argument('--namespace', default=setting('namespace').default, help='--live: of the graph')
    for parser in (render, say):
        parser.add_argument('-o', '--output', type=Path, default=Path('out.mp4'), metavar='FILE', help='the film')
        add_avatar_arguments(parser, frame_rate=60)
        parser.add_argument(
            '--crf', type=whole_number, default=18, metavar='N', help='quality of the film: 0 is lossless, 51 the worst'
        )
        parser.add_argument(
            '--whole-clip',
            action='store_true',
            help="process motion as the authors' program does, which has the whole clip at hand; "
            'default: as it is live',
        )


def _how_to_say(options: argparse.Namespace) -> str:
    return 'lsp_ros.commands.say_live:run_say_live' if options.live else 'lsp_ros.commands.render:run_say'
