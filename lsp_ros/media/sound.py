"""Reading sound: any file that FFmpeg reads -> 16 kHz mono, where its time stamps say that it is heard."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from lsp_ros.media.channels import to_mono
from lsp_ros.media.clock import Clock, decoded, follow_stamps
from lsp_ros.media.files import MediaError, opened, sound_track
from lsp_ros.media.resampling import AudioResampler
from lsp_ros.timeline import SAMPLE_RATE

# A float file's samples are from -1 to 1, or a little beyond; others hold whole numbers of so many bits.
LARGEST_FLOAT = 8.0
FULL_SCALES = (1 << 15, 1 << 23, 1 << 31)


@dataclass(frozen=True)
class Sound:
    """A file's sound: (n,) float32 mono 16 kHz in -1..1, and the seconds of it that the file does not hold."""

    samples: np.ndarray
    holes: tuple[tuple[float, float], ...]


def read_audio(path: str | os.PathLike[str]) -> np.ndarray:
    """The sound track of any file that FFmpeg reads, (n,) float32 mono 16 kHz in -1..1.

    Of several tracks the one that players take; channels are mixed by what they hold (``to_mono``). Packets that are
    damaged within a good file are replaced by silence, with a warning. Raises MediaError for a file that is missing,
    holds no sound or cannot be decoded.
    """
    return read_sound_track(path).samples


def read_sound_track(path: str | os.PathLike[str]) -> Sound:
    """As ``read_audio``, with what is missing in it."""
    path = Path(path)
    with opened(path, 'sound') as container:
        track = sound_track(container, path)
        reading = _Reading(path)
        for frame, seconds in decoded(container, track, Clock(path), reading.damage):
            reading.add(frame, seconds)
    samples, holes = reading.finish()
    if not len(samples):
        raise MediaError(f'{path}: its sound track is empty.')
    return Sound(samples.clip(-1, 1), tuple(holes))


class _Reading:
    """Decoded frames -> one sound. A stream may change its rate and channels on the way: each form is a part."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: list[np.ndarray] = []  # done
        self._length = 0
        self._part: _Part | None = None
        self._positions: list[float] = []  # in samples at 16 kHz ...
        self._stamps: list[float] = []  # ... and when they are heard, in seconds
        self._damaged, self._reason = 0, ''

    def damage(self, reason: str) -> None:
        self._damaged, self._reason = self._damaged + 1, reason

    def add(self, frame: av.AudioFrame, seconds: float | None) -> None:
        form = (frame.sample_rate, frame.layout.name, frame.format.name)
        if self._part is None or self._part.form != form:
            self._end_part()
            self._part = _Part(frame, form)
        if seconds is not None:
            self._positions.append(self._length + self._part.pushed * SAMPLE_RATE / frame.sample_rate)
            self._stamps.append(seconds)
        self._part.push(frame)

    def finish(self) -> tuple[np.ndarray, list[tuple[float, float]]]:
        """All samples, at their places, and the holes in seconds. Raises MediaError."""
        self._end_part()
        if self._damaged:
            if not self._parts:
                raise MediaError(f'{self._path}: its sound cannot be decoded ({self._reason}).')
            warnings.warn(f'{self._path}: {self._damaged} damaged packets were replaced by silence.', stacklevel=4)
        samples = np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)
        return follow_stamps(samples, np.array(self._positions), np.array(self._stamps))

    def _end_part(self) -> None:
        if self._part is None:
            return
        self._parts.append(self._part.finish(self._path))
        self._length += len(self._parts[-1])
        self._part = None


class _Part:
    """A stretch of one rate and one set of channels."""

    def __init__(self, frame: av.AudioFrame, form: tuple[int, str, str]) -> None:
        self.form = form
        self.pushed = 0  # samples, of the file's rate
        self._names = [channel.name for channel in frame.layout.channels]
        self._is_float = frame.format.name.startswith(('flt', 'dbl'))
        self._peak, self._whole = 0.0, True
        self._to_planes = av.AudioResampler(format='fltp', layout=frame.layout.name, rate=frame.sample_rate)
        self._resamplers = [AudioResampler(frame.sample_rate) for _ in self._names]
        self._ready: list[list[np.ndarray]] = [[] for _ in self._names]

    def push(self, frame: av.AudioFrame) -> None:
        for part in self._to_planes.resample(frame):
            planes: np.ndarray[Any, Any] = part.to_ndarray()
            if self._is_float and planes.size:
                self._peak = max(self._peak, float(np.abs(planes).max()))
                self._whole = self._whole and (self._peak <= 1 or bool((planes == np.round(planes)).all()))
            for ready, resampler, plane in zip(self._ready, self._resamplers, planes, strict=True):
                ready.append(resampler.push(plane))
        self.pushed += frame.samples

    def finish(self, path: Path) -> np.ndarray:
        """(n,) mono at 16 kHz. Raises MediaError where the values are none of sound."""
        channels = np.stack(
            [
                np.concatenate([*ready, resampler.flush()])
                for ready, resampler in zip(self._ready, self._resamplers, strict=True)
            ]
        )
        self._ready.clear()
        if not np.isfinite(channels).all():
            raise MediaError(f'{path}: its sound has values that are not finite.')
        if self._peak > LARGEST_FLOAT:
            scale = next((scale for scale in FULL_SCALES if self._peak <= scale), None)
            if scale is None or not self._whole:
                raise MediaError(
                    f'{path}: its samples are floats up to {self._peak:.6g}, where full scale is 1: divide them by '
                    'what they were multiplied with and save the file again.'
                )
            channels /= scale
        return to_mono(channels, self._names)
