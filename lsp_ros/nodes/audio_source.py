"""Where the speech comes from: a microphone, a file, another topic, or nothing but silence.

Whatever the source, the node publishes an AudioChunk of 10 to 20 ms for every 10 to 20 ms of the ROS clock and
never stops: silence where nobody speaks. A chunk ends where a video frame of speech features can be computed, so that
frames come out one by one and none waits for the rest of a chunk. Sample i of a stream is heard at stream start +
i / 16000 s, exactly, so stamps neither drift nor jitter; a sound card's own clock is followed by leaving out or
inserting single samples.

A source that knows its future (file, topic) publishes ``lead`` seconds before its stamps, the look-ahead of the
models, so that the picture is ready at its stamp. A microphone cannot: its stamps lie a moment in the past.

A message on ``cancel`` (barge-in) drops what such a source still has to say: a short fade, then silence, in the same
stream without a gap.
"""

import contextlib
import importlib
import math
import time
import uuid

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Empty

from lsp_ros import timeline
from lsp_ros.live.sound_devices import Microphone
from lsp_ros.live.streams import PacedBuffer
from lsp_ros.msg import AudioChunk
from lsp_ros.nodes.conversions import (
    Audio,
    AudioFormat,
    audio_to_message,
    foreign_audio_from_message,
    format_from_info,
    says_no_format,
)
from lsp_ros.nodes.node import AUDIO_QOS, FRAME_QOS, IMAGE_QOS, LOSSY_QOS, STATE_QOS, Finished, StreamNode, run
from lsp_ros.nodes.parameters import parameters_of
from lsp_ros.speech.mel import FRAME_SUPPORT

SHORTEST_CHUNK = 160
FADE = np.linspace(1, 0, 130, dtype=np.float32)[1:-1]  # 8 ms: fits into any chunk
LONGEST_SLEEP_SECONDS = 0.02  # the ROS clock may be set meanwhile
MICROPHONE_IN_HAND = 480  # 30 ms: what the sound card's blocks and the scheduler need
TOPIC_IN_HAND = 800
CLOCK_JUMP_SECONDS = 0.5  # from one chunk to the next, between the ROS clock and the steady one
LONGEST_HOLD_UP_SECONDS = 5.0


class AudioSource(StreamNode):
    PARAMETERS = parameters_of('audio_source')

    def __init__(self):
        super().__init__('audio_source')

    def open(self) -> None:
        make = {'microphone': MicrophoneInput, 'file': FileInput, 'topic': TopicInput, 'silence': SilentInput}
        self.input = make[self.value('source')](self)
        self.publisher = self.publish_on(AudioChunk, 'audio', AUDIO_QOS)
        self.listen(Empty, 'cancel', FRAME_QOS, lambda message: message, self.cancel)
        self.set_alarm = self.alarm(self.publish_due)

    def start(self) -> None:
        self.input.start()
        self.fading = np.zeros(0, dtype=np.float32)
        self.begin_stream()
        self.set_alarm(0.0)

    def stop(self) -> None:
        self.input.stop()

    def begin_stream(self) -> None:
        self.stream_id = f'{self.value("source")}-{uuid.uuid4().hex}'  # a player plays no microphone by itself
        self.position = 0  # samples published
        self.began_ns = self.ticked_ns = self.now_ns()
        self.ticked = time.monotonic()
        self.start_ns = self.began_ns + round(self.input.lead * timeline.NANOSECONDS_PER_SECOND)

    def publish_due(self) -> None:
        now = self.now_ns()
        self.check_clocks(now, time.monotonic())
        while (early := timeline.samples_to_ns(chunk_end(self.position)) - (now - self.began_ns)) <= 0:
            count = chunk_end(self.position) - self.position
            samples = self.input.read(count, time.monotonic())
            if len(self.fading):
                samples = samples + np.pad(self.fading, (0, count - len(self.fading)))
                self.fading = self.fading[:0]
            samples = np.clip(samples, -1.0, 1.0)
            stamp_ns = self.start_ns + timeline.samples_to_ns(self.position)
            self.publisher.publish(audio_to_message(Audio(self.stream_id, self.position, stamp_ns, samples)))
            self.position += count
            self.happened('chunks')
        early -= self.now_ns() - now
        self.set_alarm(min(max(early / timeline.NANOSECONDS_PER_SECOND, 0.0), LONGEST_SLEEP_SECONDS))

    def cancel(self, _message) -> None:
        """What is queued is not said any more, and what is being said fades out with the next chunk."""
        self.count('cancels')
        if self.input.queues:
            self.fading = self.input.read(len(FADE), time.monotonic()) * FADE
            self.input.cancel()
            self.get_logger().info('cancelled: silence follows')

    def check_clocks(self, now_ns: int, steady: float) -> None:
        """A set clock or a long sleep of the machine begins a new stream; a short hold-up is made up for."""
        hold_up = steady - self.ticked
        jump = (now_ns - self.ticked_ns) / timeline.NANOSECONDS_PER_SECOND - hold_up
        self.ticked_ns, self.ticked = now_ns, steady
        if abs(jump) > CLOCK_JUMP_SECONDS:
            self.trouble('clock jumps', f'the ROS clock jumped by {jump:.1f} s: a new stream begins')
        elif hold_up > LONGEST_HOLD_UP_SECONDS:
            self.trouble('hold-ups', f'the process was held up for {hold_up:.1f} s: a new stream begins')
        else:
            return
        self.begin_stream()


