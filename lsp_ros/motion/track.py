"""What the tracks of motion share: speech features in, a part of the face's motion out, frame by frame."""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from lsp_ros.signals import Block, SpeechFeatures
from lsp_ros.streaming import Streaming
from lsp_ros.timeline import FEATURES_PER_FRAME

Motion = TypeVar('Motion', bound=Block)
TrackStateType = TypeVar('TrackStateType', bound='TrackState')


@dataclass
class TrackState:
    """What every track remembers of its stream."""

    next_frame: int | None = None  # that comes out next; None before the first push
    active: deque[bool] = field(default_factory=deque)  # speech activity from that frame on
    last_row: np.ndarray | None = None  # (512,) the last speech feature heard


class Track(Streaming[SpeechFeatures, Motion | None, TrackStateType], Generic[Motion, TrackStateType]):
    """Base of the tracks: keeps activity and frame numbers; a subclass hears features and shows frames.

    ``look_ahead`` in frames, at least what the track needs for itself. The tracks of one stage are given the same, so
    that what they show in answer to one push belongs to the same frames.
    """

    def __init__(self, needed: int, look_ahead: int | None) -> None:
        self._look_ahead = needed if look_ahead is None else look_ahead
        if self._look_ahead < needed:
            raise ValueError(f'the look-ahead is {look_ahead} frames, {needed} are needed')

    @property
    def look_ahead(self) -> int:
        """Frames of speech features that a frame of motion waits for."""
        return self._look_ahead

    def push(self, features: SpeechFeatures) -> Motion | None:
        """Speech features that follow the last ones -> the track's motion that is complete now, or None."""
        if not len(features):
            return None
        state = self.state
        if state.next_frame is None:
            state.next_frame = features.first_frame
        values = np.asarray(features.values, np.float32)
        state.last_row = values[-1, -1]
        self._hear(values.reshape(len(values), -1))
        state.active.extend(np.asarray(features.active, bool).tolist())
        return self._complete()

    def flush(self) -> Motion | None:
        """Ends the clip: the rest of its motion, or None. The track is as new afterwards.

        As in the paper's offline form, the last speech feature is repeated to stand for what would follow.
        """
        state = self.state
        if state.next_frame is None or state.last_row is None:
            return None
        self._hear_end(np.tile(state.last_row, FEATURES_PER_FRAME)[None])
        state.active.extend([False] * self._look_ahead)
        motion = self._complete()
        self.reset()
        return motion

    def _complete(self) -> Motion | None:
        state = self.state
        count = len(state.active) - self._look_ahead
        if count <= 0 or state.next_frame is None:
            return None
        motion = self._show(state.next_frame, count)
        state.next_frame += count
        for _ in range(count):
            state.active.popleft()
        return motion

    def _activity(self, row: int) -> Iterator[bool]:
        """Whether somebody speaks in a row of what is shown now, and in the frames known ahead of it."""
        return islice(self.state.active, row, row + self._look_ahead + 1)

    @abstractmethod
    def _hear(self, rows: np.ndarray) -> None:
        """Takes in features (N, 1024)."""

    @abstractmethod
    def _hear_end(self, row: np.ndarray) -> None:
        """The clip is over: takes in as much of ``row`` (1, 1024), again and again, as stands for what would follow."""

    @abstractmethod
    def _show(self, first: int, count: int) -> Motion:
        """The motion of ``count`` frames from ``first`` on."""
