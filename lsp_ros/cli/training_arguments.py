"""Arguments of the commands that train networks: ``lsp train`` and the tables of ``lsp evaluate``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsp_ros.avatar.architecture import RENDERER_SIZES
from lsp_ros.cli.arguments import amount, whole_number

TRAINING_OPTIONS = ('epochs', 'batch', 'lr', 'seed', 'precision', 'accelerator', 'devices')
"""Options that are settings of the same name in ``lsp_ros.training``; the command finds their names as ``settings``."""


def add_run_folder(parser: argparse.ArgumentParser, what_for: str) -> None:
    """``--run``: the folder of a training, which the command finds as ``folder``."""
    parser.add_argument('--run', dest='folder', type=Path, default=Path('runs'), metavar='FOLDER', help=what_for)


def add_training_arguments(parser: argparse.ArgumentParser, renderer: bool) -> None:
    """``renderer``: also what only its training has."""
    add_run_folder(parser, 'where checkpoints and logs go; the same command goes on where it was stopped')
    parser.add_argument(
        '--on-cpu',
        type=amount,
        default=None,
        metavar='MINUTES',
        help="settings for a few CPU cores and that much time a network, instead of the paper's",
    )
    kinds: dict[str, Callable[[str], Any]] = {
        'epochs': whole_number,
        'batch': whole_number,
        'lr': amount,
        'seed': whole_number,
        'devices': whole_number,
    }
    parser.set_defaults(settings=TRAINING_OPTIONS)
    for name in TRAINING_OPTIONS:
        parser.add_argument(
            f'--{name}',
            type=kinds.get(name, str),
            default=None,
            metavar=name.upper(),
            help="default: the paper's, or that of --on-cpu"
            if name in ('epochs', 'batch', 'lr')
            else 'as Lightning takes it'
            if name in ('precision', 'accelerator')
            else 'GPUs to use'
            if name == 'devices'
            else 'of all random choices',
        )
    parser.add_argument(
        '--set',
        dest='more',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='any other setting of that training; may be repeated',
    )
    if renderer:
        parser.add_argument('--size', choices=tuple(RENDERER_SIZES), default=None, help='of the renderer')
        parser.add_argument(
            '--backbone',
            default=None,
            metavar='FILE',
            help="weights of the perceptual loss; 'vgg19' fetches them, 'none' goes without",
        )
