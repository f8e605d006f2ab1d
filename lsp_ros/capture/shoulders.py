"""The 18 shoulder points: found in one picture of a clip, followed by Lucas-Kanade flow that cannot drift (paper 4.1).

The paper marks them by hand; here the silhouette of the body gives them. Flow from picture to picture adds up its
errors (plain Lucas-Kanade slid up to 198 pixels in 34 s); here each picture is compared with the one key picture of its
clip, beginning where the picture before was, so that no error is handed on. Each shoulder moves as a whole: the
similarity transform that most of its corners agree on (RANSAC).
"""

from collections.abc import Iterable

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.signals import SHOULDER_POINTS

SIDE = SHOULDER_POINTS // 2
MARGIN = 6  # pixels of the picture's edge in which no point is put
COLLAR = 0.5  # where the lines begin, in widths of the face beside its middle
BAND = 45  # pixels below the line whose corners are followed, and a few above
ENOUGH = 6  # corners that a transform needs
SMOOTHING = 0.05  # seconds, standard deviation of the Gaussian
LONGEST_LOSS = 0.5  # seconds without a measurement after which the shoulders are not known

_FLOW_ENDS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01)


def shoulder_lines(body: np.ndarray, face: np.ndarray) -> np.ndarray | None:
    """(18, 2) pixels of the upper edge of the body beside the neck, or None where there is none.

    body (256, 256) uint8, 255 is person; face (73, 2) landmarks in pixels of the 512x512 picture. Points 0-8 go from
    the outside to the collar at the left of the picture, 9-17 from the collar to the outside at its right.
    """
    body = cv2.resize(body, (PICTURE, PICTURE), interpolation=cv2.INTER_LINEAR)
    middle, width = face[[0, 14], 0].mean(), face[14, 0] - face[0, 0]
    chin = face[7, 1]
    collar = middle + COLLAR * width * np.array([-1, 1])
    lines = []
    for side, end in zip(collar, (MARGIN, PICTURE - 1 - MARGIN)):
        columns = np.linspace(side, end, 4 * SIDE)
        heights = np.array([_top(body[:, int(np.clip(round(x), 0, PICTURE - 1))]) for x in columns])
        # A body ends where its edge leaves the picture below; hair that hangs over it begins above the chin.
        there = heights < PICTURE - MARGIN
        if there.sum() < SIDE or not there[0]:
            return None
        stop = len(columns) if there.all() else int(np.argmin(there))
        if stop < SIDE:
            return None
        chosen = np.linspace(0, stop - 1, SIDE)
        smooth = gaussian_filter1d(np.maximum(heights[:stop], chin - 0.1 * width), 1.5, mode='nearest')
        lines.append(
            np.stack(
                [np.interp(chosen, np.arange(stop), columns[:stop]), np.interp(chosen, np.arange(stop), smooth)], axis=1
            )
        )
    return np.concatenate([lines[0][::-1], lines[1]])


def _top(column: np.ndarray) -> float:
    """Height at which the body that fills a column from below ends; the picture's height if there is none."""
    empty = np.flatnonzero(column[::-1] < 128)
    if not len(empty):
        return 0.0
    return float(PICTURE if empty[0] == 0 else PICTURE - empty[0])


