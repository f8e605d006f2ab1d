"""Speech features of a dataset's sound, as the motion networks will hear them live, kept on disk.

A clip is heard several times: as recorded, and through other rooms and microphones (gain, tone,
reverberation, noise), each both raw and projected onto the person's manifold. What was computed is
kept under the hash of the sound, the APC and the manifold.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from scipy.signal import fftconvolve, sosfilt

from lsp_ros.avatar.architecture import FEATURE_SIZE, MEL_BANDS
from lsp_ros.speech.apc import APC
from lsp_ros.speech.manifold import Manifold
from lsp_ros.speech.mel import log_mel
from lsp_ros.storage import sha256, whole_file
from lsp_ros.timeline import FEATURES_PER_FRAME, SAMPLE_RATE

CLIPS_AT_ONCE = 12
FRAME_FEATURES = FEATURES_PER_FRAME * FEATURE_SIZE


def tone(rng: np.random.Generator, taps: int = 255) -> np.ndarray:
    """(taps,) a linear-phase filter with a smooth random response: other throats and microphones colour speech by 6 dB
    (standard deviation) from octave to octave, which hides who speaks and leaves what is said."""
    octaves = 62.5 * 2.0 ** np.arange(8)  # 62.5 Hz to 8 kHz
    level = rng.normal(0, 6, len(octaves))
    frequencies = np.linspace(0, SAMPLE_RATE / 2, taps // 2 + 1)
    decibels = np.interp(np.log2(np.maximum(frequencies, 31.25)), np.log2(octaves), level - level.mean())
    response = np.fft.irfft(10 ** (decibels / 20), taps)
    return np.roll(response, taps // 2) * np.hanning(taps)


def hear_elsewhere(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same speech through another microphone in another room, at 15 to 40 dB above its noise."""
    gain = 10 ** (rng.uniform(-12, 6) / 20)
    heard = fftconvolve(samples, tone(rng), mode='same')
    if rng.random() < 0.5:
        decay = rng.uniform(0.08, 0.35)
        time = np.arange(int(decay * SAMPLE_RATE)) / SAMPLE_RATE
        tail = rng.standard_normal(len(time)) * np.exp(-6.9 * time / decay)
        tail *= rng.uniform(0.1, 0.5) / np.sqrt(np.sum(tail**2))
        tail[0] = 1.0
        heard = fftconvolve(heard, tail)[: len(samples)]
    speech = np.sqrt(np.mean(heard[np.abs(heard) > 0.02] ** 2)) if (np.abs(heard) > 0.02).any() else 0.1
    colour = rng.uniform(0, 0.95)  # of the noise: white to brownish
    noise = sosfilt([[1, 0, 0, 1, -colour, 0]], rng.standard_normal(len(samples)))
    heard = heard + noise * speech * 10 ** (-rng.uniform(15, 40) / 20) / noise.std()
    return np.clip(heard * gain, -1, 1).astype(np.float32)


@dataclass(frozen=True)
class Listener:
    """An APC and a manifold: sound in, features out."""

    apc: APC
    manifold: Manifold | None
    cache: Path

    @property
    def key(self) -> str:
        parts = [tensor.cpu().numpy() for tensor in self.apc.state_dict().values()]
        return sha256(*parts, *([] if self.manifold is None else [self.manifold.rows]))

    def features(self, clips: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Clips (n,) of samples -> for each 'raw' and, with a manifold, 'projected' (frames, 1024) float16."""
        key = self.key
        files = [self.cache / f'{sha256(key, clip)[:24]}.npz' for clip in clips]
        missing = [k for k, file in enumerate(files) if not file.exists()]
        groups = [missing[k : k + CLIPS_AT_ONCE] for k in range(0, len(missing), CLIPS_AT_ONCE)]
        for group in track(groups, 'speech features', disable=not groups):
            for k, raw in zip(group, raw_features(self.apc, [clips[k] for k in group]), strict=True):
                found = {'raw': raw}
                if self.manifold is not None:
                    found['projected'] = self.manifold.project(raw)[0]
                found = {name: value.astype(np.float16).reshape(-1, FRAME_FEATURES) for name, value in found.items()}
                with whole_file(files[k]) as scratch:
                    np.savez(scratch, **found)  # type: ignore[arg-type]  # takes them for ``allow_pickle``, too
        features = []
        for file in files:
            with np.load(file, allow_pickle=False) as stored:
                features.append(dict(stored))
        return features


def raw_features(apc: APC, clips: list[np.ndarray]) -> list[np.ndarray]:
    """Clips (n,) of samples at 16 kHz -> for each (2 frames, 512) float32 of the APC alone.

    The clips run side by side: step by step a recurrent network takes as long for twelve as for one.
    """
    mels = [log_mel(clip) for clip in clips]
    batch = np.zeros((len(mels), max(map(len, mels), default=0), MEL_BANDS), np.float32)
    for row, mel in zip(batch, mels, strict=True):
        row[: len(mel)] = mel
    with torch.inference_mode():
        features = apc.eval()(torch.from_numpy(batch))[0].numpy()
    return [row[: len(mel)] for row, mel in zip(features, mels, strict=True)]
