"""ROS messages <-> the arrays that the stages speak, both ways, in one place.

Everything that comes in is validated here: rclpy does not look at lengths, and a NaN that reaches a recurrent
network never leaves it. ``*_from_message`` raises ValueError with one sentence that names the value and what is
allowed. Messages carry SI units; an avatar's own unit and scale stand in `Units`.
"""

import array
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from lsp_ros import timeline
from lsp_ros.avatar.architecture import FEATURE_SIZE
from lsp_ros.geometry import euler_from_rep103, pose_to_rep103
from lsp_ros.live.pcm import check_samples
from lsp_ros.live.stamped import AudioBlock, FrameStamp
from lsp_ros.motion.command import check_command
from lsp_ros.msg import AudioChunk
from lsp_ros.msg import FaceMotion as FaceMotionMessage
from lsp_ros.msg import HeadPoseCommand as HeadPoseCommandMessage
from lsp_ros.msg import SpeechFeatures as SpeechFeaturesMessage
from lsp_ros.signals import (
    LANDMARKS,
    SHOULDER_POINTS,
    FaceMotion,
    HeadPoseCommand,
    HeadSource,
    PoseMode,
    SpeechFeatures,
)

LONGEST_CHUNK = 10 * timeline.SAMPLE_RATE
LARGEST_JPEG = 2**24
ROWS = timeline.FEATURES_PER_FRAME


@dataclass(frozen=True)
class Units:
    """An avatar's unit: ``metres`` in one unit, and the factor that its head-frame points carry (Face.scale)."""

    metres: float
    scale: float = 1.0


# Time


def stamp_ns(header: Header) -> int:
    """The header's stamp in nanoseconds."""
    return int(header.stamp.sec * timeline.NANOSECONDS_PER_SECOND + header.stamp.nanosec)


def header_at(nanoseconds: int, frame_id: str = '') -> Header:
    """A header with that stamp, held within what a ROS stamp can say (1970 to 2038)."""
    header = Header(frame_id=frame_id)
    latest = 2**31 * timeline.NANOSECONDS_PER_SECOND - 1
    seconds, nanoseconds = divmod(min(max(nanoseconds, 0), latest), timeline.NANOSECONDS_PER_SECOND)
    header.stamp.sec, header.stamp.nanosec = seconds, nanoseconds
    return header


# Audio


def audio_to_message(audio: AudioBlock) -> AudioChunk:
    samples = array.array('f')
    samples.frombytes(np.ascontiguousarray(audio.samples, dtype=np.float32).data.cast('B'))
    return AudioChunk(
        header=header_at(audio.stamp_ns),
        stream_id=audio.stream_id,
        first_sample=audio.first_sample,
        sample_rate=timeline.SAMPLE_RATE,
        samples=samples,
    )


def audio_from_message(message: AudioChunk) -> AudioBlock:
    if message.sample_rate != timeline.SAMPLE_RATE:
        raise ValueError(
            f'audio chunk at {message.sample_rate} Hz: the stream is {timeline.SAMPLE_RATE} Hz, '
            'let audio_source (source:=topic) resample it'
        )
    samples = np.asarray(message.samples, dtype=np.float32)
    if not 1 <= len(samples) <= LONGEST_CHUNK:
        raise ValueError(f'audio chunk of {len(samples)} samples: 1 to {LONGEST_CHUNK} are allowed')
    check_samples(samples)
    return AudioBlock(message.stream_id, message.first_sample, stamp_ns(message.header), samples)


# Speech features


def features_to_message(stamp: FrameStamp, features: SpeechFeatures, index: int) -> SpeechFeaturesMessage:
    return SpeechFeaturesMessage(
        header=header_at(stamp.stamp_ns),
        stream_id=stamp.stream_id,
        frame=stamp.frame,
        features=np.ascontiguousarray(features.values[index], dtype=np.float32).reshape(-1),
        level_db=float(features.level_db[index]),
        active=bool(features.active[index]),
    )


