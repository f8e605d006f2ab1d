"""Where the speech comes from: a microphone, a file, another topic, or nothing but silence.

Whatever the source, the node publishes an AudioChunk of 10 to 20 ms for every 10 to 20 ms of the ROS clock and
never stops: silence where nobody speaks. Stamps neither drift nor jitter (:mod:`lsp_ros.live.source_timeline`); a sound
card's own clock is followed by leaving out or inserting single samples.

A source that knows its future (file, topic) publishes ``lead`` seconds before its stamps, the look-ahead of the
models, so that the picture is ready at its stamp. A microphone cannot: its stamps lie a moment in the past.

A message on ``cancel`` (barge-in) drops what such a source still has to say: a short fade, then silence, in the same
stream without a gap.
"""

import time

import numpy as np
from rclpy.lifecycle import LifecyclePublisher
from std_msgs.msg import Empty

from lsp_ros import timeline
from lsp_ros.live.clock_watch import ClockWatch
from lsp_ros.live.sound_timeline import FADE_OUT
from lsp_ros.live.source_timeline import SourceTimeline
from lsp_ros.msg import AudioChunk
from lsp_ros.nodes.audio_inputs.audio_input import AudioInput
from lsp_ros.nodes.audio_inputs.file_input import FileInput
from lsp_ros.nodes.audio_inputs.microphone_input import MicrophoneInput
from lsp_ros.nodes.audio_inputs.topic_input import TopicInput
from lsp_ros.nodes.conversions import audio_to_message
from lsp_ros.nodes.lifecycle import OneShotTimer, StreamNode
from lsp_ros.nodes.parameters import parameters_of
from lsp_ros.nodes.process import run
from lsp_ros.nodes.qos import AUDIO_QOS, FRAME_QOS
from lsp_ros.speech.mel import FRAME_SUPPORT

INPUTS: dict[str, type[AudioInput]] = {
    'microphone': MicrophoneInput,
    'file': FileInput,
    'topic': TopicInput,
    'silence': AudioInput,
}
LONGEST_SLEEP_SECONDS = 0.02  # the ROS clock may be set meanwhile


class AudioSource(StreamNode):
    PARAMETERS = parameters_of('audio_source')

    def __init__(self) -> None:
        super().__init__('audio_source')
        # From open() to close():
        self._input: AudioInput
        self._publisher: LifecyclePublisher[AudioChunk]
        self._timer: OneShotTimer
        # From start() on:
        self._timeline: SourceTimeline
        self._fading = FADE_OUT[:0]  # what was being said when it was cancelled
        self._clock_watch = ClockWatch()

    def open(self) -> None:
        self._input = INPUTS[self.value('source')](self)
        self._publisher = self.add_publisher(AudioChunk, 'audio', AUDIO_QOS)
        self.subscribe(Empty, 'cancel', FRAME_QOS, lambda message: message, self._cancel)
        self._timer = self.one_shot_timer(self._publish_due)

    def start(self) -> None:
        self._input.start()
        self._fading = FADE_OUT[:0]
        self._clock_watch = ClockWatch()
        # A player plays no microphone by itself: it knows it by the stream's name.
        source = self.value('source')
        self._timeline = SourceTimeline(source, self._input.lead, FRAME_SUPPORT, self, self.now_ns(), time.monotonic())
        self._timer.start(0.0)

    def stop(self) -> None:
        self._input.stop()

    def _publish_due(self) -> None:
        now = self.now_ns()
        line = self._timeline
        line.check_clocks(now, time.monotonic())
        if self._clock_watch.stands(now, time.monotonic()):
            self.report_problem('standstills of the clock', standstill(now))
        while line.ns_to_next(now) <= 0:
            count = line.next_count
            samples = self._input.read(count, time.monotonic())
            if len(self._fading):
                samples = samples + np.pad(self._fading, (0, count - len(self._fading)))
                self._fading = FADE_OUT[:0]
            self._publisher.publish(audio_to_message(line.next_block(np.clip(samples, -1.0, 1.0))))
            self.count_event('chunks')
        early = line.ns_to_next(self.now_ns())
        self._timer.start(min(max(early / timeline.NANOSECONDS_PER_SECOND, 0.0), LONGEST_SLEEP_SECONDS))

    def _cancel(self, _message: Empty) -> None:
        """What is queued is not said any more, and what is being said fades out with the next chunk."""
        self.count('cancels')
        if self._input.queues:
            self._fading = self._input.read(len(FADE_OUT), time.monotonic()) * FADE_OUT
            self._input.cancel()
            self.tell('cancelled: silence follows')


def standstill(now_ns: int) -> str:
    """What to say of a ROS clock that does not move."""
    if now_ns == 0:
        return 'use_sim_time is set and nobody publishes /clock: nothing is said until somebody does, or it is unset'
    return 'the ROS clock stands still, as /clock does: nothing is said meanwhile'


def main(arguments: list[str] | None = None) -> int:
    return run(AudioSource, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
