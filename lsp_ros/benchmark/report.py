"""Figures as Markdown and JSON, each with the machine and the command behind it.

A Markdown section stands between two comments that name it, so that a run writes only what it measured into a page
of many (docs/performance.md).
"""

import datetime
import json
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

from lsp_ros import __version__
from lsp_ros.benchmark.soak import slope
from lsp_ros.benchmark.stages import WHOLE
from lsp_ros.machine import instructions, processor

GIGABYTE = 2**30
LEAST_SECONDS_FOR_A_TREND = 300
MOST_COURSE_ROWS = 12


def machine() -> dict:
    """Where and beside what the figures of this run are measured; to be asked before it starts."""
    import torch

    return {
        'processor': processor(),
        'cores': os.cpu_count(),
        'memory_gb': round(psutil.virtual_memory().total / GIGABYTE, 1),
        'instructions': instructions(),
        'gpu': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        'load_before': round(os.getloadavg()[0], 2),
        'system': f'{platform.system()} {platform.release()}',
        'python': platform.python_version(),
        'versions': {'lsp_ros': __version__, **{name: version(name) for name in ('numpy', 'torch', 'openvino')}},
        'date': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
    }


def heading(command: str, machine: Mapping) -> str:
    """The sentence over a table: what printed it, when, and on which machine."""
    quick = f' ({", ".join(machine["instructions"])})' if machine['instructions'] else ''
    hardware = f'{machine["processor"]}, {machine["cores"]} cores{quick}'
    hardware += f', {machine["gpu"]}' if machine['gpu'] else ', no GPU'
    versions = ', '.join(f'{name} {number}' for name, number in machine['versions'].items() if name != 'lsp_ros')
    return (
        f'`{command}`, {machine["date"]}. {hardware}, {machine["memory_gb"]:.0f} GB; load before the start '
        f'{machine["load_before"]:.1f}; Python {machine["python"]}, {versions}.'
    )


def table(titles: Sequence[str], rows: Sequence[Sequence]) -> str:
    """A Markdown table; the first column to the left, the others to the right."""
    lines = [titles, ['---', *['---:'] * (len(titles) - 1)], *rows]
    return '\n'.join('| ' + ' | '.join(map(str, line)) + ' |' for line in lines)


# What was measured -> the body of its section


def stages_section(rows: Sequence[Mapping]) -> str:
    """``stages.measure_stages``."""
    lines = []
    for row in rows:
        summed = row['stage'] in WHOLE and row['live']
        cells = [f'**{row["part"]}**' if summed else row['part'], row['precision'], *numbers(row['ours'], 3)]
        if 'reference' in row:
            cells += [f'{row["reference"]["median"]:.3f}', f'{row["ratio"]:.1f}', f'{row["difference"]:.0e}']
        else:
            cells += ['', '', '']
        lines.append([*cells, row['note']])
    whole = [row['ours'] for row in rows if row['stage'] in WHOLE and row['live']]
    if len(whole) == len(WHOLE):
        sums = [f'**{sum(row[name] for row in whole):.3f}**' for name in ('median', 'p95', 'p99')]
        lines.append(['**sum of the three in bold**', '', *sums, '', '', '', ''])
    return '\n\n'.join(
        [
            '## Before the picture',
            f'Milliseconds of processor time for one 60 fps frame, on one thread, one frame at a time; '
            f'{rows[0]["ours"]["count"]} frames after the warm-up. The reference is the same network in PyTorch, eager '
            'float32, one thread, in turn with ours.',
            table(
                [
                    'part',
                    'precision',
                    'median',
                    'p95',
                    'p99',
                    'PyTorch, median',
                    'times as fast',
                    'largest difference',
                    'reference',
                ],
                lines,
            ),
        ]
    )


def renderers_section(rows: Sequence[Mapping]) -> str:
    """``engines.measure_engines``."""
    lines, missing, counts = [], {}, []
    for row in rows:
        if 'reason' in row:
            missing[row['engine']] = row['reason']
            continue
        counts.append(f'{row["time"]["count"]} pictures ({row["size"]})')
        apart = row.get('difference')
        lines.append(
            [
                f'{row["size"]}, {row["weights"]}',
                row['engine'],
                *numbers(row['time'], 1),
                f'{row["time"]["least"]:.1f}',
                f'{row["ratio"]:.1f}',
                f'{apart["mean"]:.2f}, {apart["largest"]}' if apart else '',
            ]
        )
    sizes = {row['size']: row['parameters'] for row in rows}
    parameters = ', '.join(f'{size} {count / 1e6:.1f} M' for size, count in sizes.items())
    return '\n\n'.join(
        [
            '## The picture',
            f'Wall milliseconds for one picture of 512x512, {", ".join(dict.fromkeys(counts))} after the warm-up; the '
            'engines in turn, picture by picture. The difference from PyTorch f32 is in grey levels of 255: mean, largest; '
            'random weights draw nothing that would tell. '
            f'Parameters: {parameters}.',
            table(
                ['renderer', 'engine', 'median', 'p95', 'p99', 'least', 'times as fast as PyTorch f32', 'difference'],
                lines,
            ),
            *absent(missing),
        ]
    )


