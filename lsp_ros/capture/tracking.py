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

import cv2
import numpy as np
from scipy.linalg import solveh_banded

from lsp_ros.avatar.landmarks import CONTOUR, EYES, MOUTH, NOSE
from lsp_ros.capture.landmarks import IRISES, RIGID, RIGID_MIRROR, to_lsp73
from lsp_ros.geometry import project, rotation, to_camera

PUPILS = 6.3  # cm

# What is expected of a head and a face, as standard deviations.
SHAPE_SPREAD = 0.25  # cm that a point of the true shape lies off the mean mesh, each axis
TURN = 300.0  # degrees / s^2
SHIFT = 60.0  # cm / s^2
PIXEL = 1.0  # noise of a landmark
INDEPENDENT = 10  # how many points make independent errors: neighbours on the mesh err alike
EXPRESSION = 1.0  # cm that a landmark leaves its mean across the line of sight
DEPTH = 0.15  # cm that it leaves the mesh's depth
ACCELERATION = np.full(73, 60.0)  # cm / s^2 of a landmark in the head frame; lids and lips are quick
ACCELERATION[MOUTH] = 300.0
ACCELERATION[EYES] = 300.0
ACCELERATION[CONTOUR] = 100.0
ACCELERATION[NOSE] = 10.0
# From camera to head in cm: the usual distance, the spread of its logarithm, limits.
DISTANCE, DISTANCE_SPREAD, DISTANCES = 100.0, 0.35, (30.0, 500.0)
INDEPENDENT_FRAMES = 4
SHAPE_FRAMES = 120  # frames that shape and focal length are found with


@dataclass(frozen=True)
class Camera:
    """Pinhole of the 512x512 pictures: focal length and principal point in pixels."""

    focal: float
    centre: tuple[float, float]

    @property
    def matrix(self) -> np.ndarray:
        return np.array([[self.focal, 0, self.centre[0]], [0, self.focal, self.centre[1]], [0, 0, 1.0]])


@dataclass(frozen=True)
class Head:
    """A person's rigid shape (M, 3) in cm with the share that each point counts for, and poses of N frames."""

    shape: np.ndarray
    weight: np.ndarray
    euler: np.ndarray
    translation: np.ndarray


