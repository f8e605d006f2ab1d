"""The ICT-FaceKit light model as arrays, the presenter's identity, and small geometry helpers.

Frame of the geometry: x right in the picture (the person's left), y up, z toward the viewer, centimetres.
PRESENTER_DATA names the folder that holds ict.npz and mh/ (see README).
"""

from __future__ import annotations

import os

import numpy as np

FOLDER = os.environ.get('PRESENTER_DATA', os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'assets'))
MODEL = dict(np.load(os.path.join(FOLDER, 'ict.npz')))
V0 = MODEL['V'].astype(np.float64)
SHAPES = {str(name): delta for name, delta in zip(MODEL['ex'], MODEL['E'].astype(np.float32))}
UV, FACE_MATERIAL = MODEL['uv'], MODEL['M']
MATERIALS = list(MODEL['mats'])
_starts = np.concatenate([[0], np.cumsum(MODEL['Fl'])])
FACES = [MODEL['F'][_starts[i] : _starts[i + 1]] for i in range(len(MODEL['Fl']))]
FACE_UV = [MODEL['FU'][_starts[i] : _starts[i + 1]] for i in range(len(MODEL['Fl']))]
SKIN, HEAD, SOCKETS = 9409, 11248, 14062  # vertices below: face skin, with the back of the head, with mouth and lids
EYES = (slice(21451, 23021), slice(23021, 24591))  # the person's left eyeball (x > 0), right eyeball
CORNEAS = (slice(21451, 22221), slice(23021, 23791))
# fmt: off
LM68 = [  # vertices of the 68 Multi-PIE landmarks published with ICT-FaceKit
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443,
    268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147,
    4269, 3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081,
    0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966]
# fmt: on


def smooth(x: np.ndarray, a, b) -> np.ndarray:
    """Smooth step from 0 at a to 1 at b."""
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def blob(points: np.ndarray, centre: np.ndarray, radius) -> np.ndarray:
    """Gaussian bump of 3-D points around a centre; radius one number or three."""
    return np.exp(-(((points - centre) / np.asarray(radius)) ** 2).sum(1) / 2)


def to_blender(points: np.ndarray) -> np.ndarray:
    """(x, y up, z front) -> Blender's (x, -y front, z up)."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def rotation_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Smallest rotation matrix that takes unit vector a to unit vector b."""
    v = np.cross(a, b)
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + k + k @ k / (1 + a @ b)


def inside_polygon(p: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Which of the 2-D points lie inside the polygon."""
    x, y = p[:, 0], p[:, 1]
    inside = np.zeros(len(p), bool)
    j = len(polygon) - 1
    for i in range(len(polygon)):
        (xi, yi), (xj, yj) = polygon[i], polygon[j]
        inside ^= ((yi > y) != (yj > y)) & (x < (xj - xi) * (y - yi) / (yj - yi + 1e-12) + xi)
        j = i
    return inside


def outline_distance(p: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Distance of 2-D points to a closed polygon's outline."""
    d = np.full(len(p), 1e9)
    for i in range(len(polygon)):
        a = polygon[i]
        ab = polygon[(i + 1) % len(polygon)] - a
        t = np.clip(((p - a) @ ab) / (ab @ ab + 1e-12), 0, 1)
        d = np.minimum(d, np.linalg.norm(p - (a + t[:, None] * ab), axis=1))
    return d


def closed_curve(points: np.ndarray, n: int = 6) -> np.ndarray:
    """Closed Catmull-Rom curve through points, n samples per span."""
    out = []
    for i in range(len(points)):
        p0, p1, p2, p3 = points[i - 1], points[i], points[(i + 1) % len(points)], points[(i + 2) % len(points)]
        for t in np.arange(n) / n:
            out.append(
                0.5
                * (
                    2 * p1
                    + (-p0 + p2) * t
                    + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t * t
                    + (-p0 + 3 * p1 - 3 * p2 + p3) * t**3
                )
            )
    return np.array(out)


def arc(points: np.ndarray, fractions) -> np.ndarray:
    """Points at fractions of the length of a polyline."""
    points = np.asarray(points)
    d = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    return np.stack([np.interp(np.asarray(fractions) * d[-1], d, points[:, k]) for k in range(3)], 1)


def vertex_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals of vertices from triangles (rows of 3 or 4 indices; the first three are used)."""
    normals = np.zeros_like(points)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    for k in range(3):
        np.add.at(normals, triangles[:, k], across)
    return normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9)


def tongue_shapes() -> dict[str, np.ndarray]:
    """Two shapes that the light model lacks: tip forward between the teeth, tip up behind the upper teeth."""
    ids = np.unique(
        np.concatenate(
            [f for i, f in enumerate(FACES) if MATERIALS[FACE_MATERIAL[i]] == 'M_GumsTongue' and f.min() >= 15772]
        )
    )
    p = V0[ids]
    tip = smooth(p[:, 2], 6.6, 9.75) * smooth(p[:, 1], -5.25, -4.5) * smooth(-np.abs(p[:, 0]), -2.0, -0.9)
    out = {}
    for name, move in (('tongueOut', (0, 0.85, 1.45)), ('tongueUp', (0, 1.45, 0.35))):
        out[name] = np.zeros_like(V0, dtype=np.float32)
        out[name][ids] = tip[:, None] * np.array(move)
    return out


SHAPES.update(tongue_shapes())


def own_features(points: np.ndarray) -> np.ndarray:
    """Ears nearer to the head, and the small asymmetries that every face has."""
    p = points.copy()
    lm = p[LM68].copy()
    skin = np.arange(len(p)) < SKIN
    for side, jaw in ((-1, 0), (1, 16)):
        x0 = np.abs(lm[jaw, 0]) - 0.1
        near = smooth(-np.abs(p[:, 1] - (lm[30, 1] + 1.5)), -6.5, -4.5) * smooth(
            -np.abs(p[:, 2] - lm[0, 2] + 3), -6, -4
        )
        p[:, 0] -= side * 0.24 * np.clip(side * p[:, 0] - x0, 0, None) * near * skin
    p[:, 0] += 0.10 * blob(p, lm[30], (1.6, 1.8, 3)) - 0.05 * blob(p, lm[27], (1.4, 1.6, 3))
    p[:, 1] += 0.07 * blob(p, lm[19], (2.2, 1.1, 3)) - 0.04 * blob(p, lm[24], (2.2, 1.1, 3))
    p[:, 1] += 0.05 * blob(p, lm[48], (1.2, 1, 2.5)) + 0.03 * np.tanh(p[:, 0] / 4) * blob(p, lm[57], (6, 3, 6))
    p[:, 0] -= 0.08 * blob(p, lm[8], (2.4, 1.6, 4))
    return p


def identity(seed: int, sigma: float) -> np.ndarray:
    """Neutral mesh (V, 3) of a random identity: the 100 ICT modes, late ones weaker, then own_features."""
    weights = np.random.RandomState(seed).randn(100) * sigma
    weights[40:] *= 0.6
    return own_features(V0 + np.einsum('k,kvc->vc', weights, MODEL['I'].astype(np.float32)))
