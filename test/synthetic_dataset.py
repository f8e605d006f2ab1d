"""A tiny dataset: a face of random points that nods to its own sound, with pictures of flat colours."""

from pathlib import Path

import cv2
import numpy as np

from lsp_ros.avatar.landmarks import LEFT_EYE_LIDS, RIGHT_EYE_LIDS
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE
from lsp_ros.training.dataset import write_dataset


def manifest(**changes) -> dict:
    return {
        'name': 'nobody',
        'licence': 'CC0-1.0',
        'source': 'random numbers',
        'person': {'kind': 'synthetic', 'consent': None},
        'camera': {'matrix': [[1536.0, 0, 256], [0, 1536.0, 256], [0, 0, 1]], 'metres_per_unit': 0.01},
        **changes,
    }


def tracks(frames: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    phase = np.arange(frames)[:, None] / 30
    base = rng.uniform(-6, 6, (73, 3))
    for upper, lower in (LEFT_EYE_LIDS, RIGHT_EYE_LIDS):
        base[upper] = base[lower] + [0, 1, 0]
    points = base + 0.2 * np.sin(phase[..., None] + base[None])
    shoulders = np.concatenate([rng.uniform(-9, 9, (18, 2)), np.full((18, 1), 100.0)], axis=1)
    return {
        'points': points,
        'euler': 5 * np.sin(phase * [1.0, 0.7, 0.4]),
        'translation': np.array([0, 0, 100.0]) + 0.5 * np.cos(phase * [0.3, 0.5, 0.2]),
        'shoulders': np.repeat(shoulders[None], frames, axis=0),
    }


def write_synthetic(folder: Path, seconds: float = 8.0, pictures: int = 0, seed: int = 0, **changes) -> Path:
    """A dataset folder of that many seconds; ``changes`` replace keys of dataset.yaml."""
    frames = round(seconds * FRAME_RATE)
    rng = np.random.default_rng(seed)
    samples = 0.1 * rng.standard_normal(round(seconds * SAMPLE_RATE))
    samples *= 0.5 + 0.5 * np.sin(np.arange(len(samples)) / 2000)
    write_dataset(folder, manifest(**changes), tracks(frames, seed), samples, [('pau', 0.0, seconds)])
    (folder / 'frames').mkdir()
    for frame in np.linspace(0, frames - 1, pictures).astype(int):
        picture = np.full((512, 512, 3), 40, np.uint8)
        picture[100:400, 150:350] = 40 + 150 * frame // frames
        cv2.imwrite(str(folder / 'frames' / f'{frame:06d}.png'), picture)
    return folder
