"""What was measured in one process (``lsp bench``), as sections of Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from lsp_ros.benchmark.soak import slope
from lsp_ros.benchmark.stages import WHOLE
from lsp_ros.markdown import numbers_table


def stages_section(rows: Sequence[Mapping[str, Any]]) -> str:
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
            numbers_table(
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


def renderers_section(rows: Sequence[Mapping[str, Any]]) -> str:
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
            'engines in turn, picture by picture. The difference from PyTorch f32 is in grey levels of 255: mean, '
            'largest; random weights draw nothing that would tell. '
            f'Parameters: {parameters}.',
            numbers_table(
                ['renderer', 'engine', 'median', 'p95', 'p99', 'least', 'times as fast as PyTorch f32', 'difference'],
                lines,
            ),
            *absent(missing),
        ]
    )


def streams_section(rows: Sequence[Mapping[str, Any]]) -> str:
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
                    numbers_table(
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


def soak_section(rows: Sequence[Mapping[str, Any]]) -> str:
    """``soak.measure_soak``."""
    hours = [row['hours'] for row in rows]
    trends = [
        ' '.join(f'{what} {slope(hours, values):+.{digits}f} {unit} an hour'.split())  # there may be no unit
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
            f'{rows[-1]["frames"]} frames, none lost, with a head-pose command every half simulated minute. '
            f'Milliseconds of processor time for a frame, over the last {rows[-1]["time"]["count"]} frames before '
            'each row, which came in the chunks of a live source'
            + (f'; {drawn["count"]} pictures were drawn before each row (wall milliseconds).' if drawn else '.'),
            numbers_table(titles, lines),
            *([f'Trend by least squares, without the first row: {", ".join(trends)}.'] if trends else []),
        ]
    )


def numbers(time: Mapping[str, float], digits: int) -> list[str]:
    return [f'{time[name]:.{digits}f}' for name in ('median', 'p95', 'p99')]
