"""The person's database of speech features for the manifold projection (paper section 3.1.1)."""

import numpy as np

from lsp_ros.speech.activity import speech_frames
from lsp_ros.speech.apc import APC
from lsp_ros.timeline import FEATURES_PER_FRAME
from lsp_ros.training.features import CLIPS_AT_ONCE, raw_features

SILENCE_SHARE = 0.05
"""Share of the database that is silence; recordings hold far more of it, all alike."""


def person_manifold(apc: APC, clips: list[np.ndarray], rows: int = 8192, seed: int = 0) -> np.ndarray:
    """Raw features of the person's clips (n,) at 16 kHz, thinned to ``rows`` -> (rows, 512) float32.

    The paper keeps every frame. Neighbouring rows at 120 Hz are nearly equal, so an even sample of
    them spans the same manifold at a fraction of the search.
    """
    rng = np.random.default_rng(seed)
    speech, silence = [], []
    groups = [clips[k : k + CLIPS_AT_ONCE] for k in range(0, len(clips), CLIPS_AT_ONCE)]
    found = (features for group in groups for features in raw_features(apc, group))
    for samples, features in zip(clips, found, strict=True):
        active = np.repeat(speech_frames(samples), FEATURES_PER_FRAME)
        speech.append(features[active])
        silence.append(features[~active])
    quiet_rows, loud_rows = np.concatenate(silence), np.concatenate(speech)
    quiet = min(len(quiet_rows), int(rows * SILENCE_SHARE))
    parts = [rng.permutation(quiet_rows)[:quiet], rng.permutation(loud_rows)[: rows - quiet]]
    return np.concatenate(parts)
