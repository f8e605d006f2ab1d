"""Speech features of a dataset's sound, as the motion networks will hear them live, kept on disk.

A clip is heard several times: as recorded, and through other rooms and microphones (gain, tone,
reverberation, noise), each both raw and projected onto the person's manifold. What was computed is
kept under the hash of the sound, the APC and the manifold.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.signal import fftconvolve, sosfilt

from lsp_ros.signals import FEATURE_SIZE
from lsp_ros.speech.apc import APC
from lsp_ros.speech.manifold import Manifold
from lsp_ros.speech.mel import log_mel
from lsp_ros.timeline import FEATURES_PER_FRAME, SAMPLE_RATE

FRAME_FEATURES = FEATURES_PER_FRAME * FEATURE_SIZE


def hear_elsewhere(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same speech through another microphone in another room, at 15 to 40 dB above its noise."""
    gain = 10 ** (rng.uniform(-12, 6) / 20)
    # One shelf: a first-order tilt of up to 6 dB around 1 kHz.
    tilt, k = 10 ** (rng.uniform(-6, 6) / 20), np.tan(np.pi * 1000 / SAMPLE_RATE)
    shelf = np.array([[1 + k * tilt, k * tilt - 1, 0, 1 + k, k - 1, 0]]) / (1 + k)
    heard = sosfilt(shelf, samples)
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
        digest = hashlib.sha256()
        for tensor in self.apc.state_dict().values():
            digest.update(tensor.cpu().numpy().tobytes())
        if self.manifold is not None:
            digest.update(self.manifold.rows.tobytes())
        return digest.hexdigest()

    def features(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """(n,) samples -> 'raw' and, with a manifold, 'projected' (frames, 1024) float16."""
        digest = hashlib.sha256(self.key.encode() + samples.tobytes()).hexdigest()[:24]
        file = self.cache / f'{digest}.npz'
        if file.exists():
            with np.load(file, allow_pickle=False) as stored:
                return dict(stored)
        raw = raw_features(self.apc, samples)
        found = {'raw': raw}
        if self.manifold is not None:
            found['projected'] = self.manifold.project(raw)[0]
        found = {name: value.astype(np.float16).reshape(-1, FRAME_FEATURES) for name, value in found.items()}
        self.cache.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix('.part.npz')
        np.savez(part, **found)
        part.replace(file)
        return found


def raw_features(apc: APC, samples: np.ndarray) -> np.ndarray:
    """(n,) samples at 16 kHz -> (2 frames, 512) float32 of the APC alone."""
    with torch.inference_mode():
        return apc.eval()(torch.from_numpy(log_mel(samples))[None])[0][0].numpy()
