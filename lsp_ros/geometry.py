"""From 3D points to pixels: a pinhole camera (paper section 3.4; lengths in the avatar's unit).

``camera point = scale * R p + t`` and ``pixel = (K q) / q_z``. Pixel coordinates are continuous:
the picture spans 0..512. There is no flip of y: the half turn about x inside R does it.
"""

import numpy as np

HALF_TURN = np.array([180.0, 0.0, 0.0])


def rotation(euler: np.ndarray) -> np.ndarray:
    """(..., 3) degrees (ex, ey, ez) -> (..., 3, 3), R = Rz(ez) Ry(ey) Rx(ex + 180).

    R turns the head frame (y up, z toward the viewer) into the camera frame (y down, z forward).
    """
    angles = np.deg2rad(np.asarray(euler, dtype=np.float64) + HALF_TURN)
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles).T, np.sin(angles).T
    turned = np.array(
        [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx],
        ]
    )
    return turned.T.swapaxes(-1, -2)


def to_camera(points: np.ndarray, euler: np.ndarray, translation: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """(..., P, 3) head-frame points with (..., 3) degrees and (..., 3) translation -> (..., P, 3) camera frame."""
    turned = np.asarray(points, dtype=np.float64) @ rotation(euler).swapaxes(-1, -2)
    return scale * turned + np.asarray(translation, dtype=np.float64)[..., None, :]


def project(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(..., 3) camera-frame points and (3, 3) intrinsics -> (..., 2) pixels.

    Raises ValueError for points that are not in front of the camera.
    """
    points = np.asarray(points, dtype=np.float64)
    if not (points[..., 2] > 0).all():
        raise ValueError('points to project are not all in front of the camera (z > 0)')
    homogeneous = points @ np.asarray(matrix, dtype=np.float64).T
    return homogeneous[..., :2] / homogeneous[..., 2:]
