"""Hair of the scalp, brows and lashes as curves. Roots are kept in barycentric form and follow the skin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import bpy
import ict
import numpy as np
from ict import smooth
from regions import Regions
from scipy.spatial import cKDTree


@dataclass
class Strands:
    """Curves rooted in triangles: (n, 3) vertex numbers, (n, 3) weights, (n, k, 3) rest points in cm."""

    triangles: np.ndarray
    weights: np.ndarray
    points: np.ndarray
    radius: float
    material: str


@dataclass
class Style:
    """What makes hair and brows of one person."""

    count: int = 80000
    length_sides: float = 0.34  # cm
    length_top: float = 1.85  # cm, more than the sides
    brow_density: float = 0.15
    brow_arch: float = 0.68  # 1: the arc of the skull's brow landmarks, 0: straight
    brow_width: float = 0.88


def skin_triangles() -> np.ndarray:
    out = []
    for i, face in enumerate(ict.FACES):
        if ict.MATERIALS[ict.FACE_MATERIAL[i]] in ('M_Face', 'M_BackHead') and face.max() < ict.HEAD:
            out.append(face[[0, 1, 2]])
            if len(face) == 4:
                out.append(face[[0, 2, 3]])
    return np.array(out)


def brow_arcs(lm: np.ndarray, arch: float) -> list[np.ndarray]:
    """Middle line of both brows, (41, 3) each, in the order of the landmarks (left to right in the picture)."""
    arcs = []
    for first in (17, 22):
        p = lm[first : first + 5]
        t = np.linspace(0, 4, 41)
        low = np.minimum(t, 3.999).astype(int)
        part = (np.minimum(t, 3.999) - low)[:, None]
        q = p[low] * (1 - part) + p[low + 1] * part
        inner = t / 4 if first == 17 else 1 - t / 4
        q[:, 1] += -0.10 - 0.09 * inner**2 + 0.07 * np.sin(np.pi * inner) * (inner < 0.7) + 0.04 * (1 - inner)
        q[:, 1] -= 0.24
        s = np.linspace(0, 1, len(q))
        q[:, 1] += (1 - arch) * ((q[0, 1] * (1 - s) + q[-1, 1] * s) - q[:, 1])
        arcs.append(q)
    return arcs


def brow_tint(rest: np.ndarray, lm: np.ndarray, style: Style) -> np.ndarray:
    """0..1 per vertex: darker skin between the hairs of the brows; it also steadies them against the denoiser."""
    tint = np.zeros(len(rest))
    for k, q in enumerate(brow_arcs(lm, style.brow_arch)):
        inner = np.linspace(0, 1, len(q)) if k == 0 else np.linspace(1, 0, len(q))
        d, i = cKDTree(q).query(rest[: ict.SKIN])
        width = np.interp(inner[i], [0, 0.25, 0.5, 0.85, 1], [0.16, 0.28, 0.40, 0.42, 0.34]) * style.brow_width
        strength = np.interp(inner[i], [0, 0.25, 0.8, 1], [0.5, 1, 0.9, 0.35])
        tint[: ict.SKIN] = np.maximum(tint[: ict.SKIN], strength * np.exp(-((d / width) ** 2)))
    return tint


class Growth:
    """Grows strands on a head with regions."""

    def __init__(self, regions: Regions, style: Style) -> None:
        self.regions, self.style = regions, style
        self.rest, self.lm = regions.rest, regions.lm
        self.triangles = skin_triangles()
        self.normals = ict.vertex_normals(self.rest, self.triangles)
        self.rng = np.random.RandomState(1)
        self.arcs = brow_arcs(self.lm, style.brow_arch)

    def sample(self, density: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
        """Random roots by area and vertex density: triangles, weights, points, normals."""
        rng, rest, t = self.rng, self.rest, self.triangles
        area = np.linalg.norm(np.cross(rest[t[:, 1]] - rest[t[:, 0]], rest[t[:, 2]] - rest[t[:, 0]]), axis=1)
        area = area * (density[t].max(1) > 0.01)
        chosen = t[rng.choice(len(t), count, p=area / area.sum())]
        u = rng.rand(count, 2)
        over = u.sum(1) > 1
        u[over] = 1 - u[over]
        b = np.stack([1 - u.sum(1), u[:, 0], u[:, 1]], 1)
        keep = rng.rand(count) < np.clip((density[chosen] * b).sum(1), 0, 1)
        chosen, b = chosen[keep], b[keep]
        points = (rest[chosen] * b[..., None]).sum(1)
        normals = (self.normals[chosen] * b[..., None]).sum(1)
        return chosen, b, points, normals / np.linalg.norm(normals, axis=1, keepdims=True)

    def hair(self) -> list[Strands]:
        """A crop: short sides, longer and forward on top, whorl at the crown; and thin hairs along the hair line."""
        rng, rest, lm, style = self.rng, self.rest, self.lm, self.style
        t, b, p, n = self.sample((self.regions.scalp > 0) * 1.0, int(style.count * 1.3))
        density = self.regions.hair_density(p, rng.randn(len(p)) * 0.34)
        density *= 1 - (self.regions.ear[t] * b).sum(1)
        density *= smooth(self.regions.ear_tree.query(p)[0], 0.15, 0.75)  # free the ear's front edge
        top = rest[: ict.HEAD, 1].max()
        height = smooth(p[:, 1], lm[27, 1] + 2.2, top - 2.2)
        front = smooth(p[:, 2], 3.0, 8.0) * height
        keep = (rng.rand(len(p)) < density ** (1.4 + 0.5 * front)) & (density > 0.06)
        t, b, p, n, density, height, front = (x[keep] for x in (t, b, p, n, density, height, front))
        crown = np.array([0.8, top - 1.5, lm[0, 2] - 5.0])
        away = p - crown
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        comb = 0.8 * away
        comb += np.stack([0.45 * height - 0.15 * front, -0.8 * (1 - height) + 0.5 * front, 0.15 * height], 1)
        comb += np.cross(n, away) * 0.30
        locks = 2200
        centres = p[rng.choice(len(p), locks)]
        _, lock = cKDTree(centres).query(p)
        comb += (rng.randn(locks, 3) * 0.24)[lock] * (0.35 + 0.65 * height)[:, None] + rng.randn(len(p), 3) * 0.15
        comb -= n * (comb * n).sum(1, keepdims=True)
        comb /= np.linalg.norm(comb, axis=1, keepdims=True)
        short = 0.30 + 0.28 * front
        edge = short + (1 - short) * smooth(density, 0.1, 1.0)
        length = (style.length_sides + (style.length_top - style.length_sides) * height**1.2) * edge
        length *= (0.6 + 0.6 * rng.rand(len(p))) * (0.75 + 0.5 * rng.rand(locks))[lock]
        lift = (0.60 + 0.25 * height + 0.25 * front) * (0.85 + 0.3 * rng.rand(len(p)))
        pull = (centres[lock] - p) * (0.42 * height * np.minimum(1, length / 1.2))[:, None]
        k = 6
        points = np.zeros((len(p), k, 3))
        points[:, 0] = p - n * 0.03
        for j in range(1, k):
            s = j / (k - 1)
            way = n * lift[:, None] * (1 - 0.85 * s) + comb * (0.45 + 0.65 * s)
            way /= np.linalg.norm(way, axis=1, keepdims=True)
            points[:, j] = points[:, j - 1] + way * (length / (k - 1))[:, None]
            points[:, j] += pull * (s**1.5 - ((j - 1) / (k - 1)) ** 1.5)
        fine = density < 0.45
        return [
            Strands(t[m], b[m], points[m], radius, 'hair') for m, radius in ((~fine, 0.0082), (fine, 0.0052)) if m.any()
        ]

    def brows(self) -> Strands:
        """Hairs along the brow arcs: inner ones stand up, outer ones lie along, upper and lower ones meet."""
        rng, rest, style = self.rng, self.rest, self.style
        inward = [self.arcs[0][::-1], self.arcs[1]]  # inner to outer
        near = np.zeros(len(rest))
        for q in inward:
            d = np.linalg.norm(rest[: ict.SKIN, None] - q[None], axis=2).min(1)
            near[: ict.SKIN] = np.maximum(near[: ict.SKIN], (d < 1.1) * 1.0)
        t, b, p, n = self.sample(near, 42000)
        side = np.sign(p[:, 0])
        along, off, way = np.zeros(len(p)), np.full(len(p), 9.0), np.zeros((len(p), 2))
        steps = np.arange(1, 9)[:, None]
        for sign, q in zip((-1, 1), inward):
            m = np.where(side == sign)[0]
            tangent = np.gradient(q, axis=0)
            longer = np.concatenate([q[:1] - tangent[:1] * steps[::-1], q, q[-1:] + tangent[-1:] * steps])
            _, i = cKDTree(longer[:, :2]).query(p[m, :2])
            tangent = np.gradient(longer, axis=0)[i, :2]
            tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
            across = np.stack([-tangent[:, 1], tangent[:, 0]], 1) * sign
            along[m] = (np.arange(-8, 49) / 40.0)[i]
            off[m] = ((p[m, :2] - longer[i, :2]) * across).sum(1)
            way[m] = tangent
        width = np.interp(along, [-0.15, 0, 0.15, 0.5, 0.75, 1, 1.12], [0.26, 0.40, 0.50, 0.50, 0.40, 0.25, 0.14])
        width *= style.brow_width * (1 + 0.10 * np.sin(along * 23 + side) + 0.08 * np.sin(along * 57))
        e = np.abs(off + 0.05 * np.sin(along * 31 + 2 * side)) / width
        noise = rng.randn(len(p))
        density = 0.94 * smooth(-e, -1.25, -0.25) + 0.06 * smooth(-e, -2.0, -1.0)
        density *= smooth(along + 0.04 * noise, -0.02, 0.30) ** 0.9 * smooth(-(along + 0.05 * noise), -1.08, -0.66)
        density *= 0.62 + 0.34 * smooth(along, 0.05, 0.35) - 0.36 * smooth(along, 0.45, 1.0)
        tuft = np.random.RandomState(7).rand(64)[(np.clip(along + 0.3, 0, 1.5) * 40).astype(int)]
        density *= 0.70 + 0.6 * tuft
        keep = rng.rand(len(p)) < density * style.brow_density
        t, b, p, n, side, along, off, way, width = (x[keep] for x in (t, b, p, n, side, along, off, way, width))
        lift = np.interp(along, [-0.1, 0.1, 0.3, 0.6, 1], [1.5, 1.1, 0.62, 0.30, 0.05])
        lift = lift - 0.40 * np.clip(off / width, -1, 1) * smooth(along, 0.1, 0.5)
        comb = np.concatenate([way, np.zeros((len(p), 1))], 1)
        comb[:, 0] -= way[:, 1] * side * lift
        comb[:, 1] += way[:, 0] * side * lift
        comb += rng.randn(len(p), 3) * 0.24
        comb -= n * (comb * n).sum(1, keepdims=True)
        comb /= np.linalg.norm(comb, axis=1, keepdims=True)
        length = (0.30 + 0.34 * rng.rand(len(p))) * np.interp(along, [-0.1, 0.1, 0.6, 1], [0.75, 1, 0.85, 0.55])
        k = 4
        points = np.zeros((len(p), k, 3))
        for j in range(k):
            s = j / (k - 1)
            rise = 0.012 + 0.05 * math.sin(s * 2.4) - 0.02 * (1 - s)
            points[:, j] = p + comb * (length * s)[:, None] + n * rise
            points[:, j, 1] -= 0.10 * length * s * s
        return Strands(t, b, points, 0.0072, 'brow')


class Lashes:
    """Lashes on the model's lash strips: rows of four quads with weights, by texture coordinates."""

    def __init__(self, rest: np.ndarray, lm: np.ndarray) -> None:
        rng = np.random.RandomState(2)
        strips = [
            i for i, f in enumerate(ict.FACES) if ict.MATERIALS[ict.FACE_MATERIAL[i]] == 'M_EyeLashes' and len(f) == 4
        ]
        quads = np.array([ict.FACES[i] for i in strips])
        uv = np.array([ict.UV[ict.FACE_UV[i]] for i in strips])
        low, high = uv.min(1), uv.max(1)
        parent: dict[int, int] = {}

        def find(a: int) -> int:
            while parent.setdefault(a, a) != a:
                a = parent[a]
            return a

        for face in quads:
            for v in face[1:]:
                parent[find(v)] = find(face[0])
        strip = np.array([find(f[0]) for f in quads])
        eyes = (lm[36:42].mean(0), lm[42:48].mean(0))
        rows, self.shorten = [], []
        for number in np.unique(strip):
            m = np.where(strip == number)[0]
            a, c = low[m].min(0), high[m].max(0)
            centre = rest[quads[m]].mean((0, 1))
            upper = centre[1] > min(eyes, key=lambda e: np.linalg.norm(e - centre))[1] - 0.05
            count = 64 if upper else 26
            for u in (np.arange(count) + 0.8 * rng.rand(count)) / count:
                drift = (rng.rand() - 0.5) * 0.08
                row = []
                for v in (0.02, 0.35, 0.68, 0.98):
                    uu = a[0] + (c[0] - a[0]) * np.clip(u + drift * v, 0.005, 0.995)
                    vv = a[1] + (c[1] - a[1]) * v
                    hit = m[(low[m, 0] <= uu) & (high[m, 0] >= uu) & (low[m, 1] <= vv) & (high[m, 1] >= vv)]
                    if len(hit) == 0:
                        break
                    q = hit[0]
                    fu = (uu - low[q, 0]) / (high[q, 0] - low[q, 0] + 1e-9)
                    fv = (vv - low[q, 1]) / (high[q, 1] - low[q, 1] + 1e-9)
                    right = uv[q, :, 0] > (low[q, 0] + high[q, 0]) / 2
                    above = uv[q, :, 1] > (low[q, 1] + high[q, 1]) / 2
                    row.append((quads[q], np.where(right, fu, 1 - fu) * np.where(above, fv, 1 - fv)))
                if len(row) == 4:
                    rows.append(row)
                    self.shorten.append((0.66 if upper else 0.38) * (0.75 + 0.5 * rng.rand()))
        self.vertices = np.array([[r[0] for r in row] for row in rows])
        self.weights = np.array([[r[1] for r in row] for row in rows])

    def points(self, posed: np.ndarray) -> np.ndarray:
        """(n, 4, 3) curve points, root first, on a posed mesh."""
        x = (posed[self.vertices] * self.weights[..., None]).sum(2)[:, ::-1]
        return x[:, :1] + (x - x[:, :1]) * np.array(self.shorten)[:, None, None]


def new_curves(scene, name: str, count: int, points: int, radius: float, material):
    """Hair curves with tapered radius; returns the data block, positions unset."""
    curves = bpy.data.hair_curves.new(name)
    curves.add_curves([points] * count)
    scene.collection.objects.link(bpy.data.objects.new(name + '_curves', curves))
    curves.materials.append(material)
    taper = np.tile(radius * np.linspace(1, 0.35, points) ** 0.8, count).astype(np.float32)
    attribute = curves.attributes.get('radius') or curves.attributes.new('radius', 'FLOAT', 'POINT')
    attribute.data.foreach_set('value', taper)
    return curves


def place_curves(curves, points: np.ndarray) -> None:
    curves.attributes['position'].data.foreach_set('vector', ict.to_blender(points).astype(np.float32).ravel())
    curves.update_tag()
