"""What was measured of the running graph (``lsp bench --live``), as a section of Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from lsp_ros.benchmark.soak import slope
from lsp_ros.markdown import numbers_table

LEAST_SECONDS_FOR_A_TREND = 300
MOST_COURSE_ROWS = 12


def live_section(live: Mapping[str, Any]) -> str:
    """``cli.bench.measure_live``."""
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
        numbers_table(['figure', 'value'], rows),
    ]
    parts += [
        'Where the time between a sound and its picture goes, milliseconds from arrival to arrival:',
        numbers_table(
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
            numbers_table(
                ['node', 'what', 'median', 'most'],
                [[row['node'], row['what'], f'{row["median"]:.1f}', f'{row["max"]:.1f}'] for row in live['computing']],
            ),
        ]
    if costs:
        parts += [
            'What the processes cost; PSS counts a shared page by its share, USS not at all:',
            numbers_table(
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
            numbers_table(
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


def spread(summary: Mapping[str, float] | None) -> str:
    if not summary:
        return 'not measured'
    return (
        f'median {summary["median"]:.1f} ms, p95 {summary["p95"]:.1f}, p99 {summary["p99"]:.1f}, '
        f'most {summary["max"]:.1f}'
    )


def nearest(course: Sequence[Mapping[str, Any]], seconds: float) -> Mapping[str, Any]:
    return min(course, key=lambda row: abs(row['seconds'] - seconds))
