"""The messages carry what they were given, bit for bit, and mean the same as the signals between the stages."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from rclpy.serialization import deserialize_message, serialize_message

from lsp_ros import signals, timeline
from lsp_ros.msg import AudioChunk, FaceMotion, HeadPoseCommand, SpeechFeatures

finite = st.floats(allow_nan=False, allow_infinity=False)
finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
seconds = st.floats(0, 2.0**20, width=32)
uint64 = st.integers(0, 2**64 - 1)
names = st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=20)


def floats(length):
    return st_numpy.arrays(np.float32, length, elements=finite32)


def fill(message, draw):
    message.header.stamp.sec = draw(st.integers(-(2**31), 2**31 - 1))
    message.header.stamp.nanosec = draw(st.integers(0, 999_999_999))
    message.header.frame_id = draw(names)
    return message


def fill_numbers(message, fields, draw):
    for field in fields:
        setattr(message, field, draw(finite))


@st.composite
def audio_chunks(draw):
    return fill(
        AudioChunk(
            stream_id=draw(names),
            first_sample=draw(uint64),
            sample_rate=draw(st.integers(0, 2**32 - 1)),
            samples=draw(floats(st.integers(0, 500))),
        ),
        draw,
    )


@st.composite
def speech_features(draw):
    return fill(
        SpeechFeatures(
            stream_id=draw(names),
            frame=draw(uint64),
            features=draw(floats(1024)),
            level_db=draw(finite32),
            active=draw(st.booleans()),
        ),
        draw,
    )


@st.composite
def face_motions(draw):
    message = FaceMotion(
        stream_id=draw(names),
        frame=draw(uint64),
        landmarks=draw(floats(219)),
        shoulders=draw(floats(54)),
        speaking=draw(st.booleans()),
        head_source=draw(st.sampled_from(signals.HeadSource)),
        clamped=draw(st.booleans()),
    )
    fill_numbers(message.head_pose.position, 'xyz', draw)
    fill_numbers(message.head_pose.orientation, 'xyzw', draw)
    return fill(message, draw)


@st.composite
def head_pose_commands(draw):
    message = HeadPoseCommand(
        mode=draw(st.sampled_from(signals.PoseMode)), transition_time=draw(seconds), timeout=draw(seconds)
    )
    fill_numbers(message.orientation, 'xyzw', draw)
    fill_numbers(message.translation, 'xyz', draw)
    return fill(message, draw)


@pytest.mark.slow
@given(st.one_of(audio_chunks(), speech_features(), face_motions(), head_pose_commands()))
def test_a_message_arrives_as_it_was_sent(message):
    assert deserialize_message(serialize_message(message), type(message)) == message


@pytest.mark.parametrize(
    ('message', 'field', 'length'),
    [(SpeechFeatures, 'features', 1024), (FaceMotion, 'landmarks', 219), (FaceMotion, 'shoulders', 54)],
)
@pytest.mark.parametrize('difference', [-1, 1])
def test_arrays_of_another_length_are_refused(message, field, length, difference):
    with pytest.raises(AssertionError):
        message(**{field: [0.0] * (length + difference)})


def test_numbers_for_the_head_are_those_of_the_signals():
    for mode in signals.PoseMode:
        assert getattr(HeadPoseCommand, mode.name) == mode
    for source in signals.HeadSource:
        assert getattr(FaceMotion, source.name) == source


def test_sizes_are_those_of_the_signals():
    assert AudioChunk.SAMPLE_RATE == AudioChunk().sample_rate == timeline.SAMPLE_RATE
    assert SpeechFeatures.ROW_SIZE == signals.FEATURE_SIZE
    assert SpeechFeatures.SIZE == len(SpeechFeatures().features) == timeline.FEATURES_PER_FRAME * signals.FEATURE_SIZE
    assert len(FaceMotion().landmarks) == 3 * FaceMotion.LANDMARKS == 3 * signals.LANDMARKS
    assert len(FaceMotion().shoulders) == 3 * FaceMotion.SHOULDER_POINTS == 3 * signals.SHOULDER_POINTS


def test_an_empty_head_pose_command_is_harmless():
    """`ros2 topic pub` fills in what the user leaves out: it gives the head back, and never for ever."""
    message = HeadPoseCommand()
    defaults = signals.HeadPoseCommand(signals.PoseMode.AUTONOMOUS, np.zeros(4), np.zeros(3))
    assert message.mode == HeadPoseCommand.AUTONOMOUS
    quaternion = message.orientation
    assert (quaternion.x, quaternion.y, quaternion.z, quaternion.w) == (0, 0, 0, 1)
    assert math.isclose(message.transition_time, defaults.transition)
    assert math.isclose(message.timeout, defaults.timeout)
