"""Endless loops of the person's own footage, for the motion that hardly follows speech.

Eyes and brows (paper section 3.3), and the slow part of the head's motion: where somebody looks for some seconds. The
head-pose network sees four seconds of the past and is right about the next frame; what takes ten seconds it cannot
learn, so that without this a head stays near the middle.
"""

import numpy as np

from lsp_ros.avatar.landmarks import BROWS, EYES
from lsp_ros.timeline import FRAME_RATE

FADE_FRAMES = 30  # half a second in which the end of the loop turns into its beginning
OPEN_SHARE = 0.85  # of the usual lid distance: an eye above this is not blinking
SEARCH_STEP = 6  # frames between the loop points that are tried

POSTURE_RATE = 6  # postures a second: ten times the fastest that they move
POSTURE_STEP = FRAME_RATE // POSTURE_RATE
POSTURE_FADE = 5 * POSTURE_RATE  # five seconds in which the end of their loop turns into its beginning


def loop_points(rows: np.ndarray, lids: np.ndarray, fade: int) -> tuple[int, int]:
    """Where to loop: frames (begin, end) such that the ``fade`` frames before each look alike, eyes open.

    rows (N, C) positions, lids (N,) smallest lid distance of both eyes. The loop is at least half the footage.
    """
    N = len(rows)
    begins = np.arange(fade, max(N // 4, fade + 1), SEARCH_STEP)
    ends = np.arange(N, max(3 * N // 4, begins[-1] + fade), -SEARCH_STEP)

    def windows(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        steps = points[:, None] - fade + np.arange(0, fade, SEARCH_STEP)
        every = points[:, None] - fade + np.arange(fade)
        blink = lids[every].min(axis=1) < OPEN_SHARE * np.median(lids)
        return rows[steps].reshape(len(points), -1), blink

    (begin_rows, begin_blink), (end_rows, end_blink) = windows(begins), windows(ends)
    distance = (begin_rows**2).sum(1)[:, None] + (end_rows**2).sum(1)[None] - 2 * begin_rows @ end_rows.T
    blinks = begin_blink[:, None].astype(int) + end_blink[None]
    # A blink inside the fade would be half a blink: any pair without one is better.
    i, j = np.unravel_index(np.lexsort((distance.ravel(), blinks.ravel()))[0], distance.shape)
    return int(begins[i]), int(ends[j])


def turn_into(end: np.ndarray, begin: np.ndarray) -> None:
    """Fades the last rows (N, C) of a loop, in place, into the rows (N, C) before its beginning."""
    rise = (np.arange(len(end))[:, None] + 1) / (len(end) + 1)
    end += (rise * rise * (3 - 2 * rise)).astype(end.dtype) * (begin - end)


class Footage:
    """Endless playback of eye and brow landmarks.

    eyes (N, 16, 3) points ``landmarks.EYES`` at 60 fps, brows (N, 12, 3) or None, N >= 2. Playback begins at
    row ``first`` + ``offset`` in frame 0; a frame's row is computed from its number, so it never drifts.
    Without ``seamless`` the rows from ``first`` on are repeated as they are, with a cut, as in the authors' release.
    """

    def __init__(
        self, eyes: np.ndarray, brows: np.ndarray | None, first: int = 0, offset: int = 0, seamless: bool = True
    ) -> None:
        if not 0 <= first < len(eyes):
            raise ValueError(f'first eye row is {first}, the footage has rows 0 to {len(eyes) - 1}')
        N = len(eyes) - first
        rows = eyes[first:].reshape(N, -1).astype(np.float32)
        if brows is not None:
            rows = np.concatenate([rows, brows[first:].reshape(N, -1)], axis=1, dtype=np.float32)
        self._eye_numbers = 3 * len(EYES)
        # Lid distance: upper lid 28 and 32 over lower lid 30 and 34, in the order of landmarks.EYES.
        lids = np.minimum(eyes[first:, 2, 1] - eyes[first:, 6, 1], eyes[first:, 10, 1] - eyes[first:, 14, 1])
        if not seamless:
            begin, end = 0, N
        elif N >= 8 * FADE_FRAMES:
            begin, end = loop_points(rows - rows.mean(axis=0), lids, FADE_FRAMES)
            rows = rows[:end].copy()
            turn_into(rows[end - FADE_FRAMES :], rows[begin - FADE_FRAMES : begin])
        else:  # too short for a fade: forward and backward
            rows = np.concatenate([rows, rows[-2:0:-1]])
            begin, end = 0, len(rows)
        self._rows, self._begin, self._end = rows, begin, end
        self._offset = offset
        self.rest_eyes, self.rest_brows = self._split(np.median(rows, axis=0))

    @property
    def rows(self) -> int:
        """Rows that are played before or in the loop."""
        return self._end

    @property
    def table(self) -> np.ndarray:
        """(rows, 48 or 84) float32: x, y, z of each eye point, then of each brow point if there are any."""
        return self._rows

    def row(self, frame: int) -> int:
        """Which row a frame shows; exact for any whole number."""
        at = frame + self._offset
        return at if at < self._end else self._begin + (at - self._begin) % (self._end - self._begin)

    def at(self, frame: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Eyes (16, 3) and brows (12, 3) or None of a frame."""
        return self._split(self._rows[self.row(frame)])

    def _split(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        eyes, brows = row[: self._eye_numbers], row[self._eye_numbers :]
        return eyes.reshape(len(EYES), 3), brows.reshape(len(BROWS), 3) if len(brows) else None


class Posture:
    """Endless playback of slow head motion.

    rows (M, 6) degrees and the avatar's unit, ``POSTURE_RATE`` a second, around the mean pose. A frame's posture is
    computed from its number, so it never drifts; between rows it goes on a smooth curve (Catmull and Rom's). The loop
    is M rows less the fade, which needs M above twice ``POSTURE_FADE``; shorter footage, or None, is no motion.
    """

    def __init__(self, rows: np.ndarray | None) -> None:
        if rows is None or len(rows) <= 2 * POSTURE_FADE:
            rows = np.zeros((2, 6))
        else:
            rows, begin = rows[POSTURE_FADE:].astype(np.float64), rows[:POSTURE_FADE]
            turn_into(rows[-POSTURE_FADE:], begin)
        a, b, c, d = (np.roll(rows, shift, axis=0) for shift in (1, 0, -1, -2))
        # Of s, which goes from 0 to 1 between a row and the next: the powers 3 to 0.
        self._curves = np.stack([(3 * (b - c) + d - a) / 2, a - 2.5 * b + 2 * c - d / 2, (c - a) / 2, b], axis=1)

    @property
    def frames(self) -> int:
        """Frames until it comes again."""
        return len(self._curves) * POSTURE_STEP

    def at(self, frame: int) -> np.ndarray:
        """(6,) what is added to the pose of a frame."""
        row, part = divmod(frame % self.frames, POSTURE_STEP)
        cubic, square, slope, value = self._curves[row]
        s = part / POSTURE_STEP
        return ((cubic * s + square) * s + slope) * s + value