def streams_section(rows: Sequence[Mapping]) -> str:
    """``engines.measure_streams``."""
    lines = [
        [
            row['size'],
            row['engine'],
            row['streams'],
            *numbers(row['time'], 1),
            f'{row["picture_ms"]:.2f}',
            f'{row["pictures_per_second"]:.0f}',
            f'{row["pictures_per_second"] / row["streams"]:.1f}',
        ]
        for row in rows
        if 'reason' not in row
    ]
    missing = {row['engine']: row['reason'] for row in rows if 'reason' in row}
    return '\n\n'.join(
        [
            '## Several streams at once',
            'One picture of each stream as a batch, wall milliseconds. On a CPU they are drawn one after the other.',
            *(
                [
                    table(
                        [
                            'renderer',
                            'engine',
                            'streams',
                            'batch, median',
                            'p95',
                            'p99',
                            'a picture',
                            'pictures a second',
                            'a second for each stream',
                        ],
                        lines,
                    )
                ]
                if lines
                else []
            ),
            *absent(missing),
        ]
    )


def absent(missing: Mapping[str, str]) -> list[str]:
    return ['\n'.join(f'- {name}: {reason}' for name, reason in missing.items())] if missing else []


def live_section(live: Mapping) -> str:
    """``benchmark.live.measure_live``."""
    images, latency, costs = live['images'], live['latency_ms'], live['processes']
    published = images['received'] + images['dropped']
    rows = [
        ['pictures published', images['received']],
        ['rate', f'{images["rate"]:.2f} a second over {images["seconds"]:.0f} s'],
        ['pictures dropped', f'{images["dropped"]} ({100 * images["dropped"] / max(published, 1):.2f} %)'],
        ['first picture', f'{live["first_picture_s"]:.1f} s after the start of the graph'],
        ['audio to image', spread(latency['audio_to_image'])],
        ['image after its stamp', spread(latency['stamp_to_image'])],
        ['sound missing', f'{live["sound"]["missing_samples"] / 16:.0f} ms in {live["sound"]["chunks"]} chunks'],
    ]
    if costs:
        total = costs['total']
        rows += [
            ['processors', f'{total["cpu"]:.0f} % of one core, other programs {costs["others_cpu"]:.0f} %'],
            ['memory', f'{total["pss_mb"]:.0f} MB with shared pages counted once, {total["rss_mb"]:.0f} MB by process'],
        ]
        if costs['restarts']:
            rows.append(['processes started again', costs['restarts']])
    source = (
        'knows its future: sound is published 0.35 s before it is due'
        if live['source'] == 'future'
        else 'is like a microphone: sound is published when it is due'
    )
    parts = [
        f'## The running graph, {live["source"]} source, {live["frame_rate"]} pictures a second',
        f'Five processes and the node that measures. The source {source}. Measured after a warm-up of '
        f'{live["warm_up_s"]:.0f} s from the first picture; engine: {live["engine"]}.',
        table(['figure', 'value'], rows),
    ]
    parts += [
        'Where the time between a sound and its picture goes, milliseconds from arrival to arrival:',
        table(
            ['from', 'to', 'by design', 'median', 'p95', 'p99', 'most'],
            [
                [
                    step['from'],
                    step['to'],
                    f'{live["look_ahead_ms"].get(step["to"], 0):.0f}',
                    *(
                        [f'{step["ms"][name]:.1f}' for name in ('median', 'p95', 'p99', 'max')]
                        if step['ms']
                        else ['', '', '', '']
                    ),
                ]
                for step in live['steps']
            ],
        ),
    ]
    if live['computing']:
        parts += [
            'What the nodes say of themselves, milliseconds (median of the medians of each second, most):',
            table(
                ['node', 'what', 'median', 'most'],
                [[row['node'], row['what'], f'{row["median"]:.1f}', f'{row["max"]:.1f}'] for row in live['computing']],
            ),
        ]
    if costs:
        parts += [
            'What the processes cost; PSS counts a shared page by its share, USS not at all:',
            table(
                ['process', 'CPU, % of a core', 'RSS, MB', 'PSS, MB', 'USS, MB'],
                [
                    [
                        row['process'],
                        f'{row["cpu"]:.1f}',
                        *(f'{row.get(kind, 0):.0f}' for kind in ('rss_mb', 'pss_mb', 'uss_mb')),
                    ]
                    for row in [*costs['processes'], total]
                ],
            ),
        ]
    course = live['course']
    if costs and costs['seconds'] >= LEAST_SECONDS_FOR_A_TREND and len(course) >= 4:
        steps = course[:: max(1, -(-len(course) // MOST_COURSE_ROWS))]
        parts += [
            'The course over time:',
            table(
                ['minute', 'pictures a second', 'dropped', 'audio to image, median', 'p95', 'most', 'PSS, MB'],
                [
                    [
                        f'{row["seconds"] / 60:.1f}',
                        f'{row["images"]["rate"]:.2f}',
                        row['images']['dropped'],
                        *(
                            f'{row["audio_to_image"][name]:.1f}' if row['audio_to_image'] else ''
                            for name in ('median', 'p95', 'max')
                        ),
                        f'{nearest(costs["memory_course"], row["seconds"])["pss_mb"]:.0f}',
                    ]
                    for row in steps
                ],
            ),
        ]
        medians = [row['audio_to_image']['median'] if row['audio_to_image'] else 0.0 for row in course]
        hours = [row['seconds'] / 3600 for row in course]
        by_process = ', '.join(f'{row["process"]} {row["uss_mb_per_hour"]:+.1f}' for row in costs['processes'])
        parts.append(
            f'Trend by least squares: latency (median) {slope(hours, medians):+.2f} ms an hour; memory (PSS) '
            f'{costs["pss_mb_per_hour"]:+.1f} MB an hour; pages of a process alone (USS): {by_process}.'
        )
    return '\n\n'.join(parts)


def soak_section(rows: Sequence[Mapping]) -> str:
    """``soak.measure_soak``."""
    hours = [row['hours'] for row in rows]
    trends = [
        f'{what} {slope(hours, values):+.{digits}f} {unit} an hour'
        for what, values, digits, unit in (
            ('resident memory', [row['rss_mb'] for row in rows], 2, 'MB'),
            ('its own memory (USS)', [row['uss_mb'] for row in rows], 2, 'MB'),
            ('Python objects', [row['objects'] for row in rows], 0, ''),
            ('time for a frame (median)', [row['time']['median'] * 1000 for row in rows], 2, 'microseconds'),
        )
        if slope(hours, values) is not None
    ]
    drawn = next((row['picture'] for row in rows if row['picture']), None)
    titles = ['simulated hours', 'median', 'p95', 'p99', 'RSS, MB', 'USS, MB', 'objects', 'times real time']
    titles[4:4] = ['a picture, median'] if drawn else []
    lines = [
        [
            f'{row["hours"]:.2f}',
            *numbers(row['time'], 3),
            *([f'{row["picture"]["median"]:.1f}' if row['picture'] else ''] if drawn else []),
            f'{row["rss_mb"]:.1f}',
            f'{row["uss_mb"]:.1f}',
            row['objects'],
            f'{row["times_real_time"]:.1f}',
        ]
        for row in rows
    ]
    return '\n\n'.join(
        [
            f'## Simulated hours: {hours[-1]:g}',
            'Speech and pauses through the speech and motion stages of one process, as fast as they go: '
            f'{rows[-1]["frames"]} frames, none lost, with a head-pose command every half simulated minute. Milliseconds '
            f'of processor time for a frame, over the last {rows[-1]["time"]["count"]} frames before each row, which came '
            'in the chunks of a live source'
            + (f'; {drawn["count"]} pictures were drawn before each row (wall milliseconds).' if drawn else '.'),
            table(titles, lines),
            *(
                [
                    f'Trend by least squares, without the first row: {", ".join(" ".join(trend.split()) for trend in trends)}.'
                ]
                if trends
                else []
            ),
        ]
    )


def numbers(time: Mapping[str, float], digits: int) -> list[str]:
    return [f'{time[name]:.{digits}f}' for name in ('median', 'p95', 'p99')]


def spread(summary: Mapping[str, float] | None) -> str:
    if not summary:
        return 'not measured'
    return (
        f'median {summary["median"]:.1f} ms, p95 {summary["p95"]:.1f}, p99 {summary["p99"]:.1f}, '
        f'most {summary["max"]:.1f}'
    )


def nearest(course: Sequence[Mapping], seconds: float) -> Mapping:
    return min(course, key=lambda row: abs(row['seconds'] - seconds))


# Into files


def update_markdown(path: Path, sections: Mapping[str, str]) -> None:
    """Writes each section {name: body} between its comments in the page, in its old place or at the end."""
    page = path.read_text() if path.is_file() else '# Performance\n'
    for name, body in sections.items():
        begin, end = f'<!-- lsp bench: {name} -->', f'<!-- end of {name} -->'
        block = f'{begin}\n\n{body}\n\n{end}'
        pattern = re.escape(begin) + '.*?' + re.escape(end)
        page, count = re.subn(pattern, lambda _, block=block: block, page, flags=re.DOTALL)
        if not count:
            page = f'{page.rstrip()}\n\n{block}\n'
    path.write_text(page)


def write_json(path: Path, figures: Mapping) -> None:
    path.write_text(json.dumps(figures, indent=1) + '\n')


def this_command(arguments: Sequence[str] | None = None) -> str:
    """The command line that is running, without where its figures are written."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    kept, skip = [], False
    for word in words:
        if skip or word.split('=')[0] in ('--json', '--markdown'):
            skip = not skip and '=' not in word
            continue
        kept.append(word)
    return ' '.join(['lsp', *kept])
