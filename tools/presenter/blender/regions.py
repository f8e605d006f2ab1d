"""Vertex masks of the head: lips, hair, ears, shade in the mouth; the ring where the neck meets the collar."""

from __future__ import annotations

import math

import ict
import numpy as np
from ict import blob, smooth
from scipy.spatial import cKDTree


class Regions:
    """Masks of a head with rest vertices `rest` (V, 3) in cm; every mask has one value 0..1 per vertex."""

    def __init__(self, rest: np.ndarray) -> None:
        self.rest, self.lm = rest, rest[ict.LM68]
        self.ear = self._ear()
        self.ear_tree = cKDTree(rest[self.ear > 0.5])
        ids = np.arange(len(rest))
        self.lips = self._lips()
        self.scalp = self.hair_density(rest) * (ids < ict.HEAD) * (1 - self.ear)
        self.scalp *= smooth(self.ear_tree.query(rest)[0], 0.1, 0.8)  # no tint at the ear's front edge
        lm = self.lm
        forehead = blob(rest, lm[27] + [0, 4, 0], (3, 2, 3))
        self.oil = np.clip(blob(rest, lm[30], 1.6) + 0.8 * forehead, 0, 1)
        self.mouth_shade = self._mouth_shade()
        self._neck_ring()

    def _ear(self) -> np.ndarray:
        """Found by texture coordinates."""
        uv = np.zeros((len(self.rest), 2))
        for i, face in enumerate(ict.FACES):
            if ict.MATERIALS[ict.FACE_MATERIAL[i]] == 'M_Face':
                uv[face] = ict.UV[ict.FACE_UV[i]]
        u, v = uv[:, 0] % 1, uv[:, 1] % 1
        inside = (np.minimum(u, 1 - u) < 0.085) & (v > 0.40) & (v < 0.70)
        return (inside & (np.arange(len(uv)) < ict.SKIN)).astype(float)

    def _lips(self) -> np.ndarray:
        lm, rest = self.lm, self.rest
        ids = np.arange(len(rest))
        outline = ict.closed_curve(lm[48:60, :2])
        d = ict.outline_distance(rest[:, :2], outline)
        d = np.where(ict.inside_polygon(rest[:, :2], outline), d, -d)
        lips = smooth(d, -0.14, 0.12) * (rest[:, 2] > lm[48:60, 2].min() - 1.0) * (ids < ict.SOCKETS)
        return np.maximum(lips, ((ids >= ict.HEAD) & (ids < 13294)) * 1.0)

    def _mouth_shade(self) -> np.ndarray:
        """0 at the front of the upper teeth, toward 1 inside; the lower teeth lie in the shade of the upper row."""
        lm, rest = self.lm, self.rest
        front = lm[[48, 51, 54, 57], 2].max()
        deep = smooth(front - rest[:, 2], 1.1, 4.0)
        lower = (np.abs(ict.SHAPES['jawOpen']).max(1) > 0.05) * 0.38  # what the jaw carries
        teeth = np.zeros(len(rest))
        for i, face in enumerate(ict.FACES):
            if ict.MATERIALS[ict.FACE_MATERIAL[i]] == 'M_Teeth':
                teeth[face] = 1
        return np.clip(deep * np.where(teeth > 0, 0.75, 0.15) + lower * teeth, 0, 0.9)

    def hair_density(self, points: np.ndarray, noise=0.0) -> np.ndarray:
        """Hair 0..1 at skin points: front hair line with slight corners, temples, side burns, nape; soft edges."""
        lm = self.lm
        x, y, z = points[:, 0], points[:, 1] + noise, points[:, 2] - noise
        ax = np.abs(x)
        wobble = 0.16 * np.sin(x * 1.7 + 0.4) + 0.10 * np.sin(x * 4.3 + 1.0) + 0.06 * np.sin(x * 11.0)
        line = lm[19:25, 1].mean() + 4.80 + 0.012 * ax**2 + 0.42 * np.exp(-(((ax - 3.8) / 1.3) ** 2))
        line += wobble - 0.10 * np.exp(-((ax / 1.5) ** 2)) + 0.03 * x
        front = smooth(y, line - 0.85, line + 1.35)
        above = y - (lm[27, 1] - 3.72)
        edge = np.interp(
            above,
            [1.2, 2.2, 4.0, 5.0, 6.0, 7.0, 8.2, 9.6, 11.0, 12.5],
            [4.55, 4.75, 4.85, 4.95, 5.35, 5.9, 5.65, 5.9, 7.1, 8.3],
        )
        edge = edge + lm[0, 2] - 3.8 + 0.10 * np.sin(y * 3.1) + 0.07 * np.sin(y * 7.7)
        side = smooth(edge - z, -0.85, 1.25) * smooth(above, 0.9, 2.6) * (ax > 3.6)
        nape = lm[3, 1] + 0.3
        back = smooth(lm[0, 2] - 3.0 - z, -0.5, 0.8) * smooth(y, nape - 1.0, nape + 1.0)
        return np.maximum(np.maximum(front, side), back)

    # ---- the neck

    def ring_height(self, angle: np.ndarray) -> np.ndarray:
        """Height of the collar's upper edge by angle about the neck's axis (90 degrees = front)."""
        f = np.sin(angle)
        return self.lm[8, 1] - 3.9 - 2.6 * smooth(f, -0.1, 1.0) + 1.0 * smooth(-f, 0, 1)

    def ring_radius(self, angle: np.ndarray) -> np.ndarray:
        return np.interp((angle + math.pi) % (2 * math.pi) - math.pi, *self._ring)

    def _neck_ring(self) -> None:
        skin = self.rest[: ict.HEAD]
        near = skin[np.abs(skin[:, 1] - self.lm[8, 1] + 3.5) < 0.6]
        near = near[near[:, 2] < self.lm[8, 2] - 2.5]
        self.neck_z = (near[:, 2].max() + near[:, 2].min()) / 2
        angles = np.linspace(-np.pi, np.pi, 73)
        th = np.arctan2(skin[:, 2] - self.neck_z, skin[:, 0])
        radius = np.hypot(skin[:, 0], skin[:, 2] - self.neck_z)
        ring = []
        for a in angles:
            d = np.abs((th - a + np.pi) % (2 * np.pi) - np.pi)
            w = np.exp(-((d / 0.16) ** 2) - ((skin[:, 1] - self.ring_height(a) + 0.3) / 0.7) ** 2) * (radius < 13)
            ring.append((w * radius).sum() / w.sum())
        ring[-1] = ring[0]
        for _ in range(3):
            ring = np.convolve(np.r_[ring[-2], ring, ring[1]], [0.25, 0.5, 0.25], 'valid')
        self._ring = (angles, np.asarray(ring))

    # ---- colour of the ears, where the scan has none that could be used

    def ear_colours(self) -> tuple[np.ndarray, np.ndarray]:
        """(hollow, red): concave vertices are darker, rim and lobe redder."""
        rest, ear = self.rest, self.ear
        faces = [f for f in ict.FACES if f.max() < ict.HEAD]
        edges = np.concatenate([np.stack([f, np.roll(f, -1)], 1) for f in faces])
        edges = np.concatenate([edges, edges[:, ::-1]])
        degree = np.maximum(np.bincount(edges[:, 0], minlength=len(rest)), 1)[:, None]
        relaxed = rest.copy()
        for _ in range(12):
            mean = np.zeros_like(relaxed)
            np.add.at(mean, edges[:, 0], relaxed[edges[:, 1]])
            relaxed = 0.4 * relaxed + 0.6 * mean / degree
        normals = ict.vertex_normals(rest, np.array([f[:3] for f in faces]))
        hollow = np.clip(((relaxed - rest) * normals).sum(1) / 0.22, -0.4, 1) * ear
        height = rest[ear > 0.5, 1]
        lobe = smooth(-rest[:, 1], -(height.min() + 0.28 * np.ptp(height)), -(height.min() + 0.05 * np.ptp(height)))
        x = np.abs(rest[:, 0])
        outer = smooth(x, np.percentile(x[ear > 0.5], 45), np.percentile(x[ear > 0.5], 92))
        red = 0.30 + 0.8 * np.clip(-hollow / 0.3, 0, 1) * outer + 0.55 * lobe + 0.25 * outer
        return hollow, np.clip(red, 0, 1) * ear
