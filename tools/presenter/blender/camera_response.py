"""What a camera does after the lens: the sharpening of every video camera, and the softness of its lens at outlines."""

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


def soften_outline(picture: np.ndarray, matte: np.ndarray, radius: float = 0.75) -> tuple[np.ndarray, np.ndarray]:
    """What the lens does to an outline: the denoiser leaves it stepped, this gives it the softness of the rest.

    picture (H, W, 3) and matte (H, W), uint8 in and out; both change in a band of about 2 pixels.
    """
    m = gaussian_filter(matte.astype(np.float32) / 255, 1.2)
    band = np.clip(4 * m * (1 - m), 0, 1)
    x, y = picture.astype(np.float32), matte.astype(np.float32)
    soft = np.stack([gaussian_filter(x[..., c], radius) for c in range(3)], -1)
    x = x + (soft - x) * band[..., None]
    y = y + (gaussian_filter(y, radius) - y) * band
    return np.clip(x + 0.5, 0, 255).astype(np.uint8), np.clip(y + 0.5, 0, 255).astype(np.uint8)
