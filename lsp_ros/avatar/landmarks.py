"""The 73-point landmark scheme and the drawing order of the conditional feature map (paper section 3.4).

"Right" and "left" are the picture's. Contour 0-14 from the left ear over the chin (7) to the
right ear; left brow 15-20, right brow 21-26; left eye 27, 65, 28, 68, 29, 67, 30, 66; right eye
33, 69, 32, 72, 31, 71, 34, 70; nose 35-45; outer lip 46-57, inner lip 58-63; 64 centre of the
mouth. Points 44, 45 and 64 are never drawn.
"""

import numpy as np

from lsp_ros.signals import LANDMARKS, SHOULDER_POINTS  # noqa: F401  (one home for the counts)

CONTOUR = np.arange(0, 15)
BROWS = np.arange(15, 27)
EYES = np.array([27, 65, 28, 68, 29, 67, 30, 66, 31, 72, 32, 69, 33, 70, 34, 71])
NOSE = np.arange(35, 46)
MOUTH = np.arange(46, 64)

# The 25 points that the mouth network predicts, in the order of its 75 outputs (x, y, z each).
MOUTH_OUTPUT = np.concatenate([np.arange(4, 11), MOUTH])

UPPER_LIP_INNER = np.array([63, 62, 61])
LOWER_LIP_INNER = np.array([58, 59, 60])
UPPER_LIP_OUTER = np.array([47, 48, 49, 50, 51])
LOWER_LIP_OUTER = np.array([57, 56, 55, 54, 53])
LEFT_EYE_LIDS = (28, 30)
RIGHT_EYE_LIDS = (32, 34)

# Open polylines, drawn one after the other. A repeated index draws a dot.
FACE_LINES = (
    tuple(range(0, 15)),
    (15, 16, 17, 18, 18, 19, 20, 15),
    (21, 22, 23, 24, 24, 25, 26, 21),
    tuple(range(35, 44)),
    (27, 65, 28, 68, 29),
    (29, 67, 30, 66, 27),
    (33, 69, 32, 72, 31),
    (31, 71, 34, 70, 33),
    tuple(range(46, 53)),
    (52, 53, 54, 55, 56, 57, 46),
    (46, 63, 62, 61, 52),
    (52, 60, 59, 58, 46),
)
SHOULDER_LINES = (tuple(range(0, 9)), tuple(range(9, 18)))


def lip_gap(points: np.ndarray) -> np.ndarray:
    """Mean height of the three inner lip pairs, (..., 73, 3) head-frame points -> (...,).

    Negative where the lips cross.
    """
    gap = points[..., UPPER_LIP_INNER, 1] - points[..., LOWER_LIP_INNER, 1]
    mean: np.ndarray = gap.mean(axis=-1)
    return mean
