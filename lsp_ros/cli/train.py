"""``lsp train``: the networks of an avatar, one by one or all of them."""

from pathlib import Path

from lsp_ros.avatar.architecture import RENDERER_SIZES
from lsp_ros.cli.arguments import Commands, command
from lsp_ros.cli.training_arguments import add_run_folder, add_training_arguments

NETWORKS = {
    'apc': 'the speech representation (paper section 3.1) from any speech',
    'mouth': 'speech features to mouth displacement (paper section 3.2)',
    'head-pose': 'speech features to head pose (paper section 3.3)',
    'renderer': 'feature map to picture (paper section 3.4)',
}


def add_commands(commands: Commands) -> None:
    group = commands.add_parser('train', help='train the networks of an avatar from a dataset folder')
    networks = group.add_subparsers(title='what to train', metavar='NETWORK', required=True)
    for name, what in NETWORKS.items():
        parser = command(networks, name, 'lsp_ros.commands.train:run_train [train]', f'train {what}')
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
        add_training_arguments(parser, renderer=name == 'renderer')
    parser = command(
        networks,
        'all',
        'lsp_ros.commands.train:run_all [train]',
        'train all four networks, one after the other, and write the avatar',
    )
    parser.add_argument(
        'datasets',
        type=Path,
        nargs='+',
        metavar='DATASET',
        help="the person's dataset folder, and further ones for the mouth to learn from",
    )
    parser.add_argument('--corpus', type=Path, nargs='+', required=True, help='folders or files of speech for the APC')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='FOLDER', help='the avatar folder to write')
    add_training_arguments(parser, renderer=True)
    parser = command(
        networks,
        'avatar',
        'lsp_ros.commands.train:run_avatar [train]',
        'put trained networks together as an avatar folder',
    )
    parser.add_argument('dataset', type=Path, metavar='DATASET', help="the person's dataset folder")
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='FOLDER', help='the avatar folder to write')
    add_run_folder(parser, 'that the networks were trained in')
    parser.add_argument(
        '--size',
        choices=tuple(RENDERER_SIZES),
        default=None,
        help='of the trained renderer; default: what the run says',
    )
