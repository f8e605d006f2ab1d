"""Read the picture with cv_bridge, where ROS has it, or without: both see the same bytes.

python examples/show_image.py    # prints the size and rate of /avatar/image
"""

import time

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

try:
    from cv_bridge import CvBridge
except ImportError:
    CvBridge = None


def to_bgr(message: Image) -> np.ndarray:
    """(height, width, 3) uint8 in OpenCV's order."""
    if CvBridge is not None:
        return CvBridge().imgmsg_to_cv2(message, 'bgr8')
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    return rows[:, : 3 * message.width].reshape(message.height, message.width, 3)[..., ::-1]


def main() -> None:
    rclpy.init()
    node = rclpy.create_node('show_image')
    seen: list[float] = []  # when pictures came

    def see(message: Image) -> None:
        picture = to_bgr(message)
        seen.append(time.monotonic())
        if len(seen) % 30 == 0:
            node.get_logger().info(f'{picture.shape} at {29 / (seen[-1] - seen[-30]):.1f} pictures a second')

    node.create_subscription(Image, '/avatar/image', see, qos_profile_sensor_data)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


if __name__ == '__main__':
    main()
