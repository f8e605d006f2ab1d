# ruff: noqa: B007, E402, E501, E731, E741, UP031
"""Bake the scan's maps into ICT's UV: face tile 2048 (0..1), back-head tile 1024 (1..2)."""

import time

import numpy as np
from paths import ICT, SCAN, TEX, WORK
from PIL import Image
from raster import raster, tex
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

t0 = time.time()
d = np.load(WORK + 'reg.npz')
X, tri, tuv, LVa, LNa = d['X'], d['tri'], d['tuv'], d['LVa'], d['LNa']
m = np.load(WORK + 'lps_mesh.npz')
LF, Luv = m['F'], m['uv']
Z = np.load(ICT)
UV = Z['uv'].astype(float)


def norms(X):
    fn = np.cross(X[tri[:, 1]] - X[tri[:, 0]], X[tri[:, 2]] - X[tri[:, 0]])
    n = np.zeros_like(X)
    for k in range(3):
        np.add.at(n, tri[:, k], fn)
    return n / (np.linalg.norm(n, axis=1, keepdims=True) + 1e-12)


N = norms(X)
rng = np.random.RandomState(0)
ar = 0.5 * np.linalg.norm(np.cross(LVa[LF[:, 1]] - LVa[LF[:, 0]], LVa[LF[:, 2]] - LVa[LF[:, 0]]), axis=1)
ii = rng.choice(len(LF), 300000, p=ar / ar.sum())
u = rng.rand(len(ii), 2)
sw = u.sum(1) > 1
u[sw] = 1 - u[sw]
b = np.stack([1 - u.sum(1), u[:, 0], u[:, 1]], 1)
SP = (LVa[LF[ii]] * b[..., None]).sum(1)
SN = (LNa[LF[ii]] * b[..., None]).sum(1)
tree = cKDTree(SP)
A0 = LVa[LF[:, 0]]
e1 = LVa[LF[:, 1]] - A0
e2 = LVa[LF[:, 2]] - A0
g11 = (e1 * e1).sum(1)
g12 = (e1 * e2).sum(1)
g22 = (e2 * e2).sum(1)
det = g11 * g22 - g12**2 + 1e-14


def scan_uv(pos, nn):
    out = np.zeros((len(pos), 2))
    for s in range(0, len(pos), 200000):
        p, n = pos[s : s + 200000], nn[s : s + 200000]
        dd, q = tree.query(p, k=4)
        c = (n[:, None] * SN[q]).sum(2)
        j = (dd + np.where(c < 0.2, 3, 0)).argmin(1)
        t = ii[q[np.arange(len(p)), j]]
        r = p - A0[t]
        a = (r * e1[t]).sum(1)
        c2 = (r * e2[t]).sum(1)
        v = (g22[t] * a - g12[t] * c2) / det[t]
        w = (g11[t] * c2 - g12[t] * a) / det[t]
        v = np.clip(v, -0.15, 1.15)
        w = np.clip(w, -0.15, 1.15)
        uv = Luv[LF[t]]
        out[s : s + 200000] = uv[:, 0] * (1 - v - w)[:, None] + uv[:, 1] * v[:, None] + uv[:, 2] * w[:, None]
    return out


D = SCAN
maps = dict(
    col=np.asarray(Image.open(D + 'Map-COL.jpg').convert('RGB')).astype(np.float32),
    spec=np.asarray(Image.open(D + 'Map-SPEC.jpg').convert('L')).astype(np.float32)[..., None],
    disp=np.asarray(Image.open(D + 'Infinite-Level_02_Disp_NoSmoothUV-4096.jpg').convert('L')).astype(np.float32)[
        ..., None
    ],
)
for tile, S, name in ((0, 2048, 'face'), (1, 1024, 'back')):
    cu = UV[tuv].mean(1)[:, 0]
    sel = (cu >= tile) & (cu < tile + 1)
    tt = np.where(sel)[0]
    # unindexed uv triangles
    P = UV[tuv[tt]].reshape(-1, 2) - [tile, 0]
    P2 = np.stack([P[:, 0] * S, (1 - P[:, 1]) * S], 1)
    Fi = np.arange(len(P2)).reshape(-1, 3)
    T, B = raster(P2, np.zeros(len(P2)), Fi, S, S)
    ok = T >= 0
    f = tri[tt[T[ok]]]
    bb = B[ok][..., None]
    uv = scan_uv((X[f] * bb).sum(1), (N[f] * bb).sum(1))
    idx = ndi.distance_transform_edt(~ok, return_distances=False, return_indices=True)
    for k, im in maps.items():
        o = np.zeros((S, S, im.shape[2]), np.float32)
        o[ok] = tex(im, uv)
        o = o[idx[0], idx[1]]
        Image.fromarray(o.squeeze().clip(0, 255).astype(np.uint8)).save(
            TEX + '%s_%s.png' % (name, 'col_raw' if (name, k) == ('face', 'col') else k)
        )
    print(name, ok.mean(), time.time() - t0, flush=True)
