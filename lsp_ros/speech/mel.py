"""Log mel spectrograms, the surface features of speech (paper section 4.1).

80 bands at 120 Hz; Slaney mel scale and area normalisation, 90 to 7600 Hz, natural logarithm,
scaled so that 1e-5 is 0 and 1 is 1. One feature frame looks at the 200 samples from its start,
with their first 66 mirrored in front of them under a Hann window of 1/60 s: the analysis that
the authors' networks were trained on, written as one formula for each frame, so that a frame
depends on nothing before its own start and streams exactly.
"""

import numpy as np

from lsp_ros import timeline
from lsp_ros.avatar.architecture import MEL_BANDS

FFT_SIZE = 512
WINDOW = 266
SUPPORT = 200
"""Samples from its start that a feature frame depends on (12.5 ms)."""
FRAME_SUPPORT = max(
    timeline.feature_start(2 * t + 1) + SUPPORT - timeline.frame_start(t + 1) for t in range(timeline.FRAME_RATE)
)
"""Samples after its end that a video frame's two feature frames depend on (67, 4.2 ms)."""
MIRROR = WINDOW - SUPPORT
LOW_HZ, HIGH_HZ = 90.0, 7600.0
FLOOR = 1e-5

# Slaney's scale: linear to 1 kHz (200/3 Hz a mel), logarithmic above (27 steps for a factor 6.4).
_LINEAR_HZ, _BREAK_HZ, _LOG_STEP = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ


def _hz_to_mel(hz: np.ndarray) -> np.ndarray:
    return np.where(
        hz < _BREAK_HZ, hz / _LINEAR_HZ, _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    )


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, _BREAK_HZ * np.exp((mel - _BREAK_MEL) * _LOG_STEP))


def _filter_bank() -> np.ndarray:
    """(257, 80) triangles of unit area over the FFT bins."""
    lowest, highest = _hz_to_mel(np.array([LOW_HZ, HIGH_HZ]))
    edges = _mel_to_hz(np.linspace(lowest, highest, MEL_BANDS + 2))
    bins = np.fft.rfftfreq(FFT_SIZE, 1.0 / timeline.SAMPLE_RATE)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return np.maximum(triangles, 0.0) * 2.0 / (high - low)


HANN = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
BANK = _filter_bank()
_LOG_FLOOR = np.log(FLOOR)
TAPS = np.abs(np.arange(WINDOW) - MIRROR)  # 66, 65, .., 1, 0, 1, .., 199


def mel_frames(samples: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Log mel rows of the feature frames that start at ``starts`` in ``samples``.

    samples (n,), starts (T,) with ``starts + SUPPORT <= n`` -> (T, 80) float32
    """
    segments = samples[starts[:, None] + TAPS] * HANN  # float64
    magnitude = np.abs(np.fft.rfft(segments, FFT_SIZE))
    log = np.log(np.maximum(magnitude @ BANK, FLOOR))
    return ((log - _LOG_FLOOR) / -_LOG_FLOOR).astype(np.float32)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """A whole clip at once: (n,) samples at 16 kHz -> (2F, 80) float32, F whole video frames."""
    frames = timeline.frames_in(len(samples))
    starts = np.arange(timeline.FEATURES_PER_FRAME * frames) * timeline.SAMPLE_RATE // timeline.FEATURE_RATE
    return mel_frames(np.pad(samples, (0, SUPPORT)), starts)
