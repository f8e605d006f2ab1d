"""Plain sampled sound of any format -> mono float32 samples, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lsp_ros import timeline

LOUDEST_SAMPLE = 16.0  # a float stream may clip a little above full scale; a hundredfold is a wrong format
LOWEST_RATE, HIGHEST_RATE = 1000, 384_000
MOST_CHANNELS = 64
ENCODINGS: dict[str, tuple[np.dtype[Any], float, float]] = {  # type, offset, full scale
    'U8': (np.dtype(np.uint8), 128.0, 128.0),
    'S8': (np.dtype(np.int8), 0.0, 128.0),
    'S16LE': (np.dtype('<i2'), 0.0, 32768.0),
    'S16BE': (np.dtype('>i2'), 0.0, 32768.0),
    'S32LE': (np.dtype('<i4'), 0.0, 2147483648.0),
    'F32LE': (np.dtype('<f4'), 0.0, 1.0),
}


@dataclass(frozen=True)
class AudioFormat:
    """How plain bytes are to be read where a message does not say it itself; ``encoding`` is one of ENCODINGS."""

    rate: int = timeline.SAMPLE_RATE
    channels: int = 1
    encoding: str = 'S16LE'


def check_samples(samples: np.ndarray) -> None:
    """Raise ValueError unless all samples are finite and no louder than speech can be."""
    if not np.isfinite(samples).all():
        raise ValueError('audio with NaN or infinite samples')
    loudest = float(np.abs(samples).max(initial=0.0))
    if loudest > LOUDEST_SAMPLE:
        raise ValueError(f'audio with a sample of {loudest:g}: full scale is -1 to 1')


def from_bytes(data: Sequence[int], encoding: str) -> np.ndarray:
    """(n,) float32 from the bytes of n encoded values; ValueError where the last one is cut off."""
    dtype = ENCODINGS[encoding][0]
    raw = np.asarray(data, dtype=np.uint8)
    if len(raw) % dtype.itemsize:
        raise ValueError(f'audio of {len(raw)} bytes: {encoding} needs a multiple of {dtype.itemsize}')
    return _to_float(raw.view(dtype), encoding)


def from_numbers(data: Sequence[int] | Sequence[float], encoding: str) -> np.ndarray:
    """(n,) float32 from n numbers of that encoding."""
    return _to_float(np.asarray(data, dtype=ENCODINGS[encoding][0]), encoding)


def _to_float(values: np.ndarray, encoding: str) -> np.ndarray:
    _, offset, full_scale = ENCODINGS[encoding]
    return (values.astype(np.float32) - np.float32(offset)) / np.float32(full_scale)


def to_mono(samples: np.ndarray, channels: int, rate: int) -> np.ndarray:
    """The mean of interleaved channels (n * channels,) -> (n,); ValueError for what no sound card would give."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ValueError(f'audio at {rate} Hz: {LOWEST_RATE} to {HIGHEST_RATE} Hz are allowed')
    if not 1 <= channels <= MOST_CHANNELS:
        raise ValueError(f'audio with {channels} channels: 1 to {MOST_CHANNELS} are allowed')
    if len(samples) % channels:
        raise ValueError(f'audio of {len(samples)} samples does not divide into {channels} channels')
    check_samples(samples)
    return samples if channels == 1 else samples.reshape(-1, channels).mean(axis=1)
