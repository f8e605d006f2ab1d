import numpy as np
from paths import DONE, TEX
from PIL import Image
from scipy import ndimage as ndi

G = ndi.gaussian_filter
a = np.asarray(Image.open(TEX + 'face_col.png').convert('RGB')).astype(np.float32) / 255
H = a.shape[0]
v, u = np.mgrid[0:H, 0:H].astype(np.float32) / H
L = a.mean(2, keepdims=True)
C = a - L
lips = G(((((u - 0.5) / 0.118) ** 2 + ((v - 0.56) / 0.082) ** 2) < 1).astype(np.float32), 8)
w = 1 - lips
lo = np.stack([G(C[..., c] * w, 26) / (G(w, 26) + 1e-3) for c in range(3)], -1)
m = G(((np.abs(u - 0.5) < 0.24) & (v > 0.45) & (v < 0.72)).astype(np.float32), 60) * (1 - lips)
goal = np.array([0.098, -0.018, -0.080], np.float32)
# eyes/lids yellowish too
e = G(((np.abs(np.abs(u - 0.5) - 0.15) < 0.12) & (v > 0.19) & (v < 0.34)).astype(np.float32), 40)
k = np.clip(0.65 * m + 0.35 * e, 0, 1)[..., None]
a = a + k * (goal - lo)
# the stubble in the philtrum would show as a grey spot
soft = np.stack([G(a[..., c], 12) for c in range(3)], -1)
spot = np.exp(-(((u - 0.497) / 0.030) ** 2) - ((v - 0.472) / 0.012) ** 2)[..., None]
a = a - 0.8 * spot * (a - soft) + spot * (np.array([0.150, -0.010, -0.075], np.float32) * 0.35)
a = np.clip(a, 0, 1)
Image.fromarray((a * 255 + 0.5).astype(np.uint8)).save(TEX + 'face_col2.png')
Image.fromarray((a * 255 + 0.5).astype(np.uint8)).save(DONE + 'face_col.jpg', quality=93, subsampling=0)
