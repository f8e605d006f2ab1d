"""``lsp import-release``: the authors' released avatars as avatars of ours."""

from pathlib import Path

from lsp_ros.cli.arguments import Commands, command


def add_commands(commands: Commands) -> None:
    parser = command(
        commands,
        'import-release',
        'lsp_ros.commands.import_release:run_import',
        "make an avatar from the authors' released data folder",
    )
    parser.add_argument(
        'folder',
        type=Path,
        metavar='DATA_DIR',
        help="the download: it holds 'data' and 'config', or is the folder 'data' itself",
    )
    parser.add_argument('--subject', required=True, metavar='ID', help='May, Obama1, Obama2, Nadella or McStay')
    parser.add_argument('-o', '--out', type=Path, required=True, metavar='FOLDER', help='the avatar to write')
    parser.add_argument(
        '--config',
        type=Path,
        default=None,
        metavar='FILE',
        help="the subject's yaml, if it does not lie in the folder 'config'",
    )
    parser.add_argument(
        '--skip-unknown-tensors',
        action='store_true',
        help="leave out tensors that no network here knows, as the authors' program does",
    )
