"""The range that a person's head keeps to: a box of angles and translations, with soft walls and a largest speed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lsp_ros.avatar.manifest import PoseRange

KNEE = 0.9
"""Share of the trained range that is left untouched."""
CROSSING_FRAMES = 15
"""Nobody's head crosses its whole range in less than a quarter of a second."""


@dataclass(frozen=True)
class PoseLimits:
    """The box a head pose stays in: (6,) euler angles in degrees, translation from the mean in units."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, ranges: PoseRange) -> PoseLimits:
        """The range that an avatar was trained in."""
        return cls(
            np.concatenate([ranges.euler_min, ranges.translation_min]).astype(float),
            np.concatenate([ranges.euler_max, ranges.translation_max]).astype(float),
        )

    @cached_property
    def speed(self) -> np.ndarray:
        """(6,) largest change per frame."""
        return (self.high - self.low) / CROSSING_FRAMES

    @cached_property
    def rest(self) -> np.ndarray:
        """(6,) the mean pose, looking straight ahead, or what comes nearest to it in the box."""
        return self.clip(np.zeros(6))

    @cached_property
    def _box(self) -> tuple[np.ndarray, np.ndarray]:
        """Its centre and half its size."""
        return (self.high + self.low) / 2, (self.high - self.low) / 2

    def clip(self, pose: np.ndarray) -> np.ndarray:
        """Poses (..., 6) cut to the box."""
        return np.minimum(np.maximum(pose, self.low), self.high)

    def soften(self, pose: np.ndarray) -> np.ndarray:
        """Bend poses (..., 6) smoothly into the box; the inner 90 % stay what they are, all of them the same array."""
        centre, half = self._box
        away = pose - centre
        inner = np.abs(away) <= KNEE * half
        if inner.all():
            return pose
        u = away / np.maximum(half, 1e-12)
        bent = np.sign(u) * (KNEE + (1 - KNEE) * np.tanh((np.abs(u) - KNEE) / (1 - KNEE)))
        return np.where(inner, pose, centre + half * bent)

    def outside(self, pose: np.ndarray) -> np.ndarray:
        """(..., 6) -> (...,) bool."""
        return np.logical_or.reduce((pose < self.low) | (pose > self.high), axis=-1)


UNBOUNDED = PoseLimits(np.full(6, -1e9), np.full(6, 1e9))
"""No limits: what a head of the authors' program has."""
