"""Another node's audio topic as the input of an audio source."""

import contextlib
import importlib
import math
import time
from collections import deque
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from lsp_ros import timeline
from lsp_ros.live.incoming_audio import IncomingAudio
from lsp_ros.live.jitter_buffer import JitterBuffer
from lsp_ros.live.pcm import AudioFormat
from lsp_ros.nodes.audio_inputs.audio_input import QueuedInput
from lsp_ros.nodes.foreign_audio import foreign_audio_from_message, format_from_info, says_no_format
from lsp_ros.nodes.lifecycle import StreamNode
from lsp_ros.nodes.qos import AUDIO_QOS, LOSSY_QOS, STATE_QOS

TOPIC_IN_HAND = 800  # 50 ms
NOTHING = np.zeros(0, dtype=np.float32)


class TopicInput(QueuedInput):
    """Another node's audio topic, live or whole sentences at once; types as in `foreign_audio_from_message`.

    Who publishes may be started again with another type or quality of service: who came last is listened to.
    """

    LONGEST_SPEECH_SECONDS = 600
    SECONDS_BETWEEN_LOOKS = 0.2
    SECONDS_FOR_INFO = 2.0
    MOST_WAITING = 1000

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
        self._format: AudioFormat | None = self._assumed  # of plain bytes; None: it cannot be read, so nothing is heard
        self._doubt_at = math.inf  # from when on it is told that the format is only assumed; on the steady clock
        self._info_topic = ''  # where the format of what is heard is told, if it is told anywhere
        self._waiting: deque[Any] = deque(maxlen=self.MOST_WAITING)  # messages, for the info that says how to read them
        self._held = True  # nothing has been read since the start: the first picture may have been waited for
        self._incoming = IncomingAudio(node)
        node.call_every(self.SECONDS_BETWEEN_LOOKS, self._look_for_topic)

    def start(self) -> None:
        super().start()
        self._held = True
        self.cancel()

    def cancel(self) -> None:
        self._buffer.clear()
        self._waiting.clear()
        self._incoming.cancel()

    def read(self, count: int, now: float) -> np.ndarray:
        if self.waits(now):
            return np.zeros(count, dtype=np.float32)
        if self._held:
            self._held = False
            self._buffer.catch_up(now)
        if self._buffer.runs_dry(count, now):
            self._buffer.add_rest(self._incoming.finish())
        return self._buffer.read(count, now)

    def _look_for_topic(self) -> None:
        """Subscribe once somebody publishes: only then are the type and the quality of service known."""
        if time.monotonic() > self._doubt_at:
            self._hear_waiting()
        publishers = self.node.get_publishers_info_by_topic(self._topic)
        if not publishers:
            if not self._subscriptions:
                self.node.report_state('looks for audio_in', 'nobody publishes audio_in yet; silence meanwhile')
            return
        self.node.end_state('looks for audio_in')
        came = [each for each in publishers if bytes(each.endpoint_gid) not in self._known]
        known = {bytes(each.endpoint_gid) for each in publishers}
        if known != self._known:
            self._incoming.interrupt()  # what is left of one publisher's bytes is not the beginning of another's
        self._known = known
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
        self._incoming.begin_anew()
        self._format, self._doubt_at, self._info_topic = self._assumed, math.inf, ''
        self._waiting.clear()
        if not says_no_format(message_type()):
            return
        self._doubt_at = time.monotonic() + self.SECONDS_FOR_INFO
        with contextlib.suppress(ValueError):
            # ros-drivers' package says in a topic of its own how its bytes are to be read.
            info_type = find_message_type('audio_common_msgs/msg/AudioInfo')
            self._info_topic = info_topic(self.node)
            subscription = self.node.subscribe(info_type, self._info_topic, STATE_QOS, lambda info: info, self._learn)
            self._subscriptions.append(subscription)

    def _learn(self, info: Any) -> None:
        """From now on bytes are read as this AudioInfo says; of a format that cannot be read nothing is heard."""
        self._doubt_at = math.inf
        try:
            self._format = format_from_info(info)
        except ValueError as error:
            self._format = None
            self._incoming.begin_anew()
            self.node.report_problem(
                'refused audio formats', f'{error}; audio_in is not heard until audio_info names another'
            )
        self._hear_waiting()

    def _hear_waiting(self) -> None:
        """What came before it was known how to read it."""
        waiting, self._waiting = self._waiting, deque(maxlen=self.MOST_WAITING)
        for message in waiting:
            try:
                self._hear(self._decode(message))
            except ValueError as error:
                self.node.report_problem('invalid audio_in messages', f'{error}: dropped')

    def _decode(self, message: Any) -> np.ndarray:
        """(n,) float32 at 16 kHz; nothing where the format cannot be read, or is still to be told."""
        now = time.monotonic()
        if self._format is None:
            self.node.count('unread audio_in messages')
            return NOTHING
        if now < self._doubt_at < math.inf and self._info_topic and self.node.count_publishers(self._info_topic):
            self._waiting.append(message)
            return NOTHING
        if now > self._doubt_at:
            self._doubt_at = math.inf
            self.node.get_logger().warning(
                f'no audio_info says how the bytes of audio_in are to be read: {self._format.rate} Hz, '
                f'{self._format.channels} channels, {self._format.encoding} is assumed (parameters topic_rate, '
                'topic_channels, topic_encoding)'
            )
        data, audio_format = foreign_audio_from_message(message, self._format)
        return self._incoming.push(data, audio_format, now)

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
