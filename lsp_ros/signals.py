"""What passes between the stages: small frozen blocks of consecutive frames, NumPy arrays only.

A block covers ``first_frame .. first_frame + len(block) - 1`` on the 60 fps timeline. Live, a
block mostly holds one frame; offline it may hold the whole clip. Blocks follow one another
without gaps.

Frames of reference
-------------------
head frame      fixed in the head, origin at the centroid of the neutral landmarks:
                x to the right in the picture (the person's left), y up, z toward the viewer
camera frame    origin at the camera: x right, y down, z forward (OpenCV, REP-103 optical)
REP-103 head    what robots speak: x forward out of the face, y to the person's left, z up

Lengths are in the avatar's own unit (``Avatar.camera.metres_per_unit`` gives its size), so
that a stage does no conversion; the ROS messages carry metres.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TypeVar

import numpy as np

from lsp_ros.avatar.architecture import FEATURE_SIZE as FEATURE_SIZE  # a signal's width is a network's output

LANDMARKS = 73
SHOULDER_POINTS = 18


BlockType = TypeVar('BlockType', bound='Block')


@dataclass(frozen=True)
class Block:
    """Consecutive frames from ``first_frame`` on; every other field is an array with one row a frame."""

    first_frame: int

    def __len__(self) -> int:
        """Number of frames."""
        raise NotImplementedError

    def __getitem__(self: BlockType, rows: slice) -> BlockType:
        """The frames of a slice (step 1) as a block of their own."""
        first, _, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f'a block is cut in steps of 1, not {step}')
        return type(self)(self.first_frame + first, *(getattr(self, name)[rows] for name in self.columns()))

    @classmethod
    def join(cls: type[BlockType], blocks: Iterable[BlockType | None]) -> BlockType | None:
        """Blocks that follow one another as one; None stands for no frames."""
        given = [block for block in blocks if block is not None]
        if len(given) < 2:
            return given[0] if given else None
        columns = (np.concatenate([getattr(block, name) for block in given]) for name in cls.columns())
        return cls(given[0].first_frame, *columns)

    @classmethod
    def whole(cls: type[BlockType], blocks: Iterable[BlockType | None]) -> BlockType:
        """The same where there is something to join; ValueError where no block holds a frame."""
        joined = cls.join(blocks)
        if joined is None:
            raise ValueError(f'there are no frames of {cls.__name__} to join')
        return joined

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(field.name for field in fields(cls))[1:]


@dataclass(frozen=True)
class SpeechFeatures(Block):
    """Speech features of N video frames (paper section 3.1).

    values    (N, 2, 512) float32, the two 120 Hz feature rows of each frame, already projected
              onto the person's manifold
    level_db  (N,) float32, RMS level of the frame's samples in dBFS (-120 for digital silence)
    active    (N,) bool, True where somebody speaks
    """

    values: np.ndarray
    level_db: np.ndarray
    active: np.ndarray

    def __len__(self) -> int:
        return len(self.values)


class HeadSource(IntEnum):
    """Who moves the head in a frame; same numbers as in FaceMotion.msg."""

    AUTONOMOUS = 0
    COMMAND = 1
    TRANSITION = 2


@dataclass(frozen=True)
class FaceMotion(Block):
    """Everything that moves in N video frames (paper sections 3.2 and 3.3).

    points       (N, 73, 3) float32, landmarks in the head frame
    euler        (N, 3) float32, head rotation (ex, ey, ez) in degrees with
                 R = Rz(ez) Ry(ey) Rx(ex + 180), head frame to camera frame
    translation  (N, 3) float32, head origin in the camera frame
    shoulders    (N, 18, 3) float32, shoulder points in the camera frame
    speaking     (N,) bool
    source       (N,) uint8, a HeadSource
    clamped      (N,) bool, True where a pose left the trained range and was held at its edge
    """

    points: np.ndarray
    euler: np.ndarray
    translation: np.ndarray
    shoulders: np.ndarray
    speaking: np.ndarray
    source: np.ndarray
    clamped: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


class PoseMode(IntEnum):
    """What a head-pose command means; same numbers as in HeadPoseCommand.msg."""

    AUTONOMOUS = 0
    ABSOLUTE = 1
    OFFSET = 2


@dataclass(frozen=True)
class HeadPoseCommand:
    """Another program takes over the head (paper section 5.1, figure 7).

    orientation  (4,) float64 quaternion x, y, z, w in the REP-103 head frame; identity looks
                 straight into the camera
    translation  (3,) float64 metres in the REP-103 head frame, from the person's mean position
    transition   seconds to blend from what is shown to the command, and back again at its end
    timeout      seconds after which control returns to the avatar; 0 holds until replaced
    """

    mode: PoseMode
    orientation: np.ndarray
    translation: np.ndarray
    transition: float = 0.5
    timeout: float = 1.0


@dataclass(frozen=True)
class RenderedFrame:
    """One picture: ``image`` (512, 512, 3) uint8 RGB of video frame ``frame``."""

    frame: int
    image: np.ndarray
