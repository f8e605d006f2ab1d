"""Messages of a face at rest."""

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.stamped import FrameStamp
from lsp_ros.nodes.conversions import Units, motion_to_message
from lsp_ros.signals import FaceMotion


def motion_message(frame, avatar, start_ns=10**18, **changes):
    """The message of that frame of a stream, with some of its fields changed."""
    face = avatar.face
    motion = FaceMotion(
        frame,
        face.mean_points[None],
        np.zeros((1, 3), np.float32),
        face.translation_mean[None],
        face.shoulders[None],
        np.zeros(1, bool),
        np.zeros(1, np.uint8),
        np.zeros(1, bool),
    )
    stamp = FrameStamp('s', frame, start_ns + timeline.frame_start_ns(frame))
    units = Units(avatar.camera.metres_per_unit, float(face.scale))
    message = motion_to_message(stamp, motion, 0, units, 'camera')
    for name, value in changes.items():
        setattr(message, name, value)
    return message
