"""``lsp evaluate``: the paper's tables and figures on one's own data, as Markdown and JSON."""

from pathlib import Path

from lsp_ros.cli.arguments import Commands, command
from lsp_ros.cli.training_arguments import add_run_folder, add_training_arguments

KINDS = {
    'table1': 'the error of the mouth over its look-ahead, 0 to 500 ms (trains eight mouths)',
    'table2': 'the head pose of the full model and of the variants of section 5.1 (trains six)',
    'table3': 'the renderer without each of its inputs, in each size, and with less data (trains nine)',
    'lips': 'how often lips close for P, B and M, and the offset of sound and mouth (trains nothing)',
    'figures': 'the t-SNE pictures of figures 8 and 9 (trains nothing)',
    'all': 'all of these',
}


def add_commands(commands: Commands) -> None:
    group = commands.add_parser('evaluate', help="measure an avatar, and make the paper's tables and figures")
    kinds = group.add_subparsers(title='what to measure', metavar='WHAT', required=True)
    for kind, what in KINDS.items():
        parser = command(kinds, kind, 'lsp_ros.commands.evaluate:run_evaluate [train]', f'measure {what}')
        parser.set_defaults(kinds=[name for name in KINDS if name != 'all'] if kind == 'all' else [kind])
        parser.add_argument('avatar', help='a folder, or the name of a built-in avatar')
        parser.add_argument(
            '--data',
            type=Path,
            nargs='+',
            required=kind not in ('lips',),
            default=[],
            metavar='DATASET',
            help="dataset folders to learn from, the person's own first",
        )
        parser.add_argument(
            '--held-out',
            type=Path,
            default=None,
            metavar='DATASET',
            help='a recording that nothing has learned from, with phones.json, to measure with',
        )
        if kind in ('lips', 'all'):
            parser.add_argument(
                '--sound',
                type=Path,
                nargs='+',
                default=[],
                metavar='FILE',
                help='further speech to measure the offset of sound and mouth on',
            )
            parser.add_argument(
                '--film',
                type=Path,
                nargs='+',
                default=[],
                metavar='FILE',
                help='finished films of this avatar: are sound and picture in time?',
            )
        if kind in ('figures', 'all'):
            parser.add_argument(
                '--other',
                nargs=2,
                action='append',
                default=[],
                metavar=('AVATAR', 'DATASET'),
                help='a further person of figure 9; may be repeated',
            )
        if kind.startswith('table'):
            parser.add_argument(
                '--rows',
                nargs='*',
                default=None,
                metavar='ROW',
                help='train and measure these rows alone; without any: only print what was measured '
                'before; default: all',
            )
        if kind.startswith('table') or kind == 'all':
            add_training_arguments(parser, renderer=True)
        else:
            add_run_folder(parser, 'where pictures and figures go')
        parser.add_argument(
            '--markdown',
            type=Path,
            default=None,
            metavar='FILE',
            help='the tables; default: evaluation.md in the folder of --run',
        )
        parser.add_argument(
            '--json',
            type=Path,
            default=None,
            metavar='FILE',
            help='the same as data; default: evaluation.json in the folder of --run',
        )
