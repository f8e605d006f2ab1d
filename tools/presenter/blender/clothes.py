"""Crew-neck jersey on a MakeHuman torso (CC0), with a ribbed collar along the neck ring."""

from __future__ import annotations

import gzip
import os

import bpy
import ict
import numpy as np
from ict import smooth
from regions import Regions

TARGETS = ('caucasian-male-young.target.gz', 'universal-male-young-averagemuscle-averageweight.target.gz')


def body() -> tuple[np.ndarray, list[list[int]]]:
    """MakeHuman vertices (N, 3) in cm and the faces of its body."""
    vertices, faces, group = [], [], None
    with gzip.open(os.path.join(ict.FOLDER, 'mh', 'base.obj.gz'), 'rt') as file:
        for line in file:
            if line.startswith('v '):
                vertices.append(line.split()[1:4])
            elif line.startswith('g '):
                group = line.split()[1]
            elif line.startswith('f ') and group == 'body':
                faces.append([int(x.split('/')[0]) - 1 for x in line.split()[1:]])
    v = np.array(vertices, float)
    for name in TARGETS:
        with gzip.open(os.path.join(ict.FOLDER, 'mh', name), 'rt') as file:
            for line in file:
                part = line.split()
                if len(part) == 4 and part[0].isdigit():
                    v[int(part[0])] += np.array(part[1:], float)
    return v * 10.0, faces


def under_head(v: np.ndarray, faces: list[list[int]], rest: np.ndarray, lm: np.ndarray) -> np.ndarray:
    """The body moved so that its neck (narrowest ring below the head) meets the head's neck."""
    used = np.unique(np.concatenate(faces))
    top = v[used, 1].max()
    heights = np.arange(top - 34, top - 18, 0.25)
    widths = []
    for y in heights:
        ring = used[np.abs(v[used, 1] - y) < 0.6]
        widths.append(np.ptp(v[ring, 0]) if len(ring) > 6 else 99)
    neck = heights[int(np.argmin(widths))]
    ring = used[np.abs(v[used, 1] - neck) < 0.8]
    centre = (v[ring, 2].max() + v[ring, 2].min()) / 2
    y = lm[8, 1] - 3.2
    ids = np.arange(ict.HEAD)
    own = ids[(np.abs(rest[ids, 1] - y) < 0.5) & (rest[ids, 2] < lm[8, 2] - 3)]
    own_centre = (rest[own, 2].max() + rest[own, 2].min()) / 2
    return v - [0, neck, centre] + [0, y + 1.2, own_centre - 0.6]


class _Cloth:
    """A mesh with Laplacian smoothing and normals."""

    def __init__(self, faces: list[list[int]], count: int) -> None:
        edges = np.array([(f[i], f[(i + 1) % len(f)]) for f in faces for i in range(len(f))])
        self.edges = np.concatenate([edges, edges[:, ::-1]])
        self.degree = np.bincount(self.edges[:, 0], minlength=count)[:, None]
        self.triangles = np.array([f[:3] for f in faces])

    def relax(self, q: np.ndarray, rounds: int) -> np.ndarray:
        for _ in range(rounds):
            mean = np.zeros_like(q)
            np.add.at(mean, self.edges[:, 0], q[self.edges[:, 1]])
            q = 0.5 * q + 0.5 * mean / self.degree
        return q

    def normals(self, q: np.ndarray) -> np.ndarray:
        return ict.vertex_normals(q, self.triangles)


def _object(scene, name: str, points: np.ndarray, faces, material):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(ict.to_blender(points).tolist(), [], faces)
    mesh.polygons.foreach_set('use_smooth', np.ones(len(faces), bool))
    mesh.materials.append(material)
    new = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(new)
    return new


