"""Another node's audio topic as the input of an audio source."""

import contextlib
import importlib
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from lsp_ros import timeline
from lsp_ros.live.jitter_buffer import JitterBuffer
from lsp_ros.live.pcm import AudioFormat
from lsp_ros.nodes.audio_inputs.audio_input import QueuedInput
from lsp_ros.nodes.foreign_audio import foreign_audio_from_message, format_from_info, says_no_format
from lsp_ros.nodes.lifecycle import StreamNode
from lsp_ros.nodes.qos import AUDIO_QOS, LOSSY_QOS, STATE_QOS

if TYPE_CHECKING:
    from lsp_ros.media.resampling import AudioResampler

TOPIC_IN_HAND = 800  # 50 ms


class TopicInput(QueuedInput):
    """Another node's audio topic, live or whole sentences at once; types as in `foreign_audio_from_message`.

    Who publishes may be started again with another type or quality of service: who came last is listened to.
    """

    LONGEST_SPEECH_SECONDS = 600
    SECONDS_BETWEEN_LOOKS = 0.2
    SECONDS_FOR_INFO = 2.0

    def __init__(self, node: StreamNode) -> None:
        super().__init__(node)
        self._buffer = JitterBuffer(TOPIC_IN_HAND, limit=self.LONGEST_SPEECH_SECONDS * timeline.SAMPLE_RATE)
        self._topic = node.resolve_topic_name('audio_in')
        self._assumed = AudioFormat(
            node.value('topic_rate'), node.value('topic_channels'), node.value('topic_encoding')
        )
        self._subscriptions: list[Subscription[Any]] = []
        self._listening: tuple[str, bool | None] = ('', None)  # message type, best effort
        self._known: set[bytes] = set()  # publishers
        self._format = self._assumed
        self._doubt_at = math.inf  # from when on it is told that the format is only assumed; on the steady clock
        self._held = True  # nothing has been read since the start: the first picture may have been waited for
        self._resampler: AudioResampler | None = None
        node.call_every(self.SECONDS_BETWEEN_LOOKS, self._look_for_topic)

    def start(self) -> None:
        super().start()
        self._held = True
        self.cancel()

    def cancel(self) -> None:
        self._buffer.clear()
        self._resampler = None

    def read(self, count: int, now: float) -> np.ndarray:
        if self.waits(now):
            return np.zeros(count, dtype=np.float32)
        if self._held:
            self._held = False
            self._buffer.catch_up(now)
        return self._buffer.read(count, now)

    def _look_for_topic(self) -> None:
        """Subscribe once somebody publishes: only then are the type and the quality of service known."""
        publishers = self.node.get_publishers_info_by_topic(self._topic)
        if not publishers:
            if not self._subscriptions:
                self.node.report_state('looks for audio_in', 'nobody publishes audio_in yet; silence meanwhile')
            return
        self.node.end_state('looks for audio_in')
        came = [each for each in publishers if bytes(each.endpoint_gid) not in self._known]
        self._known = {bytes(each.endpoint_gid) for each in publishers}
        types = {each.topic_type for each in publishers}
        type_name, _ = self._listening
        if came or type_name not in types:
            type_name = (came or publishers)[0].topic_type
        type_name = self.node.value('topic_type') or type_name
        if types != {type_name}:
            self.node.report_problem(
                'looks at unheard audio_in',
                f'audio_in is published as {", ".join(sorted(types))}: only {type_name} is heard',
            )
        best_effort = ReliabilityPolicy.BEST_EFFORT
        lossy = any(each.qos_profile.reliability == best_effort for each in publishers if each.topic_type == type_name)
        if (type_name, lossy) == self._listening:
            return
        try:
            message_type = find_message_type(type_name)
            if (
                self._subscriptions
            ):  # the next look subscribes: there can be one type on a topic, and this one has to go
                self._unsubscribe(type_name)
                return
            self._subscribe(message_type, LOSSY_QOS if lossy else AUDIO_QOS)
        except (ValueError, RuntimeError) as error:  # not installed, or the old one is still there
            self.node.report_problem('unknown audio_in types', str(error))
            return
        self._listening = type_name, lossy
        self.node.tell(f'audio_in carries {type_name}')

    def _unsubscribe(self, type_name: str) -> None:
        for subscription in self._subscriptions:
            self.node.unsubscribe(subscription)
        self._subscriptions, self._listening = [], (type_name, None)

    def _subscribe(self, message_type: type, qos: QoSProfile) -> None:
        self._subscriptions = [self.node.subscribe(message_type, 'audio_in', qos, self._decode, self._hear)]
        self._format, self._doubt_at = self._assumed, math.inf
        if not says_no_format(message_type()):
            return
        self._doubt_at = time.monotonic() + self.SECONDS_FOR_INFO
        with contextlib.suppress(ValueError):
            # ros-drivers' package says in a topic of its own how its bytes are to be read.
            info_type = find_message_type('audio_common_msgs/msg/AudioInfo')
            topic = info_topic(self.node)
            self._subscriptions.append(self.node.subscribe(info_type, topic, STATE_QOS, format_from_info, self._learn))

    def _learn(self, audio_format: AudioFormat) -> None:
        self._format, self._doubt_at = audio_format, math.inf

    def _decode(self, message: Any) -> np.ndarray:
        """(n,) float32 at 16 kHz."""
        samples, rate = foreign_audio_from_message(message, self._format)
        if time.monotonic() > self._doubt_at:
            self._doubt_at = math.inf
            self.node.get_logger().warning(
                f'no audio_info says how the bytes of audio_in are to be read: {rate} Hz, {self._format.channels} '
                f'channels, {self._format.encoding} is assumed (parameters topic_rate, topic_channels, topic_encoding)'
            )
        if rate == timeline.SAMPLE_RATE:
            return np.array(samples, dtype=np.float32)
        if self._resampler is None or self._resampler.rate != rate:
            from lsp_ros.media.resampling import AudioResampler

            self._resampler = AudioResampler(rate)
        return self._resampler.push(samples)

    def _hear(self, samples: np.ndarray) -> None:
        dropped = self._buffer.dropped
        self._buffer.push(samples, time.monotonic())
        if self._buffer.dropped > dropped:
            self.node.report_problem(
                'dropped samples',
                f'more than {self.LONGEST_SPEECH_SECONDS} s of audio are waiting: the oldest are dropped',
                self._buffer.dropped - dropped,
            )


def info_topic(node: Node) -> str:
    """Where ros-drivers' `audio_info` is: where it was remapped to, else beside the `audio_in` that was found."""
    resolved = node.resolve_topic_name('audio_info')
    if resolved != node.resolve_topic_name('audio_info', only_expand=True):
        return resolved
    return node.resolve_topic_name('audio_in').rpartition('/')[0] + '/audio_info'


def find_message_type(type_name: str) -> Any:
    """The Python class of 'package/msg/Name'; ValueError where the package is not installed."""
    package, _, name = type_name.rpartition('/')
    try:
        return getattr(importlib.import_module(package.replace('/', '.')), name)
    except (ImportError, AttributeError, ValueError):
        raise ValueError(f'message type {type_name!r} cannot be imported: install the package it belongs to') from None
