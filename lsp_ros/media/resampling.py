"""Sound at another rate: a live stream chunk by chunk, or a whole recording at any places between its samples."""

from fractions import Fraction

import av
import numpy as np

from lsp_ros.timeline import SAMPLE_RATE


class AudioResampler:
    """A live stream of any rate and channel count -> 16 kHz mono (or another rate ``to``), without drift.

    N samples pushed at ``rate`` give exactly ceil(N * to / rate) by the time of ``flush``, the
    same values in whatever chunks they came. Until then the filter holds back up to 2 ms.
    Channels are averaged.
    """

    def __init__(self, rate: int, channels: int = 1, to: int = SAMPLE_RATE) -> None:
        for one in (rate, to):
            if not 1000 <= one <= 768_000:
                raise ValueError(f'The sample rate is {one} Hz; it must be from 1000 to 768000.')
        if channels < 1:
            raise ValueError(f'The sound has {channels} channels; it must have at least 1.')
        self.rate, self.to = int(rate), int(to)
        self.channels = int(channels)
        self.reset()

    def reset(self) -> None:
        """Forgets the stream."""
        self._filter = av.AudioResampler(format='flt', layout='mono', rate=self.to)
        self._pushed = 0
        self._returned = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """(n,) mono or (n, channels) floats in -1..1 -> the samples that are ready, (m,) float32."""
        samples = np.asarray(samples, np.float32)
        if samples.ndim == 1 and self.channels == 1:
            samples = samples[:, None]
        if samples.ndim != 2 or samples.shape[1] != self.channels:
            raise ValueError(f'The samples have the shape {samples.shape}; this stream has {self.channels} channels.')
        ready = self._run(samples.mean(axis=1))
        self._pushed += len(samples)
        self._returned += len(ready)
        return ready

    def flush(self) -> np.ndarray:
        """The rest of the stream, which ends here; the next push starts a new one."""
        due = -(-self._pushed * self.to // self.rate) - self._returned
        # Silence pushes out what the filter holds back; what is not due is the silence itself.
        rest = self._run(np.zeros(self.rate // 20, np.float32))[:due] if due else np.zeros(0, np.float32)
        self.reset()
        return rest

    def _run(self, mono: np.ndarray) -> np.ndarray:
        if self.rate == self.to or not len(mono):
            return mono
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono[None]), format='flt', layout='mono')
        frame.sample_rate = self.rate
        frame.time_base = Fraction(1, self.rate)
        frame.pts = self._pushed
        parts = [part.to_ndarray()[0] for part in self._filter.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def resample(sound: np.ndarray, places: np.ndarray, reach: int = 16) -> np.ndarray:
    """Sound (n,) at places between its samples, (m,) -> (m,) float32: a windowed sinc, silence outside.

    For changes of speed of some thousandths, where nothing has to be filtered out.
    """
    padded = np.pad(np.asarray(sound, np.float32), (reach, reach + 1))
    out = np.zeros(len(places), np.float32)
    steps = np.arange(1 - reach, reach + 1)
    for first in range(0, len(places), 1 << 13):
        part = places[first : first + (1 << 13)]
        whole = np.floor(part)
        off = (part - whole)[:, None] - steps
        weights = np.sinc(off) * np.cos(np.pi * off / (2 * reach)) ** 2
        rows = whole.astype(int)[:, None] + steps + reach
        weights[(rows < 0) | (rows >= len(padded))] = 0
        out[first : first + len(part)] = (padded[np.clip(rows, 0, len(padded) - 1)] * weights).sum(axis=1)
    return out
