"""``lsp up``: the live graph, until Ctrl-C. The same graph as ``launch/avatar.launch.py``.

``lsp serve`` is the renderer alone, for many of them (``lsp up --no-renderer``).
"""

from lsp_ros.cli.arguments import Commands, add_settings, command, shared_settings
from lsp_ros.graph.configuration import flagged


def add_commands(commands: Commands) -> None:
    parser = command(
        commands, 'up', 'lsp_ros.commands.up:run_up', 'start the live ROS 2 graph: audio source, models, player'
    )
    add_settings(parser, tuple(row.name for row in flagged()))

    parser = command(
        commands, 'serve', 'lsp_ros.commands.up:run_serve', 'draw for many robots: one renderer for several namespaces'
    )
    parser.add_argument(
        'streams',
        nargs='+',
        metavar='NAMESPACE[:AVATAR]',
        help='a namespace to draw for, such as /robot1/avatar, and its avatar if it is not --avatar',
    )
    add_settings(parser, shared_settings())
    parser.add_argument('--namespace', default='/server', help='of the renderer itself')
