"""What every input of an audio source has, and silence, which is the simplest of them."""

import time

import numpy as np
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from lsp_ros.nodes.lifecycle import StreamNode
from lsp_ros.nodes.qos import IMAGE_QOS


class AudioInput:
    """Nobody speaks.

    lead     seconds by which samples are published before their stamp; negative: after it
    queues   whether it has anything that can be cancelled
    """

    queues = False

    def __init__(self, node: StreamNode) -> None:
        self.node = node
        self.lead: float = node.value('lead')

    def start(self) -> None:
        """The node becomes active."""

    def stop(self) -> None:
        """The node is active no longer."""

    def cancel(self) -> None:
        """Drop what is still to be said."""

    def read(self, count: int, now: float) -> np.ndarray:
        """The next (count,) float32 samples, at `now` seconds on the steady clock."""
        return np.zeros(count, dtype=np.float32)


class QueuedInput(AudioInput):
    """Speech that is known beforehand: it waits for the first picture to go with it, within reason."""

    queues = True

    def __init__(self, node: StreamNode) -> None:
        super().__init__(node)
        self._subscription: Subscription[CameraInfo] | None = None
        self._waits_until = 0.0

    def start(self) -> None:
        self._subscription = self._subscription or self.node.subscribe(
            CameraInfo, 'camera_info', IMAGE_QOS, lambda message: message, self._picture_came
        )
        self._waits_until = time.monotonic() + self.node.value('wait_for_picture')

    def waits(self, now: float) -> bool:
        """Whether to hold speech back."""
        return now < self._waits_until

    def _picture_came(self, _message: CameraInfo) -> None:
        self._waits_until = 0.0
        if self._subscription:  # the next one may have been on its way already
            self.node.unsubscribe(self._subscription)
            self._subscription = None
