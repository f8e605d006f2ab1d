"""Stage 1 as a node: audio -> speech_features at 60 Hz, and `speaking` whenever it changes.

`speaking` is about what was published, which is heard later: by the source's lead and the presentation delay.
"""

import time

from rclpy.lifecycle import LifecyclePublisher
from std_msgs.msg import Bool

from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.live.speech_stream import SpeechStream
from lsp_ros.live.stamped import AudioBlock
from lsp_ros.msg import AudioChunk, SpeechFeatures
from lsp_ros.nodes.conversions import audio_from_message, features_to_message
from lsp_ros.nodes.lifecycle import OneShotTimer, StreamNode
from lsp_ros.nodes.parameters import parameters_of
from lsp_ros.nodes.process import run
from lsp_ros.nodes.qos import AUDIO_QOS, FRAME_QOS, STATE_QOS
from lsp_ros.openvino_graph import core
from lsp_ros.speech.stage import SpeechStage


class SpeechFeaturesNode(StreamNode):
    PARAMETERS = parameters_of('speech_features')

    def __init__(self) -> None:
        super().__init__('speech_features')
        # From open() to close():
        self._stream: SpeechStream
        self._features_publisher: LifecyclePublisher[SpeechFeatures]
        self._speaking_publisher: LifecyclePublisher[Bool]
        self._timer: OneShotTimer
        self._told_speaking = False

    def open(self) -> None:
        avatar = Avatar.load(find_avatar(self.value('avatar')), parts=('speech',))
        self._stream = SpeechStream(SpeechStage(avatar), self)
        self._features_publisher = self.add_publisher(SpeechFeatures, 'speech_features', FRAME_QOS)
        self._speaking_publisher = self.add_publisher(Bool, 'speaking', STATE_QOS)
        self.subscribe(AudioChunk, 'audio', AUDIO_QOS, audio_from_message, self._hear)
        self._timer = self.one_shot_timer(self._tick)

    def start(self) -> None:
        self._stream.reset()
        self._tell_speaking(False)

    def close(self) -> None:
        del self._stream  # and with it the model

    def _hear(self, block: AudioBlock) -> None:
        began = time.perf_counter()
        frames = self._stream.push(block, self.now_ns(), time.monotonic())
        for frame in frames:
            self._features_publisher.publish(features_to_message(frame.stamp, frame.block, frame.row))
            self.count_event('frames')
            speaking = bool(frame.block.active[frame.row])
            if speaking != self._told_speaking:
                self._tell_speaking(speaking)
        if frames:
            self.record_duration('computing', time.perf_counter() - began)

    def _tick(self) -> None:
        """No audio may have arrived for a while."""
        now = time.monotonic()
        self._stream.tick(now)
        if self._told_speaking and not self._stream.speaking:
            self._tell_speaking(False)
        self._wait(now)

    def _tell_speaking(self, speaking: bool) -> None:
        self._told_speaking = speaking
        self._speaking_publisher.publish(Bool(data=speaking))
        if speaking:
            self._wait(time.monotonic())

    def _wait(self, now: float) -> None:
        seconds = self._stream.seconds_to_tick(now)
        if seconds is not None:
            self._timer.start(seconds)


def main(arguments: list[str] | None = None) -> int:
    core()  # OpenVINO loads while the graph still looks whether it may start
    return run(SpeechFeaturesNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
