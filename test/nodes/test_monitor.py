"""What the monitor reads of messages that it does not deserialise."""

import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lsp_ros.live.presentation import SECOND
from lsp_ros.msg import FaceMotion, SpeechFeatures
from lsp_ros.nodes.conversions import header_at, stamp_ns
from lsp_ros.nodes.monitor import stamp_of


@pytest.mark.parametrize('message_type', [SpeechFeatures, FaceMotion, Image])
def test_the_stamp_is_read_off_the_wire(message_type):
    header = header_at(1_700_000_000 * SECOND + 987_654_321)
    message = message_type(header=Header(stamp=header.stamp, frame_id='a frame'))
    assert stamp_of(serialize_message(message)) == stamp_ns(header)
