"""Rotations and the pinhole camera: every angle, quaternion and pixel is reckoned here (paper section 3.4).

Lengths are in the avatar's unit. ``camera point = scale * R p + t`` and ``pixel = (K q) / q_z``. Pixel coordinates are
continuous: the picture spans 0..512. There is no flip of y: the half turn about x inside R does it.

Closed forms, although SciPy's Rotation has them all: it takes two to six times as long a call (31 us for a matrix
instead of 5), two to four of which stand in each live frame, and its import would add to the start of each live
process, which does without SciPy. The tests compare with it.
"""

import numpy as np

HALF_TURN = np.array([180.0, 0.0, 0.0])
"""Degrees about x between the head frame (y up) and the camera frame (y down)."""
LARGEST_ANGLE = np.radians(85.0)  # beyond, euler angles turn over

# REP-103 head axes (forward, left, up) -> camera axes (right, down, forward) of a head that faces the camera.
REP103_TO_CAMERA = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])


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


def rotation_to_euler(matrix: np.ndarray) -> np.ndarray:
    """(..., 3, 3) -> (..., 3) degrees (ex, ey, ez): the inverse of ``rotation`` for |ey| < 90."""
    ex = np.degrees(np.arctan2(-matrix[..., 2, 1], -matrix[..., 2, 2]))
    ey = np.degrees(np.arcsin(np.clip(-matrix[..., 2, 0], -1, 1)))
    ez = np.degrees(np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0]))
    return np.stack([ex, ey, ez], axis=-1)


def euler_axes(euler: np.ndarray) -> np.ndarray:
    """(..., 3) degrees -> (..., 3, 3): row i is the unit axis, in the camera frame, about which points turn as the
    i-th angle grows. With an angle in radians, the derivative of ``rotation(euler) @ p`` is axis x (rotation @ p).
    """
    ez = np.deg2rad(euler[..., 2])
    zero = np.zeros_like(ez)
    about_x = rotation(euler)[..., 0]
    about_y, about_z = np.stack([-np.sin(ez), np.cos(ez), zero], -1), np.stack([zero, zero, zero + 1], -1)
    return np.stack([about_x, about_y, about_z], axis=-2)


def rotation_about_x(degrees: float) -> np.ndarray:
    """(3, 3): the turn about x alone, without the half turn of ``rotation``; head frame to head frame."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


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


def quaternion_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quaternions (4,) x, y, z, w: the rotation b, then a."""
    (ax, ay, az, _), (bx, by, bz, _) = a.tolist(), b.tolist()
    cross = np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])  # np.cross takes ten times as long
    vector = a[3] * b[:3] + b[3] * a[:3] + cross
    return np.append(vector, a[3] * b[3] - a[:3] @ b[:3])


def euler_to_quaternion(euler: np.ndarray) -> np.ndarray:
    """(ex, ey, ez) in degrees -> quaternion (4,) x, y, z, w of Rz(ez) Ry(ey) Rx(ex), w >= 0."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(np.radians(euler) / 2), np.cos(np.radians(euler) / 2)
    q = np.array(
        [
            sx * cy * cz - cx * sy * sz,
            cx * sy * cz + sx * cy * sz,
            cx * cy * sz - sx * sy * cz,
            cx * cy * cz + sx * sy * sz,
        ]
    )
    return q if q[3] >= 0 else -q


def quaternion_to_euler(q: np.ndarray) -> np.ndarray:
    """Unit quaternion (4,) x, y, z, w -> (ex, ey, ez) in degrees, inverse of ``euler_to_quaternion``."""
    x, y, z, w = q
    return np.degrees(
        [
            np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y)),
            np.arcsin(np.clip(2 * (w * y - x * z), -1, 1)),
            np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)),
        ]
    )


def pose_from_rep103(
    orientation: np.ndarray, translation: np.ndarray, metres_per_unit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pose in the REP-103 head frame -> (euler (3,) degrees, translation (3,) units from the mean, camera axes).

    ``orientation`` (4,) x, y, z, w of any length above zero, identity faces the camera; ``translation`` (3,)
    metres. A turn by more than 85 degrees is cut to 85, about the same axis.
    """
    q = _rep103_to_camera(np.asarray(orientation, float) / np.linalg.norm(orientation))
    sine = np.linalg.norm(q[:3])
    if 2 * np.arctan2(sine, q[3]) > LARGEST_ANGLE:
        q = np.append(q[:3] / sine * np.sin(LARGEST_ANGLE / 2), np.cos(LARGEST_ANGLE / 2))
    return quaternion_to_euler(q), REP103_TO_CAMERA @ np.asarray(translation, float) / metres_per_unit


def euler_from_rep103(orientation: np.ndarray) -> np.ndarray:
    """Unit quaternion (4,) x, y, z, w in the REP-103 head frame -> (ex, ey, ez) in degrees, however large the turn."""
    return quaternion_to_euler(_rep103_to_camera(orientation))


def _rep103_to_camera(q: np.ndarray) -> np.ndarray:
    """A turn about the REP-103 head axes as one about the camera's, w >= 0."""
    q = np.append(REP103_TO_CAMERA @ q[:3], q[3])
    return q if q[3] >= 0 else -q


def pose_to_rep103(euler: np.ndarray, translation: np.ndarray, metres_per_unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of ``pose_from_rep103``: -> (quaternion (4,) x, y, z, w with w >= 0, translation (3,) metres)."""
    q = euler_to_quaternion(np.asarray(euler, float))
    return (
        np.append(REP103_TO_CAMERA.T @ q[:3], q[3]),
        REP103_TO_CAMERA.T @ np.asarray(translation, float) * metres_per_unit,
    )
