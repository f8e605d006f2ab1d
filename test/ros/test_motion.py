"""The motion as a process: it never stops, whatever becomes of its features."""

import numpy as np
import pytest
from ros_messages import features_message

from lsp_ros import timeline
from lsp_ros.msg import FaceMotion, HeadPoseCommand, SpeechFeatures
from lsp_ros.nodes.conversions import stamp_ns

nan = float('nan')


@pytest.fixture
def motion(graph, tiny_avatar):
    """(publisher of features, list of motion messages) of a running node."""
    moved = graph.collect(FaceMotion, 'face_motion')
    graph.start('motion', avatar=tiny_avatar)
    return graph.publisher(SpeechFeatures, 'speech_features'), moved


def assert_in_order(messages):
    stamps = [stamp_ns(message.header) for message in messages]
    assert all(before < after for before, after in zip(stamps, stamps[1:], strict=False))


def test_the_face_lives_without_any_audio_and_takes_up_a_stream(graph, motion):
    features, moved = motion
    graph.until(lambda: len(moved) > 60, 'no idle motion')
    assert_in_order(moved)
    assert not any(message.speaking for message in moved)
    start_ns = graph.node.get_clock().now().nanoseconds
    for frame in range(120):
        features.publish(features_message(frame, start_ns=start_ns))
        graph.spin(0.001)
    graph.until(lambda: moved[-1].stream_id == 's', 'the stream is not taken up')
    graph.until(lambda: moved[-1].frame > 200, 'the face stops with the stream')  # by the clock, on its timeline
    assert_in_order(moved)
    own = [message for message in moved if message.stream_id == 's']
    for message in own:
        assert stamp_ns(message.header) == start_ns + timeline.frame_start_ns(message.frame)
    graph.until_counted('motion', 'pauses of speech_features')


def test_bad_features_do_not_stop_the_face(graph, motion):
    features, moved = motion
    for frame in range(60):
        if frame in (30, 31):
            features.publish(features_message(frame, features=np.full(1024, nan, np.float32)))
        elif frame == 40:
            features.publish(features_message(frame, level_db=nan))
        else:
            features.publish(features_message(frame))
        graph.spin(0.001)
    graph.until(lambda: moved and moved[-1].stream_id == 's' and moved[-1].frame >= 41, 'the face stopped')
    assert all(np.isfinite(message.landmarks).all() for message in moved)
    graph.until_counted('motion', 'invalid speech_features messages', 3)
    graph.until_counted('motion', 'healed frames', 3)


def test_of_two_streams_of_features_by_mistake_one_moves_the_face(graph, motion):
    features, moved = motion
    for frame in range(120):
        for stream_id in ('one', 'two'):
            features.publish(features_message(frame, stream_id=stream_id))
        graph.spin(0.001)
    graph.until_counted('motion', 'frames of a second source', 110)
    graph.until(lambda: any(message.frame >= 100 for message in moved if message.stream_id == 'two'), 'not followed')
    assert graph.logs().count('moving to stream') == 2


def test_bad_commands_are_counted_and_good_ones_obeyed(graph, motion):
    _, moved = motion
    commands = graph.publisher(HeadPoseCommand, 'head_pose_command')
    graph.until(lambda: moved, 'no motion')
    bad = [HeadPoseCommand(mode=HeadPoseCommand.ABSOLUTE, timeout=30.0) for _ in range(4)]
    bad[0].orientation.x = nan
    bad[1].orientation.w = 0.0
    bad[2].translation.z = nan
    bad[3].mode = 200
    for message in bad:
        commands.publish(message)
    graph.until_counted('motion', 'invalid head_pose_command messages', 4)
    assert {message.head_source for message in moved} == {FaceMotion.AUTONOMOUS}

    far = HeadPoseCommand(mode=HeadPoseCommand.ABSOLUTE, timeout=0.0, transition_time=0.1)  # a turn of 80 degrees
    far.orientation.z, far.orientation.w = np.sin(np.radians(40)), np.cos(np.radians(40))
    commands.publish(far)
    held = graph.until(
        lambda: moved[-1] if moved[-1].head_source == FaceMotion.COMMAND else None, 'the command is not obeyed'
    )
    assert held.clamped
    commands.publish(HeadPoseCommand(mode=HeadPoseCommand.AUTONOMOUS))
    graph.until(lambda: moved[-1].head_source == FaceMotion.AUTONOMOUS, 'the head is not given back')
    assert_in_order(moved)
