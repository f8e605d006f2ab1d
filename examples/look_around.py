"""Command the head: look left, right and up for two seconds each, then give it back to the avatar.

    lsp up                           # the avatar, in another terminal
    python examples/look_around.py

Angles are the REP-103 head frame's (x forward out of the face, y to the person's left, z up): positive
yaw turns to the person's left, positive pitch nods down. Poses beyond the trained range are held at its
edge, and ``clamped`` in /avatar/face_motion says so.
"""

import time

import rclpy
from geometry_msgs.msg import Quaternion
from rclpy.executors import ExternalShutdownException
from scipy.spatial.transform import Rotation

from lsp_ros.msg import HeadPoseCommand


def main() -> None:
    rclpy.init()
    node = rclpy.create_node('look_around')
    publisher = node.create_publisher(HeadPoseCommand, '/avatar/head_pose_command', 10)
    while not publisher.get_subscription_count():
        rclpy.spin_once(node, timeout_sec=0.1)
    for name, yaw, pitch in (('left', 12.0, 0.0), ('right', -12.0, 0.0), ('up', 0.0, -8.0)):
        command = HeadPoseCommand(mode=HeadPoseCommand.ABSOLUTE, transition_time=0.6, timeout=2.0)
        command.header.stamp = node.get_clock().now().to_msg()
        x, y, z, w = Rotation.from_euler('ZY', [yaw, pitch], degrees=True).as_quat()
        command.orientation = Quaternion(x=x, y=y, z=z, w=w)
        publisher.publish(command)
        node.get_logger().info(f'looking {name}')
        time.sleep(2.0)
    # Nothing more to do: after its timeout the last command lets go, and the avatar moves by itself.
    time.sleep(0.5)


if __name__ == '__main__':
    try:
        main()
    except (KeyboardInterrupt, ExternalShutdownException):  # Ctrl-C: the last command lets go by itself
        pass
