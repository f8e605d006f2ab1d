"""3D face tracking by optimisation (paper section 4.1): one shape of the person, one focal length, a pose a frame.

The detector's mesh gives 468 points a picture. Those that do not move with expression carry the pose:

    pixel = K (R_t s_i + t_t) / z + noise        s_i the person's shape, the same in every frame

1. ``mean_mesh``      a first shape: the meshes of all frames laid on one another; their z is a usable depth.
2. ``adjust``         shape and poses of well-spread frames together (Gauss-Newton; the shape stays near the first one).
3. ``find_focal``     the focal length by interval search: the one with which step 2 ends at the smallest cost.
4. ``track_poses``    poses of all frames, smooth in time.
5. ``track_points``   where the 73 landmarks are in the head frame, smooth in time: along the line of sight, where one
                      camera sees nothing, the mesh's depth is believed.

Units: pixels of the 512x512 picture, degrees, centimetres. One camera cannot measure a size: centimetres are such that
the pupils are 6.3 cm apart, the mean of adults. The head frame is that of ``lsp_ros.signals``, straight where the
person looks on average; x = 0 is the face's plane of symmetry.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solveh_banded

from lsp_ros.avatar.landmarks import CONTOUR, EYES, MOUTH, NOSE
from lsp_ros.capture.adjustment import (
    INDEPENDENT,
    INDEPENDENT_FRAMES,
    PIXEL,
    SHAPE_SPREAD,
    Head,
    PinholeCamera,
    adjust,
    find_focal,
    first_poses,
    linearise,
)
from lsp_ros.capture.face_shape import align, mean_mesh, spread_out
from lsp_ros.capture.landmarks import RIGID, to_lsp73
from lsp_ros.geometry import project, rotation, rotation_about_x, to_camera
from lsp_ros.signals import LANDMARKS

# What is expected of a head and a face, as standard deviations; more of it in ``lsp_ros.capture.adjustment``.
TURN = 300.0  # degrees / s^2
SHIFT = 60.0  # cm / s^2
EXPRESSION = 1.0  # cm that a landmark leaves its mean across the line of sight
DEPTH = 0.15  # cm that it leaves the mesh's depth
ACCELERATION = np.full(LANDMARKS, 60.0)  # cm / s^2 of a landmark in the head frame; lids and lips are quick
ACCELERATION[MOUTH] = 300.0
ACCELERATION[EYES] = 300.0
ACCELERATION[CONTOUR] = 100.0
ACCELERATION[NOSE] = 10.0
SHAPE_FRAMES = 120  # frames that shape and focal length are found with


def smooth_step(
    H: np.ndarray, g: np.ndarray, x: np.ndarray, times: np.ndarray, segment: np.ndarray, acceleration: np.ndarray
) -> np.ndarray:
    """The step d (N, D) that minimises sum(d'Hd/2 - g'd) and the squared accelerations of x + d, in one banded system.

    H (N, D, D), g (N, D), x (N, D), times (N,) seconds; ``acceleration`` (D,) is the expected size of one, in units of
    x per s^2. Frames of different ``segment`` (N,) know nothing of one another.
    """
    N, D = x.shape
    band = np.zeros((2 * D + 1, N, D))  # upper form of scipy: band[2D - k] is the k-th diagonal above the main one
    for i in range(D):
        for j in range(i, D):
            band[2 * D - (j - i), :, j] += H[:, i, j]
    right = g.copy()
    if N > 2:
        inside = (segment[:-2] == segment[1:-1]) & (segment[1:-1] == segment[2:])
        h1, h2 = np.diff(times)[:-1], np.diff(times)[1:]
        rows = np.stack([2 / (h1 * (h1 + h2)), -2 / (h1 * h2), 2 / (h2 * (h1 + h2))], 1) * inside[:, None]
        now = sum(rows[:, k, None] * x[k : N - 2 + k] for k in range(3))
        for a in range(3):
            right[a : N - 2 + a] -= rows[:, a, None] * now / acceleration**2
            for b in range(a, 3):
                band[2 * D - (b - a) * D, b : N - 2 + b] += (rows[:, a] * rows[:, b])[:, None] / acceleration**2
    return solveh_banded(band.reshape(2 * D + 1, N * D), right.ravel(), overwrite_ab=True).reshape(N, D)


def track_poses(
    pixels: np.ndarray,
    head: Head,
    camera: PinholeCamera,
    times: np.ndarray,
    segment: np.ndarray,
    rounds: int = 6,
    progress: Callable[[float], None] = lambda share: None,
) -> Head:
    """Smooth poses of all frames, (N, M, 2) pixels; outliers among the points count less (Huber, 3 pixels)."""
    euler, translation = first_poses(pixels, head.shape, camera)
    acceleration = np.array([TURN] * 3 + [SHIFT] * 3)
    w = head.weight * INDEPENDENT / head.weight.sum() / PIXEL**2
    for number in range(rounds):
        H, g = np.zeros((len(pixels), 6, 6)), np.zeros((len(pixels), 6))
        for part in _parts(len(pixels)):
            seen, by_pose, _ = linearise(head.shape, euler[part], translation[part], camera)
            error = pixels[part] - seen
            trust = w * np.minimum(1, 3 * PIXEL / np.maximum(np.linalg.norm(error, axis=-1), 1e-9))
            H[part] = np.einsum('nmki,nm,nmkj->nij', by_pose, trust, by_pose, optimize=True)
            g[part] = np.einsum('nmki,nm,nmk->ni', by_pose, trust, error, optimize=True)
        move = smooth_step(H, g, np.concatenate([euler, translation], 1), times, segment, acceleration)
        euler, translation = euler + move[:, :3], translation + move[:, 3:]
        progress((number + 1) / rounds)
    return replace(head, euler=euler, translation=translation)


def _parts(length: int, size: int = 500) -> list[slice]:
    return [slice(first, min(length, first + size)) for first in range(0, length, size)]


def track_points(
    pixels: np.ndarray,
    shape: np.ndarray,
    displaced: np.ndarray,
    head: Head,
    camera: PinholeCamera,
    times: np.ndarray,
    segment: np.ndarray,
) -> np.ndarray:
    """(N, 73, 2) pixels -> (N, 73, 3) cm in the head frame, smooth in time.

    shape (73, 3) is where the landmarks are expected on average and is first corrected by all frames together;
    displaced (N, 73, 3) is how far the detector's mesh says that expression moves them, of which only the depth is
    believed.
    """
    euler, translation = head.euler, head.translation
    w = 1 / PIXEL**2
    for _ in range(3):  # the mean of each point, by all lines of sight
        A, b = np.eye(3) / SHAPE_SPREAD**2 * np.ones((LANDMARKS, 1, 1)), np.zeros((LANDMARKS, 3))
        for part in _parts(len(pixels)):
            seen, _, by_point = linearise(shape + displaced[part], euler[part], translation[part], camera)
            A += np.einsum('nmki,nmkj->mij', by_point, by_point, optimize=True) * w * INDEPENDENT_FRAMES / len(pixels)
            b += np.einsum('nmki,nmk->mi', by_point, pixels[part] - seen) * w * INDEPENDENT_FRAMES / len(pixels)
        shape = shape + np.linalg.solve(A, b[..., None])[..., 0]
    expected = shape + displaced
    points = expected.copy()
    spread = np.diag([EXPRESSION**-2, EXPRESSION**-2, DEPTH**-2])
    for _ in range(2):
        H, g = np.zeros((len(pixels), LANDMARKS, 3, 3)), np.zeros((len(pixels), LANDMARKS, 3))
        for part in _parts(len(pixels)):
            seen, _, by_point = linearise(points[part], euler[part], translation[part], camera)
            H[part] = np.einsum('nmki,nmkj->nmij', by_point, by_point, optimize=True) * w + spread
            g[part] = np.einsum('nmki,nmk->nmi', by_point, pixels[part] - seen) * w
            g[part] += (expected[part] - points[part]) @ spread
        for k in range(LANDMARKS):
            points[:, k] += smooth_step(H[:, k], g[:, k], points[:, k], times, segment, np.full(3, ACCELERATION[k]))
    return points


@dataclass(frozen=True)
class FaceTrack:
    """What is known of N frames: euler (N, 3) degrees, translation (N, 3) cm, points (N, 73, 3) cm, the camera, and how
    far the points lie from the detector's landmarks in the picture, error (N,) pixels (root mean square)."""

    euler: np.ndarray
    translation: np.ndarray
    points: np.ndarray
    camera: PinholeCamera
    error: np.ndarray
    tried: list[tuple[float, float]]


