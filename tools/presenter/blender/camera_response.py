"""What a camera does after the lens: the sharpening of every video camera, the same for every frame."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def develop(picture: np.ndarray, amount: float = 0.40, radius: float = 1.0, limit: float = 14.0) -> np.ndarray:
    """Unsharp mask on luma with limited overshoot; (H, W, 3) uint8 in and out.

    Flat and slowly changing parts (the room) keep their grey levels.
    """
    x = picture.astype(np.float32)
    luma = x @ np.array([0.299, 0.587, 0.114], np.float32)
    detail = luma - gaussian_filter(luma, radius)
    detail = np.sign(detail) * np.maximum(np.abs(detail) - 0.7, 0)  # not the rounding of flat parts
    gain = np.clip(amount * detail, -limit, limit)
    return np.clip(x + gain[..., None] + 0.5, 0, 255).astype(np.uint8)
