"""The motion of a whole clip, for films: what the authors do to it offline and no live system can.

Their smoothing looks as far ahead as back, and their correction of crossed lips takes one mean over the
clip. Live, :mod:`lsp_ros.motion.stage` stands in with filters that do not wait (``docs/official_avatars.md``
says what that changes).
"""

import math
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lsp_ros.avatar.landmarks import (
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    MOUTH_OUTPUT,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)
from lsp_ros.avatar.load import Avatar
from lsp_ros.motion.mouth_live import join_lips
from lsp_ros.motion.stage import MotionStage
from lsp_ros.signals import FaceMotion, HeadPoseCommand, SpeechFeatures


class ClipMotion:
    """Pushed and flushed like :class:`MotionStage`, of which it is made; all motion comes out at the end.

    The head is not kept in the trained range, as it is not in the authors' program, and motion ends by the
    head's look-ahead (``cut`` frames) before the sound does: what was never heard moves nothing.
    """

    look_ahead = math.inf

    def __init__(self, avatar: Avatar, seed: int = 0, idle_amplitude: float = 1.0) -> None:
        self._stage = MotionStage(avatar, seed=seed, idle_amplitude=idle_amplitude, raw=True)
        self._mouth_sigma = avatar.manifest.mouth.smoothing
        self._head_sigma = avatar.manifest.head_pose.smoothing
        self._seal = avatar.manifest.mouth.seal
        self.cut = avatar.manifest.head_pose.look_ahead
        self._blocks: list[FaceMotion | None] = []

    def reset(self) -> None:
        """Forget the clip."""
        self._stage.reset()
        self._blocks = []

    def command(self, command: HeadPoseCommand, frame: int | None = None) -> None:
        """Raises ValueError: a head that is smoothed over the whole clip cannot be taken over."""
        raise ValueError('head-pose commands are for live motion; a clip that is processed as a whole takes none')

    def push(self, features: SpeechFeatures) -> None:
        """Speech features that follow the last ones. Raises ValueError as ``MotionStage.push`` does."""
        self._blocks.append(self._stage.push(features))

    def flush(self) -> FaceMotion | None:
        """The motion of the clip, but for its last ``cut`` frames; None where nothing is left."""
        motion = FaceMotion.join([*self._blocks, self._stage.flush()])
        self.reset()
        if motion is None or len(motion) <= self.cut:
            return None
        motion = motion[: len(motion) - self.cut]
        points = motion.points.astype(np.float64)
        points[:, MOUTH_OUTPUT] = smooth(points[:, MOUTH_OUTPUT], self._mouth_sigma)
        points = part_lips(points)
        if self._seal:  # without soft lips, exactly what the authors do: crossed pairs of open lips stay crossed
            points = join_lips(points, self._seal)
        rotation_sigma, translation_sigma = self._head_sigma
        return replace(
            motion,
            points=points.astype(np.float32),
            euler=smooth(motion.euler, rotation_sigma).astype(np.float32),
            translation=smooth(motion.translation, translation_sigma).astype(np.float32),
            shoulders=smooth(motion.shoulders, translation_sigma).astype(np.float32),
        )


def smooth(rows: np.ndarray, sigma: float) -> np.ndarray:
    """Rows (N, ...) under a Gaussian of ``sigma`` frames over time, cut at 4 sigma, ends mirrored; float64."""
    rows = np.asarray(rows, np.float64)
    return gaussian_filter1d(rows, sigma, axis=0, mode='reflect', truncate=4.0) if sigma > 0 else rows


def part_lips(points: np.ndarray) -> np.ndarray:
    """Move crossed lips apart as the authors do: (N, 73, 3) head-frame points of a clip, y up -> the same shape.

    In frames where all three inner lip pairs cross, each pair meets halfway, and the outer lips follow by the mean
    half gap of all such frames.
    """
    half = (points[:, LOWER_LIP_INNER, 1] - points[:, UPPER_LIP_INNER, 1]) / 2
    crossed = np.flatnonzero((half > 0).all(axis=1))
    if not len(crossed):
        return points
    points, half, rows = points.copy(), half[crossed], crossed[:, None]
    points[rows, UPPER_LIP_INNER, 1] += half
    points[rows, LOWER_LIP_INNER, 1] -= half
    points[rows, UPPER_LIP_OUTER, 1] += half.mean()
    points[rows, LOWER_LIP_OUTER, 1] -= half.mean()
    return points