def torso(scene, regions: Regions, material) -> None:
    """Objects 'torso' and 'collar': smoothed and inflated body, soft folds, no cloth above the collar."""
    lm = regions.lm
    v, faces = body()
    p = under_head(v, faces, regions.rest, lm)
    low, high = lm[8, 1] - 32, lm[8, 1] - 1.2
    faces = [f for f in faces if p[f, 1].min() > low and p[f, 1].max() < high and np.abs(p[f, 0]).max() < 32]
    used = np.unique(np.concatenate(faces))
    index = -np.ones(len(p), int)
    index[used] = np.arange(len(used))
    faces = [[int(index[v]) for v in f] for f in faces]
    bare = p[used]
    cloth = _Cloth(faces, len(used))
    q = bare + [0, 0, 1.3]  # chest forward, to meet the collar
    q = cloth.relax(q + cloth.normals(q) * 0.9, 5)
    q = q + cloth.normals(q) * 0.7
    th = np.arctan2(q[:, 2] - regions.neck_z, q[:, 0])
    radius = np.hypot(q[:, 0], q[:, 2] - regions.neck_z)
    limit = regions.ring_height(th) - 1.1
    near = smooth(-(radius / (regions.ring_radius(th) + 0.55)), -1.9, -1.05)
    q[:, 1] = np.where(q[:, 1] > limit, q[:, 1] * (1 - near) + limit * near, q[:, 1])
    # outside the collar the cloth must not pass under the collar's foot
    foot = regions.ring_radius(th) + 0.75
    share = smooth(np.sin(th), -0.1, 0.85) * smooth(q[:, 1], limit - 6.5, limit - 1.2)
    share *= smooth(-q[:, 1], -limit - 0.3, -limit + 0.1)
    k = 1 + (np.maximum(foot / np.maximum(radius, 1e-6), 1) - 1) * share
    q[:, 0] *= k
    q[:, 2] = regions.neck_z + (q[:, 2] - regions.neck_z) * k
    w = (smooth(np.sin(th), 0.0, 0.5) * (q[:, 1] < limit - 0.05) * smooth(q[:, 1], limit - 9, limit - 5))[:, None]
    q = q * (1 - w) + w * cloth.relax(q, 5)
    # soft folds: fan out from the collar, diagonals to the armpits, unlike on both sides
    drop = np.maximum(0, limit - q[:, 1])
    fan = np.sin(11 * th + 1.2 * np.sin(3 * th + 0.6) + 0.25 * drop) * np.exp(-(((drop - 4.5) / 3.0) ** 2))
    bend = 1.3 * np.sin(0.21 * q[:, 0] + 1) + 0.5 * np.sin(0.6 * q[:, 1])
    slant = np.sin((q[:, 1] - 0.9 * np.abs(q[:, 0])) * 0.75 + bend)
    slant *= smooth(np.abs(q[:, 0]), 7, 14) * smooth(drop, 3, 8)
    q = q + cloth.normals(q) * (0.20 * fan + 0.36 * slant)[:, None]
    bare_limit = regions.ring_height(np.arctan2(bare[:, 2] - regions.neck_z, bare[:, 0]))
    faces = [f for f in faces if (bare[f, 1] - bare_limit[f]).min() < -0.9]
    _object(scene, 'torso', q, faces, material).modifiers.new('smooth', 'SUBSURF').render_levels = 2
    _collar(scene, regions, material)


def _collar(scene, regions: Regions, material) -> None:
    count = 360
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    rib = 0.05 * np.sin(turn * 120)
    profile = (  # height, distance from the neck, share of the ribs
        (-1.4, 0.05, 0), (-0.4, 0.10, 0), (-0.02, 0.14, 0.3), (0.08, 0.28, 0.6), (0.0, 0.44, 1), (-0.35, 0.58, 1),
        (-0.9, 0.70, 1), (-1.4, 0.84, 1), (-1.9, 0.96, 1), (-2.05, 0.84, 0.5), (-2.05, 0.4, 0),
    )  # fmt: skip
    wobble = 0.05 * np.sin(3 * turn + 1) + 0.04 * np.sin(7 * turn)
    rings = []
    for height, off, share in profile:
        r = regions.ring_radius(turn) + off + rib * share
        y = regions.ring_height(turn) + height + wobble
        rings.append(np.stack([r * np.cos(turn), y, regions.neck_z + r * np.sin(turn)], 1))
    faces = [
        [i * count + j, i * count + (j + 1) % count, (i + 1) * count + (j + 1) % count, (i + 1) * count + j]
        for i in range(len(rings) - 1)
        for j in range(count)
    ]
    _object(scene, 'collar', np.concatenate(rings), faces, material)
