"""``lsp evaluate``: the paper's tables and figures on one's own data, as Markdown and JSON."""

import argparse
import json
import shlex
from pathlib import Path

from lsp_ros.cli.arguments import command
from lsp_ros.cli.train import add_settings, import_training, make_settings, parse_more

KINDS = {
    'table1': 'the error of the mouth over its look-ahead, 0 to 500 ms (trains eight mouths)',
    'table2': 'the head pose of the full model and of the variants of section 5.1 (trains six)',
    'table3': 'the renderer without each of its inputs, in each size, and with less data (trains nine)',
    'lips': 'how often lips close for P, B and M, and the offset of sound and mouth (trains nothing)',
    'figures': 'the t-SNE pictures of figures 8 and 9 (trains nothing)',
    'all': 'all of these',
}


def add_commands(commands) -> None:
    group = commands.add_parser('evaluate', help="measure an avatar, and make the paper's tables and figures")
    kinds = group.add_subparsers(title='what to measure', metavar='WHAT', required=True)
    for kind, what in KINDS.items():
        parser = command(kinds, kind, run_evaluate, f'measure {what}')
        parser.set_defaults(kind=kind)
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
            add_settings(parser, renderer=True)
        else:
            parser.add_argument(
                '--run',
                dest='folder',
                type=Path,
                default=Path('runs'),
                metavar='FOLDER',
                help='where pictures and figures go',
            )
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


def run_evaluate(options: argparse.Namespace) -> int:
    import_training()
    from lsp_ros.avatar.load import Avatar, find_avatar
    from lsp_ros.training.dataset import load_dataset

    avatar = Avatar.load(find_avatar(options.avatar))
    for folder in [*options.data, *([options.held_out] if options.held_out else [])]:
        load_dataset(folder)  # what is wrong with it is said before hours are spent
    options.folder.mkdir(parents=True, exist_ok=True)
    markdown, results = [f'# Evaluation of {avatar.name}'], {'avatar': avatar.name}
    for kind in [kind for kind in KINDS if kind != 'all'] if options.kind == 'all' else [options.kind]:
        make = {'lips': _lips, 'figures': _figures}.get(kind, _table)
        text, results[kind] = make(kind, avatar, options)
        markdown.append(text)
    files = (options.markdown or options.folder / 'evaluation.md', options.json or options.folder / 'evaluation.json')
    files[0].write_text('\n\n'.join(markdown) + '\n')
    files[1].write_text(json.dumps(results, indent=1) + '\n')
    print(files[0].read_text())
    print(f'written: {files[0]}, {files[1]}')
    return 0


def _table(kind: str, avatar, options: argparse.Namespace) -> tuple[str, dict]:
    from lsp_ros.evaluation import paper_report
    from lsp_ros.evaluation.paper_tables import TABLES, rows_of
    from lsp_ros.evaluation.row_figures import Materials
    from lsp_ros.evaluation.runs import Evaluation, measured

    settings = make_settings(TABLES[kind], options, _more(kind, options))
    # As in the paper, input and data are varied on the large renderer; a few cores have time for the live one alone.
    size = options.size or ('large' if options.on_cpu is None else 'live')
    rows = rows_of(kind, size)
    chosen = getattr(options, 'rows', None)
    if chosen is None:
        chosen = [row.key for row in rows if row.built]
    unknown = sorted(set(chosen) - {row.key for row in rows if row.built})
    if unknown:
        raise ValueError(f'--rows {unknown[0]}: {kind} has the rows {", ".join(r.key for r in rows if r.built)}.')
    backbone = settings.backbone if kind == 'table3' else None
    materials = Materials(avatar, options.data, options.held_out, options.folder, backbone)
    evaluation = Evaluation(materials, {TABLES[kind]: settings})
    for row in rows:
        if row.key in chosen:
            evaluation.measure(kind, row)
    found = {row.key: result for row in rows if (result := measured(options.folder, kind, row))}
    again = ['lsp', 'evaluate', kind, options.avatar, '--data', *options.data, '--run', options.folder]
    again += ['--held-out', options.held_out] if options.held_out else []
    if kind == 'table3':
        again += ['--size', size, *(['--backbone', backbone] if backbone else [])]
    notes = {
        row.key: note for row in rows if row.key in found and (note := evaluation.differs(kind, row, found[row.key]))
    }
    text = paper_report.table(kind, rows, found, shlex.join(map(str, again)), notes)
    not_run = [row.key for row in rows if row.built and row.key not in found]
    return text, {'rows': list(found.values()), 'not_run': not_run, 'otherwise': notes}


