"""Shape, poses and focal length that explain landmarks best (bundle adjustment), for the tracking
(:mod:`lsp_ros.capture.tracking`).

Units: pixels of the 512x512 picture, degrees, centimetres. A shape is (M, 3), pixels of N frames are (N, M, 2).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from lsp_ros.geometry import euler_axes, project, rotation, rotation_to_euler, to_camera

# What is expected of a face, as standard deviations.
SHAPE_SPREAD = 0.25  # cm that a point of the true shape lies off the mean mesh, each axis
PIXEL = 1.0  # noise of a landmark
INDEPENDENT = 10  # how many points make independent errors: neighbours on the mesh err alike
INDEPENDENT_FRAMES = 4
# From camera to head in cm: the usual distance, the spread of its logarithm, limits.
DISTANCE, DISTANCE_SPREAD, DISTANCES = 100.0, 0.35, (30.0, 500.0)


@dataclass(frozen=True)
class PinholeCamera:
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


def first_poses(pixels: np.ndarray, shape: np.ndarray, camera: PinholeCamera) -> tuple[np.ndarray, np.ndarray]:
    """Poses of (N, M, 2) pixels by perspective-n-point, each frame for itself: euler (N, 3), translation (N, 3)."""
    euler, translation = np.zeros((len(pixels), 3)), np.zeros((len(pixels), 3))
    for n, points in enumerate(pixels):
        _, turn, shift = cv2.solvePnP(shape, points.astype(np.float64), camera.matrix, None, flags=cv2.SOLVEPNP_SQPNP)
        euler[n], translation[n] = rotation_to_euler(cv2.Rodrigues(turn)[0]), shift[:, 0]
    return euler, translation


def linearise(
    shape: np.ndarray, euler: np.ndarray, translation: np.ndarray, camera: PinholeCamera
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    spin = np.deg2rad(np.cross(euler_axes(euler)[:, None], turned[:, :, None]))  # (N, M, 3 angles, 3)
    by_pose = np.concatenate([slope @ spin.swapaxes(-1, -2), slope], axis=-1)
    return pixels, by_pose, slope @ turn[:, None]


def adjust(
    pixels: np.ndarray,
    prior: np.ndarray,
    camera: PinholeCamera,
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

    def cost(shape: np.ndarray, euler: np.ndarray, translation: np.ndarray) -> float:
        errors = pixels - project(to_camera(shape, euler, translation), camera.matrix)
        return float(0.5 * (w[:, None] * errors**2).sum() + 0.5 * stiff * ((shape - prior) ** 2).sum())

    best, damping = cost(shape, euler, translation), 1e-3
    for _ in range(rounds):
        seen, by_pose, by_point = linearise(shape, euler, translation, camera)
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
        unexplained = adjust(pixels, prior, PinholeCamera(focal, centre), weight)[1] * independent / len(pixels)
        away = (log_focal - np.log(DISTANCE * scale)) / DISTANCE_SPREAD
        tried.append((focal, unexplained + 0.5 * away**2))
        return tried[-1][1]

    low, high = np.log(scale * np.array(DISTANCES))
    focal = float(np.exp(golden_section(cost, low, high, steps)))
    return focal, sorted(tried)
