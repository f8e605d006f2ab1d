"""What a viewer of the live graph gets: rates, gaps and latencies, in little memory however long it runs."""

import bisect
import json
from collections import Counter, deque
from pathlib import Path
from typing import Any

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.gap_filling import StreamPosition
from lsp_ros.live.stamped import LONGEST_GAP_SECONDS, AudioBlock

SECOND = timeline.NANOSECONDS_PER_SECOND
STEPS_PER_SECOND = 10_000  # durations are counted to 0.1 ms


class Durations:
    """Any number of durations in little memory, for a player that runs for months: how often each came, to 0.1 ms."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def append(self, seconds: float) -> None:
        self._counts[round(seconds * STEPS_PER_SECOND)] += 1

    def summary(self) -> dict[str, float] | None:
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


class ViewerStatistics:
    """What a viewer got: rates, gaps and latencies. All times are nanoseconds on the ROS clock."""

    def __init__(self, frame_rate: int) -> None:
        self.frame_rate = frame_rate
        self.pictures = self.left_out = self.out_of_order = 0
        self.chunks = self.missing_samples = self.late_chunks = self.streams = 0
        self.shown_late = Durations()
        self.played_early = Durations()
        self._audio_to_image = Durations()
        self._stamp_to_image = Durations()
        self._heard: deque[tuple[int, int]] = deque(maxlen=1000)  # (stamp, arrival) of the last chunks
        self._position = StreamPosition(timeline.SAMPLE_RATE)
        self._first_arrival = self._last_arrival = 0
        self._last_stamp: int | None = None

    def sound(self, audio: AudioBlock, arrival_ns: int, delay_ns: int) -> None:
        self.chunks += 1
        position, end = self._position, audio.first_sample + len(audio.samples)
        gap = position.gap(audio.stream_id, audio.first_sample)
        self.streams += audio.stream_id != position.stream_id
        if gap is None:  # another stream, or a jump in this one: nothing was lost
            position.begin(audio.stream_id, end, audio.stamp_ns)
        else:
            self.missing_samples += max(0, gap)
            position.next = max(position.next, end)
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

    def report(self) -> dict[str, Any]:
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


def missing(received: int, elapsed_ns: int, frame_rate: int) -> int:
    """How many pictures a time should have brought beyond those that came: stamps do not tell of a standstill that
    lasts, nor of one that ends in a new stream.
    """
    return max(0, elapsed_ns * frame_rate // SECOND - received)


def write_report(path: str, report: dict[str, Any]) -> None:
    Path(path).write_text(json.dumps(report, indent=2) + '\n')
