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
    """The mouth of N frames: ``points`` (N, 25, 3) float32 head-frame points ``landmarks.MOUTH_OUTPUT``."""

    points: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


@dataclass
class MouthTrackState(TrackState):
    """What the mouth remembers of its stream."""

    network: MouthState | None = None
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
        self._moved = slice(0 if settings.contour else JAW_OUTPUTS, None)
        amplitude = np.ones((len(MOUTH_OUTPUT), 3), np.float32)
        amplitude[JAW_OUTPUTS:] = settings.amplitude
        self._amplitude = amplitude[self._moved]
        self._rest = face.mouth_rest.astype(np.float32)[self._moved]
        self._moved_points = MOUTH_OUTPUT[self._moved]
        self._rest_points = face.mouth_mean[self._moved_points].astype(np.float32) + self._rest
        self._face = face.mean_points.astype(np.float32)
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
        said = np.array([state.displacements.popleft() for _ in range(count)])
        moved = said.reshape(count, len(MOUTH_OUTPUT), 3)[:, self._moved] * self._amplitude - self._rest
        weights = [state.gate.step(ahead) for ahead in self._activity(count)]
        if self._rests:
            moved = np.array(weights, np.float32)[:, None, None] * moved
        # A whole face: the lips are joined by the places of their landmarks.
        faces = np.repeat(self._face[None], count, axis=0)
        faces[:, self._moved_points] = self._rest_points + moved
        if self._join_lips:
            faces = self._join_lips(faces)
        return MouthMotion(first, faces[:, MOUTH_OUTPUT])
