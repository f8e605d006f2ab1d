"""Stage 1 as a node: audio -> speech_features at 60 Hz, and `speaking` whenever it changes.

`speaking` is about what was published, which is heard later: by the source's lead and the presentation delay.
"""

import time

from std_msgs.msg import Bool

from lsp_ros.avatar.avatar import Avatar, find_avatar
from lsp_ros.live.streams import PATIENCE_SECONDS, AudioJoin, OneSource
from lsp_ros.msg import AudioChunk, SpeechFeatures
from lsp_ros.nodes.conversions import Audio, audio_from_message, features_to_message
from lsp_ros.nodes.node import AUDIO_QOS, FRAME_QOS, STATE_QOS, StreamNode, run
from lsp_ros.nodes.parameters import parameters_of
from lsp_ros.openvino_graph import core
from lsp_ros.speech.stage import SpeechStage


class SpeechFeaturesNode(StreamNode):
    PARAMETERS = parameters_of('speech_features')

    def __init__(self):
        super().__init__('speech_features')

    def open(self) -> None:
        avatar = Avatar.load(find_avatar(self.value('avatar')), parts=('speech',))
        self.stage = SpeechStage(avatar)
        self.publisher = self.publish_on(SpeechFeatures, 'speech_features', FRAME_QOS)
        self.speaking_publisher = self.publish_on(Bool, 'speaking', STATE_QOS)
        self.listen(AudioChunk, 'audio', AUDIO_QOS, audio_from_message, self.hear)
        self.set_alarm = self.alarm(self.miss_audio)

    def start(self) -> None:
        self.stage.reset()
        self.join = AudioJoin()
        self.source = OneSource()
        self.say_speaking(False)

    def close(self) -> None:
        self.stage = None

    def say_speaking(self, speaking: bool) -> None:
        self.speaking = speaking
        self.speaking_publisher.publish(Bool(data=speaking))
        if speaking:
            self.set_alarm(PATIENCE_SECONDS)

    def miss_audio(self) -> None:
        """A source that dies within a word does not say that it is silent."""
        patience = PATIENCE_SECONDS - (time.monotonic() - self.heard_at)
        if self.speaking and patience > 0:
            self.set_alarm(patience)
        elif self.speaking:
            self.trouble('pauses of audio', 'no audio arrives: nobody speaks')
            self.say_speaking(False)

    def hear(self, audio: Audio) -> None:
        began, now = time.perf_counter(), time.monotonic()
        if not self.source.takes(audio.stream_id, now):
            self.trouble(
                'chunks of a second source',
                f'two sources publish on audio: stream {audio.stream_id!r} is '
                f'left out as long as {self.source.stream_id!r} goes on',
            )
            return
        self.heard_at = now
        known = self.join.stream_id
        piece = self.join.push(audio)
        if piece is None:
            self.trouble('late audio chunks', f'audio chunk at sample {audio.first_sample} came late or twice: dropped')
            return
        if piece.restart:
            self.stage.reset()
            sentence = f'listening to stream {audio.stream_id!r} from sample {audio.first_sample}'
            if audio.stream_id == known:
                self.trouble('jumps of audio', f'the audio jumped: {sentence}')
            else:
                self.get_logger().info(sentence)
        if piece.healed:
            self.trouble(
                'healed samples',
                f'{piece.healed} audio samples before sample {audio.first_sample} were lost and replaced with silence',
                piece.healed,
            )
        features = self.stage.push(piece.samples)
        if features is None:
            return
        for index in range(len(features)):
            place = self.join.place(features.first_frame + index)
            self.publisher.publish(features_to_message(place, features, index))
            self.happened('frames')
            if bool(features.active[index]) != self.speaking:
                self.say_speaking(not self.speaking)
        self.took('computing', time.perf_counter() - began)


def main(arguments: list[str] | None = None) -> int:
    core()  # OpenVINO loads while the graph still looks whether it may start
    return run(SpeechFeaturesNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
