# ruff: noqa: B007, E402, E501, E731, E741, UP031
"""Own procedural iris and sclera pictures (no third-party data)."""

import numpy as np
from paths import DONE, TEX
from PIL import Image
from scipy import ndimage as ndi

OUT = TEX
rng = np.random.RandomState(8)
S = 768
y, x = (np.mgrid[0:S, 0:S] + 0.5) / S - 0.5
r = np.hypot(x, y)
th = np.arctan2(y, x)
# polar fibre field
na, nr = 1440, 256
f = np.zeros((nr, na))
for s, (sr, sa), w in ((0, (22, 1.2), 1.0), (1, (10, 3.0), 0.9), (2, (40, 0.7), 0.7), (3, (6, 8.0), 0.6)):
    n = ndi.gaussian_filter(rng.randn(nr, na), (sr, sa), mode=('nearest', 'wrap'))
    f += w * n / n.std()
f /= f.std()
rr = np.clip((r - 0.145) / 0.29, 0, 1)
wig = 0.012 * np.sin(th * 9 + 3) + 0.008 * np.sin(th * 17)
F = ndi.map_coordinates(
    f,
    [rr * (nr - 1), ((th + wig + 0.10 * rr * np.sin(5 * th)) % (2 * np.pi)) / (2 * np.pi) * (na - 1)],
    order=1,
    mode='nearest',
)
base = np.array([0.36, 0.36, 0.27])
inner = np.array([0.47, 0.35, 0.18])
outer = np.array([0.25, 0.29, 0.27])
k = np.exp(-(((rr - 0.16 + 0.06 * np.sin(7 * th + 1)) / 0.16) ** 2))[..., None]
o = np.clip((rr - 0.5) / 0.4, 0, 1)[..., None]
C = base * (1 - o) + outer * o
C = C * (1 - 0.75 * k) + inner * 0.75 * k
C = C * np.clip(1 + 0.30 * F, 0.3, 1.9)[..., None]
cry = ndi.gaussian_filter(rng.randn(S, S), 9)
cry /= cry.std()
C *= (1 - 0.45 * np.clip(cry - 1.1, 0, 1) * np.exp(-(((rr - 0.4) / 0.25) ** 2)))[..., None]
C *= (1 - 0.80 * np.clip((rr - 0.80) / 0.2, 0, 1) ** 1.5)[..., None]
C *= np.clip((r - 0.135) / 0.016, 0, 1)[..., None]
C *= np.clip((0.452 - r) / 0.02, 0, 1)[..., None]
Image.fromarray((C.clip(0, 1) ** (1 / 1.15) * 255).astype(np.uint8)).save(OUT + 'iris_color.png')
# sclera
S = 768
y, x = ((np.mgrid[0:S, 0:S] + 0.5) / S - 0.5) * 2
r = np.hypot(x, y)
b = (
    np.array([0.90, 0.87, 0.84]) * (1 - np.clip((r - 0.45) / 0.5, 0, 1))[..., None]
    + np.array([0.84, 0.66, 0.60]) * np.clip((r - 0.45) / 0.5, 0, 1)[..., None]
)
m = ndi.gaussian_filter(rng.randn(S, S), 22)
m /= m.std()
b *= (1 + 0.025 * m)[..., None]
V = np.zeros((S, S))


def walk(p, a, n, w):
    for i in range(n):
        a += rng.randn() * 0.16 + 0.05 * np.sin(i * 0.15)
        p = p + 2 * np.array([np.cos(a), np.sin(a)])
        if np.hypot(*p - S / 2) < 0.46 * S / 2:
            return
        q = p.astype(int)
        if not (2 < q[0] < S - 3 and 2 < q[1] < S - 3):
            return
        V[q[1] - 1 : q[1] + 1, q[0] - 1 : q[0] + 1] = np.maximum(
            V[q[1] - 1 : q[1] + 1, q[0] - 1 : q[0] + 1], w * (1 - i / n * 0.6)
        )
        if rng.rand() < 0.025:
            walk(p.copy(), a + rng.choice([-1, 1]) * (0.4 + 0.4 * rng.rand()), n // 2, w * 0.7)


for _ in range(80):
    t = rng.rand() * 2 * np.pi
    if abs(np.cos(t)) < 0.45 and rng.rand() < 0.6:
        continue
    p = S / 2 + S / 2 * 0.97 * np.array([np.cos(t), np.sin(t)])
    walk(p, t + np.pi + rng.randn() * 0.35, int(60 + 90 * rng.rand()), 0.25 + 0.75 * rng.rand())
V = ndi.gaussian_filter(V, 1.3) * 1.6
V = np.clip(V, 0, 1)[..., None]
b = b * (1 - V) + V * np.array([0.62, 0.20, 0.16])
o = np.concatenate([b, b], 1)
Image.fromarray((o.clip(0, 1) * 255).astype(np.uint8)).save(OUT + 'sclera_color.png')
Image.open(OUT + 'iris_color.png').convert('RGB').save(DONE + 'iris.jpg', quality=95, subsampling=0)
Image.open(OUT + 'sclera_color.png').convert('RGB').save(DONE + 'sclera.jpg', quality=93)
