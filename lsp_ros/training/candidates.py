"""Choice of the four candidate images (paper section 3.4).

Two by the mouth: the picture with the 100th smallest and the 100th largest mouth area. Two by the
head: rotations about x and y are sampled by uniform intervals and the nearest pictures taken.

Where the paper is silent we chose:
- The mouth area is that of the inner lip, in the head frame, so that the pose does not change it.
- "100th" belongs to the paper's videos of about four minutes (14,400 frames). With fewer pictures the
  rank shrinks in proportion, but stays at least 1: of 811 pictures the 6th.
- The range of each rotation (1st to 99th percentile) is cut into two equal intervals; the pictures nearest to
  the two points (both lower centres) and (both upper centres) are taken, distances in shares of the ranges.
- Pictures taken in a blink (lids closer than half their median distance) are not considered, and no picture
  is taken twice.
"""

import numpy as np

from lsp_ros.avatar.landmarks import LEFT_EYE_LIDS, RIGHT_EYE_LIDS

INNER_LIP = (46, 63, 62, 61, 52, 60, 59, 58)
RANK = 100
RANK_FRAMES = 14_400


def mouth_area(points: np.ndarray) -> np.ndarray:
    """(..., 73, 3) head-frame points -> (...,) area inside the inner lip in the x-y plane, at least 0."""
    x, y = points[..., INNER_LIP, 0], points[..., INNER_LIP, 1]
    twice = (np.roll(x, -1, axis=-1) * y - x * np.roll(y, -1, axis=-1)).sum(axis=-1)
    return np.maximum(twice / 2, 0)


def eyes_open(points: np.ndarray) -> np.ndarray:
    """(N, 73, 3) -> (N,) bool, False in blinks."""
    pairs = (LEFT_EYE_LIDS, RIGHT_EYE_LIDS)
    lids = [np.linalg.norm(points[:, upper] - points[:, lower], axis=-1) for upper, lower in pairs]
    opening = np.mean(lids, axis=0)
    return opening >= 0.5 * np.median(opening)


def choose_candidates(points: np.ndarray, euler: np.ndarray) -> list[int]:
    """Rows of the four candidate images among N pictures; points (N, 73, 3), euler (N, 3) degrees.

    Order: mouth small, mouth large, head at the lower and at the upper rotations. Raises ValueError
    where fewer than four pictures remain.
    """
    usable = np.flatnonzero(eyes_open(points))
    if len(usable) < 4:
        raise ValueError(f'{len(usable)} pictures with open eyes, but four candidate images are needed')
    order = usable[np.argsort(mouth_area(points[usable]), kind='stable')]
    rank = max(1, min(RANK, round(RANK * len(points) / RANK_FRAMES)))
    rank = min(rank, len(order) // 2)
    chosen = [int(order[rank - 1]), int(order[-rank])]
    rotation = euler[:, :2]
    low, high = np.percentile(rotation[usable], [1, 99], axis=0)
    span = np.maximum(high - low, 1e-6)
    for centre in (0.25, 0.75):
        distance = np.linalg.norm((rotation - (low + centre * span)) / span, axis=1)
        distance[[row for row in range(len(points)) if row in chosen]] = np.inf
        chosen.append(int(usable[np.argmin(distance[usable])]))
    return chosen
