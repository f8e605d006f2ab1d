# ruff: noqa: B007, E402, E501, E731, E741, UP031
"""Non-rigid registration of the ICT head (lids closed) to the Lee Perry-Smith scan; result: deformed ICT vertices in scan space."""

import time

import numpy as np
from paths import ICT, SCAN, WORK
from PIL import Image
from raster import raster, tex
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

t0 = time.time()
Z = np.load(ICT)
V0 = Z['V'].astype(float)
ex = list(Z['ex'])
Fl, F, FU, M, UV = Z['Fl'], Z['F'], Z['FU'], Z['M'], Z['uv']
mats = list(Z['mats'])
E = Z['E']
V = V0 + E[ex.index('eyeBlink_L')].astype(float) + E[ex.index('eyeBlink_R')].astype(float)
st = np.r_[0, np.cumsum(Fl)]
tri = []
tuv = []
for i in range(len(Fl)):
    if mats[M[i]] in ('M_Face', 'M_BackHead'):
        f = F[st[i] : st[i + 1]]
        u = FU[st[i] : st[i + 1]]
        if f.max() >= 11248:
            continue
        for k in range(1, len(f) - 1):
            tri.append(f[[0, k, k + 1]])
            tuv.append(u[[0, k, k + 1]])
tri = np.array(tri)
tuv = np.array(tuv)
for m in mats:
    ids = [FU[st[i] : st[i + 1]] for i in range(len(Fl)) if mats[M[i]] == m]
    if ids:
        u = UV[np.concatenate(ids)]
        print(m, len(ids), u.min(0).round(3), u.max(0).round(3))
LM68 = [
    1225,
    1888,
    1052,
    367,
    1719,
    1722,
    2199,
    1447,
    966,
    3661,
    4390,
    3927,
    3924,
    2608,
    3272,
    4088,
    3443,
    268,
    493,
    1914,
    2044,
    1401,
    3615,
    4240,
    4114,
    2734,
    2509,
    978,
    4527,
    4942,
    4857,
    1140,
    2075,
    1147,
    4269,
    3360,
    1507,
    1542,
    1537,
    1528,
    1518,
    1511,
    3742,
    3751,
    3756,
    3721,
    3725,
    3732,
    5708,
    5695,
    2081,
    0,
    4275,
    6200,
    6213,
    6346,
    6461,
    5518,
    5957,
    5841,
    5702,
    5711,
    5533,
    6216,
    6207,
    6470,
    5517,
    5966,
]
d = np.load(WORK + 'lps_mesh.npz')
LV, LF, Luv, LN = d['V'].astype(float), d['F'], d['uv'], d['N']
# dense samples of the scan
rng = np.random.RandomState(0)
ar = 0.5 * np.linalg.norm(np.cross(LV[LF[:, 1]] - LV[LF[:, 0]], LV[LF[:, 2]] - LV[LF[:, 0]]), axis=1)
# pixel landmarks in lps2.png (250 px per unit, centre (0,.75) at (450,450))
px = {
    36: (202, 232),
    37: (236, 238),
    38: (298, 229),
    39: (350, 209),
    40: (298, 230),
    41: (236, 239),
    42: (500, 211),
    43: (548, 230),
    44: (610, 236),
    45: (650, 226),
    46: (610, 237),
    47: (548, 231),
    27: (427, 205),
    28: (425, 255),
    29: (423, 305),
    30: (421, 355),
    31: (372, 411),
    33: (419, 411),
    35: (483, 413),
    48: (328, 543),
    50: (408, 488),
    51: (426, 491),
    52: (446, 486),
    54: (540, 535),
    49: (365, 509),
    53: (492, 506),
    62: (430, 525),
    66: (430, 527),
    57: (430, 569),
    59: (375, 560),
    55: (488, 559),
    61: (385, 526),
    63: (475, 525),
    67: (385, 528),
    65: (475, 527),
    8: (424, 770),
    17: (150, 165),
    19: (245, 120),
    21: (352, 143),
    22: (487, 142),
    24: (590, 126),
    26: (690, 165),
}
P2 = np.stack([(LV[:, 0]) * 250 + 450, -(LV[:, 1] - 0.75) * 250 + 450], 1)
T, B = raster(P2, LV[:, 2], LF, 900, 900)


def pick(x, y):
    t = T[y, x]
    return (LV[LF[t]] * B[y, x][:, None]).sum(0)


ks = sorted(px)
S = np.array([pick(*px[k]) for k in ks])
D = V[[LM68[k] for k in ks]]


# similarity scan -> ICT cm
def simil(A, Bm):
    ca, cb = A.mean(0), Bm.mean(0)
    a, b = A - ca, Bm - cb
    U, s, Vt = np.linalg.svd(a.T @ b)
    R = (U @ Vt).T
    if np.linalg.det(R) < 0:
        Vt[-1] *= -1
        R = (U @ Vt).T
    sc = s.sum() / (a**2).sum()
    return sc, R, cb - sc * R @ ca


sc, R, t = simil(S, D)
print('scale', sc)
LVa = sc * LV @ R.T + t
Sa = sc * S @ R.T + t
LNa = LN @ R.T
print('lm rms after similarity', np.sqrt(((Sa - D) ** 2).sum(1).mean()))
np.savez(WORK + 'sim.npz', sc=sc, R=R, t=t)


