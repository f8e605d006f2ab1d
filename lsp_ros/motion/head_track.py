"""The head: from speech features to its pose, on its own or by command (paper sections 3.3 and 5.1)."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lsp_ros.motion.command import HeadPoseControl
from lsp_ros.motion.filters import LowPass
from lsp_ros.motion.footage import Posture
from lsp_ros.motion.head_pose_live import PoseSampler, PoseState
from lsp_ros.motion.liveliness import Liveliness
from lsp_ros.motion.pose_limits import PoseLimits
from lsp_ros.motion.track import Track, TrackState
from lsp_ros.signals import Block, HeadPoseCommand
from lsp_ros.streaming import Streaming


@dataclass
class DrawnPosesState:
    """What the head-pose network of B streams has heard and drawn."""

    heard: deque[np.ndarray] = field(default_factory=deque)  # (1, 1024) features that the head has not come to
    network: PoseState | None = None  # None until the look-ahead of the first frame is in
    before: np.ndarray = field(default_factory=lambda: np.zeros((1, 6)))  # (B, 6) the network's last pose but one
    last: np.ndarray = field(default_factory=lambda: np.zeros((1, 6)))  # (B, 6) and the last


class DrawnPoses(Streaming[np.ndarray, np.ndarray, DrawnPosesState]):
    """How the head moves by itself in speech: poses drawn from the network, scaled and smoothed.

    sampler     draws them; kept in its limits
    look_ahead  frames of speech that the network hears ahead
    smoothing   of poses (B, 6), degrees and units
    amplitude   (6,) what drawn poses are multiplied with
    seed        of what is drawn, or a generator
    streams     B heads that hear the same and draw, each for itself
    """

    def __init__(
        self,
        sampler: PoseSampler[Any],
        look_ahead: int,
        smoothing: LowPass,
        amplitude: np.ndarray,
        seed: int | np.random.Generator = 0,
        streams: int = 1,
    ) -> None:
        self.sampler, self.seed, self.streams = sampler, seed, streams
        self.parts = (smoothing,)
        self._look_ahead, self._smoothing, self._amplitude = look_ahead, smoothing, amplitude
        self.reset()

    @property
    def look_ahead(self) -> int:
        """Frames of speech features that a pose waits for."""
        return self._look_ahead

    @property
    def held(self) -> int:
        """Poses that the network failed to give as finite numbers, replaced by the ones before."""
        return self.state.network.held if self.state.network else 0

    @property
    def clamped(self) -> bool:
        """True where the last pose that was drawn, of the first stream, left the trained range."""
        return self.state.network is not None and bool(self.state.network.clamped[0])

    def new_state(self) -> DrawnPosesState:
        """Heads at rest that have heard nothing."""
        return DrawnPosesState()

    def push(self, rows: np.ndarray) -> np.ndarray:
        """Features (N, 1024) of the frames that follow -> the poses (M, B, 6) float64 that are complete now."""
        self.hear(rows)
        ready = max(0, len(self.state.heard) - self._look_ahead)
        return np.array([self.step() for _ in range(ready)]).reshape(ready, self.streams, 6)

    def flush(self) -> np.ndarray:
        """The poses (M, B, 6) of the last frames, which hear the last row of features for ever."""
        rest = self.push(np.repeat(self.state.heard[-1], self._look_ahead, axis=0)) if self.state.heard else None
        self.reset()
        return np.zeros((0, self.streams, 6)) if rest is None else rest

    def hear(self, rows: np.ndarray) -> None:
        """Takes in features (N, 1024), without drawing."""
        self.state.heard.extend(rows[:, None].astype(np.float32))

    def step(self) -> np.ndarray:
        """The poses (B, 6) of the next frame, whose look-ahead has been heard."""
        state = self.state
        if state.network is None:
            state.network = self._warm_up()
        drawn = self.sampler.sample(state.network, self._features(self._look_ahead))[:, :6]
        state.heard.popleft()
        state.before, state.last = state.last, drawn
        return self._smoothing.step(drawn * self._amplitude)

    def feed(self, shown: np.ndarray, limits: PoseLimits) -> None:
        """The network sees what people see: poses (B, 6) that were shown in the place of the last ones drawn."""
        state = self.state
        if state.network is None:
            raise ValueError('no pose was drawn yet: there is none to replace')
        state.last = limits.clip(shown / np.where(self._amplitude > 0, self._amplitude, np.inf))
        self.sampler.feed(state.network, state.before, state.last)

    def _warm_up(self) -> PoseState:
        """Gives the network its look-ahead: heads at rest that have heard the first frame for ever."""
        network = self.sampler.start(self._features(0), self.seed)
        for ahead in range(1, self._look_ahead):
            self.sampler.step(network, self._features(ahead))
        return network

    def _features(self, ahead: int) -> np.ndarray:
        """(B, 1024) what is heard so many frames after the next one."""
        row = self.state.heard[ahead]
        return row if self.streams == 1 else np.repeat(row, self.streams, axis=0)


@dataclass(frozen=True)
class HeadMotion(Block):
    """The head of N frames.

    poses    (N, 6) float64, euler angles in degrees and translation from the mean in units
    source   (N,) uint8, a HeadSource
    clamped  (N,) bool, True where a pose left the trained range and was held at its edge
    """

    poses: np.ndarray
    source: np.ndarray
    clamped: np.ndarray

    def __len__(self) -> int:
        return len(self.poses)


@dataclass
class HeadTrackState(TrackState):
    """What the head remembers of its stream, apart from what its network does."""

    control: HeadPoseControl = field(kw_only=True)
    liveliness: Liveliness = field(default_factory=Liveliness)


class HeadTrack(Track[HeadMotion, HeadTrackState]):
    """What the network draws, the slow posture of the footage, the trained range, and whoever commands the head.

    posture        footage; its frame ``posture_begin`` is shown in frame 0
    posture_share  (6,) what it is multiplied with
    ``idle_amplitude`` may be changed at any time.
    """

    def __init__(
        self,
        drawn: DrawnPoses,
        limits: PoseLimits,
        posture: Posture,
        posture_share: np.ndarray,
        metres_per_unit: float,
        posture_begin: int = 0,
        idle_amplitude: float = 1.0,
        look_ahead: int | None = None,
    ) -> None:
        super().__init__(drawn.look_ahead, look_ahead)
        self.idle_amplitude = idle_amplitude
        self.drawn = drawn
        self.parts = (drawn,)
        self._limits = limits
        self._posture, self._posture_share, self._posture_begin = posture, posture_share, posture_begin
        self._metres_per_unit = metres_per_unit
        self.reset()

    def new_state(self) -> HeadTrackState:
        """A head at rest that nobody commands."""
        return HeadTrackState(control=HeadPoseControl(self._limits, self._metres_per_unit))

    def command(self, command: HeadPoseCommand, frame: int) -> None:
        """Moves the head by command from ``frame`` on. ValueError for a bad one; then nothing changes."""
        self.state.control.command(command, frame)

    def _hear(self, rows: np.ndarray) -> None:
        self.drawn.hear(rows)

    def _hear_end(self, row: np.ndarray) -> None:
        self.drawn.hear(np.repeat(row, self.drawn.look_ahead, axis=0))

    def _show(self, first: int, count: int) -> HeadMotion:
        motion = HeadMotion(first, np.empty((count, 6)), np.empty(count, np.uint8), np.empty(count, bool))
        for row in range(count):
            lively = self.state.liveliness.step(self._activity(row), self.idle_amplitude)
            motion.poses[row], motion.source[row], motion.clamped[row] = self._pose(first + row, lively)
        return motion

    def _pose(self, frame: int, lively: float) -> tuple[np.ndarray, int, bool]:
        rest, control = self._limits.rest, self.state.control
        posture = self._posture_share * self._posture.at(frame + self._posture_begin)
        moved = self._limits.soften(self.drawn.step()[0] + posture)
        shown, source, clamped = control.step(frame, rest + lively * (moved - rest))
        if control.absolute:
            # The network goes on from what is shown when it gets the head back. Not so with an offset: taken for
            # its own motion, it would be added again in every frame.
            self.drawn.feed((shown - posture)[None], self._limits)
            return shown, source, clamped
        return shown, source, clamped or self.drawn.clamped