def mean_mesh(meshes: np.ndarray, rounds: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """(N, 478, 3) detector meshes -> mean shape (478, 3) in cm, head frame axes, and all meshes laid on it.

    Each mesh is turned, scaled and shifted so that its rigid points lie on those of the mean.
    """
    flipped = meshes.astype(np.float64) * [1, -1, -1]  # y up, z toward the viewer
    mean = flipped[len(flipped) // 2]
    for _ in range(rounds):
        aligned = align(flipped, mean)
        mean = np.median(aligned, axis=0)
        mean = mean / np.linalg.norm(mean[IRISES[0]] - mean[IRISES[1]]) * PUPILS
        mean = straighten(mean - mean[RIGID].mean(axis=0))
    return mean, align(flipped, mean)


def align(meshes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Similarity transforms of (N, P, 3) meshes that lay their rigid points on those of ``mean`` (Umeyama 1991)."""
    centre, target = meshes[:, RIGID].mean(axis=1, keepdims=True), mean[RIGID].mean(axis=0)
    centred, goal = meshes - centre, mean[RIGID] - target
    u, s, vt = np.linalg.svd(np.einsum('npi,pj->nij', centred[:, RIGID], goal))
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    turn = (u * sign[:, None]) @ vt
    scale = (s * sign).sum(axis=1) / (centred[:, RIGID] ** 2).sum(axis=(1, 2))
    return scale[:, None, None] * (centred @ turn) + target


def straighten(shape: np.ndarray) -> np.ndarray:
    """Turns a (478, 3) mesh about y and z, and shifts it in x, so that x = 0 is its plane of symmetry."""
    points, mirrored = shape[RIGID], shape[RIGID_MIRROR] * [-1, 1, 1]
    centre, other = points.mean(axis=0), mirrored.mean(axis=0)
    u, _, vt = np.linalg.svd((points - centre).T @ (mirrored - other))
    turn = vt.T @ np.diag([1, 1, np.linalg.det(vt.T @ u.T)]) @ u.T  # takes the face to its mirror image
    half = cv2.Rodrigues(cv2.Rodrigues(turn)[0] / 2)[0]
    turned = (shape - centre) @ half.T
    return turned - [turned[RIGID, 0].mean(), 0, 0]


def angles(matrix: np.ndarray) -> np.ndarray:
    """(..., 3, 3) -> (..., 3) degrees: the inverse of ``lsp_ros.geometry.rotation`` for |ey| < 90."""
    ex = np.degrees(np.arctan2(-matrix[..., 2, 1], -matrix[..., 2, 2]))
    ey = np.degrees(np.arcsin(np.clip(-matrix[..., 2, 0], -1, 1)))
    ez = np.degrees(np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0]))
    return np.stack([ex, ey, ez], axis=-1)


def first_poses(pixels: np.ndarray, shape: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Poses of (N, M, 2) pixels by perspective-n-point, each frame for itself: euler (N, 3), translation (N, 3)."""
    euler, translation = np.zeros((len(pixels), 3)), np.zeros((len(pixels), 3))
    for n, points in enumerate(pixels):
        _, turn, shift = cv2.solvePnP(shape, points.astype(np.float64), camera.matrix, None, flags=cv2.SOLVEPNP_SQPNP)
        euler[n], translation[n] = angles(cv2.Rodrigues(turn)[0]), shift[:, 0]
    return euler, translation


def _linearise(shape: np.ndarray, euler: np.ndarray, translation: np.ndarray, camera: Camera):
    """Pixels (N, M, 2), their derivatives by the pose (N, M, 2, 6; degrees, cm) and by the point (N, M, 2, 3)."""
    turn = rotation(euler)
    turned = shape @ turn.swapaxes(-1, -2)  # (N, M, 3), also for shapes of (N, M, 3)
    seen = turned + translation[:, None]
    z = seen[..., 2]
    pixels = camera.focal * seen[..., :2] / z[..., None] + np.array(camera.centre)
    slope = np.zeros((*z.shape, 2, 3))
    slope[..., 0, 0] = slope[..., 1, 1] = camera.focal / z
    slope[..., 0, 2] = -camera.focal * seen[..., 0] / z**2
    slope[..., 1, 2] = -camera.focal * seen[..., 1] / z**2
    ez = np.deg2rad(euler[:, 2])
    zero = np.zeros_like(ez)
    about_y, about_z = np.stack([-np.sin(ez), np.cos(ez), zero], -1), np.stack([zero, zero, zero + 1], -1)
    axes = np.stack([turn[..., 0], about_y, about_z], axis=1)
    spin = np.deg2rad(np.cross(axes[:, None], turned[:, :, None]))  # (N, M, 3 angles, 3)
    by_pose = np.concatenate([slope @ spin.swapaxes(-1, -2), slope], axis=-1)
    return pixels, by_pose, slope @ turn[:, None]


def adjust(
    pixels: np.ndarray,
    prior: np.ndarray,
    camera: Camera,
    weight: np.ndarray,
    start: Head | None = None,
    rounds: int = 12,
) -> tuple[Head, float]:
    """Shape and poses that explain (N, M, 2) pixels best, and the cost that remains.

    prior (M, 3) cm is where the shape is expected, within SHAPE_SPREAD; weight (M,) counts points. The cost is the sum
    of squared errors in standard deviations, halved. Poses are eliminated in every step (Schur complement), because
    they are six numbers and the shape hundreds: each step solves one system of 3 M.
    """
    N, M = pixels.shape[:2]
    if start is None:
        euler, translation = first_poses(pixels, prior, camera)
        start = Head(prior, weight, euler, translation)
    shape, euler, translation = start.shape.copy(), start.euler.copy(), start.translation.copy()
    w = weight * INDEPENDENT / weight.sum() / PIXEL**2
    stiff = 1 / SHAPE_SPREAD**2 * INDEPENDENT / M  # the shape's errors are neighbours', too

    def cost(shape, euler, translation):
        errors = pixels - project(to_camera(shape, euler, translation), camera.matrix)
        return 0.5 * (w[:, None] * errors**2).sum() + 0.5 * stiff * ((shape - prior) ** 2).sum()

    best, damping = cost(shape, euler, translation), 1e-3
    for _ in range(rounds):
        seen, by_pose, by_point = _linearise(shape, euler, translation, camera)
        error = pixels - seen
        H = np.einsum('nmki,m,nmkj->nij', by_pose, w, by_pose)
        H += damping * np.einsum('nii->ni', H)[:, :, None] * np.eye(6)
        g = np.einsum('nmki,m,nmk->ni', by_pose, w, error)
        C = np.einsum('nmki,m,nmkj->nimj', by_pose, w, by_point).reshape(N, 6, 3 * M)
        A = np.zeros((M, 3, M, 3))
        A[np.arange(M), :, np.arange(M), :] = np.einsum('nmki,m,nmkj->mij', by_point, w, by_point) + stiff * np.eye(3)
        b = np.einsum('nmki,m,nmk->mi', by_point, w, error) + stiff * (prior - shape)
        solved = np.linalg.solve(H, np.concatenate([g[..., None], C], axis=-1))
        A = A.reshape(3 * M, 3 * M) - np.tensordot(C, solved[..., 1:], axes=((0, 1), (0, 1)))
        b = b.ravel() - np.tensordot(C, solved[..., 0], axes=((0, 1), (0, 1)))
        move = np.linalg.solve(A, b)
        pose = solved[..., 0] - solved[..., 1:] @ move
        trial = shape + move.reshape(M, 3), euler + pose[:, :3], translation + pose[:, 3:]
        value = cost(*trial) if (trial[2][:, 2] > 0).all() else np.inf
        if value < best:
            gain, best, damping = best - value, value, damping / 5
            shape, euler, translation = trial
            if gain < 1e-6 * best:
                break
        else:
            damping *= 10
    return Head(shape, weight, euler, translation), best


def golden_section(function: Callable[[float], float], low: float, high: float, steps: int) -> float:
    """Where a function with one valley is smallest between low and high; each step keeps 0.618 of the interval."""
    ratio = (5**0.5 - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(steps):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2


def find_focal(
    pixels: np.ndarray,
    prior: np.ndarray,
    centre: tuple[float, float],
    weight: np.ndarray,
    independent: float = INDEPENDENT_FRAMES,
    steps: int = 12,
) -> tuple[float, list[tuple[float, float]]]:
    """Focal length in pixels by interval search (paper 4.1), and the (focal, cost) pairs that were tried.

    The cost of a focal length is what ``adjust`` cannot explain with it. Cao et al. 2013 halve an interval; the golden
    section does so with one trial a step. The detector errs alike in pictures that look alike, so that all frames
    together weigh as few ``independent`` ones; the rest of the knowledge is how far from a camera people sit.
    """
    scale = np.sqrt(np.median(np.var(pixels, axis=1).sum(axis=-1)) / np.var(prior, axis=0)[:2].sum())  # pixels a cm
    tried = []

    def cost(log_focal: float) -> float:
        focal = float(np.exp(log_focal))
        unexplained = adjust(pixels, prior, Camera(focal, centre), weight)[1] * independent / len(pixels)
        away = (log_focal - np.log(DISTANCE * scale)) / DISTANCE_SPREAD
        tried.append((focal, unexplained + 0.5 * away**2))
        return tried[-1][1]

    low, high = np.log(scale * np.array(DISTANCES))
    focal = float(np.exp(golden_section(cost, low, high, steps)))
    return focal, sorted(tried)


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
    camera: Camera,
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
            seen, by_pose, _ = _linearise(head.shape, euler[part], translation[part], camera)
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
    camera: Camera,
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
        A, b = np.eye(3) / SHAPE_SPREAD**2 * np.ones((73, 1, 1)), np.zeros((73, 3))
        for part in _parts(len(pixels)):
            seen, _, by_point = _linearise(shape + displaced[part], euler[part], translation[part], camera)
            A += np.einsum('nmki,nmkj->mij', by_point, by_point, optimize=True) * w * INDEPENDENT_FRAMES / len(pixels)
            b += np.einsum('nmki,nmk->mi', by_point, pixels[part] - seen) * w * INDEPENDENT_FRAMES / len(pixels)
        shape = shape + np.linalg.solve(A, b[..., None])[..., 0]
    expected = shape + displaced
    points = expected.copy()
    spread = np.diag([EXPRESSION**-2, EXPRESSION**-2, DEPTH**-2])
    for _ in range(2):
        H, g = np.zeros((len(pixels), 73, 3, 3)), np.zeros((len(pixels), 73, 3))
        for part in _parts(len(pixels)):
            seen, _, by_point = _linearise(points[part], euler[part], translation[part], camera)
            H[part] = np.einsum('nmki,nmkj->nmij', by_point, by_point, optimize=True) * w + spread
            g[part] = np.einsum('nmki,nmk->nmi', by_point, pixels[part] - seen) * w
            g[part] += (expected[part] - points[part]) @ spread
        for k in range(73):
            points[:, k] += smooth_step(H[:, k], g[:, k], points[:, k], times, segment, np.full(3, ACCELERATION[k]))
    return points


@dataclass(frozen=True)
class Track:
    """What is known of N frames: euler (N, 3) degrees, translation (N, 3) cm, points (N, 73, 3) cm, the camera, and how
    far the points lie from the detector's landmarks in the picture, error (N,) pixels (root mean square)."""

    euler: np.ndarray
    translation: np.ndarray
    points: np.ndarray
    camera: Camera
    error: np.ndarray
    tried: list[tuple[float, float]]


def track(
    meshes: np.ndarray,
    times: np.ndarray,
    segment: np.ndarray,
    centre: tuple[float, float],
    focal: float | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Track:
    """Everything above: (N, 478, 3) detector meshes in pixels of the picture -> a Track.

    times (N,) seconds, segment (N,) equal numbers for frames that follow one another; ``focal`` in pixels if it is
    known.
    """
    pixels = meshes[:, RIGID, :2].astype(np.float64)
    some = spread_out(meshes, SHAPE_FRAMES)
    mean, laid = mean_mesh(meshes[some])
    prior = mean[RIGID]
    weight = 1 / ((laid[:, RIGID, :2].std(axis=0) ** 2).sum(axis=-1) + 0.03**2)
    tried = []
    if focal is None:
        focal, tried = find_focal(pixels[some], prior, centre, weight)
    camera = Camera(focal, centre)
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
    turn = cv2.Rodrigues(np.deg2rad([pitch, 0, 0]))[0]
    euler, points = head.euler - [pitch, 0, 0], (points - origin) @ turn.T
    off = project(to_camera(points, euler, translation), camera.matrix) - landmarks
    return Track(euler, translation, points, camera, np.sqrt((off**2).sum(axis=-1).mean(axis=-1)), tried)


def spread_out(meshes: np.ndarray, count: int) -> np.ndarray:
    """Rows of at most ``count`` frames that differ most from one another in position, size and turn."""
    points = meshes[:, RIGID]
    size = np.sqrt(points[..., :2].var(axis=1).sum(axis=-1, keepdims=True))
    turn = (points - points.mean(axis=1, keepdims=True)) / size[..., None]
    turn = turn.reshape(len(turn), -1) / np.sqrt(len(RIGID))
    features = np.concatenate([points[..., :2].mean(axis=1) / size.mean(), size / size.mean(), turn], axis=1)
    chosen = [int(np.argmin(((features - np.median(features, axis=0)) ** 2).sum(axis=1)))]
    distance = np.full(len(features), np.inf)
    while len(chosen) < min(count, len(features)):
        distance = np.minimum(distance, ((features - features[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(distance)))
    return np.sort(chosen)
