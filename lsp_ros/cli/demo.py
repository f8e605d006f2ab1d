"""``lsp demo``: the bundled recording through the live graph in real time, filmed and measured."""

from pathlib import Path

from lsp_ros.cli.arguments import Commands, add_avatar_arguments, command
from lsp_ros.graph.configuration import setting


def add_commands(commands: Commands) -> None:
    parser = command(
        commands,
        'demo',
        'lsp_ros.commands.demo:run_demo',
        'film the avatar speaking a real recording, live through the ROS 2 '
        'graph, and print a table of rates and latencies',
    )
    parser.add_argument('--speech', type=Path, default=None, metavar='FILE', help='instead of the bundled recording')
    parser.add_argument('-o', '--output', type=Path, default=Path('demo.mp4'), metavar='FILE', help='the film')
    parser.add_argument('--report', type=Path, default=None, metavar='FILE', help='write all figures as JSON')
    namespace = setting('namespace')
    parser.add_argument('--namespace', default=namespace.default, help=namespace.description)
    add_avatar_arguments(parser, frame_rate=30)
