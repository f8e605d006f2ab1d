"""Where an audio source looks for another package's audio."""

import pytest
import rclpy
from std_msgs.msg import Empty

from lsp_ros.nodes.audio_inputs.topic_input import info_topic


@pytest.mark.parametrize(
    ('remapped', 'topic'),
    [
        ([], '/robot/audio_info'),
        (['audio_in:=/microphone/audio'], '/microphone/audio_info'),
        (['audio_in:=audio_capture/audio'], '/robot/audio_capture/audio_info'),
        (['audio_in:=/audio'], '/audio_info'),
        (['audio_in:=/microphone/audio', 'audio_info:=/elsewhere/info'], '/elsewhere/info'),
    ],
)
def test_audio_info_is_looked_for_beside_the_audio(ros, remapped, topic):
    rules = [word for rule in remapped for word in ('-r', rule)]
    node = rclpy.create_node('source', namespace='robot', cli_args=['--ros-args', *rules])
    try:
        subscription = node.create_subscription(Empty, info_topic(node), lambda message: None, 1)
        assert subscription.topic_name == topic
    finally:
        node.destroy_node()
