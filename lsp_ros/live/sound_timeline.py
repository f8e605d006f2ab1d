"""Sound by its time: what came in is found again by its stamp, for a loudspeaker and for a film."""

import threading

import numpy as np

from lsp_ros import timeline

FADE_OUT = np.linspace(1, 0, 130, dtype=np.float32)[1:-1]
"""(128,) gain of the 8 ms in which cancelled sound ends without a click: fits into any chunk."""


class SoundTimeline:
    """The last seconds of sound, found again by their time on the ROS clock; what never came is silence."""

    FAR, NEAR = 480, 32  # samples: 30 ms is a jump, 2 ms is nothing
    STRAY = 1600  # 100 ms of chunks may have been on their way when all was cancelled

    def __init__(self, seconds: int = 8) -> None:
        self._ring = np.zeros(seconds * timeline.SAMPLE_RATE, dtype=np.float32)
        self._lock = threading.Lock()
        self._epoch_ns: int | None = None
        self._end = 0
        self._cursor: int | None = None
        self._stray = 0  # samples that are still to be taken for silence
        self.jumps = 0

    def cancel(self) -> None:
        """Fade out what is being played, forget all that is known of what follows.

        Who publishes the sound does the same, but a chunk may be on its way: what comes counts as silence until one
        ends in silence.
        """
        with self._lock:
            size = len(self._ring)
            index = np.arange(max(self._cursor or 0, self._end - size), self._end)
            fade = np.zeros(len(index), dtype=np.float32)
            if self._cursor is not None:
                fade[: len(FADE_OUT)] = FADE_OUT[: len(fade)]
            self._ring[index % size] *= fade
            self._stray = self.STRAY

    def write(self, stamp_ns: int, samples: np.ndarray) -> None:
        with self._lock:
            if self._stray > 0 and len(samples):
                self._stray = self._stray - len(samples) if samples[-1] else 0
                samples = np.zeros_like(samples)
            size = len(self._ring)
            start = 0 if self._epoch_ns is None else self._index(stamp_ns, self._epoch_ns)
            if self._epoch_ns is None or abs(start - self._end) > size:  # the first sound, or another clock
                self._epoch_ns, self._cursor, self._end, start = stamp_ns, None, 0, 0
            if start > self._end:
                self._ring[np.arange(self._end, start) % size] = 0
            samples = samples[-size:]
            self._ring[np.arange(start, start + len(samples)) % size] = samples
            self._end = max(self._end, start + len(samples))

    def read(self, stamp_ns: int, count: int) -> np.ndarray:
        """(count,) samples from that moment on."""
        with self._lock:
            return self._read(self._index(stamp_ns, self._epoch_ns) if self._epoch_ns is not None else 0, count)

    def play(self, stamp_ns: int, count: int) -> tuple[np.ndarray, float]:
        """(count,) samples that go on from the last call, and by how many seconds they come early.

        A sound card's clock differs from ours by some parts per million: one sample in a call makes up for it.
        """
        with self._lock:
            if self._epoch_ns is None:
                return np.zeros(count, dtype=np.float32), 0.0
            wanted = self._index(stamp_ns, self._epoch_ns)
            if self._cursor is None:
                self._cursor = wanted
            error = self._cursor - wanted
            if abs(error) > self.FAR:
                self.jumps += 1
                self._cursor = wanted
            elif abs(error) > self.NEAR:
                self._cursor -= 1 if error > 0 else -1
            samples = self._read(self._cursor, count)
            self._cursor += count
            return samples, error / timeline.SAMPLE_RATE

    def _read(self, first: int, count: int) -> np.ndarray:
        index = np.arange(first, first + count)
        known = (index < self._end) & (index >= max(0, self._end - len(self._ring)))
        return np.where(known, self._ring[index % len(self._ring)], np.float32(0))

    @staticmethod
    def _index(stamp_ns: int, epoch_ns: int) -> int:
        return round((stamp_ns - epoch_ns) / timeline.NANOSECONDS_PER_SAMPLE)
