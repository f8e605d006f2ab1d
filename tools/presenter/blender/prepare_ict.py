"""Pack the light ICT-FaceKit model into one file: neutral mesh, faces, uvs, expression and identity deltas.

usage: prepare_ict.py ICT_FACEKIT_DIR OUT_NPZ      (ICT_FACEKIT_DIR is a checkout of the ICT-FaceKit repository)

Copyright (c) 2026 the project authors. MIT licence, see LICENSE in this folder.
"""

import glob
import os
import sys

import numpy as np

D = os.path.join(sys.argv[1], 'FaceXModel', '')


def verts(p):
    return np.array([line.split()[1:4] for line in open(p) if line.startswith('v ')], np.float32)


V = verts(D + 'generic_neutral_mesh.obj')
uv, F, FU, M, mats = [], [], [], [], []
for line in open(D + 'generic_neutral_mesh.obj'):
    if line.startswith('vt '):
        uv.append(line.split()[1:3])
    elif line.startswith('usemtl'):
        mats.append(line.split()[1])
    elif line.startswith('f '):
        t = [x.split('/') for x in line.split()[1:]]
        F.append([int(x[0]) - 1 for x in t])
        FU.append([int(x[1]) - 1 for x in t])
        M.append(len(mats) - 1)
ex = [os.path.basename(p)[:-4] for p in sorted(glob.glob(D + '*.obj')) if 'identity' not in p and 'generic' not in p]
E = [verts(D + n + '.obj') - V for n in ex]
ids = [verts(p) - V for p in sorted(glob.glob(D + 'identity*.obj'))]
np.savez_compressed(
    sys.argv[2],
    V=V,
    uv=np.array(uv, np.float32),
    Fl=np.array([len(f) for f in F]),
    F=np.concatenate(F),
    FU=np.concatenate(FU),
    M=np.array(M),
    mats=np.array(mats),
    ex=np.array(ex),
    E=np.stack(E).astype(np.float16),
    I=np.stack(ids).astype(np.float16),
)
