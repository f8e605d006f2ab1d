"""``lsp quantize``: a renderer in 8 bits for CPUs."""

import argparse

from lsp_ros.cli.arguments import command


def add_commands(commands) -> None:
    parser = command(commands, 'quantize', run_quantize,
                     "put the renderer in 8 bits into an avatar's folder, for quick starts and pictures on a CPU")
    parser.add_argument('avatar', help='a folder, or the name of a built-in avatar')


def run_quantize(options: argparse.Namespace) -> int:
    from rich.console import Console

    from lsp_ros.avatar.avatar import find_avatar
    from lsp_ros.rendering.engines.openvino import LEAST_PSNR
    from lsp_ros.training.quantize import quantize_avatar

    folder = find_avatar(options.avatar)
    console = Console(stderr=True)
    with console.status('loading the avatar') as status:
        made = quantize_avatar(folder, status.update)
    size = (len(made.renderer.graph) + len(made.renderer.numbers)) / 1e6
    print(f'{folder}: renderer in 8 bits, {size:.1f} MB; {made.psnr.mean():.1f} dB from float32 (least '
          f'{made.psnr.min():.1f}) on {len(made.psnr)} feature maps that it was not calibrated on')
    if made.psnr.mean() < LEAST_PSNR:
        print(f"The engine's 'auto' wants {LEAST_PSNR:g} dB and will not use it.")
    return 0
