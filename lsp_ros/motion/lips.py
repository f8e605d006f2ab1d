"""The lips as shapes: closing them where they nearly meet, and parting them where they cross (paper section 3.2)."""

import numpy as np

from lsp_ros.avatar.landmarks import LOWER_LIP_INNER, LOWER_LIP_OUTER, UPPER_LIP_INNER, UPPER_LIP_OUTER

_LIPS = np.concatenate([UPPER_LIP_INNER, LOWER_LIP_INNER, UPPER_LIP_OUTER, LOWER_LIP_OUTER])
# How these rise with the half gaps of the inner pairs (3, 16): inner lips with their own, outer ones with the mean.
_FOLLOW = np.concatenate([np.eye(3), -np.eye(3), np.full((3, 5), 1 / 3), np.full((3, 5), -1 / 3)], axis=1)


def contact(gap: np.ndarray, seal: float) -> np.ndarray:
    """The height of an opening that a soft pair of lips shows: nothing up to ``seal``, all of it from 3 ``seal`` on.

    A network trained on squared errors hedges: where it is nearly sure of a P, B or M, it leaves a slit that nobody's
    lips have. Value and slope are continuous for a ``seal`` above 0; crossed lips are closed ones with any.
    """
    if seal == 0:
        return np.maximum(gap, 0)
    h = np.minimum(np.maximum((gap - seal) / (2 * seal), 0), 1)
    return np.where(h < 1, seal * h * h * (7 - 4 * h), gap)


def join_lips(points: np.ndarray, seal: float = 0.0) -> np.ndarray:
    """Close the lips where they cross or nearly meet: (..., 73, 3) head-frame points, y up -> the same shape.

    Each inner lip pair gets the opening ``contact`` by moving half the difference each, and the outer lips follow by
    the mean of it, so that the lips keep their thickness. It sets in gently: nothing pops. ``seal`` in the unit of
    the points.
    """
    heights = points[..., 1]
    gap = heights.take(UPPER_LIP_INNER, axis=-1) - heights.take(LOWER_LIP_INNER, axis=-1)
    if not (gap < 3 * seal).any():
        return points
    points = points.copy()
    points[..., _LIPS, 1] += (contact(gap, seal) - gap) / 2 @ _FOLLOW
    return points


def part_lips(points: np.ndarray) -> np.ndarray:
    """Move crossed lips apart as the authors do: (N, 73, 3) head-frame points of a clip, y up -> the same shape.

    In frames where all three inner lip pairs cross, each pair meets halfway, and the outer lips follow by the mean
    half gap of all such frames.
    """
    half = (points[:, LOWER_LIP_INNER, 1] - points[:, UPPER_LIP_INNER, 1]) / 2
    crossed = np.flatnonzero((half > 0).all(axis=1))
    if not len(crossed):
        return points
    points, half, rows = points.copy(), half[crossed], crossed[:, None]
    points[rows, UPPER_LIP_INNER, 1] += half
    points[rows, LOWER_LIP_INNER, 1] -= half
    points[rows, UPPER_LIP_OUTER, 1] += half.mean()
    points[rows, LOWER_LIP_OUTER, 1] -= half.mean()
    return points
