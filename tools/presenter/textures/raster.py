"""Tiny numpy z-buffer rasteriser: orthographic views, per-pixel triangle id and barycentrics."""

import numpy as np


def raster(P2, z, F, W, H):
    """P2 (n,2) pixel coords, z (n) larger = nearer. -> tri (H,W) int, bary (H,W,3)"""
    zb = np.full((H, W), -1e9)
    T = -np.ones((H, W), int)
    B = np.zeros((H, W, 3))
    A = P2[F]
    mn = np.floor(A.min(1)).astype(int)
    mx = np.ceil(A.max(1)).astype(int)
    for i in range(len(F)):
        x0, y0 = max(mn[i, 0], 0), max(mn[i, 1], 0)
        x1, y1 = min(mx[i, 0], W - 1), min(mx[i, 1], H - 1)
        if x1 < x0 or y1 < y0:
            continue
        a, b, c = A[i]
        d = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if abs(d) < 1e-12:
            continue
        X, Y = np.meshgrid(np.arange(x0, x1 + 1) + 0.5, np.arange(y0, y1 + 1) + 0.5)
        w1 = ((X - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (Y - a[1])) / d
        w2 = ((b[0] - a[0]) * (Y - a[1]) - (X - a[0]) * (b[1] - a[1])) / d
        w0 = 1 - w1 - w2
        m = (w0 >= -1e-6) & (w1 >= -1e-6) & (w2 >= -1e-6)
        if not m.any():
            continue
        zz = w0 * z[F[i, 0]] + w1 * z[F[i, 1]] + w2 * z[F[i, 2]]
        s = (slice(y0, y1 + 1), slice(x0, x1 + 1))
        m &= zz > zb[s]
        zb[s][m] = zz[m]
        T[s][m] = i
        B[s][m] = np.stack([w0, w1, w2], -1)[m]
    return T, B


def tex(img, uv):
    h, w = img.shape[:2]
    x = np.clip(uv[..., 0] * w - 0.5, 0, w - 1.001)
    y = np.clip(uv[..., 1] * h - 0.5, 0, h - 1.001)
    i, j = x.astype(int), y.astype(int)
    fx, fy = (x - i)[..., None], (y - j)[..., None]
    i1, j1 = np.minimum(i + 1, w - 1), np.minimum(j + 1, h - 1)
    return (img[j, i] * (1 - fx) + img[j, i1] * fx) * (1 - fy) + (img[j1, i] * (1 - fx) + img[j1, i1] * fx) * fy
