"""``lsp quantize``: a renderer in 8 bits for CPUs."""

import argparse

from lsp_ros.cli.arguments import command


def add_commands(commands) -> None:
    parser = command(
        commands,
        'quantize',
        run_quantize,
        "put the renderer in 8 bits into an avatar's folder, for quick starts and pictures on a CPU",
    )
    parser.add_argument('avatar', help='a folder, or the name of a built-in avatar')


def run_quantize(options: argparse.Namespace) -> int:
    from rich.console import Console

    from lsp_ros.avatar.load import find_avatar
    from lsp_ros.training.quantize import quantize_avatar

    folder = find_avatar(options.avatar)
    console = Console(stderr=True)
    with console.status('loading the avatar') as status:
        made = quantize_avatar(folder, status.update)
    print(f'{folder}: {made}')
    return 0
