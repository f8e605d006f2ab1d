"""When does somebody speak: level above a noise floor that follows the room.

A kiosk's microphone hears its hall, a TTS engine gives digital silence; one rule serves both.
Deterministic, frame by frame, and cheap; it decides only whether the mouth may move, so it errs
on the side of hearing speech.
"""

import math

import numpy as np

from lsp_ros.timeline import frame_start, frames_in

SILENCE_DB = -120.0
FLOOR_RANGE_DB = (-75.0, -40.0)
FLOOR_RISE_DB = 0.05
"""A frame (3 dB a second): slow beside the gaps within speech, quick beside a change of room."""
ON_ABOVE_FLOOR_DB, OFF_ABOVE_FLOOR_DB = 12.0, 8.0
ON_AT_LEAST_DB = -54.0


def level_db(samples: np.ndarray) -> float:
    """RMS level in dB relative to full scale, at least ``SILENCE_DB``."""
    if not len(samples):
        return SILENCE_DB
    samples = samples.astype(np.float64)
    return max(SILENCE_DB, 10.0 * math.log10(samples @ samples / len(samples) + 1e-30))


class SpeechActivity:
    """Follows the noise floor and says for each video frame whether it holds speech."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._floor = FLOOR_RANGE_DB[0]
        self._active = False

    def push(self, level: float) -> bool:
        """Level of the next frame in dBFS -> speech or not."""
        lowest, highest = FLOOR_RANGE_DB
        self._floor = min(max(min(float(level), self._floor + FLOOR_RISE_DB), lowest), highest)
        above = OFF_ABOVE_FLOOR_DB if self._active else ON_ABOVE_FLOOR_DB
        threshold = max(self._floor + above, ON_AT_LEAST_DB - (ON_ABOVE_FLOOR_DB - above))
        self._active = level > threshold
        return self._active


def speech_frames(samples: np.ndarray) -> np.ndarray:
    """Which whole video frames of a clip hold speech: (n,) samples at 16 kHz -> (frames,) bool."""
    activity = SpeechActivity()
    starts = [frame_start(frame) for frame in range(frames_in(len(samples)) + 1)]
    return np.array([activity.push(level_db(samples[a:b])) for a, b in zip(starts[:-1], starts[1:])], bool)
