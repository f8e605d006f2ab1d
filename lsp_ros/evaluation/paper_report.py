"""The paper's tables and figures, and lips, as measured here, in Markdown: each table beside the paper's own, each with
its protocol and what did not run."""

from dataclasses import replace
from typing import Any

from lsp_ros.evaluation.paper_tables import Row
from lsp_ros.evaluation.protocol_texts import (
    FIGURE8_PROTOCOL,
    FIGURE9_PROTOCOL,
    FILM_PROTOCOL,
    LIPS_PROTOCOL,
    TABLE_PROTOCOLS,
)
from lsp_ros.markdown import markdown_table

TITLES = {
    'table1': 'Table 1: mouth error over look-ahead',
    'table2': 'Table 2: head pose',
    'table3': 'Table 3: renderer',
}
PARTS = {'input': 'input (on {base})', 'architecture': 'architecture', 'data': 'training data (on {base})'}


def table(
    name: str, rows: list[Row], found: dict[str, dict[str, Any]], command: str, notes: dict[str, str] | None = None
) -> str:
    """One of the paper's tables; ``found`` are results by row, ``command`` is what would measure the missing ones.

    ``notes`` say, by row, in what it was measured otherwise than the command asks for: its name bears a star, and it
    stands under the table.
    """
    notes = {row.key: notes[row.key] for row in rows if notes and row.key in notes}
    rows = [replace(row, name=f'{row.name} *') if row.key in notes else row for row in rows]
    lines = {'table1': _table1, 'table2': _table2, 'table3': _table3}[name](rows, found)
    missing = [row.key for row in rows if row.built and row.key not in found]
    parts = [f'## {TITLES[name]}', f'Protocol: {TABLE_PROTOCOLS[name]}', markdown_table(*lines)]
    if notes:
        parts.append(
            '\\* Measured otherwise than the command asks for, and not to be compared with the other rows: '
            + '; '.join(f'{key} ({note})' for key, note in notes.items())
            + '.'
        )
    if missing:
        parts.append(f'Not run here: {", ".join(missing)}. To run them:\n\n    {command} --rows {" ".join(missing)}')
    return '\n\n'.join(parts)


def _training(result: dict[str, Any]) -> str:
    done = result['trained']
    if not done:
        return 'none'
    return f'{done["steps"]:.0f} steps, {done["minutes"]:.1f} min, {result["machine"]}'


