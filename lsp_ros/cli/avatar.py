"""``lsp avatar``: look at avatars."""

from pathlib import Path

from lsp_ros.cli.arguments import Commands, command


def add_commands(commands: Commands) -> None:
    group = commands.add_parser('avatar', help='list avatars, check one, or add an agreement')
    actions = group.add_subparsers(title='actions', metavar='ACTION', required=True)
    command(actions, 'list', 'lsp_ros.commands.avatar:run_list', 'list the built-in avatars')
    check = command(
        actions, 'check', 'lsp_ros.commands.avatar:run_check', 'check every file of an avatar and print its card'
    )
    check.add_argument('avatar', help='a folder, or the name of a built-in avatar')
    consent = command(
        actions,
        'consent',
        'lsp_ros.commands.avatar:run_consent',
        "put the person's agreement into an avatar that has none",
    )
    consent.add_argument('avatar', help='a folder')
    consent.add_argument('agreement', type=Path, metavar='FILE', help='who agrees, and to what (docs/capture.md)')
