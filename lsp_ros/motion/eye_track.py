"""The eyes and brows: the person's own footage, calmer while nobody speaks (paper section 3.3)."""

from dataclasses import dataclass, field

import numpy as np

from lsp_ros.avatar.landmarks import BROWS, EYES
from lsp_ros.motion.footage import Footage
from lsp_ros.motion.liveliness import Liveliness
from lsp_ros.motion.track import Track, TrackState
from lsp_ros.signals import Block

EYES_AND_BROWS = np.concatenate([EYES, BROWS])


@dataclass(frozen=True)
class EyeMotion(Block):
    """Eyes and brows of N frames: ``points`` (N, 28, 3) float32 head-frame points ``EYES_AND_BROWS``."""

    points: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


@dataclass
class EyeTrackState(TrackState):
    """What the eyes remember of their stream: the footage needs only the number of a frame."""

    liveliness: Liveliness = field(default_factory=Liveliness)


class EyeTrack(Track[EyeMotion, EyeTrackState]):
    """Plays ``footage`` from row ``begin`` in frame 0 on; brows without footage stay where the mean face has them.

    mean_points (73, 3). ``idle_amplitude`` may be changed at any time.
    """

    def __init__(
        self,
        footage: Footage,
        mean_points: np.ndarray,
        begin: int = 0,
        idle_amplitude: float = 1.0,
        look_ahead: int | None = None,
    ) -> None:
        super().__init__(0, look_ahead)
        self.idle_amplitude = idle_amplitude
        self._footage = footage
        self._begin = begin
        self._table = footage.table
        self._rest = footage.rest_eyes.ravel()
        if footage.rest_brows is not None:
            self._rest = np.concatenate([self._rest, footage.rest_brows.ravel()])
        self._still = mean_points[EYES_AND_BROWS].astype(np.float32).ravel()
        self.reset()

    def new_state(self) -> EyeTrackState:
        """Nobody has spoken yet."""
        return EyeTrackState()

    def _hear(self, rows: np.ndarray) -> None:
        """What is said does not move the eyes, only that something is said."""

    def _hear_end(self, row: np.ndarray) -> None:
        """Nothing to hear."""

    def _show(self, first: int, count: int) -> EyeMotion:
        points = np.empty((count, len(self._still)), np.float32)
        points[:] = self._still
        rest, moving, eyes = self._rest, len(self._rest), 3 * len(EYES)
        shares = np.empty(moving, np.float32)
        for row in range(count):
            lively = self.state.liveliness.step(self._activity(row), self.idle_amplitude)
            # Half a blink looks ill: lids move in full unless there is next to no motion at all.
            shares[:eyes], shares[eyes:] = min(1.0, 4 * lively), lively
            moved = points[row, :moving]
            np.subtract(self._table[self._footage.row(first + row + self._begin)], rest, out=moved)
            moved *= shares
            moved += rest
        return EyeMotion(first, points.reshape(count, -1, 3))
