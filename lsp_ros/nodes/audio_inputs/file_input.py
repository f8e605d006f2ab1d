"""A sound file as the input of an audio source."""

import numpy as np

from lsp_ros.nodes.audio_inputs.audio_input import QueuedInput
from lsp_ros.nodes.lifecycle import Finished, StreamNode


class FileInput(QueuedInput):
    """A file, once or for ever."""

    def __init__(self, node: StreamNode) -> None:
        super().__init__(node)
        from lsp_ros.media.sound import read_audio

        if not node.value('file'):
            raise ValueError('source is file, but the parameter file is empty: name a sound file')
        self._samples = read_audio(node.value('file'))
        self._loop = False
        self._position = 0
        self._begins: float | None = None  # on the steady clock
        self._ended: float | None = None

    def start(self) -> None:
        super().start()
        self._loop = self.node.value('loop')
        self._position = 0
        self._begins = self._ended = None

    def cancel(self) -> None:
        """The file is at its end, also one that loops or has not begun."""
        self._position, self._begins, self._loop = len(self._samples), 0.0, False

    def read(self, count: int, now: float) -> np.ndarray:
        if self._begins is None and not self.waits(now):
            self._begins = now + self.node.value('start_delay')
        samples = np.zeros(count, dtype=np.float32)
        if self._begins is None or now < self._begins:
            return samples
        if self._loop:
            return np.take(self._samples, np.arange(self._advance(count), self._position), mode='wrap')
        piece = self._samples[self._advance(count) : self._position]
        samples[: len(piece)] = piece
        if self._position > len(self._samples):
            self._ended = self._ended or now
            if 0 <= self.node.value('end_after') <= now - self._ended:
                raise Finished
        return samples

    def _advance(self, count: int) -> int:
        before, self._position = self._position, self._position + count
        if before <= len(self._samples) < self._position and not self._loop:
            self.node.tell('the file is at its end, silence follows')
        return before
