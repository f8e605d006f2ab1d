"""``lsp train``: a thin front to ``lsp_ros.training``, which is only imported when it runs."""

import argparse
from pathlib import Path

from lsp_ros.avatar.architecture import RENDERER_SIZES
from lsp_ros.cli.arguments import amount, command, whole_number

NETWORKS = {
    'apc': 'the speech representation (paper section 3.1) from any speech',
    'mouth': 'speech features to mouth displacement (paper section 3.2)',
    'head-pose': 'speech features to head pose (paper section 3.3)',
    'renderer': 'feature map to picture (paper section 3.4)',
}
# Options that are settings of the same name in lsp_ros.training.trainer.
SETTINGS = ('epochs', 'batch', 'lr', 'seed', 'precision', 'accelerator', 'devices')


def add_commands(commands) -> None:
    group = commands.add_parser('train', help='train the networks of an avatar from a dataset folder')
    networks = group.add_subparsers(title='what to train', metavar='NETWORK', required=True)
    for name, what in NETWORKS.items():
        parser = command(networks, name, run_train, f'train {what}')
        parser.set_defaults(network=name)
        if name == 'apc':
            parser.add_argument('sources', type=Path, nargs='+', metavar='CORPUS', help='folders or files of speech')
        else:
            parser.add_argument(
                'sources',
                type=Path,
                nargs=1 if name == 'renderer' else '+',
                metavar='DATASET',
                help="dataset folder (docs/training.md); of several, the person's own first",
            )
        add_settings(parser, renderer=name == 'renderer')
    parser = command(networks, 'all', run_all, 'train all four networks, one after the other, and write the avatar')
    parser.add_argument(
        'datasets',
        type=Path,
        nargs='+',
        metavar='DATASET',
        help="the person's dataset folder, and further ones for the mouth to learn from",
    )
    parser.add_argument('--corpus', type=Path, nargs='+', required=True, help='folders or files of speech for the APC')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='FOLDER', help='the avatar folder to write')
    add_settings(parser, renderer=True)
    parser = command(networks, 'avatar', run_avatar, 'put trained networks together as an avatar folder')
    parser.add_argument('dataset', type=Path, metavar='DATASET', help="the person's dataset folder")
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='FOLDER', help='the avatar folder to write')
    parser.add_argument(
        '--run',
        dest='folder',
        type=Path,
        default=Path('runs'),
        metavar='FOLDER',
        help='that the networks were trained in',
    )
    parser.add_argument(
        '--size',
        choices=tuple(RENDERER_SIZES),
        default=None,
        help='of the trained renderer; default: what the run says',
    )


def add_settings(parser: argparse.ArgumentParser, renderer: bool) -> None:
    parser.add_argument(
        '--run',
        dest='folder',
        type=Path,
        default=Path('runs'),
        metavar='FOLDER',
        help='where checkpoints and logs go; the same command goes on where it was stopped',
    )
    parser.add_argument(
        '--on-cpu',
        type=amount,
        default=None,
        metavar='MINUTES',
        help="settings for a few CPU cores and that much time a network, instead of the paper's",
    )
    kinds = {'epochs': whole_number, 'batch': whole_number, 'lr': amount, 'seed': whole_number, 'devices': whole_number}
    for name in SETTINGS:
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


def run_train(options: argparse.Namespace) -> int:
    import_training()
    from lsp_ros.training.networks import train

    network = options.network.replace('-', '_')
    train(network, options.folder, options.sources, make_settings(network, options, parse_more(options.more)))
    print(f'the best model is {options.folder / network / "best.ckpt"}')
    return 0


def run_all(options: argparse.Namespace) -> int:
    import_training()
    from lsp_ros.training.networks import train_all
    from lsp_ros.training.recipes import CONFIGS

    more = parse_more(options.more)
    # A setting counts wherever it exists; one that exists nowhere is a mistake.
    settings, used = {}, set()
    for network, kind in CONFIGS.items():
        mine = {name: value for name, value in more.items() if name in kind.__dataclass_fields__}
        used |= set(mine)
        settings[network] = make_settings(network, options, mine)
    unknown = sorted(set(more) - used)
    if unknown:
        raise ValueError(f'--set {unknown[0]}: no training has such a setting.')
    train_all(options.folder, options.corpus, options.datasets, settings, options.output)
    print(f'the avatar is {options.output}')
    return 0


def run_avatar(options: argparse.Namespace) -> int:
    import_training()
    from lsp_ros.training.assemble import build_avatar
    from lsp_ros.training.quantize import quantize_new_avatar

    build_avatar(options.folder, options.dataset, options.output, options.size)
    quantize_new_avatar(options.output)
    print(f'the avatar is {options.output}')
    return 0


def make_settings(network: str, options: argparse.Namespace, more: dict):
    """The settings of one network: the paper's or those for a CPU, changed as the command line says."""
    from lsp_ros.training.recipes import CONFIGS, changed, config_on_cpu

    settings = CONFIGS[network]()
    if options.on_cpu is not None:
        settings = config_on_cpu(network, options.on_cpu)
    values = {name: getattr(options, name) for name in SETTINGS if getattr(options, name) is not None}
    if network == 'renderer':
        if options.size:
            values['size'] = options.size
        if options.backbone:
            values['backbone'] = None if options.backbone == 'none' else options.backbone
    return changed(settings, **values, **more)


def parse_more(pairs: list[str]) -> dict:
    """['look_ahead=12', 'pause=[12, 60]'] -> the values as YAML reads them."""
    import yaml

    values = {}
    for pair in pairs:
        name, equals, text = pair.partition('=')
        if not equals:
            raise ValueError(f'--set {pair}: NAME=VALUE is needed.')
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ValueError(f'--set {pair}: the value cannot be read.') from None
        try:  # YAML takes 1e-4, without a point, for a text
            value = float(value) if isinstance(value, str) else value
        except ValueError:
            pass
        values[name] = value
    return values


def import_training() -> None:
    """Imports ``lsp_ros.training.networks``; ValueError with the remedy where the training packages are absent."""
    try:
        import lsp_ros.training.networks  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or '').startswith('lsp_ros'):
            raise
        raise ValueError(f"Training needs the package {error.name}: pip install 'lsp_ros[train]'.") from None
