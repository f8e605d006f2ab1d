# ruff: noqa: B007, E402, E501, E731, E741, UP031
"""Room background (own work), and touch-ups of the baked albedo: gap between the brows, no lash shadow line, lips less red."""

import numpy as np
from paths import DONE, TEX
from PIL import Image
from scipy import ndimage as ndi

rng = np.random.RandomState(4)
# ---- room: wall, window with daylight, shelf, lamp; strong lens blur
S = 768
y, x = np.mgrid[0:S, 0:S] / S
im = np.zeros((S, S, 3))
im[:] = np.array([0.30, 0.29, 0.275])
im *= (1.08 - 0.35 * x)[..., None] * (1.05 - 0.25 * y)[..., None]


def rect(x0, x1, y0, y1, c, a=1.0):
    m = ((x > x0) & (x < x1) & (y > y0) & (y < y1))[..., None]
    im[:] = np.where(m, im * (1 - a) + np.array(c) * a, im)


rect(-0.1, 0.20, -0.1, 0.62, (0.95, 1.02, 1.10))
rect(0.075, 0.09, -0.1, 0.62, (0.5, 0.52, 0.55))
rect(-0.1, 0.2, 0.27, 0.285, (0.5, 0.52, 0.55))
rect(0.20, 0.235, -0.1, 0.66, (0.42, 0.40, 0.37))
for k in range(3):
    rect(0.0 + 0.0 * k, 0.20, 0.45, 0.62, (0.55, 0.66, 0.52), 0.25)
rect(0.70, 1.1, 0.12, 0.95, (0.16, 0.125, 0.10))
cols = [
    (0.35, 0.12, 0.09),
    (0.10, 0.18, 0.26),
    (0.40, 0.34, 0.24),
    (0.12, 0.20, 0.15),
    (0.30, 0.26, 0.24),
    (0.45, 0.40, 0.34),
    (0.18, 0.12, 0.16),
    (0.25, 0.2, 0.12),
]
for r, yy in enumerate((0.16, 0.36, 0.56, 0.76)):
    xx = 0.72
    while xx < 1.0:
        w = 0.012 + 0.02 * rng.rand()
        h = 0.10 + 0.05 * rng.rand()
        if rng.rand() < 0.82:
            rect(xx, xx + w, yy + 0.17 - h, yy + 0.17, np.array(cols[rng.randint(8)]) * (0.7 + 0.5 * rng.rand()))
        xx += w + 0.003
    rect(0.70, 1.1, yy + 0.17, yy + 0.185, (0.30, 0.22, 0.15))
rect(-0.1, 0.35, 0.80, 1.1, (0.23, 0.20, 0.18))
rect(0.35, 0.70, 0.90, 1.1, (0.19, 0.17, 0.155))
d = np.hypot(x - 0.615, y - 0.30)
im += (np.exp(-((d / 0.05) ** 2)) * 0.9)[..., None] * np.array([1, 0.72, 0.42]) + (np.exp(-((d / 0.16) ** 2)) * 0.20)[
    ..., None
] * np.array([1, 0.75, 0.5])
k = 26
yy, xx = np.mgrid[-k : k + 1, -k : k + 1]
disk = (xx**2 + yy**2 <= k * k).astype(float)
disk /= disk.sum()
from scipy.signal import fftconvolve

P = np.pad(im, ((60, 60), (60, 60), (0, 0)), mode='edge')
for c in range(3):
    P[..., c] = fftconvolve(P[..., c], disk, 'same')
im = ndi.gaussian_filter(P, (5, 5, 0))[60:-60, 60:-60]
im *= 0.62
srgb = np.where(im < 0.0031308, 12.92 * im, 1.055 * np.clip(im, 0, None) ** (1 / 2.4) - 0.055)
o = (srgb * 255 + rng.rand(*srgb.shape)).clip(0, 255).astype(np.uint8)
Image.fromarray(o).save(TEX + 'room.png')
cut = int(S * (1 - 45 / 62) / 2)  # what the camera sees of it
Image.fromarray(o[cut : S - cut, cut : S - cut]).resize((512, 512), 1).save(DONE + 'room.png')
# ---- albedo touch-ups
src = TEX + 'face_col_clean.png'
a = np.asarray(Image.open(src)).astype(float) / 255
H = a.shape[0]
v, u = np.mgrid[0:H, 0:H] / H


# replace by the low-frequency skin around + fine detail
def fill(mask, sig, extra=1.0, ok=1.0):
    w = (1 - mask) * ok
    b = np.stack([ndi.gaussian_filter(a[..., c] * w, sig) / (ndi.gaussian_filter(w, sig) + 1e-6) for c in range(3)], -1)
    hf = a - ndi.gaussian_filter(a, (9, 9, 0))
    f = ndi.gaussian_filter(mask, 10)[..., None]
    return a * (1 - f) + (b + hf * 0.25 * extra) * f


lum = a.mean(2)
# lips: a bit less saturated
lm = np.exp(-((((u - 0.5) / 0.13) ** 2 + ((v - 0.555) / 0.085) ** 2) ** 3))[..., None]
g = a.mean(2, keepdims=True)
a = a * (1 - 0.25 * lm) + (g * np.array([1.08, 0.97, 0.95])) * 0.25 * lm
# lash line of the closed lids below the eyes; jagged closest-point jumps along the lid margin
X, Y = u * H, v * H
for cx in (700, 2048 - 700):
    a = fill(((((X - cx) / 95) ** 2 + ((Y - 640) / 20) ** 2) < 1) * 1.0, 16, 1.2)
    e = ndi.gaussian_filter((((X - cx) / 120) ** 2 + ((Y - 580) / 34) ** 2 < 1) * 1.0, 10)[..., None]
    a = a * (1 - 0.8 * e) + 0.8 * e * ndi.gaussian_filter(a, (7, 9, 0))
# scan artefact on the chin (bright slit)
cm = (np.abs(u - 0.5) < 0.12) & (v > 0.66) & (v < 0.76)
loc = ndi.median_filter(lum, 41)
br = ndi.binary_dilation((lum > loc + 0.055) & cm, iterations=6).astype(float)
a = fill(br, 22, 1.5)
# ears: closest points fail there, use the mean skin tone, slightly red
em = ((np.minimum(u, 1 - u) < 0.105) & (v > 0.27) & (v < 0.60)).astype(float)
em = ndi.gaussian_filter(em, 14)[..., None]
a = a * (1 - 0.85 * em) + 0.85 * em * np.array([0.76, 0.555, 0.49])
# sharpen what subsurface scattering will blur
a = a + 0.9 * (a - ndi.gaussian_filter(a, (3, 3, 0))) + 0.35 * (a - ndi.gaussian_filter(a, (14, 14, 0)))
Image.fromarray((a.clip(0, 1) * 255).astype(np.uint8)).save(TEX + 'face_col_prep.png')
