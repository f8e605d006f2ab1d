"""A film of what a player received.

It goes by stamps: a picture stands in the film at its own time, whenever it arrived, and the sound likewise.
"""

import contextlib
import queue
import threading
from collections.abc import Callable

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.sound_timeline import SoundTimeline
from lsp_ros.live.stamped import LONGEST_GAP_SECONDS, AudioBlock
from lsp_ros.live.statistics import Durations

SECOND = timeline.NANOSECONDS_PER_SECOND
WAITING_PICTURES = 150


class Recorder:
    """Writes the film in a thread of its own: constant frame rate, a picture that is missing repeats the last.

    The film begins with the first picture and ends with the last; sound outside is left out. What was written until
    the power went can be watched.

    warn     called with a sentence, in another thread: the film ends here, or a picture does not fit into it
    """

    def __init__(self, path: str, frame_rate: int, warn: Callable[[str], None] = lambda sentence: None) -> None:
        from lsp_ros.media.film import Mp4Writer

        # Quick and in one thread: the renderer needs the cores more.
        self._writer = Mp4Writer(path, frame_rate, preset='superfast', threads=1, fragments=True)
        self._warn = warn
        self.frame_rate = frame_rate
        self.repeated = 0
        self.skipped = 0
        self.offsets = Durations()  # how far each picture stands from its own time in the film
        self._sound = SoundTimeline()
        self._start_ns: int | None = None
        self._last: tuple[int, np.ndarray] | None = None  # place in the film, picture
        self._error: Exception | None = None
        self._queue: queue.Queue[tuple[int, np.ndarray] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name='recorder', daemon=True)
        self._thread.start()

    @property
    def native_id(self) -> int:
        """The system's number of the thread that encodes."""
        assert self._thread.native_id  # it was started
        return self._thread.native_id

    def sound(self, audio: AudioBlock) -> None:
        self._sound.write(audio.stamp_ns, audio.samples)

    def picture(self, stamp_ns: int, picture: np.ndarray) -> None:
        if self._error:
            return
        if self._queue.qsize() >= WAITING_PICTURES:
            self.skipped += 1
        elif picture.shape[1::-1] != self._writer.size:
            self.skipped += 1
            width, height = self._writer.size
            self._warn(
                f'a picture of {picture.shape[1]}x{picture.shape[0]} does not fit into the film of '
                f'{width}x{height}: left out'
            )
        else:
            self._queue.put((stamp_ns, picture))

    def close(self) -> None:
        """Finish the film. Raises ValueError with a sentence if it could not be written."""
        self._queue.put(None)
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                self._place(*item)
            if self._last and self._start_ns is not None:
                self._write(*self._last, end=self._last[0] + 1, start_ns=self._start_ns)
            self._writer.close()
        except ValueError as error:
            self._error = error
            self._warn(f'{error} The recording ends here')
            self._queue = queue.Queue()  # nobody takes from it any more
            with contextlib.suppress(ValueError):
                self._writer.close()

    def _place(self, stamp_ns: int, picture: np.ndarray) -> None:
        if self._start_ns is None:
            self._start_ns = stamp_ns
        exact = (stamp_ns - self._start_ns) * self.frame_rate / SECOND
        index = round(exact)
        if self._last:
            last_index, _ = self._last
            if abs(index - last_index) > LONGEST_GAP_SECONDS * self.frame_rate:  # the film goes on without it
                index = last_index + 1
                exact = float(index)
                self._start_ns = stamp_ns - index * SECOND // self.frame_rate
            if index < last_index:
                return
            self._write(*self._last, end=index, start_ns=self._start_ns)
        self.offsets.append(abs(index - exact) / self.frame_rate)
        self._last = index, picture

    def _write(self, index: int, picture: np.ndarray, end: int, start_ns: int) -> None:
        """A picture from place `index` up to place `end`, and the sound that belongs to it."""
        for place in range(index, end):
            self._writer.write_frame(picture)
            self.repeated += place > index
            first = self._writer.samples
            count = (place + 1) * timeline.SAMPLE_RATE // self.frame_rate - first
            self._writer.write_audio(self._sound.read(start_ns + timeline.samples_to_ns(first), count))