# template deform: V -> LVa; start with RBF from landmarks
def rbf(X, Y, Q, lam=0.0):
    K = lambda A, Bm: np.linalg.norm(A[:, None] - Bm[None], axis=2)
    n = len(X)
    Pm = np.c_[np.ones(n), X]
    A = np.zeros((n + 4, n + 4))
    A[:n, :n] = -K(X, X) + 0
    A[:n, :n] -= lam * np.eye(n) * -1 * 0
    A[:n, :n] += np.eye(n) * -lam
    A[:n, n:] = Pm
    A[n:, :n] = Pm.T
    w = np.linalg.solve(A, np.r_[Y, np.zeros((4, 3))])
    return -K(Q, X) @ w[:n] + np.c_[np.ones(len(Q)), Q] @ w[n:]


nv = 11248
keepk = [i for i, k in enumerate(ks) if k not in (40, 41, 46, 47, 65, 66, 67)]
X = V[:nv] + rbf(D[keepk], (Sa - D)[keepk], V[:nv], lam=0.3)
nb = np.concatenate([tri[:, [0, 1]], tri[:, [1, 2]], tri[:, [2, 0]]])
nb = np.concatenate([nb, nb[:, ::-1]])
A = coo_matrix((np.ones(len(nb)), (nb[:, 0], nb[:, 1])), shape=(nv, nv)).tocsr()
A.data[:] = 1
deg = np.asarray(A.sum(1)).ravel()
Lp = diags(deg) - A


def normals(X):
    fn = np.cross(X[tri[:, 1]] - X[tri[:, 0]], X[tri[:, 2]] - X[tri[:, 0]])
    n = np.zeros_like(X)
    for k in range(3):
        np.add.at(n, tri[:, k], fn)
    return n / (np.linalg.norm(n, axis=1, keepdims=True) + 1e-12)


ii = rng.choice(len(LF), 400000, p=ar / ar.sum())
u = rng.rand(len(ii), 2)
sw = u.sum(1) > 1
u[sw] = 1 - u[sw]
b = np.stack([1 - u.sum(1), u[:, 0], u[:, 1]], 1)
SP = (LVa[LF[ii]] * b[..., None]).sum(1)
SN = (LNa[LF[ii]] * b[..., None]).sum(1)
SU = (Luv[LF[ii]] * b[..., None]).sum(1)
tree = cKDTree(SP)
lmidx = np.array([LM68[k] for k in ks])
lmw = np.array([2.0 if k < 27 and k != 8 else 6.0 for k in ks])
for it, stiff in enumerate([300, 150, 80, 40, 20, 10, 6, 4, 3]):
    n = normals(X)
    dist, q = tree.query(X, k=1)
    cosn = (n * SN[q]).sum(1)
    # prefer normal-consistent candidates
    d8, q8 = tree.query(X, k=24)
    c8 = (n[:, None] * SN[q8]).sum(2)
    cost = d8 - 0.8 * c8 * 0 + np.where(c8 < 0.4, 10, 0)
    j = cost.argmin(1)
    q = q8[np.arange(nv), j]
    ok = (c8[np.arange(nv), j] > 0.4) & (d8[np.arange(nv), j] < (2.5 if it < 4 else 1.5)) & (deg > 0)
    w = ok * 1.0
    ld = np.zeros(nv)
    tg = np.zeros((nv, 3))
    ld += w
    tg += w[:, None] * (SP[q] - X)
    lw = lmw * (40 if it < 3 else 15)
    np.add.at(ld, lmidx, lw)
    np.add.at(tg, lmidx, lw[:, None] * (Sa - X[lmidx]))
    Q = (stiff * (Lp.T @ Lp) / 9 + diags(ld + 1e-4)).tocsc()
    X = X + splu(Q).solve(tg)
    print(
        it,
        stiff,
        'ok',
        ok.mean().round(3),
        'mean dist',
        dist[ok].mean().round(4),
        'lm',
        np.linalg.norm(X[lmidx] - Sa, axis=1).mean().round(3),
        't',
        round(time.time() - t0, 1),
        flush=True,
    )
np.savez(WORK + 'reg.npz', X=X, tri=tri, tuv=tuv, LVa=LVa, LNa=LNa, Sa=Sa, lmidx=lmidx, V=V)
# check picture: texture of the scan on undeformed ICT, by nearest sample per vertex? -> per pixel
img = np.asarray(Image.open(SCAN + 'Map-COL.jpg').convert('RGB')).astype(float)
Vn = V0[:nv]
sc2 = 28
W = 640
for nm, G in (('closed', V[:nv]), ('open', Vn)):
    T, B = raster(np.stack([G[:, 0] * sc2 + W / 2, -(G[:, 1] - 1) * sc2 + W / 2], 1), G[:, 2], tri, W, W)
    ok = T >= 0
    f = tri[T[ok]]
    pos = (X[f] * B[ok][..., None]).sum(1)
    nn = (normals(X)[f] * B[ok][..., None]).sum(1)
    d8, q8 = tree.query(pos, k=8)
    c8 = (nn[:, None] * SN[q8]).sum(2)
    j = (d8 + np.where(c8 < 0.2, 5, 0)).argmin(1)
    q = q8[np.arange(len(pos)), j]
    ng = (normals(G)[f] * B[ok][..., None]).sum(1)
    Lm = 0.45 + 0.55 * np.clip(ng @ np.array([0.35, 0.4, 0.85]), 0, 1)
    o = np.full((W, W, 3), 30.0)
    o[ok] = tex(img, SU[q]) * Lm[:, None]
    Image.fromarray(o.clip(0, 255).astype(np.uint8)).save(WORK + 'chk_%s.png' % nm)
print('t', time.time() - t0)