def _table1(rows: list[Row], found: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    header = [
        'look-ahead',
        'paper: error (mm)',
        'validation error (mm)',
        'held-out voice: error in speech (mm)',
        'P/B/M closed',
        'training',
    ]
    lines = []
    for row in rows:
        cells = ['not run here', '', '', '']
        if row.key in found:
            figures = found[row.key]['figures']
            held_out = figures.get('held_out')
            cells = [
                f'{figures["error_mm"]:.3f}',
                f'{held_out["error_in_speech_mm"]:.3f}' if held_out else '',
                f'{100 * held_out["closed"]:.0f} %' if held_out else '',
                _training(found[row.key]),
            ]
        lines.append([row.name, f'{row.paper["error_mm"]:.3f}' if row.paper else '', *cells])
    return header, lines


def _table2(rows: list[Row], found: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    def heads(figures: dict[str, Any] | None) -> list[str]:
        if not figures:
            return ['', '', '']
        return [
            f'{figures["landmarks"]:.1f} %',
            f'{figures["velocity"]:.2f} %',
            f'{figures["rotation"]:.1f}° / {figures["position"]:.1f} %',
        ]

    header = ['variant', 'paper: D-L', 'D-V', 'D-Rot/Pos', 'here: D-L', 'D-V', 'D-Rot/Pos', 'turns by', 'training']
    lines = []
    for row in rows:
        cells = ['not run here' if row.built else 'not built', '', '', '', '']
        if row.key in found:
            turns = ', '.join(f'{value:.1f}' for value in found[row.key]['figures']['euler_std'])
            cells = [*heads(found[row.key]['figures']), f'{turns}°', _training(found[row.key])]
        lines.append([row.name, *heads(row.paper), *cells])
    return header, lines


def _table3(rows: list[Row], found: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    header = [
        '',
        'variant',
        'paper: L1',
        'PSNR',
        'SSIM',
        'LPIPS x 10',
        'here: L1',
        'PSNR (dB)',
        'SSIM',
        'perceptual',
        'training',
    ]
    base = rows[0].changes['size'] if rows[0].changes else ''
    lines = []
    for row in rows:
        paper = row.paper
        told = [''] * 4
        if paper:
            told = [
                f'{paper[name]:.{digits}f} ± {paper[f"{name}_deviation"]:.{digits}f}'
                for name, digits in (('l1', 2), ('psnr', 2), ('ssim', 3), ('lpips', 2))
            ]
        cells = ['not run here', '', '', '', '']
        if row.key in found:
            figures = found[row.key]['figures']
            cells = [
                f'{figures[name]:.{digits}f} ± {figures[f"{name}_deviation"]:.{digits}f}'
                if name in figures
                else 'not measured'
                for name, digits in (('l1', 2), ('psnr', 2), ('ssim', 4), ('perceptual', 3))
            ]
            cells[3] += f' ({figures["backbone"]})' if figures['backbone'] else ''
            cells.append(_training(found[row.key]))
        lines.append([PARTS[row.part].format(base=base), row.name, *told, *cells])
    return header, lines


def lips(found: dict[str, dict[str, Any]], films: dict[str, dict[str, Any]]) -> str:
    """The lip-closure score and the offset of sound and mouth, by recording; and the offset of finished films."""
    rows = []
    for name, f in found.items():
        closed = closures = truth = true_sound = ''
        if 'closed' in f:
            closed = f'{100 * f["closed"]:.1f} % (true mouth {100 * f["true_closed"]:.0f} %)'
            closures = ', '.join(f'{phone} {c["closed"]} of {c["total"]}' for phone, c in f['closures'].items())
            truth = f'{f["offset_to_truth_ms"]:+.1f} (r {f["correlation_with_truth"]:.2f})'
            true_sound = f'{f["true_offset_to_sound_ms"]:+.1f} (r {f["true_correlation_with_sound"]:.2f})'
        sound = f'{f["offset_to_sound_ms"]:+.1f} (r {f["correlation_with_sound"]:.2f})'
        rows.append([name, f'{f["seconds"]:.0f} s', closed, closures, truth, sound, true_sound])
    header = [
        'recording',
        'length',
        'P/B/M closed',
        'each',
        'offset to the true mouth (ms)',
        'to the sound (ms)',
        'true mouth to the sound (ms)',
    ]
    parts = ['## Lips: closure, and the offset of sound and mouth']
    if rows:
        parts += [f'Protocol: {LIPS_PROTOCOL}', markdown_table(header, rows)]
    if films:
        rows = []
        for name, f in films.items():
            motion = f'{f["offset_to_motion_ms"]:+.1f} (r {f["correlation_with_motion"]:.2f})'
            sound = f'{f["offset_to_sound_ms"]:+.1f} (r {f["correlation_with_sound"]:.2f})'
            rows.append([name, f'{f["seconds"]:.0f} s', motion, sound])
        parts += [
            f'Protocol for films: {FILM_PROTOCOL}',
            markdown_table(['film', 'length', 'offset to its motion (ms)', 'to its sound (ms)'], rows),
        ]
    return '\n\n'.join(parts)


def figures(found: dict[str, Any]) -> str:
    """Figures 8 and 9: their pictures, and what can be said of them in numbers."""
    eight = found['figure8']
    rows = [[name, f'{eight[f"{name}_to_target"]:.2f}'] for name in ('original', 'reconstructed', 'target')]
    nine = [
        [
            name,
            f'{f["generated_to_training"]:.2f}',
            f'{f["training_to_training"]:.2f}',
            f'{100 * f["training_poses_covered"]:.0f} %',
        ]
        for name, f in found['figure9'].items()
    ]
    return '\n\n'.join(
        [
            '## Figure 8: manifold projection',
            f'Protocol: {FIGURE8_PROTOCOL}',
            '![figure 8](figure8.png)',
            markdown_table(['features', 'mean distance to the nearest target'], rows),
            '## Figure 9: generated head poses',
            f'Protocol: {FIGURE9_PROTOCOL}',
            '![figure 9](figure9.png)',
            markdown_table(
                [
                    'person',
                    'generated to training',
                    'training to training',
                    "training poses that are some generated one's nearest",
                ],
                nine,
            ),
        ]
    )
