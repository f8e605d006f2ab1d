"""``lsp train``: trains networks, and puts them together as an avatar."""

import argparse

from lsp_ros.commands.training_options import check_known, known_to, parse_more, training_settings
from lsp_ros.training.assemble import build_avatar
from lsp_ros.training.networks import train, train_all
from lsp_ros.training.quantize import quantize_new_avatar
from lsp_ros.training.recipes import CONFIGS


def run_train(options: argparse.Namespace) -> None:
    network = options.network.replace('-', '_')
    train(network, options.folder, options.sources, training_settings(network, options, parse_more(options.more)))
    print(f'the best model is {options.folder / network / "best.ckpt"}')


def run_all(options: argparse.Namespace) -> None:
    more = parse_more(options.more)  # a setting counts wherever it exists
    settings = {network: training_settings(network, options, known_to(network, more)) for network in CONFIGS}
    check_known(CONFIGS, more)
    train_all(options.folder, options.corpus, options.datasets, settings, options.output)
    print(f'the avatar is {options.output}')


def run_avatar(options: argparse.Namespace) -> None:
    build_avatar(options.folder, options.dataset, options.output, options.size)
    quantize_new_avatar(options.output)
    print(f'the avatar is {options.output}')
