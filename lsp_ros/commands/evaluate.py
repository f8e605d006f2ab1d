"""``lsp evaluate``: the paper's tables and figures on one's own data, as Markdown and JSON."""

import argparse
import json
import shlex
from typing import Any

import cv2

from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.capture.video import pictures, read_sound
from lsp_ros.commands.training_options import check_known, known_to, parse_more, training_settings
from lsp_ros.evaluation import paper_report
from lsp_ros.evaluation.figures import figure8, figure9, target_poses
from lsp_ros.evaluation.mouth_protocols import evaluate_film, evaluate_lips, film_opening
from lsp_ros.evaluation.paper_tables import TABLES, rows_of
from lsp_ros.evaluation.protocol_texts import FIGURE8_PROTOCOL, FIGURE9_PROTOCOL, LIPS_PROTOCOL
from lsp_ros.evaluation.row_figures import Materials
from lsp_ros.evaluation.runs import Evaluation, measured
from lsp_ros.media.sound import read_audio
from lsp_ros.training.dataset import load_dataset


def run_evaluate(options: argparse.Namespace) -> None:
    avatar = Avatar.load(find_avatar(options.avatar))
    for folder in [*options.data, *([options.held_out] if options.held_out else [])]:
        load_dataset(folder)  # what is wrong with it is said before hours are spent
    options.folder.mkdir(parents=True, exist_ok=True)
    markdown = [f'# Evaluation of {avatar.name}']
    results: dict[str, Any] = {'avatar': avatar.name}
    for kind in options.kinds:
        make = {'lips': _lips, 'figures': _figures}.get(kind, _table)
        text, results[kind] = make(kind, avatar, options)
        markdown.append(text)
    files = (options.markdown or options.folder / 'evaluation.md', options.json or options.folder / 'evaluation.json')
    files[0].write_text('\n\n'.join(markdown) + '\n')
    files[1].write_text(json.dumps(results, indent=1) + '\n')
    print(files[0].read_text())
    print(f'written: {files[0]}, {files[1]}')


def _table(kind: str, avatar: Avatar, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    settings = training_settings(TABLES[kind], options, _more(kind, options))
    # As in the paper, input and data are varied on the large renderer; a few cores have time for the live one alone.
    size = options.size or ('large' if options.on_cpu is None else 'live')
    rows = rows_of(kind, size)
    chosen = getattr(options, 'rows', None)
    if chosen is None:
        chosen = [row.key for row in rows if row.built]
    unknown = sorted(set(chosen) - {row.key for row in rows if row.built})
    if unknown:
        raise ValueError(f'--rows {unknown[0]}: {kind} has the rows {", ".join(r.key for r in rows if r.built)}.')
    backbone = getattr(settings, 'backbone', None)  # of the renderer's training alone
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


def _more(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """The --set values of this table's training; for all tables, those that it knows."""
    more = parse_more(options.more)
    if len(options.kinds) == 1:
        return more
    check_known(TABLES.values(), more)
    return known_to(TABLES[kind], more)


def _lips(kind: str, avatar: Avatar, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
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


def _figures(kind: str, avatar: Avatar, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
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
