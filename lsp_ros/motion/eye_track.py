"""The eyes and brows: the person's own footage, calmer while nobody speaks (paper section 3.3)."""

from dataclasses import dataclass, field

import numpy as np

from lsp_ros.avatar.landmarks import BROWS
from lsp_ros.motion.footage import Footage
from lsp_ros.motion.liveliness import Liveliness
from lsp_ros.motion.track import Track, TrackState
from lsp_ros.signals import Block


@dataclass(frozen=True)
class EyeMotion(Block):
    """Eyes and brows of N frames, float32 in the head frame.

    eyes   (N, 16, 3) points ``landmarks.EYES``
    brows  (N, 12, 3) points ``landmarks.BROWS``
    """

    eyes: np.ndarray
    brows: np.ndarray

    def __len__(self) -> int:
        return len(self.eyes)


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
        self._mean_brows = mean_points[BROWS].astype(np.float32)
        self.reset()

    def new_state(self) -> EyeTrackState:
        """Nobody has spoken yet."""
        return EyeTrackState()

    def _hear(self, rows: np.ndarray) -> None:
        """What is said does not move the eyes, only that something is said."""

    def _hear_end(self, row: np.ndarray) -> None:
        """Nothing to hear."""

    def _show(self, first: int, count: int) -> EyeMotion:
        footage = self._footage
        eyes, brows = np.empty((count, 16, 3), np.float32), np.empty((count, 12, 3), np.float32)
        for row, ahead in enumerate(self._activity(count)):
            lively = self.state.liveliness.step(ahead, self.idle_amplitude)
            played_eyes, played_brows = footage.at(first + row + self._begin)
            # Half a blink looks ill: lids move in full unless there is next to no motion at all.
            blinking = np.float32(min(1.0, 4 * lively))
            eyes[row] = footage.rest_eyes + blinking * (played_eyes - footage.rest_eyes)
            if played_brows is None:
                brows[row] = self._mean_brows
            else:
                brows[row] = footage.rest_brows + np.float32(lively) * (played_brows - footage.rest_brows)
        return EyeMotion(first, eyes, brows)
