"""The mean shape of a face from many detector meshes: the first step of the tracking (:mod:`lsp_ros.capture.tracking`).

Meshes are (478, 3): x and y in pixels, z in pixels too, smaller nearer to the camera. Shapes are in centimetres, in the
axes of the head frame: y up, z toward the viewer, x = 0 the face's plane of symmetry.
"""

import cv2
import numpy as np

from lsp_ros.capture.landmarks import IRISES, RIGID, RIGID_MIRROR

PUPILS = 6.3  # cm


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
