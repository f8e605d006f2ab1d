"""How head motion is measured: a finished avatar, run as it runs live, against true recordings."""

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from lsp_ros.avatar.load import Avatar
from lsp_ros.evaluation.metrics import HeadDistances, head_distances
from lsp_ros.evaluation.playback import hear, move
from lsp_ros.timeline import FRAME_RATE
from lsp_ros.training.dataset import Dataset, runs

WARM_UP = 5 * FRAME_RATE
"""Frames that the head moves before it is judged."""


def judged_part(dataset: Dataset, held_out: bool) -> tuple[int, int]:
    """Frames [first, stop) to judge head motion on: all of a recording that was held out, else the longest run of
    the part that validates."""
    if held_out:
        return 0, len(dataset)
    return max(runs(dataset.validation_mask), key=lambda pair: pair[1] - pair[0])


def compare_heads(shown: list[tuple[Dataset, slice, list[tuple[np.ndarray, np.ndarray]]]]) -> dict[str, Any]:
    """D-L, D-V, D-Rot and D-Pos of head motions to the true ones, means over known frames and over motions.

    shown  recordings, each with the frames that are judged and what was done in them: (euler, translation), (n, 3)
           each, as often as there were draws
    """
    found, weights, spread, true_spread = [], [], [], []
    for dataset, part, motions in shown:
        known = dataset.known_mask[part]
        if not (known[1:] & known[:-1]).any():
            raise ValueError(f'{dataset.path}: in the judged part the true head pose is not known')
        points, truth = dataset.points[part], (dataset.euler[part], dataset.translation[part])
        distances = [asdict(head_distances(points, pose, truth, known)) for pose in motions]
        found.append({name: np.mean([one[name] for one in distances]) for name in distances[0]})
        weights.append(int(known.sum()))
        spread.append(np.mean([euler[known].std(axis=0) for euler, _ in motions], axis=0))
        true_spread.append(truth[0][known].std(axis=0))
    return {
        'seconds': sum(weights) / FRAME_RATE,
        'seeds': len(shown[0][2]),
        **{name: float(np.average([one[name] for one in found], weights=weights)) for name in found[0]},
        'euler_std': np.average(spread, axis=0, weights=weights).tolist(),
        'true_euler_std': np.average(true_spread, axis=0, weights=weights).tolist(),
    }


def still_head(dataset: Dataset, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A head that rests at the mean pose of a person's training footage: euler and translation, (frames, 3) each."""
    euler, translation = (part[dataset.training_mask].mean(axis=0) for part in (dataset.euler, dataset.translation))
    return np.broadcast_to(euler, (frames, 3)), np.broadcast_to(translation, (frames, 3))


def evaluate_head_pose(avatar: Avatar, dataset: Dataset, seeds: Iterable[int] = range(8)) -> dict[str, Any]:
    """Head motion on the validation part of the person's recording, averaged over seeds.

    Two lines to compare with: a head that holds still at its mean pose, and the person's own true
    motion from other times, which moves as naturally as can be but hears nothing.
    """
    features = hear(avatar, dataset.read_audio())
    first, stop = judged_part(dataset, held_out=False)
    begin, stop = max(0, first - WARM_UP), min(stop, len(features))
    heard, part, count = features[begin:stop], slice(first, stop), stop - first
    seeds = list(seeds)
    moved = [move(avatar, heard, seed)[first - begin :] for seed in seeds]
    usable = [start for a, b in runs(dataset.training_mask) for start in range(a, b - count + 1)]
    pieces = count
    while not usable:  # no training run is as long as the judged part: compare piecewise
        pieces //= 2
        usable = [start for a, b in runs(dataset.training_mask) for start in range(a, b - pieces + 1)]
    rng = np.random.default_rng(0)
    other = []
    for _ in seeds:
        taken = np.concatenate([np.arange(s, s + pieces) for s in rng.choice(usable, -(-count // pieces))])[:count]
        other.append((dataset.euler[taken], dataset.translation[taken]))

    def compared(motions: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
        return compare_heads([(dataset, part, motions)])

    def distances(figures: dict[str, Any]) -> dict[str, Any]:
        return {entry.name: figures[entry.name] for entry in fields(HeadDistances)}

    own = compared([(motion.euler[:count], motion.translation[:count]) for motion in moved])
    return {
        'seconds': own['seconds'],
        'seeds': len(seeds),
        'ours': distances(own),
        'still_head': distances(compared([still_head(dataset, count)])),
        'true_motion_of_another_time': distances(compared(other)),
        'euler_std': own['euler_std'],
        'true_euler_std': own['true_euler_std'],
    }