def _more(kind: str, options: argparse.Namespace) -> dict:
    """The --set values of this table's training; for all tables, those that it knows."""
    from lsp_ros.evaluation.paper_tables import TABLES
    from lsp_ros.training.recipes import CONFIGS

    more = parse_more(options.more)
    if options.kind != 'all':
        return more
    known = {network: CONFIGS[network].__dataclass_fields__ for network in TABLES.values()}
    unknown = sorted(name for name in more if not any(name in fields for fields in known.values()))
    if unknown:
        raise ValueError(f'--set {unknown[0]}: no training has such a setting.')
    return {name: value for name, value in more.items() if name in known[TABLES[kind]]}


def _lips(kind: str, avatar, options: argparse.Namespace) -> tuple[str, dict]:
    from lsp_ros.capture.video import pictures, read_sound
    from lsp_ros.evaluation import paper_report
    from lsp_ros.evaluation.mouth_protocols import evaluate_film, evaluate_lips, film_opening
    from lsp_ros.evaluation.protocol_texts import LIPS_PROTOCOL
    from lsp_ros.media import read_audio
    from lsp_ros.training.dataset import load_dataset

    if not (options.held_out or options.sound or options.film):
        raise ValueError('--held-out DATASET, --sound FILE or --film FILE is needed: speech to measure the lips on.')
    found = {}
    if options.held_out:
        truth = load_dataset(options.held_out)
        found[options.held_out.name] = evaluate_lips(avatar, truth.read_audio(), truth)
    for file in options.sound:
        found[file.name] = evaluate_lips(avatar, read_audio(file))
    films = {}
    for file in options.film:
        opening = film_opening(((seconds, picture) for _, seconds, picture in pictures(file)), avatar)
        films[file.name] = evaluate_film(avatar, opening, read_sound(file, opening[0][-1]))
    text = paper_report.lips(found, films)
    return text, {'protocol': LIPS_PROTOCOL, 'rows': found, 'films': films}


def _figures(kind: str, avatar, options: argparse.Namespace) -> tuple[str, dict]:
    import cv2

    from lsp_ros.avatar.load import Avatar, find_avatar
    from lsp_ros.evaluation import paper_report
    from lsp_ros.evaluation.figures import figure8, figure9, target_poses
    from lsp_ros.evaluation.protocol_texts import FIGURE8_PROTOCOL, FIGURE9_PROTOCOL
    from lsp_ros.training.dataset import load_dataset

    samples = load_dataset(options.held_out or options.data[0]).read_audio()
    persons = [(avatar, load_dataset(options.data[0]))]
    persons += [(Avatar.load(find_avatar(name)), load_dataset(data)) for name, data in options.other]
    found = {}
    eight, found['figure8'] = figure8(avatar, samples)
    targets = [target_poses(a, samples, d.euler[d.training_mask], d.translation[d.training_mask]) for a, d in persons]
    nine, found['figure9'] = figure9(targets)
    for name, picture in (('figure8', eight), ('figure9', nine)):
        cv2.imwrite(str(options.folder / f'{name}.png'), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    protocols = {'figure8': FIGURE8_PROTOCOL, 'figure9': FIGURE9_PROTOCOL}
    return paper_report.figures(found), {'protocols': protocols, **found}
