"""The conditional feature map: landmarks and shoulders as white lines (paper section 3.4, figure 5)."""

from itertools import accumulate, pairwise

import cv2
import numpy as np

from lsp_ros.avatar.landmarks import FACE_LINES, SHOULDER_LINES
from lsp_ros.rendering.sizes import PICTURE
from lsp_ros.signals import LANDMARKS, SHOULDER_POINTS

THICKNESS = 2
# Bits behind the point of OpenCV's fixed-point coordinates: steps of 1/256 pixel.
SUBPIXEL_BITS = 8
# Far outside the picture, and far inside what OpenCV's line clipping can count.
FARTHEST = 4096.0
# All lines behind one another, as rows of landmarks and shoulders, and where each begins and ends.
_LINES = [*FACE_LINES, *(tuple(LANDMARKS + point for point in line) for line in SHOULDER_LINES)]
_ROWS = np.concatenate(_LINES)
_ENDS = list(pairwise(accumulate(map(len, _LINES), initial=0)))


def draw(landmarks: np.ndarray, shoulders: np.ndarray | None, subpixel: bool = False) -> np.ndarray:
    """(73, 2) landmark pixels and (18, 2) shoulder pixels -> (512, 512) uint8 map of 0 and 255.

    Coordinates are truncated toward zero, as the authors' renderers were trained. With
    ``subpixel`` thinner lines are drawn to 1/256 pixel with smooth edges (values 0..255), so that
    motion smaller than a pixel is seen; pixel centres then are at half coordinates. Which of the two a
    renderer needs is said by ``sizes.SIZES[size].subpixel``. ``shoulders`` None leaves them out (for table 3).
    Raises ValueError for wrong shapes and for values that are not finite.
    """
    given = []
    for points, count, name in ((landmarks, LANDMARKS, 'landmarks'), (shoulders, SHOULDER_POINTS, 'shoulders')):
        if points is None:
            continue
        points = np.asarray(points, dtype=np.float64)
        if points.shape != (count, 2):
            raise ValueError(f'{name} have the shape {points.shape}, not ({count}, 2)')
        if not np.isfinite(points).all():
            raise ValueError(f'{name} hold values that are not finite')
        given.append(points)
    points = np.concatenate(given).clip(-FARTHEST, FARTHEST)
    if subpixel:
        points = np.rint((points - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32)
        # Thickness 1: OpenCV's smooth edges of thicker lines jump back and forth by a quarter of a pixel.
        style: tuple[int, ...] = (1, cv2.LINE_AA, SUBPIXEL_BITS)
    else:
        points = points.astype(np.int32)
        style = (THICKNESS, cv2.LINE_8)
    ends = _ENDS if shoulders is not None else _ENDS[: len(FACE_LINES)]
    points = points.take(_ROWS[: ends[-1][1]], axis=0)
    picture = np.zeros((PICTURE, PICTURE), dtype=np.uint8)
    cv2.polylines(picture, [points[begin:end] for begin, end in ends], False, 255, *style)
    return picture