def features_from_message(message: SpeechFeaturesMessage) -> tuple[FrameStamp, SpeechFeatures]:
    values = _floats(message.features, ROWS * FEATURE_SIZE, 'speech features')
    if not math.isfinite(message.level_db):
        raise ValueError(f'speech features with a level of {message.level_db} dB: a finite one is needed')
    features = SpeechFeatures(
        first_frame=message.frame,
        values=values.reshape(1, ROWS, FEATURE_SIZE),
        level_db=np.array([message.level_db], dtype=np.float32),
        active=np.array([message.active], dtype=bool),
    )
    return FrameStamp(message.stream_id, message.frame, stamp_ns(message.header)), features


def _floats(given: Sequence[float], count: int, name: str) -> np.ndarray:
    values: np.ndarray = np.asarray(given, dtype=np.float32)
    if values.shape != (count,):
        raise ValueError(f'{name} with {values.size} values: {count} are needed')
    if not np.isfinite(values).all():
        raise ValueError(f'{name} with NaN or infinite values')
    return values


# Face motion


def motion_to_message(
    stamp: FrameStamp, motion: FaceMotion, index: int, units: Units, frame_id: str
) -> FaceMotionMessage:
    x, y, z = (float(value) * units.metres for value in motion.translation[index])
    turn, _ = pose_to_rep103(motion.euler[index], np.zeros(3), units.metres)
    return FaceMotionMessage(
        header=header_at(stamp.stamp_ns, frame_id),
        stream_id=stamp.stream_id,
        frame=stamp.frame,
        landmarks=_scaled(motion.points[index], units.metres * units.scale),
        head_pose=Pose(position=Point(x=x, y=y, z=z), orientation=quaternion_to_message(turn)),
        shoulders=_scaled(motion.shoulders[index], units.metres),
        speaking=bool(motion.speaking[index]),
        head_source=int(motion.source[index]),
        clamped=bool(motion.clamped[index]),
    )


def motion_from_message(message: FaceMotionMessage, units: Units) -> tuple[FrameStamp, FaceMotion]:
    landmarks = _floats(message.landmarks, 3 * LANDMARKS, 'face motion landmarks')
    shoulders = _floats(message.shoulders, 3 * SHOULDER_POINTS, 'face motion shoulders')
    position = message.head_pose.position
    translation = np.array([position.x, position.y, position.z]) / units.metres
    if not np.isfinite(translation).all():
        raise ValueError('face motion with a NaN or infinite head position')
    sources = [int(source) for source in HeadSource]
    if message.head_source not in sources:
        raise ValueError(f'face motion with head source {message.head_source}: {sources} are allowed')
    motion = FaceMotion(
        first_frame=message.frame,
        points=landmarks.reshape(1, LANDMARKS, 3) / np.float32(units.metres * units.scale),
        euler=euler_from_rep103(unit_quaternion(message.head_pose.orientation))[None].astype(np.float32),
        translation=translation[None].astype(np.float32),
        shoulders=shoulders.reshape(1, SHOULDER_POINTS, 3) / np.float32(units.metres),
        speaking=np.array([message.speaking], dtype=bool),
        source=np.array([message.head_source], dtype=np.uint8),
        clamped=np.array([message.clamped], dtype=bool),
    )
    return FrameStamp(message.stream_id, message.frame, stamp_ns(message.header)), motion


def _scaled(points: np.ndarray, factor: float) -> np.ndarray:
    return (np.asarray(points, dtype=np.float32) * np.float32(factor)).reshape(-1)


def quaternion_to_message(quaternion: np.ndarray) -> Quaternion:
    x, y, z, w = (float(value) for value in quaternion)
    return Quaternion(x=x, y=y, z=z, w=w)


def unit_quaternion(quaternion: Quaternion) -> np.ndarray:
    """x, y, z, w of length 1, (4,) float64; ValueError for a zero or non-finite one."""
    values = np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w])
    length = math.hypot(*values)
    if not math.isfinite(length) or length < 1e-6:
        raise ValueError(f'quaternion {values.tolist()} is no rotation: a finite one of non-zero length is needed')
    return values / length


