"""Messages and arrays mean the same, and what does not fit is refused with a sentence."""

import array
import math
from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import Quaternion
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lsp_ros import signals
from lsp_ros.geometry import REP103_TO_CAMERA, to_camera
from lsp_ros.live.stamped import AudioBlock, FrameStamp
from lsp_ros.motion.command import HeadPoseControl
from lsp_ros.motion.pose_limits import UNBOUNDED
from lsp_ros.msg import AudioChunk, HeadPoseCommand
from lsp_ros.nodes import conversions
from lsp_ros.nodes.conversions import Units

STAMP = 1_700_000_000_123_456_789
angles = st.floats(-80, 80)
nan = float('nan')


def through_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def a_face(euler=(1.0, -2.0, 3.0), frames=1):
    random = np.random.default_rng(7)
    return signals.FaceMotion(
        first_frame=5,
        points=random.normal(0, 8, (frames, 73, 3)).astype(np.float32),
        euler=np.tile(np.float32(euler), (frames, 1)),
        translation=np.tile(np.float32([1.0, -2.0, 60.0]), (frames, 1)),
        shoulders=random.normal(0, 20, (frames, 18, 3)).astype(np.float32),
        speaking=np.ones(frames, bool),
        source=np.full(frames, signals.HeadSource.COMMAND, np.uint8),
        clamped=np.zeros(frames, bool),
    )


def motion_message(**changes):
    message = conversions.motion_to_message(FrameStamp('s', 5, STAMP), a_face(), 0, Units(0.01), 'camera')
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def features_message(**changes):
    features = signals.SpeechFeatures(0, np.ones((1, 2, 512), np.float32), np.float32([-20]), np.array([True]))
    message = conversions.features_to_message(FrameStamp('s', 5, STAMP), features, 0)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


# What comes out is what went in


@given(st.integers(1, 400), st.integers(0, 2**40), st.integers(0, 2**31 * 10**9 - 1))
def test_audio_round_trip(count, first_sample, stamp_ns):
    samples = np.random.default_rng(count).uniform(-1, 1, count).astype(np.float32)
    message = conversions.audio_to_message(AudioBlock('stream', first_sample, stamp_ns, samples))
    back = conversions.audio_from_message(through_the_wire(message))
    assert (back.stream_id, back.first_sample, back.stamp_ns) == ('stream', first_sample, stamp_ns)
    np.testing.assert_array_equal(back.samples, samples)


def test_features_round_trip_keeps_the_earlier_row_first():
    values = np.arange(2 * 2 * 512, dtype=np.float32).reshape(2, 2, 512)
    features = signals.SpeechFeatures(8, values, np.float32([-30, -20]), np.array([False, True]))
    message = through_the_wire(conversions.features_to_message(FrameStamp('s', 9, STAMP), features, 1))
    assert message.features[0] == 1024 and message.features[512] == 1536
    stamp, back = conversions.features_from_message(message)
    assert stamp == FrameStamp('s', 9, STAMP)
    np.testing.assert_array_equal(back.values, values[1:])
    assert back.level_db[0] == -20 and back.active[0] and back.first_frame == 9


@given(angles, angles, angles)
def test_motion_round_trip(ex, ey, ez):
    motion, units = a_face((ex, ey, ez)), Units(0.0123, 1.7)
    message = through_the_wire(conversions.motion_to_message(FrameStamp('s', 5, STAMP), motion, 0, units, 'camera'))
    assert message.header.frame_id == 'camera'
    stamp, back = conversions.motion_from_message(message, units)
    assert stamp == FrameStamp('s', 5, STAMP)
    for field in ('points', 'euler', 'translation', 'shoulders'):
        np.testing.assert_allclose(getattr(back, field), getattr(motion, field), rtol=1e-5, atol=2e-4)
    assert back.speaking[0] and not back.clamped[0] and back.source[0] == signals.HeadSource.COMMAND


@given(angles, angles, angles)
def test_anyone_can_place_the_face_in_space_with_the_message_alone(ex, ey, ez):
    """head_pose applied to landmarks gives metres in the camera frame, whatever the avatar's own unit and scale."""
    motion, units = a_face((ex, ey, ez)), Units(0.5, 1.7)
    message = conversions.motion_to_message(FrameStamp('s', 5, STAMP), motion, 0, units, 'camera')
    q, p = message.head_pose.orientation, message.head_pose.position
    x, y, z, w = q.x, q.y, q.z, q.w
    turn = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    in_rep103 = np.asarray(message.landmarks).reshape(73, 3)[:, [2, 0, 1]]
    points = in_rep103 @ (REP103_TO_CAMERA @ turn).T + (p.x, p.y, p.z)
    expected = 0.5 * to_camera(motion.points[0], motion.euler[0], motion.translation[0], scale=1.7)
    np.testing.assert_allclose(points, expected, rtol=1e-4, atol=1e-3)


