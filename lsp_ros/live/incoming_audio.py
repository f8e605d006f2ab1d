"""Sound from outside, in pieces of any format that are cut anywhere -> one stream of mono samples at 16 kHz."""

import math
from typing import TYPE_CHECKING

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.coded_audio import CodedReader
from lsp_ros.live.counters import Observer
from lsp_ros.live.pcm import CODED, AudioFormat, PcmReader
from lsp_ros.live.source_arbiter import SECONDS_TO_STOP

if TYPE_CHECKING:
    from lsp_ros.media.resampling import AudioResampler

NOTHING = np.zeros(0, dtype=np.float32)


class IncomingAudio:
    """Owns what is left of a piece until the next one comes: bytes of a sample, a coded frame, the resampler's memory.

    ``observer`` is told of what is dropped.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._reader: PcmReader | CodedReader | None = None
        self._resampler: AudioResampler | None = None
        self._heard_at = -math.inf

    def push(self, data: np.ndarray, audio_format: AudioFormat, steady: float) -> np.ndarray:
        """The samples (n,) float32 that the bytes (m,) uint8, which have just arrived, complete.

        ValueError for a format or samples that cannot be. `steady` is seconds on the steady clock.
        """
        if self._reader is None or self._reader.format != audio_format:
            reader = CodedReader(audio_format) if audio_format.encoding in CODED else PcmReader(audio_format)
            self.begin_anew()
            self._reader = reader
        reader = self._reader
        if steady - self._heard_at > SECONDS_TO_STOP:
            self.interrupt()
        self._heard_at = steady
        if isinstance(reader, CodedReader):
            damaged = reader.damaged
            made = [self._at_our_rate(samples, rate) for samples, rate in reader.push(data)]
            if reader.damaged > damaged:
                self._observer.report_problem(
                    'damaged audio frames',
                    f'audio_in carries {audio_format.encoding} that cannot be decoded: left out',
                    reader.damaged - damaged,
                )
            return np.concatenate([NOTHING, *made])
        samples, dropped = reader.push(data)
        self._count_dropped(dropped)
        return self._at_our_rate(samples, audio_format.rate)

    def begin_anew(self) -> None:
        """Sound of another format follows: what is left of the last piece goes."""
        if isinstance(self._reader, PcmReader):
            self._count_dropped(self._reader.pending)
        self._reader = None

    def interrupt(self) -> None:
        """Somebody may have begun anew; whether the next piece does so or goes on shows when it comes."""
        if isinstance(self._reader, PcmReader):
            self._reader.interrupt()

    def cancel(self) -> None:
        """What was said so far is not wanted any more."""
        self._resampler = None
        self.interrupt()

    def finish(self) -> np.ndarray:
        """The end of what was pushed, (n,) float32, which the resampler has held back; the next piece begins anew."""
        resampler, self._resampler = self._resampler, None
        return resampler.flush() if resampler else NOTHING

    def _at_our_rate(self, samples: np.ndarray, rate: int) -> np.ndarray:
        rest = NOTHING
        if self._resampler is not None and self._resampler.rate != rate:
            rest, self._resampler = self._resampler.flush(), None
        if rate == timeline.SAMPLE_RATE:
            return np.concatenate([rest, samples])
        if self._resampler is None:
            from lsp_ros.media.resampling import AudioResampler

            self._resampler = AudioResampler(rate)
        return np.concatenate([rest, self._resampler.push(samples)])

    def _count_dropped(self, dropped: int) -> None:
        if dropped:
            self._observer.report_problem(
                'dropped bytes', f'audio_in ended within a sample: its last {dropped} bytes are dropped', dropped
            )