# Head-pose command


def command_from_message(message: HeadPoseCommandMessage) -> HeadPoseCommand:
    turn, shift = message.orientation, message.translation
    command = HeadPoseCommand(
        mode=message.mode,
        orientation=np.array([turn.x, turn.y, turn.z, turn.w]),
        translation=np.array([shift.x, shift.y, shift.z]),
        transition=message.transition_time,
        timeout=message.timeout,
    )
    check_command(command)
    return replace(command, mode=PoseMode(message.mode))


def command_to_message(command: HeadPoseCommand, now_ns: int = 0) -> HeadPoseCommandMessage:
    message = HeadPoseCommandMessage(
        header=header_at(now_ns, 'head'),
        mode=int(command.mode),
        transition_time=float(command.transition),
        timeout=float(command.timeout),
    )
    rotation, shift = message.orientation, message.translation
    rotation.x, rotation.y, rotation.z, rotation.w = (float(value) for value in command.orientation)
    shift.x, shift.y, shift.z = (float(value) for value in command.translation)
    return message


# Pictures: exactly what cv_bridge writes and reads


def image_to_message(picture: np.ndarray, header: Header) -> Image:
    """(height, width, 3) uint8 RGB to an rgb8 image."""
    height, width, channels = picture.shape
    data = array.array('B')  # 0.04 ms for 512x512; bytes take 0.5 ms, an ndarray 50 ms
    data.frombytes(np.ascontiguousarray(picture).reshape(-1).data)
    return Image(
        header=header, height=height, width=width, encoding='rgb8', is_bigendian=0, step=width * channels, data=data
    )


def image_from_message(message: Image) -> np.ndarray:
    """(height, width, 3) uint8 RGB view of an rgb8 or bgr8 image; rows may be padded."""
    if message.encoding not in ('rgb8', 'bgr8'):
        raise ValueError(f'image with encoding {message.encoding!r}: rgb8 and bgr8 are allowed')
    height, width, step = message.height, message.width, message.step
    if min(height, width) < 1 or step < 3 * width or len(message.data) != height * step:
        raise ValueError(f'image {width}x{height} with step {step} and {len(message.data)} bytes: these do not fit')
    rows = np.frombuffer(message.data, dtype=np.uint8).reshape(height, step)
    picture = rows[:, : 3 * width].reshape(height, width, 3)
    return picture if message.encoding == 'rgb8' else picture[..., ::-1]


def jpeg_to_message(jpeg: bytes, header: Header) -> CompressedImage:
    return CompressedImage(header=header, format='rgb8; jpeg compressed bgr8', data=array.array('B', jpeg))


def image_from_jpeg(message: CompressedImage) -> np.ndarray:
    """(height, width, 3) uint8 RGB of a compressed image; ValueError for what is none."""
    import cv2  # only a player whose renderer is far away needs it

    if len(message.data) > LARGEST_JPEG:
        raise ValueError(f'compressed image of {len(message.data)} bytes: at most {LARGEST_JPEG} are allowed')
    data = np.frombuffer(message.data, dtype=np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise ValueError(f'compressed image of {len(data)} bytes in the format {message.format!r}: it cannot be read')
    return picture[..., ::-1]  # IMREAD_COLOR_RGB is not in the OpenCV 4.6 of Ubuntu 24.04 and Debian 12


def camera_info_to_message(matrix: np.ndarray, height: int, width: int, header: Header) -> CameraInfo:
    """CameraInfo of a pinhole camera without distortion; `matrix` (3, 3) in pixels."""
    fx, skew, cx, _, fy, cy = (float(value) for value in np.asarray(matrix).reshape(-1)[:6])
    return CameraInfo(
        header=header,
        height=height,
        width=width,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=[fx, skew, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, skew, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
