"""Displacement and specular maps that belong to nobody -> own_disp.png, own_spec.png."""

import numpy as np
from paths import DONE, TEX
from PIL import Image
from scipy import ndimage as ndi

T = TEX
G = ndi.gaussian_filter
rng = np.random.RandomState(5)
d = np.asarray(Image.open(T + 'face_disp.png')).astype(np.float32) / 255
sp = np.asarray(Image.open(T + 'face_spec.png').convert('L')).astype(np.float32) / 255
H = d.shape[0]
v, u = np.mgrid[0:H, 0:H].astype(np.float32) / H


def noise(s, h=H):
    k = max(1, int(s // 4))
    n = G(rng.randn(h // k + 2, h // k + 2), s / k)
    n = np.asarray(Image.fromarray(n.astype(np.float32)).resize((h, h), 3))
    return n / n.std()


# closed map areas keep their place: eyes, lips, nose wings
ears = G(((np.minimum(u, 1 - u) < 0.11) & (v > 0.26) & (v < 0.62)).astype(np.float32), 10)
feat = G(
    (
        ((((u - 0.5) / 0.15) ** 2 + ((v - 0.56) / 0.11) ** 2) < 1)
        | ((np.abs(u - 0.5) < 0.12) & (v > 0.38) & (v < 0.50))
        | ((np.abs(np.abs(u - 0.5) - 0.15) < 0.1) & (v > 0.22) & (v < 0.33))
    ).astype(np.float32),
    20,
)
amp = (1 - feat) * (1 - ears) * 14
wx, wy = noise(90) * amp, noise(90) * amp


def warp(x, flip=True):
    if flip:
        x = x[:, ::-1]
    Y, X = np.mgrid[0:H, 0:H].astype(np.float32)
    return ndi.map_coordinates(x, [Y + wy, X + wx], order=1, mode='nearest')


lo = G(d, 14)
sym = 0.5 * (lo + lo[:, ::-1])
brow = G(((v > 0.14) & (v < 0.25) & (np.abs(u - 0.5) > 0.04) & (np.abs(u - 0.5) < 0.29)).astype(np.float32), 25)
wide = G(d, 60)
sym = sym * (1 - 0.8 * brow) + 0.8 * brow * 0.5 * (wide + wide[:, ::-1])
fore = np.clip((0.16 - v) / 0.03, 0, 1)
sym = sym * (1 - 0.7 * fore) + 0.7 * fore * 0.5 * (wide + wide[:, ::-1])  # his frown line
fine = warp(d - lo)
out = 0.5 + 0.75 * (sym - 0.5) * (1 - ears) + fine * 0.9 + ears * (lo - 0.5) * 0.8
# pores: Poisson dots, larger on nose and cheeks; crossing skin lines elsewhere
dots = np.zeros((H, H), np.float32)
n = 90000
yy, xx = rng.randint(0, H, n), rng.randint(0, H, n)
dots[yy, xx] = rng.rand(n)
pore = G(dots, 1.5)
pore /= pore.std()
lines = np.zeros((H, H), np.float32)
for a in (0.3, 1.2, 2.2):
    k = np.zeros((21, 21), np.float32)
    for t in np.linspace(-9, 9, 60):
        k[int(round(10 + t * np.sin(a))), int(round(10 + t * np.cos(a)))] = 1
    from scipy.signal import fftconvolve

    q = fftconvolve(rng.randn(H, H).astype(np.float32), k / k.sum(), 'same')
    lines += q / q.std() * (0.5 + 0.5 * np.clip(noise(120), -1, 1))
mid = noise(5) * 0.6 + noise(11) * 0.6
cheek = np.exp(-(((np.abs(u - 0.5) - 0.2) / 0.11) ** 2 + ((v - 0.42) / 0.10) ** 2)) + np.exp(
    -(((u - 0.5) / 0.09) ** 2 + ((v - 0.40) / 0.09) ** 2)
)
skin = (1 - ears) * (1 - 0.7 * G(((((u - 0.5) / 0.14) ** 2 + ((v - 0.56) / 0.10) ** 2) < 1).astype(np.float32), 8))
out += skin * (-0.0040 * pore * (0.35 + cheek) + 0.0022 * lines + 0.0060 * mid * (0.6 + 0.6 * cheek))


def crease(pts, depth, wid, both=True):
    """A soft furrow with raised sides along a polyline in (u - .5, v)."""
    global out
    P = np.array(pts, np.float32)
    m = np.zeros((H // 2, H // 2), np.float32)
    for sg in (1, -1) if both else (1,):
        s = np.linspace(0, len(P) - 1, 900)
        j = np.minimum(s.astype(int), len(P) - 2)
        p = P[j] + (P[j + 1] - P[j]) * (s - j)[:, None]
        x = (0.5 + sg * p[:, 0] + 0.0015 * np.sin(s * 9 + sg)) * H / 2
        y = (p[:, 1] + 0.0012 * np.sin(s * 7 + 2 * sg)) * H / 2
        q = np.sin(np.pi * np.clip(s / (len(P) - 1), 0.03, 0.97)) ** 0.6
        np.add.at(
            m,
            (np.clip(y, 0, H // 2 - 1).astype(int), np.clip(x, 0, H // 2 - 1).astype(int)),
            q * (1 if sg > 0 else 0.75),
        )
    w = wid * H / 2
    f = G(m, w)
    g = G(m, w * 3)
    f = np.asarray(Image.fromarray(f / (f.max() + 1e-9) - 0.9 * g / (f.max() + 1e-9)).resize((H, H), 3))
    out -= depth * f


crease([(0.105, 0.45), (0.135, 0.485), (0.165, 0.53), (0.175, 0.57)], 0.050, 0.0035)  # nasolabial
crease([(0.085, 0.315), (0.12, 0.335), (0.17, 0.338), (0.215, 0.325)], 0.022, 0.003)  # below the eyes
crease([(0.25, 0.27), (0.275, 0.262), (0.30, 0.257)], 0.014, 0.0016)
crease([(0.25, 0.285), (0.278, 0.287), (0.305, 0.292)], 0.014, 0.0016)
crease([(-0.20, 0.118), (-0.08, 0.108), (0.05, 0.112), (0.19, 0.122)], 0.009, 0.0030, False)
crease([(-0.17, 0.078), (-0.05, 0.072), (0.09, 0.074), (0.17, 0.084)], 0.008, 0.0030, False)
crease([(0.036, 0.165), (0.040, 0.19), (0.036, 0.215)], 0.014, 0.0022)
q = np.round(out.clip(0, 1) * 1023) * 64
Image.fromarray(q.astype(np.uint16)).save(T + 'own_disp.png')


def ell(x, y, a, b, both=False):
    return np.exp(-((((np.abs(u - 0.5) if both else u - 0.5) - x) / a) ** 2) - ((v - y) / b) ** 2)


lips = G(((((u - 0.5) / 0.112) ** 2 + ((v - 0.56) / 0.078) ** 2) < 1).astype(np.float32), 7)
S = (
    0.40
    + 0.30 * ell(0, 0.10, 0.17, 0.07)
    + 0.25 * ell(0, 0.40, 0.07, 0.12)
    + 0.18 * ell(0.19, 0.37, 0.07, 0.06, True)
    + 0.10 * ell(0, 0.70, 0.09, 0.05)
    - 0.12 * ell(0.30, 0.55, 0.10, 0.14, True)
)
S = S * (1 - lips) + 0.95 * lips
h = sp - G(sp, 8)
h = np.clip(warp(h), -0.12, 0.12) * (1 - brow) * (1 - feat) * (v < 0.95)
S += skin * (0.8 * h + 0.055 * noise(6) + 0.055 * noise(20) + 0.02 * lines)
Image.fromarray((S.clip(0, 1) * 255).astype(np.uint8)).save(T + 'own_spec.png')
Image.open(T + 'own_disp.png').save(DONE + 'face_disp.png')
Image.open(T + 'own_spec.png').save(DONE + 'face_spec.jpg', quality=90)
# back of the head: mirrored, so that nothing of the scan stays as it was
for name, quality in (('col', 90), ('spec', 88)):
    Image.open(T + f'back_{name}.png').convert('RGB' if name == 'col' else 'L').transpose(0).save(
        DONE + f'back_{name}.jpg', quality=quality
    )
Image.open(T + 'back_disp.png').transpose(0).save(DONE + 'back_disp.png')
