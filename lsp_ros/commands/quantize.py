"""``lsp quantize``: a renderer in 8 bits for CPUs."""

import argparse

from rich.console import Console

from lsp_ros.avatar.load import find_avatar
from lsp_ros.training.quantize import quantize_avatar


def run_quantize(options: argparse.Namespace) -> None:
    folder = find_avatar(options.avatar)
    console = Console(stderr=True)
    with console.status('loading the avatar') as status:
        made = quantize_avatar(folder, status.update)
    print(f'{folder}: {made}')
