"""Several channels as one: by what they hold, not by their number.

A balanced microphone with one wire swapped, a voice in one channel or in the centre of 5.1, two speakers left and
right: the mean of all channels would be silence, or a voice at a fraction of its level.
"""

from collections.abc import Sequence

import numpy as np

from lsp_ros.timeline import SAMPLE_RATE

ALIKE = 0.2  # correlation from which a channel's sign against the loudest one counts
LOUD = 95  # percentile of the blocks' levels at which channels are compared
BLOCK = SAMPLE_RATE // 20
HEARD = 0.01  # of the loudest block: below, a block is a pause
# A direct current: the mean of each quarter of a second, where it is that large and that steady.
OFFSET, STEADY = 0.003, 0.2
OFFSET_BLOCK = SAMPLE_RATE // 4


def to_mono(channels: np.ndarray, names: Sequence[str] = ()) -> np.ndarray:
    """(channels, n) float32 at 16 kHz -> (n,): their sum, as loud as the loudest channel.

    Channels are added with the sign at which they do not cancel. ``names`` are FFmpeg's ('FL', 'FC', 'LFE', ...): an
    effects channel (LFE) holds no voice and is left out beside others. Direct current is taken away from each.
    """
    if len(names) == len(channels) > 1:
        channels = channels[[name not in ('LFE', 'LFE2') for name in names]]
    channels = np.stack([without_offset(channel) for channel in channels])
    if len(channels) == 1:
        return channels[0]
    levels = np.stack([_levels(channel) for channel in channels])
    loudest = levels.max(axis=0)
    heard = loudest > HEARD * loudest.max(initial=0.0)
    if not heard.any():
        return channels.mean(axis=0)
    first = channels[int(np.argmax((levels**2).sum(axis=1)))]
    mixed = np.zeros_like(first)
    for channel in channels:
        together = float(np.vdot(channel, first))
        opposite = together < -ALIKE * float(np.linalg.norm(channel)) * float(np.linalg.norm(first))
        mixed += -channel if opposite else channel
    wanted = np.percentile(levels[:, heard], LOUD, axis=1).max()
    mixed *= np.float32(wanted / max(np.percentile(_levels(mixed)[heard], LOUD), 1e-12))
    peak = np.abs(mixed).max(initial=0.0)
    return mixed / peak if peak > 1 and np.abs(channels).max() <= 1 else mixed


def without_offset(samples: np.ndarray) -> np.ndarray:
    """Sound (n,) without the direct current of a bad sound card; as it is, to the bit, where there is none."""
    count = len(samples) // OFFSET_BLOCK
    if count < 2:
        return samples
    means = samples[: count * OFFSET_BLOCK].reshape(count, -1).mean(axis=1)
    means = means[means != 0]  # digital silence has none
    if not len(means):
        return samples
    offset = float(np.median(means))
    if abs(offset) < OFFSET or float(np.median(np.abs(means - offset))) > STEADY * abs(offset):
        return samples
    silent = np.repeat(_levels(samples) == 0, BLOCK)[: len(samples)]
    return np.where(silent, samples, samples - np.float32(offset))


def _levels(samples: np.ndarray) -> np.ndarray:
    """Root mean square of each block of a sound, the last one filled with silence."""
    padded = np.pad(samples, (0, -len(samples) % BLOCK))
    return np.sqrt((padded.reshape(-1, BLOCK) ** 2).mean(axis=1))
