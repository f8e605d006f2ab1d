"""Eight mild expressions that go on while he speaks, and rest."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from signals import FPS, ramp

# fmt: off
# Weights at strength 1. None opens the lips much; what little it does is undone where lips must be closed.
EXPRESSIONS: dict[str, dict[str, float]] = dict(
    neutral={},
    happy=dict(mouthSmile=.42, cheekRaiser=.30, cheekSquint=.30, eyeSquint=.22, mouthDimple=.10),
    friendly=dict(mouthSmile=.22, cheekSquint=.14, browOuterUp=.14, browInnerUp=.08, eyeSquint=.06),
    sad=dict(mouthFrown=.42, browInnerUp=.72, browDown=.14, eyeLookDown=.08, mouthShrugLower=.10),
    surprised=dict(browInnerUp=.60, browOuterUp=.68, eyeWide=.52, mouthStretch=.05),
    thoughtful=dict(browDown_L=.58, browDown_R=.10, browOuterUp_R=.34, eyeSquint=.34, mouthPress=.18, mouthLeft=.20),
    worried=dict(browInnerUp=.76, browDown=.34, mouthStretch=.26, mouthFrown=.16, eyeWide=.16),
    angry=dict(browDown=.85, eyeSquint=.28, noseSneer=.15, mouthPress=.20, mouthFrown=.16),
)
# fmt: on
NAMES = list(EXPRESSIONS)
# what a relaxed face does all the time
BASE = dict(mouthSmile=0.13, cheekRaiser=0.08, eyeWide=0.27, browInnerUp=-0.08, browOuterUp=0.04)


def sided(name: str, known) -> list[tuple[str, float]]:
    """Shape names with a factor: one shape, or its left and right, a little unequal."""
    return [(name, 1.0)] if name in known else [(name + '_L', 1.03), (name + '_R', 0.97)]


def strengths(n: int, spans: list[tuple[float, float, str]], rng: np.random.RandomState) -> np.ndarray:
    """(T, 8) strength of each expression; spans: (start, end, name) in s, with random strength and transition."""
    t = np.arange(n) / FPS
    out = np.zeros((n, len(NAMES)))
    for start, end, name in spans:
        up, down = rng.uniform(0.25, 0.7), rng.uniform(0.4, 0.9)
        strength = rng.uniform(0.65, 1.0)
        k = NAMES.index(name)
        out[:, k] = np.maximum(out[:, k], strength * ramp(t, start + 0.1, end, up, down))
    out[:, 0] = 0
    total = np.maximum(out.sum(1), 1.0)  # never more than one expression's worth in transitions
    out = gaussian_filter1d(out / total[:, None], 3, axis=0)
    out[:, 0] = np.clip(1 - out[:, 1:].sum(1), 0, 1)
    return out
