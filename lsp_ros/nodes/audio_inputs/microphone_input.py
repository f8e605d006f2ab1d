"""A microphone as the input of an audio source."""

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.jitter_buffer import JitterBuffer
from lsp_ros.live.sound_devices import Microphone
from lsp_ros.nodes.audio_inputs.audio_input import AudioInput
from lsp_ros.nodes.lifecycle import StreamNode

MICROPHONE_IN_HAND = 480  # 30 ms: what the sound card's blocks and the scheduler need


class MicrophoneInput(AudioInput):
    """A sound card; silence for as long as it is absent."""

    def __init__(self, node: StreamNode) -> None:
        super().__init__(node)
        self._buffer = JitterBuffer(MICROPHONE_IN_HAND, limit=timeline.SAMPLE_RATE // 4)
        self.lead = -MICROPHONE_IN_HAND / timeline.SAMPLE_RATE  # it cannot know its future
        self._microphone: Microphone | None = None

    def start(self) -> None:
        self._buffer.clear()
        microphone = self._microphone = Microphone(
            self.node.value('device'),
            self._buffer,
            tell=self._found,
            warn=lambda sentence: self.node.report_state('missing microphone', f'{sentence}; silence meanwhile'),
        )
        microphone.start()

    def _found(self, sentence: str) -> None:
        self.node.end_state('missing microphone')
        self.node.tell(sentence)

    def stop(self) -> None:
        self.node.end_state('missing microphone')
        if self._microphone:
            self._microphone.close()

    def read(self, count: int, now: float) -> np.ndarray:
        return self._buffer.read(count, now)
