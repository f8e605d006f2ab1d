"""Messages for nodes under test."""

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.stamped import AudioBlock, FrameStamp
from lsp_ros.nodes.conversions import Units, audio_to_message, features_to_message, motion_to_message
from lsp_ros.signals import FaceMotion, SpeechFeatures


def speech(count, seed=0):
    """Something loud enough to count as speech, (count,) float32."""
    return np.random.default_rng(seed).normal(0, 0.1, count).astype(np.float32).clip(-1, 1)


def send_audio(graph, publisher, first=0, seconds=1.0, samples=None, stream_id='s', start_ns=0):
    """Chunks of 20 ms, as fast as they are taken."""
    samples = np.zeros(int(seconds * 16_000), np.float32) if samples is None else samples
    for position in range(0, len(samples), 320):
        stamp = start_ns + timeline.samples_to_ns(first + position)
        piece = samples[position : position + 320]
        publisher.publish(audio_to_message(AudioBlock(stream_id, first + position, stamp, piece)))
        graph.spin(0.001)


def features_message(frame, stream_id='s', start_ns=0, **changes):
    """The message of a silent frame of a stream, with some of its fields changed."""
    block = SpeechFeatures(frame, np.zeros((1, 2, 512), np.float32), np.float32([-90]), np.array([False]))
    message = features_to_message(FrameStamp(stream_id, frame, start_ns + timeline.frame_start_ns(frame)), block, 0)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


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
