"""The paper's tables 1, 2 and 3 (section 5.2): their rows, the settings that make each, and the paper's own figures."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lsp_ros.timeline import FRAME_RATE

TABLES = {'table1': 'mouth', 'table2': 'head_pose', 'table3': 'renderer'}
"""Each table, and the training that its rows vary."""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    key      its folder, and what it is called by on the command line
    name     as the paper has it
    changes  the settings of the training that make it; None: nothing is trained for it
    paper    the paper's own figures for it, by column; None: the paper has no such row
    part     of table 3
    built    False: another system, of which only the paper's figures are shown
    """

    key: str
    name: str
    changes: dict[str, Any] | None = field(default_factory=dict)
    paper: dict[str, float] | None = None
    part: str = ''
    built: bool = True


DELAYS = {0: 5.309, 50: 5.280, 100: 5.117, 150: 5.335, 200: 5.160, 300: 4.916, 400: 5.248, 500: 5.539}
TABLE1 = [
    Row(f'{ms}ms', f'{ms} ms', {'look_ahead': ms * FRAME_RATE // 1000}, {'error_mm': error})
    for ms, error in DELAYS.items()
]


def _heads(landmarks: float, velocity: float, rotation: float, position: float) -> dict[str, float]:
    return {'landmarks': landmarks, 'velocity': velocity, 'rotation': rotation, 'position': position}


TABLE2 = [
    Row('lstm_l2', 'LSTM (L2)', {'recurrent': True, 'probabilistic': False}, _heads(4.9, 1.1, 6.9, 12.2)),
    Row('lstm_probabilistic', 'LSTM (probabilistic)', {'recurrent': True}, _heads(4.9, 1.0, 6.7, 11.6)),
    Row('without_history', 'without history poses', {'history': False}, _heads(3.9, 0.9, 4.2, 8.9)),
    Row('l2', 'L2', {'probabilistic': False}, _heads(4.5, 1.1, 3.7, 9.2)),
    Row('without_speech', 'without speech (not in the paper)', {'speech': False}),
    Row('zhou_2020', 'Zhou et al. 2020 (another system)', None, _heads(4.6, 0.9, 6.1, 10.1), built=False),
    Row('full', 'full', {}, _heads(3.6, 0.8, 3.6, 8.9)),
    Row('shipped', 'the avatar as it is', None),
    Row('still', 'a still head', None),
]

# Of the three people Obama1, Obama2 and May: L1, PSNR, SSIM, LPIPS x 10, and the deviation of each.
_PAPER3 = {
    'large_without_upper_body': (
        (6.131, 1.841, 25.364, 2.259, 0.850, 0.043, 0.704, 0.407),
        (7.634, 5.105, 23.143, 2.758, 0.843, 0.102, 1.136, 1.279),
        (5.957, 1.322, 27.171, 1.820, 0.807, 0.037, 0.790, 0.260),
    ),
    'large_without_candidates': (
        (6.683, 2.507, 24.964, 2.483, 0.845, 0.048, 0.746, 0.422),
        (4.006, 0.754, 27.927, 2.228, 0.917, 0.020, 0.366, 0.111),
        (5.577, 1.246, 27.979, 1.683, 0.823, 0.033, 0.747, 0.280),
    ),
    'unet': (
        (6.540, 1.743, 25.087, 2.046, 0.832, 0.035, 0.875, 0.395),
        (4.155, 0.794, 27.414, 2.182, 0.907, 0.022, 0.479, 0.124),
        (6.007, 1.709, 27.528, 1.835, 0.806, 0.037, 1.018, 0.389),
    ),
    'normal': (
        (5.782, 1.687, 25.920, 2.229, 0.861, 0.038, 0.727, 0.346),
        (4.010, 0.763, 27.406, 2.211, 0.912, 0.021, 0.376, 0.106),
        (5.578, 1.694, 27.924, 1.882, 0.818, 0.049, 0.828, 0.449),
    ),
    'large': (
        (5.713, 1.671, 26.006, 2.275, 0.862, 0.038, 0.698, 0.348),
        (3.993, 0.732, 27.576, 2.174, 0.926, 0.020, 0.370, 0.103),
        (5.539, 1.234, 28.044, 1.782, 0.823, 0.035, 0.746, 0.209),
    ),
    'large_0.5_minutes': (
        (9.403, 3.068, 22.481, 2.166, 0.788, 0.042, 1.421, 0.533),
        (6.941, 2.015, 22.960, 2.195, 0.858, 0.030, 0.945, 0.382),
        (9.539, 2.740, 23.432, 2.087, 0.739, 0.033, 1.731, 0.582),
    ),
    'large_1_minute': (
        (8.259, 2.552, 23.939, 2.427, 0.812, 0.046, 1.233, 0.523),
        (5.285, 1.303, 24.873, 2.010, 0.888, 0.024, 0.585, 0.239),
        (7.265, 2.366, 25.875, 2.086, 0.739, 0.050, 1.175, 0.685),
    ),
}
_PAPER3['large_3_minutes'] = _PAPER3['large']  # its people's three minutes are all there is
_COLUMNS3 = [name + part for name in ('l1', 'psnr', 'ssim', 'lpips') for part in ('', '_deviation')]


def table3(base: str) -> list[Row]:
    """Table 3; ``base`` is the renderer size that input and data are varied on: 'large' in the paper."""

    def row(key: str, name: str, part: str, **changes: Any) -> Row:
        means = np.mean(_PAPER3[key], axis=0).tolist() if key in _PAPER3 else None
        return Row(key, name, changes, dict(zip(_COLUMNS3, means, strict=True)) if means else None, part)

    rows = [row(f'{base}_without_upper_body', 'without upper body', 'input', size=base, upper_body=False)]
    if base != 'live':  # which is built on its candidate images
        rows.append(row(f'{base}_without_candidates', 'without candidates', 'input', size=base, candidates=False))
    rows += [
        row('unet', 'plain U-Net', 'architecture', size='normal', blocks=0),
        row('normal', 'normal', 'architecture', size='normal'),
        row('large', 'large', 'architecture', size='large'),
        row('live', 'live (our own)', 'architecture', size='live'),
        Row('shipped', 'the avatar as it is', None, part='architecture'),
    ]
    for minutes, name in ((0.5, '0.5 minutes'), (1.0, '1 minute'), (3.0, '3 minutes')):
        key = f'{base}_{name.replace(" ", "_")}'
        rows.append(row(key, f'{name} of footage', 'data', size=base, footage_minutes=minutes))
    return rows


def rows_of(table: str, size: str = 'large') -> list[Row]:
    """The rows of 'table1', 'table2' or 'table3', the last on a renderer size."""
    return {'table1': TABLE1, 'table2': TABLE2}.get(table) or table3(size)
