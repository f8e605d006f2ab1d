# ruff: noqa: B007, E402, E501, E731, E741, UP031
"""Takes the scanned man out of the baked albedo: spots, brows and left/right pattern of the stubble go; tone shifts from pink to warm beige.
Reads ../assets/tex/face_col_raw.png (output of bake.py), writes face_col_clean.png (input of prep_tex.py)."""

import numpy as np
from paths import TEX
from PIL import Image
from scipy import ndimage as ndi

rng = np.random.RandomState(11)
G = ndi.gaussian_filter
T = TEX
a = np.asarray(Image.open(T + 'face_col_raw.png')).astype(float)[..., :3] / 255
H = a.shape[0]
v, u = np.mgrid[0:H, 0:H] / H
b3 = lambda x, s: np.stack([G(x[..., c], s) for c in range(3)], -1)
lips = ((u - 0.5) / 0.125) ** 2 + ((v - 0.56) / 0.095) ** 2 < 1
eyes = (v > 0.235) & (v < 0.30) & (np.abs(np.abs(u - 0.5) - 0.145) < 0.075)
nose = (np.abs(u - 0.5) < 0.11) & (v > 0.43) & (v < 0.48)
keep = lips | eyes | nose


def fill(a, m, sig, feather=3, det=0.8):
    """Normalised blur of the surroundings + mirrored detail."""
    w = 1 - m
    b = np.stack([G(a[..., c] * w, sig) / (G(w, sig) + 1e-6) for c in range(3)], -1)
    hf = (a - b3(a, 8))[:, ::-1] * (1 - ndi.gaussian_filter(m[:, ::-1], 3))[..., None]
    f = G(m, feather)[..., None].clip(0, 1)
    return a * (1 - f) + (b + det * hf) * f


# brows
lum = a.mean(2)
sk = G(np.where((v > 0.08) & (v < 0.15), lum, 0), 60)
reg = (v > 0.145) & (v < 0.27) & (np.abs(u - 0.5) > 0.03) & (np.abs(u - 0.5) < 0.30)
top = np.interp(np.abs(u - 0.5), [0.03, 0.1, 0.2, 0.26, 0.30], [0.155, 0.15, 0.15, 0.16, 0.17])
bot = np.interp(
    np.abs(u - 0.5),
    [0.03, 0.07, 0.1, 0.15, 0.2, 0.24, 0.27, 0.30],
    [0.245, 0.24, 0.222, 0.208, 0.208, 0.225, 0.265, 0.27],
)
reg &= (v > top) & (v < bot)
dark = reg & (G(lum, 2) < ndi.percentile_filter(G(lum, 6)[::8, ::8], 70, 31).repeat(8, 0).repeat(8, 1) - 0.035)
dark = ndi.binary_dilation(dark, iterations=9)
dark = ndi.binary_closing(dark, iterations=10) & (v > 0.14)
ok = ~dark & ~eyes
det = a - b3(a, 8)
for it in range(2):
    m = dark.astype(float)
    w = ok.astype(float)
    num = np.zeros_like(a)
    den = np.zeros((H, H))
    for s in (8, 16, 32):
        k = (1 / s) ** 2
        num += k * np.stack([G(a[..., c] * w, s) for c in range(3)], -1)
        den += k * G(w, s)
    b = num / (den + 1e-9)[..., None]
    f = G(m, 5)[..., None].clip(0, 1)
    f = np.clip(f * 1.6, 0, 1)
    fh = np.roll(det, int(0.085 * H), 0)  # forehead pores
    a = a * (1 - f) + (b * 0.985 + fh) * f
# spots: red or dark blobs against a local median
for it in range(2):
    red = a[..., 0] - 0.5 * (a[..., 1] + a[..., 2])
    s1 = G(red, 3)
    ex = s1 - G(red, 30)
    lo = G(a[..., 1], 3) - G(a[..., 1], 30)
    m = ((ex > 0.040) & (lo < -0.02) & ~keep) | ((ex > 0.062) & ~keep)
    m &= (u > 0.02) & (u < 0.98) & (v > 0.1) & (v < 0.985)
    m = ndi.binary_dilation(m, iterations=8)
    print('spots', ndi.label(m)[1], m.mean().round(4))
    a = fill(a, m.astype(float), 16, 4, 0.9)


# one-sided pattern: mix of left and warped right
def noise(s):
    n = G(rng.randn(H, H), s)
    return n / n.std()


d = 9 * np.stack([noise(60), noise(60)])
yy, xx = np.mgrid[0:H, 0:H].astype(float)
mir = np.stack(
    [ndi.map_coordinates(a[:, ::-1, c], [yy + d[0], xx + d[1]], order=1, mode='nearest') for c in range(3)], -1
)
S = 22
la, lm = b3(a, S), b3(mir, S)
w = np.clip(0.5 + 0.9 * noise(40), 0, 1)[..., None]
soft = (1 - G((keep).astype(float), 10))[..., None]
hi = (a - la) * (1 - w) + (mir - lm) * w
wl = 0.5 + 0.12 * noise(150)[..., None]
lo = la * (1 - wl) + lm * wl
n = a * (1 - soft) + (lo + hi) * soft
# beard: where dark speckle lives
l = n.mean(2)
sp = G(np.clip(G(l, 6) - l, 0, 1), 28)
bd = np.clip((sp - 0.012) / 0.022, 0, 1) * (v > 0.36) * (1 - G(keep.astype(float), 8)) * (v < 0.95)
print('beard', bd.mean().round(3), np.percentile(sp, [50, 90, 99]).round(4))
cheek = np.clip((0.66 - v) / 0.2, 0, 1) * (np.abs(u - 0.5) > 0.2)  # beard line lower on the cheek, denser at the chin
gain = 1 - bd * (0.12 + 0.42 * cheek) + 0.10 * bd * np.clip(noise(70), -1, 1)
loB = b3(n, 40)
skin = np.array([0.74, 0.585, 0.51])
tgt = loB + (bd * (0.22 + 0.35 * cheek))[..., None] * (
    skin * (loB.mean(2, keepdims=True) / skin.mean() * 0.55 + 0.45) - loB
)
n2 = tgt + (n - loB) * gain[..., None]
n = n * (1 - soft) + n2 * soft
# tone: less red variation, warm beige instead of pink
L = n.mean(2, keepdims=True)
ch = n - L
mc = ch[(~keep) & (v > 0.1) & (v < 0.9)].mean(0)
kk = (0.70 + 0.3 * lips)[..., None] if False else (1 - 0.30 * soft)
ch = mc + (ch - mc) * kk
n = L + ch
n = n * (1 - soft) + n * np.array([0.968, 0.985, 0.935]) * soft + 0
n = n * np.array([1, 1.0, 0.985])
Image.fromarray((n.clip(0, 1) * 255 + 0.5).astype(np.uint8)).save(T + 'face_col_clean.png')
