"""Plain sampled sound of any format, in pieces that are cut anywhere -> mono float32 samples, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lsp_ros import timeline

LOUDEST_SAMPLE = 16.0  # a float stream may clip a little above full scale; a hundredfold is a wrong format
QUIETEST_FLOAT = 1e-12  # but for 0
LOWEST_RATE, HIGHEST_RATE = 1000, 384_000
MOST_CHANNELS = 64


@dataclass(frozen=True)
class Encoding:
    """How one value stands in the bytes of a stream.

    kind   'i', 'u' or 'f', as NumPy says it
    width  bytes of a value
    bits   of them that count, the lower ones
    order  '<' or '>': which end comes first
    """

    kind: str
    width: int
    bits: int
    order: str = '<'

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of a value; of three bytes, which it does not know, the type that holds them."""
        return np.dtype(f'{self.order}{self.kind}{4 if self.width == 3 else self.width}')


ENCODINGS = {
    'U8': Encoding('u', 1, 8),
    'S8': Encoding('i', 1, 8),
    'S16LE': Encoding('i', 2, 16),
    'S16BE': Encoding('i', 2, 16, '>'),
    'U16LE': Encoding('u', 2, 16),
    'U16BE': Encoding('u', 2, 16, '>'),
    'S24LE': Encoding('i', 3, 24),
    'S24BE': Encoding('i', 3, 24, '>'),
    'S24_32LE': Encoding('i', 4, 24),
    'S24_32BE': Encoding('i', 4, 24, '>'),
    'S32LE': Encoding('i', 4, 32),
    'S32BE': Encoding('i', 4, 32, '>'),
    'F32LE': Encoding('f', 4, 32),
    'F32BE': Encoding('f', 4, 32, '>'),
    'F64LE': Encoding('f', 8, 64),
    'F64BE': Encoding('f', 8, 64, '>'),
}
"""Sampled formats, by the names that GStreamer and ros-drivers give them."""
CODED = ('MP3', 'AAC')
"""Coded formats, which say rate and channels themselves (:mod:`lsp_ros.live.coded_audio`)."""
FORMATS = (*ENCODINGS, *CODED)


@dataclass(frozen=True)
class AudioFormat:
    """How plain bytes are to be read where a message does not say it itself; ``encoding`` is one of FORMATS."""

    rate: int = timeline.SAMPLE_RATE
    channels: int = 1
    encoding: str = 'S16LE'

    def check(self) -> None:
        """ValueError for what no sound card would give. Coded sound says its rate and channels itself."""
        if self.encoding in CODED:
            return
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise ValueError(f'audio at {self.rate} Hz: {LOWEST_RATE} to {HIGHEST_RATE} Hz are allowed')
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise ValueError(f'audio with {self.channels} channels: 1 to {MOST_CHANNELS} are allowed')


def check_samples(samples: np.ndarray) -> None:
    """Raise ValueError unless all samples are finite and no louder than speech can be."""
    if not np.isfinite(samples).all():
        raise ValueError('audio with NaN or infinite samples')
    loudest = float(np.abs(samples).max(initial=0.0))
    if loudest > LOUDEST_SAMPLE:
        raise ValueError(f'audio with a sample of {loudest:g}: full scale is -1 to 1')


def from_bytes(data: np.ndarray, encoding: str) -> np.ndarray:
    """(n,) float32 from the bytes (n * width,) uint8 of n whole values."""
    form = ENCODINGS[encoding]
    if form.width == 3:
        wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        # The three bytes become the upper ones of four, and the sign comes with them.
        wide[:, slice(1, 4) if form.order == '<' else slice(0, 3)] = data.reshape(-1, 3)
        return _to_float(wide.reshape(-1).view(form.dtype), form.kind, 32)
    values = data.view(form.dtype)
    if form.bits < 8 * form.width:  # what the upper bits hold is not said
        return _to_float(values.astype(np.int32) << (8 * form.width - form.bits), form.kind, 32)
    return _to_float(values, form.kind, form.bits)


def to_bytes(data: Sequence[int] | Sequence[float] | np.ndarray, encoding: str) -> np.ndarray:
    """(n * width,) uint8: numbers (n,) as a stream of that encoding carries them; not for three bytes a value."""
    return np.ascontiguousarray(data, dtype=ENCODINGS[encoding].dtype).view(np.uint8)


def _to_float(values: np.ndarray, kind: str, bits: int) -> np.ndarray:
    if kind == 'f':
        with np.errstate(over='ignore'):  # becomes infinite, and is refused as such
            return values.astype(np.float32)
    full_scale = np.float32(2 ** (bits - 1))
    offset = full_scale if kind == 'u' else np.float32(0)
    return (values.astype(np.float32) - offset) / full_scale


class PcmReader:
    """A stream of plain bytes -> mono samples, the mean of the channels, wherever the pieces are cut.

    What is left of a piece, a part of a sample or of a frame of channels, is completed by the next one.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        audio_format.check()
        self.format = audio_format
        self._width = ENCODINGS[audio_format.encoding].width * audio_format.channels
        self._rest = np.zeros(0, dtype=np.uint8)
        self._doubtful = False

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._rest)

    def interrupt(self) -> None:
        """The stream may begin anew with the next piece, or go on: that piece shows."""
        self._doubtful = True

    def push(self, data: np.ndarray) -> tuple[np.ndarray, int]:
        """(n,) float32 of the bytes (m,) uint8, and how many bytes before them were dropped.

        ValueError for samples that cannot be; the stream goes on behind them.
        """
        dropped = 0
        if len(self._rest):
            if self._doubtful and self._begins_anew(data):
                dropped, self._rest = len(self._rest), self._rest[:0]
            data = np.concatenate([self._rest, data])
        self._doubtful = False
        whole = len(data) - len(data) % self._width
        self._rest = data[whole:].copy()
        samples = self._mono(data[:whole], self.format.encoding)
        check_samples(samples)
        return samples, dropped

    def _begins_anew(self, data: np.ndarray) -> bool:
        """Whether a piece reads as sound by itself: what is read some bytes off is noise."""
        return self._noise(data) <= self._noise(np.concatenate([self._rest, data]))

    def _noise(self, data: np.ndarray) -> float:
        """How little bytes read as sound: the mean step between samples; of floats, how many no sound card gives."""
        encoding = self.format.encoding
        whole = np.ascontiguousarray(data[: len(data) - len(data) % self._width])
        if ENCODINGS[encoding].kind == 'f':
            sizes = np.abs(whole.view(ENCODINGS[encoding].dtype))
            sane = (sizes == 0) | ((sizes >= QUIETEST_FLOAT) & (sizes <= LOUDEST_SAMPLE))
            return float(np.mean(~sane)) if len(sane) else 0.0
        # Of 24 bits in 32, all: of the upper three alone, one byte off is the same sound at another level.
        samples = self._mono(whole, encoding.replace('S24_32', 'S32'))
        return float(np.abs(np.diff(samples)).mean()) if len(samples) > 1 else 0.0

    def _mono(self, data: np.ndarray, encoding: str) -> np.ndarray:
        samples = from_bytes(np.ascontiguousarray(data), encoding)
        channels = self.format.channels
        return samples if channels == 1 else samples.reshape(-1, channels).mean(axis=1)