def track(
    meshes: np.ndarray,
    times: np.ndarray,
    segment: np.ndarray,
    centre: tuple[float, float],
    focal: float | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> FaceTrack:
    """All five steps: (N, 478, 3) detector meshes in pixels of the picture -> the FaceTrack.

    times (N,) seconds, segment (N,) equal numbers for frames that follow one another; ``focal`` in pixels if it is
    known.
    """
    pixels = meshes[:, RIGID, :2].astype(np.float64)
    some = spread_out(meshes, SHAPE_FRAMES)
    mean, laid = mean_mesh(meshes[some])
    prior = mean[RIGID]
    weight = 1 / ((laid[:, RIGID, :2].std(axis=0) ** 2).sum(axis=-1) + 0.03**2)
    tried: list[tuple[float, float]] = []
    if focal is None:
        focal, tried = find_focal(pixels[some], prior, centre, weight)
    camera = PinholeCamera(focal, centre)
    progress(0.2)
    head, _ = adjust(pixels[some], prior, camera, weight)
    head = track_poses(pixels, head, camera, times, segment, progress=lambda share: progress(0.2 + share / 2))
    # The rest of the mesh goes where its rigid points went. In parts: all meshes in float64 would be the most memory.
    affine = np.linalg.lstsq(np.c_[prior, np.ones(len(prior))], head.shape, rcond=None)[0]
    laid = np.concatenate(
        [
            to_lsp73(align(meshes[part] * [1.0, -1.0, -1.0], mean)) @ affine[:3] + affine[3]
            for part in _parts(len(meshes))
        ]
    )
    shape = np.median(laid, axis=0)
    landmarks = np.concatenate([to_lsp73(meshes[part, :, :2].astype(np.float64)) for part in _parts(len(meshes))])
    points = track_points(landmarks, shape, laid - shape, head, camera, times, segment)
    progress(0.95)
    # Origin at the centroid of the mean landmarks, straight where the person looks on average.
    origin, pitch = points.mean(axis=(0, 1)), float(np.median(head.euler[:, 0]))
    translation = head.translation + origin @ rotation(head.euler).swapaxes(-1, -2)
    euler, points = head.euler - [pitch, 0, 0], (points - origin) @ rotation_about_x(pitch).T
    off = project(to_camera(points, euler, translation), camera.matrix) - landmarks
    return FaceTrack(euler, translation, points, camera, np.sqrt((off**2).sum(axis=-1).mean(axis=-1)), tried)