class ShoulderTracker:
    """Follows both shoulders of one clip; its first picture is sought beside the key picture."""

    def __init__(self, key: np.ndarray, lines: np.ndarray) -> None:
        """``key`` (512, 512, 3) RGB; ``lines`` (18, 2) pixels in it."""
        self._key, self._lines = cv2.cvtColor(key, cv2.COLOR_RGB2GRAY), np.asarray(lines, np.float64)
        self._corners = [self._find_corners(part) for part in (self._lines[:SIDE], self._lines[SIDE:])]
        self._last = [np.eye(2, 3), np.eye(2, 3)]

    def _find_corners(self, line: np.ndarray) -> np.ndarray:
        area = np.zeros_like(self._key)
        band = np.concatenate([line - [0, 6], line[::-1] + [0, BAND]])
        cv2.fillPoly(area, [np.round(band).astype(np.int32)], 255)
        corners = cv2.goodFeaturesToTrack(self._key, 80, 0.005, 5, mask=area)
        return np.zeros((0, 2), np.float32) if corners is None else corners[:, 0]

    def follow(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(512, 512, 3) RGB -> (18, 2) pixels, and (2,) bool: whether that shoulder was seen, not just kept."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        parts, seen = [], []
        for side, line in enumerate((self._lines[:SIDE], self._lines[SIDE:])):
            found = self._measure(grey, side)
            seen.append(found is not None)
            if found is not None:
                self._last[side] = found
            parts.append(line @ self._last[side][:, :2].T + self._last[side][:, 2])
        return np.concatenate(parts), np.array(seen)

    def _measure(self, grey: np.ndarray, side: int) -> np.ndarray | None:
        corners, last = self._corners[side], self._last[side]
        if len(corners) < ENOUGH:
            return None
        guess = (corners @ last[:, :2].T + last[:, 2]).astype(np.float32)
        there, ok = _flow(self._key, grey, corners, guess)
        back, also = _flow(grey, self._key, there, corners)
        good = ok & also & (np.linalg.norm(back - corners, axis=1) < 1)
        if good.sum() < ENOUGH:
            return None
        transform, inside = cv2.estimateAffinePartial2D(corners[good], there[good], ransacReprojThreshold=2.0)
        if transform is None or inside.sum() < ENOUGH:
            return None
        scale = np.hypot(transform[0, 0], transform[1, 0])
        tilt = np.degrees(np.arctan2(transform[1, 0], transform[0, 0]))
        return transform if 0.8 < scale < 1.25 and abs(tilt) < 20 else None


def _flow(
    before: np.ndarray, after: np.ndarray, corners: np.ndarray, guess: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where corners (N, 2) float32 of one grey picture are in another, sought from ``guess``; (N,) bool: found."""
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        corners,
        guess.copy(),
        winSize=(21, 21),
        maxLevel=3,
        criteria=_FLOW_ENDS,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return there, found[:, 0].astype(bool)


def track_shoulders(
    images: Iterable[np.ndarray],
    times: np.ndarray,
    key: np.ndarray,
    lines: np.ndarray,
    segment: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Shoulders of the N pictures of a clip, in order: (N, 18, 2) pixels, and (N,) bool where they are known.

    segment (N,) equal numbers for pictures that follow one another: what was measured in one stretch says nothing about
    another, and none is smoothed into another.
    """
    tracker = ShoulderTracker(key, lines)
    followed = [tracker.follow(image) for image in images]
    points, seen = np.array([row for row, _ in followed]), np.array([row for _, row in followed])
    known = np.zeros(len(times), bool)
    segment = np.zeros(len(times), int) if segment is None else segment
    edges = np.flatnonzero(np.diff(segment, prepend=np.nan, append=np.nan) != 0)
    for first, stop in zip(edges[:-1], edges[1:]):
        part = slice(first, stop)
        points[part], known[part] = _smooth_stretch(points[part], seen[part], times[part])
    return points, known


def _smooth_stretch(points: np.ndarray, seen: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One stretch, (N, 18, 2) and (N, 2) bool: smooth, filled where a shoulder was not seen; (N,) bool where known."""
    points, known = points.copy(), np.ones(len(times), bool)
    for side in range(2):
        rows = np.flatnonzero(seen[:, side])
        if not len(rows):
            return points, np.zeros(len(times), bool)
        part = slice(side * SIDE, (side + 1) * SIDE)
        flat = points[rows, part].reshape(len(rows), -1)
        points[:, part] = np.stack([np.interp(times, times[rows], column) for column in flat.T], 1).reshape(-1, SIDE, 2)
        after = np.searchsorted(times[rows], times)
        measured = np.concatenate([[-np.inf], times[rows], [np.inf]])
        known &= np.minimum(times - measured[after], measured[after + 1] - times) <= LONGEST_LOSS
    return smooth(points, times), known


def smooth(values: np.ndarray, times: np.ndarray, sigma: float = SMOOTHING) -> np.ndarray:
    """(N, ...) at times (N,) seconds, as uneven as they may be: at each one the straight line through what is around
    it, weighed by a Gaussian of time. What moves evenly stays as it is, up to the ends."""
    flat = values.reshape(len(values), -1)
    s0, s1, s2 = np.zeros((3, len(times)))
    v0, v1 = np.zeros((2, *flat.shape))
    for offset in range(len(times)):
        early, late = slice(0, len(times) - offset), slice(offset, len(times))
        apart = times[late] - times[early]
        if apart.min() > 4 * sigma:
            break
        weight = np.exp(-0.5 * (apart / sigma) ** 2)
        for here, there, ahead in ((early, late, apart), (late, early, -apart))[: 2 if offset else 1]:
            s0[here] += weight
            s1[here] += weight * ahead
            s2[here] += weight * ahead**2
            v0[here] += weight[:, None] * flat[there]
            v1[here] += (weight * ahead)[:, None] * flat[there]
    room = s0 * s2 - s1**2
    line = room > 1e-6 * (s0 * sigma) ** 2
    room = np.where(line, room, 1)
    straight = (s2[:, None] * v0 - s1[:, None] * v1) / room[:, None]
    return np.where(line[:, None], straight, v0 / s0[:, None]).reshape(values.shape)
