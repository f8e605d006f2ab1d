"""A file's own clock: where it begins anew, and how a sound follows it.

Segments of a camera that were joined end to end carry one clock after the other. All tracks of a file then go on from
where the segment before ended, the same way, so that sound and picture stay together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from lsp_ros.media.files import opened
from lsp_ros.media.resampling import resample
from lsp_ros.timeline import SAMPLE_RATE

# Formats with one clock or an index, in which time cannot begin anew: they need not be read through to know it.
ONE_CLOCK = {'mov', 'mp4', 'matroska', 'webm', 'wav', 'w64', 'flac', 'mp3', 'avi', 'aiff', 'asf'}
BACK = 0.05  # seconds that a clock must go back by to have begun anew
AHEAD = 60.0  # seconds that a clock must leap ahead by to be another one; a pause is shorter
DECODER_DELAY = 32  # packets after which a decoder holds nothing of the segment before
# A sound's stamps against its samples, in seconds. A step that stays is a gap or an overlap; what grows slowly is a
# sound card whose clock is not that of the stamps; milliseconds are rounding or the recorder's haste.
STEP, DRIFT, SPAN = 0.015, 0.002, 4.0
FASTEST = 0.02  # share by which two clocks may differ; beyond, the stamps are wrong
OVERLAP = 1.0  # seconds that stamps may lie twice; what goes back farther is a broken stamp


class Clock:
    """When each packet of a file belongs to a new segment, and by how many seconds that segment is moved."""

    def __init__(self, path: Path) -> None:
        """Reads through the packets of formats whose clock may begin anew. Raises MediaError."""
        self.offsets = [0.0]
        self._joints: dict[int, list[int]] = {}  # stream -> numbers of its packets that begin a segment ...
        self._segments: dict[int, list[int]] = {}  # ... and which one
        with opened(path, 'film') as container:
            if not ONE_CLOCK & set(container.format.name.split(',')):
                self._read(container)

    def segment(self, stream: int, packet: int) -> int:
        """The segment to which packet number ``packet`` of a stream belongs."""
        at = int(np.searchsorted(self._joints.get(stream, []), packet, side='right'))
        return self._segments[stream][at - 1] if at else 0

    def _read(self, container: InputContainer) -> None:
        spans: list[tuple[float, float]] = []  # of each segment
        last: dict[int, float] = {}
        at: dict[int, int] = {}
        numbers: dict[int, int] = {}
        for packet in container.demux():
            if not packet.size or packet.dts is None:
                continue
            stream = packet.stream.index
            numbers[stream] = number = numbers.get(stream, -1) + 1
            time = float(packet.dts * packet.time_base)
            shown = float(packet.pts * packet.time_base) if packet.pts is not None else time
            end = shown + float((packet.duration or 0) * packet.time_base)
            before = last.get(stream)
            last[stream] = time
            if before is not None and (time < before - BACK or time > spans[-1][1] + AHEAD):
                at[stream] = at[stream] + 1 if at[stream] == len(spans) - 1 else len(spans) - 1
                self._joints.setdefault(stream, []).append(number)
                self._segments.setdefault(stream, []).append(at[stream])
            now = at.setdefault(stream, max(0, len(spans) - 1))
            if now == len(spans):
                spans.append((shown, end))
            spans[now] = min(spans[now][0], shown), max(spans[now][1], end)
        for (_, end), (start, _) in pairwise(spans):
            self.offsets.append(end + self.offsets[-1] - start)


def decoded(
    container: InputContainer, stream: Any, clock: Clock, damaged: Callable[[str], None] = lambda reason: None
) -> Iterator[tuple[Any, float | None]]:
    """Each frame of a track with its seconds by the file's clock, segments one after the other; None without a stamp.

    damaged  is told why a packet cannot be decoded; it is then left out
    """
    number, current, changed = -1, 0, 0
    last: float | None = None
    for packet in container.demux(stream):
        if packet.size and packet.dts is not None:
            number += 1
        try:
            frames = packet.decode()
        except av.error.InvalidDataError as error:
            damaged(error.strerror or str(error))
            continue
        segment = clock.segment(stream.index, max(number, 0))
        changed = 0 if segment == current else changed + 1
        for frame in frames:
            if frame.time is None:
                yield frame, None
                continue
            # A decoder hands out the end of the segment before when it has been given the beginning of the next.
            leaps = last is not None and not last - BACK / 2 <= frame.time <= last + AHEAD
            if segment != current and (leaps or changed > DECODER_DELAY):
                current = segment
            last = frame.time
            yield frame, frame.time + clock.offsets[current]


@dataclass(frozen=True)
class _Piece:
    """Samples [first, stop) that follow one another; they are heard at ``at`` (K,) samples at positions ``knots``."""

    first: int
    stop: int
    knots: np.ndarray
    at: np.ndarray

    def heard(self, samples: np.ndarray) -> tuple[int, np.ndarray]:
        """Where it begins, and its sound at the pace of the stamps."""
        begin, end = round(float(self.at[0])), round(float(self.at[-1]))
        part = samples[self.first : self.stop]
        if np.ptp(self.at - self.knots) < DRIFT * SAMPLE_RATE:
            return begin, part
        places = np.interp(np.arange(begin, end), self.at, self.knots)
        return begin, resample(part, places - self.first)


def follow_stamps(
    samples: np.ndarray, positions: np.ndarray, stamps: np.ndarray
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """A sound (n,) at 16 kHz as its stamps say that it is heard, and the holes that they leave, in seconds.

    The stamps (K,), in seconds, belong to the samples at ``positions`` (K,). What is missing becomes silence, what is
    there twice is cut, and a sound card whose clock ran fast or slow is followed by resampling. Time 0 is the first
    stamp. Where all agrees with the samples they stay as they are, to the bit.
    """
    holes: list[tuple[float, float]] = []
    if not len(stamps):
        return samples, holes
    off = stamps - stamps[0] - (positions - positions[0]) / SAMPLE_RATE
    if np.abs(off).max() < DRIFT:
        return samples, holes
    pieces, base = [], 0.0
    smooth = _median_of_five(off)
    edges = [0, *(np.flatnonzero(np.abs(np.diff(smooth)) > STEP) + 1).tolist(), len(off)]
    for k, (first, stop) in enumerate(pairwise(edges)):
        if k:
            step = smooth[first] - smooth[first - 1]
            if not -OVERLAP < step < AHEAD:  # a broken stamp, not a pause
                base += step
        begin = round(float(positions[first])) if k else 0
        end = round(float(positions[stop])) if stop < len(off) else len(samples)
        pieces.append(_piece(begin, end, positions[first:stop], smooth[first:stop] - base))
    parts: list[np.ndarray] = []
    length = 0
    for piece in pieces:
        start, part = piece.heard(samples)
        if start > length:
            parts.append(np.zeros(start - length, np.float32))
            if start - length > STEP * SAMPLE_RATE:
                holes.append((length / SAMPLE_RATE, start / SAMPLE_RATE))
        elif start < length:
            kept = np.concatenate(parts)[: max(0, start)] if parts else np.zeros(0, np.float32)
            part = part[max(0, -start) :]
            parts = [kept]
        parts.append(part)
        length = sum(map(len, parts))
    return np.concatenate(parts), holes


def _piece(begin: int, end: int, positions: np.ndarray, off: np.ndarray) -> _Piece:
    """What the stamps say of one stretch: medians of some seconds each, and straight lines between them."""
    bins = max(1, round((end - begin) / (SPAN * SAMPLE_RATE)))
    which = np.minimum(((positions - begin) * bins / max(1, end - begin)).astype(int), bins - 1)
    middles, medians = [], []
    for k in range(bins):
        inside = which == k
        if inside.any():
            middles.append(float(np.mean(positions[inside])))
            medians.append(float(np.median(off[inside])))
    at, value = np.array(middles), np.array(medians)
    if len(at) > 1 and np.ptp(value) >= DRIFT:
        slopes = np.diff(value) / np.diff(at)
        if np.abs(slopes).max() * SAMPLE_RATE < FASTEST:
            ends = value[0] - slopes[0] * (at[0] - begin), value[-1] + slopes[-1] * (end - at[-1])
            knots = np.array([begin, *at, end], float)
            return _Piece(begin, end, knots, knots + np.array([ends[0], *value, ends[1]]) * SAMPLE_RATE)
    constant = float(np.median(off)) if len(at) == 1 or np.ptp(value) < DRIFT else float(off[0])
    constant = 0.0 if abs(constant) < DRIFT else constant
    knots = np.array([begin, end], float)
    return _Piece(begin, end, knots, knots + constant * SAMPLE_RATE)


def _median_of_five(values: np.ndarray) -> np.ndarray:
    """A single stamp that is wrong moves nothing; a step stays a step."""
    padded = np.pad(values, 2, mode='edge')
    return np.median(np.stack([padded[k : k + len(values)] for k in range(5)]), axis=0)
