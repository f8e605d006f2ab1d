"""Which vertices are the 73 landmarks, and the shoulder outline."""

from __future__ import annotations

import bpy
import ict
import numpy as np
from scipy.spatial import cKDTree


def landmark_vertices(rest: np.ndarray, brows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Two vertex numbers for each of the 73 points (their mean is the point; equal but for point 64).

    rest: (V, 3); brows: middle lines of both brows, left one in the picture first.
    """
    lm, points = ict.LM68, rest[ict.LM68]
    tree = cKDTree(rest[: ict.SKIN])

    def near(p) -> int:
        return int(tree.query(p)[1])

    v = [-1] * 73
    for k, p in enumerate(ict.arc(points[0:17], np.arange(15) / 14)):
        v[k] = near(p)
    v[0], v[7], v[14] = lm[0], lm[8], lm[16]
    for base, line in ((15, brows[0]), (21, brows[1][::-1])):  # outer end, two upper, inner end, two lower
        c = ict.arc(line, [0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
        c[1:3, 1] += 0.28
        c[4:6, 1] -= 0.28
        for k in range(6):
            v[base + k] = near(c[k])
    for outer, inner, upper, lower, at in (
        (36, 39, [37, 38], [41, 40], (27, 65, 28, 68, 29, 67, 30, 66)),
        (45, 42, [44, 43], [46, 47], (33, 69, 32, 72, 31, 71, 34, 70)),
    ):
        up = [near(p) for p in ict.arc(points[[outer, *upper, inner]], [0.25, 0.5, 0.75])]
        down = [near(p) for p in ict.arc(points[[inner, *lower[::-1], outer]], [0.25, 0.5, 0.75])]
        for k, vertex in zip(at, (lm[outer], *up, lm[inner], *down)):
            v[k] = vertex
    wing = abs(points[35, 0] - points[31, 0])
    for left, right, mixed, x, depth in (
        (35, 43, points[27] * 0.75 + points[28] * 0.25, 0.42, 3.0),
        (36, 42, points[29] * 0.70 + points[30] * 0.30, 0.50, 2.2),
        (37, 41, points[30] * 0.45 + points[33] * 0.55, 0.82, 1.9),
    ):
        for k, sign in ((left, -1), (right, 1)):
            v[k] = near(np.array([sign * x * wing, mixed[1], points[30, 2] - depth]))
    v[38], v[40], v[39], v[44], v[45] = lm[31], lm[35], lm[33], lm[32], lm[34]
    for k in range(12):
        v[46 + k] = lm[48 + k]
    v[63], v[62], v[61], v[60], v[59], v[58] = lm[61], lm[62], lm[63], lm[65], lm[66], lm[67]
    first, second = np.array(v), np.array(v)
    first[64], second[64] = v[62], v[59]  # midpoint of two inner-lip vertices
    assert (first >= 0).all()
    return first, second


def shoulder_outline(camera: np.ndarray, focal: float) -> np.ndarray:
    """(18, 3) points of the clothes' upper outline, 9 columns of the picture on either side.

    camera: place (3) in the y-up frame; focal: pixels.
    """
    graph = bpy.context.evaluated_depsgraph_get()
    torso = bpy.data.objects['torso'].evaluated_get(graph)
    mesh = torso.to_mesh()
    points = np.zeros(len(mesh.vertices) * 3)
    mesh.vertices.foreach_get('co', points)
    edges = np.zeros(len(mesh.edges) * 2, int)
    mesh.edges.foreach_get('vertices', edges)
    points, edges = points.reshape(-1, 3), edges.reshape(-1, 2)
    points = np.stack([points[:, 0], points[:, 2], -points[:, 1]], 1)
    t = np.linspace(0, 1, 5)[:, None, None]
    cloth = (points[edges[:, 0]] * (1 - t) + points[edges[:, 1]] * t).reshape(-1, 3)
    torso.to_mesh_clear()
    d = cloth - camera
    px, py = 256 + focal * d[:, 0] / -d[:, 2], 256 - focal * d[:, 1] / -d[:, 2]
    out = []
    for x in (*np.linspace(12, 150, 9), *np.linspace(362, 500, 9)):
        column = np.where(np.abs(px - x) < 3)[0]
        out.append(cloth[column[np.argsort(py[column])[:3]]].mean(0))
    return np.array(out)
