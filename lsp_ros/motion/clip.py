"""The motion of a whole clip, for films: what the authors do to it offline and no live system can.

Their smoothing looks as far ahead as back, and their correction of crossed lips takes one mean over the
clip. Live, :mod:`lsp_ros.motion.stage` stands in with filters that do not wait (``docs/official_avatars.md``
says what that changes).
"""

from dataclasses import replace
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lsp_ros.avatar.landmarks import (
    MOUTH_OUTPUT,
)
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.manifest import Manifest
from lsp_ros.motion.filters import GaussianSmoother, LowPass, WholeClip
from lsp_ros.motion.lips import join_lips, part_lips
from lsp_ros.motion.pose_limits import UNBOUNDED
from lsp_ros.motion.stage import MotionForm, MotionStage
from lsp_ros.signals import FaceMotion


def whole_clip_stage(avatar: Avatar, seed: int = 0, idle_amplitude: float = 1.0) -> MotionStage:
    """The tracks of live motion, with the whole clip at hand: all motion comes with ``flush``.

    Networks in float32. The head is not kept in the trained range, as it is not in the authors' program, and takes no
    commands. Motion ends by the head's look-ahead (``cut`` frames) before the sound does: what was never heard moves
    nothing.
    """
    return MotionStage(avatar, seed, idle_amplitude, precision='f32', form=whole_clip_form)


def whole_clip_form(avatar: Avatar) -> MotionForm:
    """What the networks say as it is, smoothed both ways and mended at the end."""
    manifest = avatar.manifest
    return MotionForm(
        mouth_smoothing=GaussianSmoother(0.0),
        head_smoothing=LowPass(np.zeros(6)),
        limits=UNBOUNDED,
        join_lips=None,
        finish=WholeClip(partial(finish_clip, manifest=manifest), manifest.head_pose.look_ahead),
    )


def finish_clip(motion: FaceMotion, manifest: Manifest) -> FaceMotion:
    """The authors' offline processing of the motion of a clip: smoothing, then the correction of crossed lips."""
    points = motion.points.astype(np.float64)
    points[:, MOUTH_OUTPUT] = smooth(points[:, MOUTH_OUTPUT], manifest.mouth.smoothing)
    points = part_lips(points)
    if manifest.mouth.seal:  # without soft lips, exactly what the authors do: crossed pairs of open lips stay crossed
        points = join_lips(points, manifest.mouth.seal)
    rotation_sigma, translation_sigma = manifest.head_pose.smoothing
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
