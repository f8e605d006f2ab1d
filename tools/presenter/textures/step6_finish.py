# ruff: noqa: B007, E402, E501, E731, E741, UP031
"""Last step for the albedo: face_col_prep.png (output of prep_tex.py) -> face_col.png. Hand-marked spots, brow gap, less and lower stubble, lids/lips/ears in the new tone."""

import numpy as np
from paths import TEX
from PIL import Image
from scipy import ndimage as ndi

G = ndi.gaussian_filter
T = TEX
rng = np.random.RandomState(3)
a = np.asarray(Image.open(T + 'face_col_prep.png')).astype(np.float32)[..., :3] / 255
H = a.shape[0]


def small(x):
    return (
        np.asarray(Image.fromarray((x.clip(0, 1) * 255).astype(np.uint8)).resize((512, 512), 4)).astype(np.float32)
        / 255
    )


def up(x):
    if x.ndim == 3:
        return np.stack([up(x[..., c]) for c in range(3)], -1)
    return np.asarray(Image.fromarray(x.astype(np.float32)).resize((H, H), 2))


v, u = np.mgrid[0:512, 0:512] / 512.0
for x, y, r in (
    (209, 680, 9),
    (765, 790, 10),
    (792, 868, 11),
    (830, 855, 10),
    (197, 857, 12),
    (237, 866, 9),
    (98, 898, 10),
    (137, 926, 9),
    (199, 930, 10),
    (40, 884, 8),
    (72, 868, 8),
    (880, 914, 16),
    (820, 932, 10),
    (887, 930, 10),
    (475, 985, 8),
    (230, 780, 10),
    (693, 348, 6),
    (334, 342, 6),
    (130, 905, 10),
):
    x, y, r = x * 2, y * 2, r * 2
    k = 70
    y0, y1, x0, x1 = max(y - k, 0), min(y + k, H), max(x - k, 0), min(x + k, H)
    c = a[y0:y1, x0:x1]
    Y, X = np.mgrid[y0:y1, x0:x1]
    m = G((((X - x) ** 2 + (Y - y) ** 2) < r * r) * 1.0, 3)
    w = 1 - (m > 0.05)
    for ch in range(3):
        b = G(c[..., ch] * w, 12) / (G(w * 1.0, 12) + 1e-6)
        hf = c[..., ch] - G(c[..., ch] * w, 6) / (G(w * 1.0, 6) + 1e-3)
        hf = np.roll(hf * w, 2 * r, 1)
        c[..., ch] = c[..., ch] * (1 - m) + (b + hf) * m
# brow gap
s = small(a)
lo = np.stack([G(s[..., c], 5) for c in range(3)], -1)
t = np.clip((v - 0.145) / (0.272 - 0.145), 0, 1)[..., None]
r0 = np.stack([G(lo[int(0.140 * 512), :, c], 14) for c in range(3)], -1)[None]
r1 = np.stack([G(lo[int(0.276 * 512), :, c], 5) for c in range(3)], -1)[None]
tg = r0 * (1 - t) + r1 * t
m = (
    np.clip((0.125 - np.abs(u - 0.5)) / 0.03, 0, 1)
    * np.clip((v - 0.145) / 0.02, 0, 1)
    * np.clip((0.272 - v) / 0.03, 0, 1)
)
side = np.clip((np.abs(u - 0.5) - 0.075) / 0.03, 0, 1) * np.clip((v - 0.215) / 0.02, 0, 1)
m = G(m * (1 - side), 3)
M = up(m)[..., None]
a += M * (up(tg - lo)) * 0.92
k = slice(int(0.13 * H), int(0.29 * H)), slice(int(0.35 * H), int(0.65 * H))
for c in range(3):
    q = a[k][..., c]
    a[k][..., c] = q - 0.5 * M[k][..., 0] * (G(q, 3) - G(q, 18))
# stubble
s = small(a)
l = a.mean(2)
sp = G(np.asarray(Image.fromarray(np.clip(G(l, 5) - l, 0, 1)).resize((512, 512), 4)), 7)
lips = ((u - 0.5) / 0.135) ** 2 + ((v - 0.56) / 0.10) ** 2 < 1
eyes = (v > 0.215) & (v < 0.31) & (np.abs(np.abs(u - 0.5) - 0.150) < 0.085)
nose = (np.abs(u - 0.5) < 0.115) & (v > 0.42) & (v < 0.48)
ears = (np.minimum(u, 1 - u) < 0.105) & (v > 0.27) & (v < 0.60)
soft = 1 - G((lips | eyes | nose | ears) * 1.0, 3)
print('sp', np.percentile(sp, [50, 90, 99]))
bd = (
    np.clip((sp - np.percentile(sp, 60)) / (np.percentile(sp, 96) - np.percentile(sp, 60)), 0, 1)
    * (v > 0.36)
    * soft
    * (v < 0.95)
)
cheek = np.clip((0.68 - v) / 0.2, 0, 1) * (np.abs(u - 0.5) > 0.18)
lo = np.stack([G(s[..., c], 9) for c in range(3)], -1)
n = G(rng.randn(512, 512), 14)
n /= n.std()
gain = bd * (0.12 + 0.40 * cheek) + 0.15 * bd * np.clip(n, -1, 1)
skin = np.array([0.745, 0.60, 0.50])
lL = lo.mean(2, keepdims=True)
tg = skin * (0.45 * lL / skin.mean() + 0.55)
d = (bd * (0.22 + 0.35 * cheek))[..., None] * (tg - lo)
Lo = up(lo)
a = Lo + up(d) + (a - Lo) * (1 - up(gain))[..., None]
# tone of the parts left out before
ks = up(G((lips | nose | ears) * 1.0 + 1.0 * eyes, 5)).clip(0, 1)[..., None]
L = a.mean(2, keepdims=True)
a = a * (1 - ks) + ks * (L + (a - L) * 0.88) * np.array([0.985, 0.995, 0.955])
ke = up(G(eyes * 1.0, 7)).clip(0, 1)[..., None]
L = a.mean(2, keepdims=True)
mc = np.array([0.125, -0.025, -0.10]) * 0.95
a = a * (1 - ke) + ke * (L + mc + (a - L - mc) * 0.6)
Image.fromarray((a.clip(0, 1) * 255 + 0.5).astype(np.uint8)).save(T + 'face_col.png')
