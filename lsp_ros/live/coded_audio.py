"""Coded sound (MP3, AAC in ADTS) as a stream of bytes that is cut anywhere -> mono samples."""

from typing import TYPE_CHECKING

import numpy as np

from lsp_ros.live.pcm import AudioFormat, check_samples

if TYPE_CHECKING:
    import av

DECODERS = {'MP3': 'mp3float', 'AAC': 'aac'}  # FFmpeg's names; both find their own way into a stream
TAG = b'ID3'  # a title before the sound of a file, which is no sound
LOST_AFTER = 3  # damaged frames: the parser takes for headers what are none, and has to begin anew

Decoded = list[tuple[np.ndarray, int]]


class CodedReader:
    """Decodes a stream whose frames say themselves where they begin, their rate and their channels.

    Its frames come out as they become complete, the same wherever the pieces are cut. What is damaged is left out.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self.damaged = 0  # frames that could not be decoded
        self._in_a_row = 0  # of the damaged ones
        self._parser, self._decoder = self._begin(), self._begin()

    def push(self, data: np.ndarray) -> Decoded:
        """[(mono float32 samples (n,), their rate in Hz)] of the frames that the bytes (m,) uint8 complete."""
        made: Decoded = []
        for packet in self._packets(data.tobytes()):
            if packet.startswith(TAG):
                continue
            try:
                made += self._decode(packet)
                self._in_a_row = 0
            except ValueError:
                self.damaged += 1
                self._in_a_row += 1
        if self._in_a_row >= LOST_AFTER:
            self._parser, self._in_a_row = self._begin(), 0
        return made

    def _begin(self) -> 'av.AudioCodecContext':
        import av  # only where somebody sends such sound: it is slow to load

        decoder = av.CodecContext.create(DECODERS[self.format.encoding], 'r')
        assert isinstance(decoder, av.AudioCodecContext)
        return decoder

    def _packets(self, data: bytes) -> list[bytes]:
        """The frames that are complete now; to FFmpeg, no bytes would be the end."""
        return [bytes(packet) for packet in self._parser.parse(data)] if data else []

    def _decode(self, packet: bytes) -> Decoded:
        """ValueError for what is no sound."""
        from av import Packet
        from av.error import FFmpegError

        try:
            frames = self._decoder.decode(Packet(packet))
        except FFmpegError as error:
            raise ValueError(str(error)) from error
        made: Decoded = []
        for frame in frames:
            samples = frame.to_ndarray().mean(axis=0)
            check_samples(samples)
            made.append((samples, frame.sample_rate))
        return made