def commanded(message, mean, metres):
    """The pose (6,) that holds the head where a message says it is, as FaceMotion.msg says."""
    away = np.array([getattr(message.head_pose.position, axis) for axis in 'xyz']) - mean * metres
    command = HeadPoseCommand(mode=HeadPoseCommand.ABSOLUTE, orientation=message.head_pose.orientation)
    command.translation.x, command.translation.y, command.translation.z = -away[2], away[0], -away[1]
    given = conversions.command_from_message(through_the_wire(command))
    control = HeadPoseControl(UNBOUNDED, metres)
    control.command(replace(given, transition=0.0, timeout=0.0), 0)
    control.step(0, np.zeros(6))
    return control.step(100, np.zeros(6))[0]


@given(st.floats(-28, 28), st.floats(-28, 28), st.floats(-28, 28))  # 85 degrees in all can be commanded
def test_a_pose_that_was_published_can_be_commanded(ex, ey, ez):
    motion, units = a_face((ex, ey, ez)), Units(0.0123, 1.7)
    message = conversions.motion_to_message(FrameStamp('s', 5, STAMP), motion, 0, units, 'camera')
    mean = np.array([0.5, 1.0, 58.0])
    expected = np.concatenate([motion.euler[0], motion.translation[0] - mean])
    np.testing.assert_allclose(commanded(message, mean, units.metres), expected, atol=1e-4)


def test_the_published_turn_is_continuous_and_straight_ahead_is_the_identity():
    before = np.array([0.0, 0.0, 0.0, 1.0])
    for angle in np.linspace(0, 40 * np.pi, 4000):
        euler = 30 * np.sin(angle), 30 * np.sin(1.7 * angle), 20 * np.sin(2.3 * angle)
        message = conversions.motion_to_message(FrameStamp('s', 5, STAMP), a_face(euler), 0, Units(0.01), 'camera')
        turn = np.array([getattr(message.head_pose.orientation, axis) for axis in 'xyzw'])
        if not angle:
            np.testing.assert_allclose(turn, before, atol=1e-7)
        assert turn @ before > 0.9
        before = turn


def test_head_pose_command_round_trip():
    command = signals.HeadPoseCommand(
        signals.PoseMode.OFFSET, np.array([0.0, 0.1, 0.0, 0.99]), np.array([0.01, 0, -0.02]), 0.25, 2.0
    )
    back = conversions.command_from_message(through_the_wire(conversions.command_to_message(command)))
    np.testing.assert_allclose(back.orientation, command.orientation)
    np.testing.assert_allclose(back.translation, command.translation)
    assert (back.mode, back.transition, back.timeout) == (command.mode, command.transition, command.timeout)


def test_an_autonomous_command_needs_no_pose():
    message = HeadPoseCommand(mode=HeadPoseCommand.AUTONOMOUS)
    message.orientation.w = 0.0
    assert conversions.command_from_message(message).mode == signals.PoseMode.AUTONOMOUS


def test_the_command_frame_is_rep103():
    """x forward out of the face is toward the camera, y the person's left is right in the picture, z is up."""
    np.testing.assert_array_equal(REP103_TO_CAMERA @ np.eye(3), [[0, 1, 0], [0, 0, -1], [-1, 0, 0]])


@given(st.integers(1, 40), st.integers(1, 40))
def test_image_round_trip(height, width):
    picture = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    message = through_the_wire(conversions.image_to_message(picture, Header(frame_id='camera')))
    assert (message.encoding, message.step, message.is_bigendian) == ('rgb8', 3 * width, 0)
    np.testing.assert_array_equal(conversions.image_from_message(message), picture)


def test_images_of_other_nodes():
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    padded = np.zeros((2, 16), np.uint8)
    padded[:, :9] = picture.reshape(2, 9)
    message = Image(height=2, width=3, step=16, encoding='bgr8', data=array.array('B', padded.tobytes()))
    np.testing.assert_array_equal(conversions.image_from_message(message), picture[..., ::-1])


