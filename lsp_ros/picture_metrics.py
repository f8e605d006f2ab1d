"""How far pictures are from one another: pure functions of (height, width, 3) uint8 arrays."""

import math

import cv2
import numpy as np


def l1(picture: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference of two uint8 pictures, in grey levels (0..255)."""
    return float(np.abs(picture.astype(np.int16) - truth).mean())


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal to noise ratio of two uint8 pictures in dB, over all pixels and channels; infinite if equal."""
    error = np.square(picture.astype(np.float64) - truth).mean()
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(picture: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of two uint8 pictures (Wang et al. 2004): Gaussian window of 11 pixels, sigma 1.5,
    K1 = 0.01, K2 = 0.03; mean over channels and the pixels whose window lies inside."""
    a, b = picture.astype(np.float64), truth.astype(np.float64)

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (11, 11), 1.5)[5:-5, 5:-5]

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return float((similarity / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())
