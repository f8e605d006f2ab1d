"""The mouth: from speech features to the points that the mouth network moves (paper section 3.2)."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lsp_ros.avatar.files import Face
from lsp_ros.avatar.landmarks import MOUTH_OUTPUT
from lsp_ros.avatar.manifest import MouthSettings
from lsp_ros.motion.liveliness import MouthGate
from lsp_ros.motion.mouth_live import MouthPredictor, MouthState
from lsp_ros.motion.track import Track, TrackState
from lsp_ros.signals import Block
from lsp_ros.streaming import Streaming

JAW_OUTPUTS = 7
"""The first points of ``landmarks.MOUTH_OUTPUT``: contour 4 to 10."""


@dataclass(frozen=True)
class MouthMotion(Block):
    """Faces of which only the mouth moves: ``points`` (N, 73, 3) float32 in the head frame.

    Jaw and lips, ``landmarks.MOUTH_OUTPUT``, are the mouth's own; all others stand where the mean face has them.
    """

    points: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


@dataclass(kw_only=True)
class MouthTrackState(TrackState):
    """What the mouth remembers of its stream."""

    network: MouthState
    skip: int = 0  # outputs still to be dropped: the network had not heard its look-ahead
    displacements: deque[np.ndarray] = field(default_factory=deque)  # (75,) smoothed, not shown yet
    gate: MouthGate = field(default_factory=MouthGate)


class MouthTrack(Track[MouthMotion, MouthTrackState]):
    """Network, smoothing, amplitude, rest in silence, and what keeps the lips from crossing.

    ``smoothing`` of displacements (N, 75); ``join_lips`` of whole faces (N, 73, 3), None: lips may cross.
    """

    def __init__(
        self,
        network: MouthPredictor,
        settings: MouthSettings,
        face: Face,
        smoothing: Streaming[np.ndarray, np.ndarray, Any],
        join_lips: Callable[[np.ndarray], np.ndarray] | None,
        look_ahead: int | None = None,
    ) -> None:
        super().__init__(settings.look_ahead + int(smoothing.look_ahead), look_ahead)
        self.network = network
        self.parts = (smoothing,)
        self._smoothing = smoothing
        self._network_ahead = settings.look_ahead
        self._rests = settings.rests
        self._join_lips = join_lips
        moved = slice(0 if settings.contour else JAW_OUTPUTS, None)
        amplitude = np.ones((len(MOUTH_OUTPUT), 3), np.float32)
        amplitude[JAW_OUTPUTS:] = settings.amplitude
        rest = face.mouth_rest.astype(np.float32)
        # Points in a row, x, y, z of each: one small array at a time costs less than three dimensions of it.
        self._face = face.mean_points.astype(np.float32).ravel()
        self._places = (3 * MOUTH_OUTPUT[moved, None] + np.arange(3)).ravel()
        self._moved = slice(3 * (moved.start or 0), None)
        self._amplitude, self._rest = amplitude[moved].ravel(), rest[moved].ravel()
        self._rest_points = face.mouth_mean.astype(np.float32).ravel()[self._places] + self._rest
        self.reset()

    def new_state(self) -> MouthTrackState:
        """A closed mouth that has heard nothing."""
        return MouthTrackState(network=self.network.start(), skip=self._network_ahead)

    def _hear(self, rows: np.ndarray) -> None:
        state = self.state
        displacements = self.network.step(state.network, rows[None])[0]
        skipped = min(state.skip, len(displacements))
        state.skip -= skipped
        state.displacements.extend(self._smoothing.push(displacements[skipped:]))

    def _hear_end(self, row: np.ndarray) -> None:
        if self._network_ahead:
            self._hear(np.repeat(row, self._network_ahead, axis=0))
        self.state.displacements.extend(self._smoothing.flush())

    def _show(self, first: int, count: int) -> MouthMotion:
        state = self.state
        faces = np.empty((count, len(self._face)), np.float32)
        faces[:] = self._face
        for row, face in enumerate(faces):
            moved = state.displacements.popleft()[self._moved] * self._amplitude - self._rest
            weight = state.gate.step(self._activity(row))
            if self._rests:
                moved *= np.float32(weight)
            moved += self._rest_points
            face[self._places] = moved
        points = faces.reshape(count, -1, 3)
        return MouthMotion(first, self._join_lips(points) if self._join_lips else points)
