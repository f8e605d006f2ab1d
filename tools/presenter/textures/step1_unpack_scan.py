"""Unpack the scan (glb) to lps_mesh.npz. Run the four asset scripts from handover/work (see README)."""

import numpy as np
import trimesh
from paths import SCAN, WORK

s = trimesh.load(SCAN + 'LeePerrySmith.glb', process=False)
print(s)
g = list(s.geometry.values())
for m in g:
    print(m.vertices.shape, m.faces.shape, m.visual.uv.shape if hasattr(m.visual, 'uv') else None, m.bounds)
m = g[0]
np.savez(WORK + 'lps_mesh.npz', V=m.vertices, F=m.faces, uv=m.visual.uv, N=m.vertex_normals)