def test_camera_info_projects_like_the_avatars_camera():
    matrix = np.array([[1500.0, 0, 250], [0, 1510, 260], [0, 0, 1]])
    info = conversions.camera_info_to_message(matrix, 512, 512, Header())
    np.testing.assert_array_equal(np.reshape(info.k, (3, 3)), matrix)
    np.testing.assert_array_equal(np.reshape(info.p, (3, 4)), np.hstack([matrix, np.zeros((3, 1))]))
    assert not any(info.d) and (info.height, info.width) == (512, 512)


def test_stamps_stay_within_what_a_message_can_hold():
    assert conversions.stamp_ns(conversions.header_at(-5)) == 0
    assert conversions.stamp_ns(conversions.header_at(10**20)) == 2**31 * 10**9 - 1
    assert conversions.stamp_ns(conversions.header_at(STAMP)) == STAMP


# What does not fit is refused


@pytest.mark.parametrize(
    ('message', 'sentence'),
    [
        (AudioChunk(sample_rate=44100, samples=[0.0]), '44100 Hz'),
        (AudioChunk(sample_rate=16000), '0 samples'),
        (AudioChunk(sample_rate=16000, samples=np.zeros(160_001, np.float32)), '160001 samples'),
        (AudioChunk(sample_rate=16000, samples=[0.0, nan]), 'NaN'),
        (AudioChunk(sample_rate=16000, samples=[0.0, math.inf]), 'NaN or infinite'),
        (AudioChunk(sample_rate=16000, samples=[0.0, 30000.0]), 'full scale'),
    ],
)
def test_bad_audio_is_refused(message, sentence):
    with pytest.raises(ValueError, match=sentence):
        conversions.audio_from_message(message)


def without_checks(message, field, values):
    """What a publisher without ROS_PYTHON_CHECK_FIELDS, or in C++, may send."""
    setattr(message, '_' + field, np.asarray(values, np.float32))
    return message


@pytest.mark.parametrize(
    ('message', 'sentence'),
    [
        (without_checks(features_message(), 'features', np.zeros(1023)), '1023 values: 1024'),
        (features_message(features=np.full(1024, nan, np.float32)), 'NaN'),
        (features_message(level_db=-math.inf), 'level'),
    ],
)
def test_bad_features_are_refused(message, sentence):
    with pytest.raises(ValueError, match=sentence):
        conversions.features_from_message(message)


@pytest.mark.parametrize(
    ('message', 'sentence'),
    [
        (without_checks(motion_message(), 'landmarks', np.zeros(218)), '218 values: 219'),
        (without_checks(motion_message(), 'shoulders', np.zeros(55)), '55 values: 54'),
        (motion_message(landmarks=np.full(219, nan, np.float32)), 'NaN'),
        (motion_message(head_source=9), 'head source 9'),
    ],
)
def test_bad_motion_is_refused(message, sentence):
    with pytest.raises(ValueError, match=sentence):
        conversions.motion_from_message(message, Units(0.01))


@pytest.mark.parametrize('values', [(0, 0, 0, 0), (nan, 0, 0, 1), (math.inf, 0, 0, 1)])
def test_no_rotation_is_refused(values):
    message = motion_message()
    message.head_pose.orientation = Quaternion(**dict(zip('xyzw', map(float, values), strict=True)))
    with pytest.raises(ValueError, match='no rotation'):
        conversions.motion_from_message(message, Units(0.01))
    command = HeadPoseCommand(mode=HeadPoseCommand.ABSOLUTE, orientation=message.head_pose.orientation)
    with pytest.raises(ValueError, match='quaternion|orientation'):
        conversions.command_from_message(command)


@pytest.mark.parametrize(
    'changes',
    [{'mode': 7}, {'timeout': -1.0}, {'timeout': math.inf}, {'transition_time': nan}, {'translation': (nan, 0.0, 0.0)}],
)
def test_bad_commands_are_refused(changes):
    message = HeadPoseCommand(mode=HeadPoseCommand.OFFSET)
    if 'translation' in changes:
        message.translation.x = changes.pop('translation')[0]
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(ValueError, match='head-pose command'):
        conversions.command_from_message(message)


@pytest.mark.parametrize(
    'message',
    [
        Image(height=2, width=2, step=6, encoding='mono8', data=[0] * 12),
        Image(height=2, width=2, step=6, encoding='rgb8', data=[0] * 11),
        Image(height=2, width=2, step=5, encoding='rgb8', data=[0] * 10),
        Image(height=0, width=2, step=6, encoding='rgb8'),
    ],
)
def test_bad_images_are_refused(message):
    with pytest.raises(ValueError, match='image'):
        conversions.image_from_message(message)
