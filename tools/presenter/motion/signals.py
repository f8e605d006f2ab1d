"""Time base and small signal tools of the timeline."""

from __future__ import annotations

import numpy as np

FPS = 60
RATE = 16000


def ramp(t: np.ndarray, a, b, up, down) -> np.ndarray:
    """1 on [a, b], raised-cosine flanks of length up before a and down after b (seconds)."""
    x = np.where(t < a, (t - a + up) / up, np.where(t > b, (b + down - t) / down, 1.0))
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(x, 0, 1))


def band(rng: np.random.RandomState, n: int, low: float, high: float, order: float = 2) -> np.ndarray:
    """Band-limited Gaussian noise of n frames, unit variance; low and high in Hz."""
    m = n + 1200
    f = np.fft.rfftfreq(m, 1 / FPS)
    s = np.fft.rfft(rng.randn(m)) * np.exp(-((f / high) ** order)) * (1 - np.exp(-((f / low) ** order)))
    x = np.fft.irfft(s, m)[600 : 600 + n]
    return (x - x.mean()) / x.std()


def soft_limit(x: np.ndarray, limit: float) -> np.ndarray:
    """Linear below 0.7 * limit, never beyond limit."""
    a, k = np.abs(x), 0.7 * limit
    return np.sign(x) * np.where(a < k, a, k + (limit - k) * np.tanh((a - k) / (limit - k)))


def loudness(audio: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """RMS in 50 ms around each of n frames, and a smoothed version scaled to about 0..1.2."""
    from scipy.ndimage import gaussian_filter1d

    t = np.arange(n) / FPS
    total = np.concatenate([[0], np.cumsum(audio**2)])
    a, b = (np.clip(((t + s) * RATE).astype(int), 0, len(audio)) for s in (-0.025, 0.025))
    rms = np.sqrt((total[b] - total[a]) / 800)
    even = gaussian_filter1d(rms, 2.5)
    return rms, np.clip(even / np.percentile(even[even > 0.01], 85), 0, 1.2)
