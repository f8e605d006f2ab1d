"""A film and a report of what a player received; no ROS in it.

Both go by stamps: a picture stands in the film at its own time, whenever it arrived, and the sound likewise.
"""

import bisect
import contextlib
import json
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.sound_devices import SoundTimeline
from lsp_ros.nodes.conversions import Audio

SECOND = timeline.NANOSECONDS_PER_SECOND
LONGEST_GAP_SECONDS = 5  # a longer hole in the stamps is another clock: the film goes on without it
WAITING_PICTURES = 150
STEPS_PER_SECOND = 10_000  # durations are counted to 0.1 ms


class Durations:
    """Any number of durations in little memory, for a player that runs for months: how often each came, to 0.1 ms."""

    def __init__(self):
        self._counts: Counter[int] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def append(self, seconds: float) -> None:
        self._counts[round(seconds * STEPS_PER_SECOND)] += 1

    def summary(self) -> dict | None:
        """Median, 95th and 99th percentile and largest in milliseconds; None where there are none."""
        counts = self._counts.copy()  # another thread may be counting
        if not counts:
            return None
        steps, weights = np.array(sorted(counts.items())).T
        shares = np.quantile(steps, [0.5, 0.95, 0.99, 1], weights=weights, method='inverted_cdf')
        return {
            name: round(float(step) * 1000 / STEPS_PER_SECOND, 1)
            for name, step in zip(('median', 'p95', 'p99', 'max'), shares, strict=True)
        }


class Recorder:
    """Writes the film in a thread of its own: constant frame rate, a picture that is missing repeats the last.

    The film begins with the first picture and ends with the last; sound outside is left out. What was written until
    the power went can be watched.

    warn     called with a sentence, in another thread: the film ends here, or a picture does not fit into it
    """

    def __init__(self, path: str, frame_rate: int, warn: Callable[[str], None] = lambda sentence: None):
        from lsp_ros.media import Mp4Writer

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
        self._queue: queue.Queue = queue.Queue()
        self._thread = threading.Thread(target=self._run, name='recorder', daemon=True)
        self._thread.start()

    @property
    def native_id(self) -> int:
        """The system's number of the thread that encodes."""
        return self._thread.native_id

    def sound(self, audio: Audio) -> None:
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
            if self._last:
                self._write(self._last[0] + 1)
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
            if abs(index - self._last[0]) > LONGEST_GAP_SECONDS * self.frame_rate:
                index = self._last[0] + 1
                exact = float(index)
                self._start_ns = stamp_ns - index * SECOND // self.frame_rate
            if index < self._last[0]:
                return
            self._write(index)
        self.offsets.append(abs(index - exact) / self.frame_rate)
        self._last = index, picture

    def _write(self, end: int) -> None:
        """The last picture up to place `end`, and the sound that belongs to it."""
        index, picture = self._last
        for place in range(index, end):
            self._writer.write_frame(picture)
            self.repeated += place > index
            first = self._writer.samples
            count = (place + 1) * timeline.SAMPLE_RATE // self.frame_rate - first
            self._writer.write_audio(self._sound.read(self._start_ns + timeline.samples_to_ns(first), count))


class Statistics:
    """What a viewer got: rates, gaps and latencies. All times are nanoseconds on the ROS clock."""

    def __init__(self, frame_rate: int):
        self.frame_rate = frame_rate
        self.pictures = self.left_out = self.out_of_order = 0
        self.chunks = self.missing_samples = self.late_chunks = self.streams = 0
        self.shown_late = Durations()
        self.played_early = Durations()
        self._audio_to_image = Durations()
        self._stamp_to_image = Durations()
        self._heard: deque[tuple[int, int]] = deque(maxlen=1000)  # (stamp, arrival) of the last chunks
        self._stream_id: str | None = None
        self._next_sample = 0
        self._first_arrival = self._last_arrival = 0
        self._last_stamp: int | None = None

    def sound(self, audio: Audio, arrival_ns: int, delay_ns: int) -> None:
        self.chunks += 1
        if audio.stream_id != self._stream_id:
            self._stream_id, self._next_sample = audio.stream_id, audio.first_sample
            self.streams += 1
        self.missing_samples += max(0, audio.first_sample - self._next_sample)
        self._next_sample = audio.first_sample + len(audio.samples)
        self.late_chunks += arrival_ns > audio.stamp_ns + delay_ns
        if self._heard and audio.stamp_ns <= self._heard[-1][0]:
            self._heard.clear()
        self._heard.append((audio.stamp_ns, arrival_ns))

    def picture(self, stamp_ns: int, arrival_ns: int) -> None:
        if self._last_stamp is not None:
            steps = round((stamp_ns - self._last_stamp) * self.frame_rate / SECOND)
            if stamp_ns <= self._last_stamp:
                self.out_of_order += 1
            elif steps <= LONGEST_GAP_SECONDS * self.frame_rate:
                self.left_out += max(0, steps - 1)
        else:
            self._first_arrival = arrival_ns
        self._last_stamp, self._last_arrival = stamp_ns, arrival_ns
        self.pictures += 1
        self._stamp_to_image.append((arrival_ns - stamp_ns) / SECOND)
        heard = bisect.bisect_right(self._heard, stamp_ns, key=lambda chunk: chunk[0]) - 1
        if heard >= 0:
            self._audio_to_image.append((arrival_ns - self._heard[heard][1]) / SECOND)

    def report(self) -> dict:
        """Everything as plain numbers; latencies and offsets in milliseconds."""
        seconds = (self._last_arrival - self._first_arrival) / SECOND
        return {
            'images': {
                'received': self.pictures,
                'seconds': round(seconds, 3),
                'rate': round((self.pictures - 1) / seconds, 2) if seconds > 0 else 0.0,
                'dropped': self.left_out,
                'out_of_order': self.out_of_order,
            },
            'latency_ms': {
                # From the arrival of the audio chunk that holds the frame's first sample, to the picture's arrival:
                # what a live listener waits for.
                'audio_to_image': self._audio_to_image.summary(),
                # From the stamp, the moment when the sound is due: zero or less if the source publishes ahead.
                'stamp_to_image': self._stamp_to_image.summary(),
            },
            'sound': {
                'chunks': self.chunks,
                'streams': self.streams,
                'missing_samples': self.missing_samples,
                'late_chunks': self.late_chunks,
            },
            'offset_ms': {
                'shown_late': self.shown_late.summary(),
                'played_early': self.played_early.summary(),
            },
        }


def write_report(path: str, report: dict) -> None:
    Path(path).write_text(json.dumps(report, indent=2) + '\n')