def chunk_end(position: int) -> int:
    """Where the chunk ends that begins at that sample: 160 to 320 samples later."""
    frames = timeline.frames_in(position - FRAME_SUPPORT) + 1  # whole ones, with their look-ahead, at the chunk's end
    whole = -(-frames * timeline.SAMPLE_RATE // timeline.FRAME_RATE)
    return max(whole + FRAME_SUPPORT, position + SHORTEST_CHUNK)


class SilentInput:
    """Nobody speaks. What every input has: `lead` in seconds, start(), stop(), read(count, now), cancel()."""

    queues = False  # whether it has anything that can be cancelled

    def __init__(self, node: AudioSource):
        self.node = node
        self.lead = node.value('lead')

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def cancel(self) -> None: ...

    def read(self, count: int, now: float) -> np.ndarray:
        return np.zeros(count, dtype=np.float32)


class QueuedInput(SilentInput):
    """Speech that is known beforehand: it waits for the first picture to go with it, within reason."""

    queues = True

    def __init__(self, node: AudioSource):
        super().__init__(node)
        self._subscription = None

    def start(self) -> None:
        self._subscription = self._subscription or self.node.listen(
            CameraInfo, 'camera_info', IMAGE_QOS, lambda message: message, self._picture_came
        )
        self._patience = time.monotonic() + self.node.value('wait_for_picture')

    def waits(self, now: float) -> bool:
        return now < self._patience

    def _picture_came(self, _message) -> None:
        self._patience = 0.0
        if self._subscription:  # the next one may have been on its way already
            self.node.unlisten(self._subscription)
            self._subscription = None


class FileInput(QueuedInput):
    """A file, once or for ever."""

    def __init__(self, node: AudioSource):
        super().__init__(node)
        from lsp_ros.media import read_audio

        if not node.value('file'):
            raise ValueError('source is file, but the parameter file is empty: name a sound file')
        self.samples = read_audio(node.value('file'))

    def start(self) -> None:
        super().start()
        self.loop = self.node.value('loop')
        self.position = 0
        self.begins: float | None = None
        self.ended: float | None = None

    def cancel(self) -> None:
        """The file is at its end, also one that loops or has not begun."""
        self.position, self.begins, self.loop = len(self.samples), 0.0, False

    def read(self, count: int, now: float) -> np.ndarray:
        if self.begins is None and not self.waits(now):
            self.begins = now + self.node.value('start_delay')
        samples = np.zeros(count, dtype=np.float32)
        if self.begins is None or now < self.begins:
            return samples
        if self.loop:
            return np.take(self.samples, np.arange(self._advance(count), self.position), mode='wrap')
        piece = self.samples[self._advance(count) : self.position]
        samples[: len(piece)] = piece
        if self.position > len(self.samples):
            self.ended = self.ended or now
            if 0 <= self.node.value('end_after') <= now - self.ended:
                raise Finished
        return samples

    def _advance(self, count: int) -> int:
        before, self.position = self.position, self.position + count
        if before <= len(self.samples) < self.position and not self.loop:
            self.node.get_logger().info('the file is at its end, silence follows')
        return before


class MicrophoneInput(SilentInput):
    """A sound card; silence for as long as it is absent."""

    def __init__(self, node: AudioSource):
        super().__init__(node)
        self.buffer = PacedBuffer(MICROPHONE_IN_HAND, limit=timeline.SAMPLE_RATE // 4)
        self.lead = -MICROPHONE_IN_HAND / timeline.SAMPLE_RATE

    def start(self) -> None:
        self.buffer.clear()
        self.microphone = Microphone(
            self.node.value('device'),
            self.buffer,
            tell=self.node.get_logger().info,
            warn=lambda sentence: self.node.trouble('missing microphone', f'{sentence}; silence meanwhile'),
        )
        self.microphone.start()

    def stop(self) -> None:
        self.microphone.close()

    def read(self, count: int, now: float) -> np.ndarray:
        return self.buffer.read(count, now)


class TopicInput(QueuedInput):
    """Another node's audio topic, live or whole sentences at once; types as in `foreign_audio_from_message`.

    Who publishes may be started again with another type or quality of service: who came last is listened to.
    """

    LONGEST_SPEECH_SECONDS = 600
    SECONDS_BETWEEN_LOOKS = 0.2
    SECONDS_FOR_INFO = 2.0

    def __init__(self, node: AudioSource):
        super().__init__(node)
        self.buffer = PacedBuffer(TOPIC_IN_HAND, limit=self.LONGEST_SPEECH_SECONDS * timeline.SAMPLE_RATE)
        self.topic = node.resolve_topic_name('audio_in')
        self.assumed = AudioFormat(node.value('topic_rate'), node.value('topic_channels'), node.value('topic_encoding'))
        self.subscriptions = []
        self.listening: tuple[str, bool | None] = ('', None)  # message type, best effort
        self.known: set[bytes] = set()  # publishers
        node.every(self.SECONDS_BETWEEN_LOOKS, self._look_for_topic)

    def start(self) -> None:
        super().start()
        self.held = True
        self.cancel()

    def cancel(self) -> None:
        self.buffer.clear()
        self.resampler = None

    def read(self, count: int, now: float) -> np.ndarray:
        if self.waits(now):
            return np.zeros(count, dtype=np.float32)
        if self.held:
            self.held = False
            self.buffer.catch_up(now)
        return self.buffer.read(count, now)

    def _look_for_topic(self) -> None:
        """Subscribe once somebody publishes: only then are the type and the quality of service known."""
        publishers = self.node.get_publishers_info_by_topic(self.topic)
        if not publishers:
            if not self.subscriptions:
                self.node.trouble('looks for audio_in', 'nobody publishes audio_in yet; silence meanwhile')
            return
        came = [each for each in publishers if bytes(each.endpoint_gid) not in self.known]
        self.known = {bytes(each.endpoint_gid) for each in publishers}
        types = {each.topic_type for each in publishers}
        type_name, _ = self.listening
        if came or type_name not in types:
            type_name = (came or publishers)[0].topic_type
        type_name = self.node.value('topic_type') or type_name
        if types != {type_name}:
            self.node.trouble(
                'looks at unheard audio_in',
                f'audio_in is published as {", ".join(sorted(types))}: only {type_name} is heard',
            )
        best_effort = ReliabilityPolicy.BEST_EFFORT
        lossy = any(each.qos_profile.reliability == best_effort for each in publishers if each.topic_type == type_name)
        if (type_name, lossy) == self.listening:
            return
        try:
            message_type = find_message_type(type_name)
            if self.subscriptions:  # the next look subscribes: there can be one type on a topic, and this one has to go
                self._unsubscribe(type_name)
                return
            self._subscribe(message_type, LOSSY_QOS if lossy else AUDIO_QOS)
        except (ValueError, RuntimeError) as error:  # not installed, or the old one is still there
            self.node.trouble('unknown audio_in types', str(error))
            return
        self.listening = type_name, lossy
        self.node.get_logger().info(f'audio_in carries {type_name}')

    def _unsubscribe(self, type_name: str) -> None:
        for subscription in self.subscriptions:
            self.node.unlisten(subscription)
        self.subscriptions, self.listening = [], (type_name, None)

    def _subscribe(self, message_type: type, qos: QoSProfile) -> None:
        self.subscriptions = [self.node.listen(message_type, 'audio_in', qos, self._decode, self._hear)]
        self.format, self.doubt_at = self.assumed, math.inf
        if not says_no_format(message_type()):
            return
        self.doubt_at = time.monotonic() + self.SECONDS_FOR_INFO
        with contextlib.suppress(ValueError):
            # ros-drivers' package says in a topic of its own how its bytes are to be read.
            info_type = find_message_type('audio_common_msgs/msg/AudioInfo')
            topic = info_topic(self.node)
            self.subscriptions.append(self.node.listen(info_type, topic, STATE_QOS, format_from_info, self._learn))

    def _learn(self, audio_format: AudioFormat) -> None:
        self.format, self.doubt_at = audio_format, math.inf

    def _decode(self, message) -> np.ndarray:
        """(n,) float32 at 16 kHz."""
        samples, rate = foreign_audio_from_message(message, self.format)
        if time.monotonic() > self.doubt_at:
            self.doubt_at = math.inf
            self.node.get_logger().warning(
                f'no audio_info says how the bytes of audio_in are to be read: {rate} Hz, {self.format.channels} '
                f'channels, {self.format.encoding} is assumed (parameters topic_rate, topic_channels, topic_encoding)'
            )
        if rate == timeline.SAMPLE_RATE:
            return np.array(samples, dtype=np.float32)
        if self.resampler is None or self.resampler.rate != rate:
            from lsp_ros.media import AudioResampler

            self.resampler = AudioResampler(rate)
        return self.resampler.push(samples)

    def _hear(self, samples: np.ndarray) -> None:
        dropped = self.buffer.dropped
        self.buffer.push(samples, time.monotonic())
        if self.buffer.dropped > dropped:
            self.node.trouble(
                'dropped samples',
                f'more than {self.LONGEST_SPEECH_SECONDS} s of audio are waiting: the oldest are dropped',
                self.buffer.dropped - dropped,
            )


def info_topic(node: Node) -> str:
    """Where ros-drivers' `audio_info` is: where it was remapped to, else beside the `audio_in` that was found."""
    resolved = node.resolve_topic_name('audio_info')
    if resolved != node.resolve_topic_name('audio_info', only_expand=True):
        return resolved
    return node.resolve_topic_name('audio_in').rpartition('/')[0] + '/audio_info'


def find_message_type(type_name: str):
    """The Python class of 'package/msg/Name'; ValueError where the package is not installed."""
    package, _, name = type_name.rpartition('/')
    try:
        return getattr(importlib.import_module(package.replace('/', '.')), name)
    except (ImportError, AttributeError, ValueError):
        raise ValueError(f'message type {type_name!r} cannot be imported: install the package it belongs to') from None


def main(arguments: list[str] | None = None) -> int:
    return run(AudioSource, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
