"""Landmarks in pictures: the detector behind one small interface, and its 478 points as the 73 of the scheme.

A detector has ``see(image, flags) -> PictureDetections`` and ``close()``; ``Detector`` is the one there is.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lsp_ros.capture import detector
from lsp_ros.errors import LspError

# The mesh's points that stand for the 73, the mean of several where none lies there. The scheme names places (corners,
# middles, the base of the nose); what lies between them has equal distances: along the contour, from the corner of the
# mouth to the peak of the upper lip, along the lower lip, on the side of the nose. The lower points of a brow lie under
# its upper ones. Looked at on real people (docs/capture.md has the drawing).
MESH_POINTS = (
    # contour 0-14, from the ear at the left of the picture over the chin
    (127, 162),
    (234,),
    (93, 132),
    (58,),
    (172, 136),
    (150,),
    (176,),
    (152,),
    (400,),
    (379,),
    (397, 365),
    (288,),
    (323, 361),
    (454,),
    (356, 389),
    # left brow 15-20, right brow 21-26
    (70,),
    (63, 105),
    (66,),
    (55, 107),
    (65,),
    (53, 52),
    (300,),
    (293, 334),
    (296,),
    (285, 336),
    (295,),
    (283, 282),
    # corners and middles of the lids 27-34
    (33,),
    (159,),
    (133,),
    (145,),
    (362,),
    (386,),
    (263,),
    (374,),
    # nose 35-45
    (245,),
    (198, 217),
    (48,),
    (98, 97),
    (2,),
    (327, 326),
    (278,),
    (420, 437),
    (465,),
    (97,),
    (326,),
    # outer lip 46-57, inner lip 58-63, between the lips 64
    (61,),
    (40, 39),
    (37,),
    (0,),
    (267,),
    (270, 269),
    (291,),
    (321,),
    (314, 405),
    (17,),
    (84, 181),
    (91,),
    (178,),
    (14,),
    (402,),
    (311,),
    (13,),
    (81,),
    (13, 14),
    # between corners and middles of the lids 65-72
    (160, 161),
    (144,),
    (153, 154),
    (157, 158),
    (387, 388),
    (373,),
    (380, 381),
    (384, 385),
)
# Points that expression hardly moves, with their mirror images: forehead and nose, eye corners, temples, cheekbones.
_MIDDLE = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 19, 94)
_SIDES = (
    (33, 263),
    (133, 362),
    (130, 359),
    (243, 463),
    (127, 356),
    (234, 454),
    (162, 389),
    (21, 251),
    (54, 284),
    (103, 332),
    (67, 297),
    (109, 338),
    (116, 345),
    (117, 346),
    (118, 347),
    (119, 348),
    (120, 349),
    (143, 372),
    (35, 265),
    (31, 261),
    (228, 448),
    (229, 449),
    (230, 450),
    (231, 451),
    (232, 452),
    (193, 417),
    (245, 465),
    (188, 412),
    (174, 399),
    (198, 420),
    (48, 278),
    (64, 294),
    (98, 327),
    (99, 328),
    (227, 447),
    (34, 264),
    (139, 368),
    (71, 301),
    (104, 333),
    (69, 299),
    (108, 337),
    (129, 358),
)
RIGID = np.array([*_MIDDLE, *(left for left, _ in _SIDES), *(right for _, right in _SIDES)])
RIGID_MIRROR = np.array([*_MIDDLE, *(right for _, right in _SIDES), *(left for left, _ in _SIDES)])
IRISES = (468, 473)

_WEIGHTS = np.zeros((len(MESH_POINTS), detector.POINTS))
for _row, _points in enumerate(MESH_POINTS):
    _WEIGHTS[_row, list(_points)] = 1 / len(_points)


def to_lsp73(mesh: np.ndarray) -> np.ndarray:
    """(..., 478, C) mesh -> (..., 73, C) points of ``lsp_ros.avatar.landmarks``."""
    return _WEIGHTS @ mesh


PYTHON = Path(sys.prefix, 'capture', 'bin', 'python')  # where `make setup-capture` puts it


class DetectorError(LspError, ValueError):
    """The face detector cannot be started or has died; one sentence with the remedy."""


@dataclass(frozen=True)
class PictureDetections:
    """What the detector found in one picture, in its pixels (the picture spans 0..width).

    face   (478, 3) float32 or None; z has the scale of x and is smaller nearer to the camera
    hands  list of (21, 2) float32; empty also where nobody looked
    body   (256, 256) uint8, 255 is person; None where nobody looked
    """

    face: np.ndarray | None
    hands: list[np.ndarray] = field(default_factory=list)
    body: np.ndarray | None = None


class Detector:
    """MediaPipe in a process of its own. A context manager."""

    def __init__(self, python: Path | str | None = None, landmarker: Path | str | None = None) -> None:
        """``python`` has mediapipe (default: $LSP_DETECTOR_PYTHON, else that of `make setup-capture`);
        ``landmarker`` is a face_landmarker.task to use instead of the models in the wheel."""
        python = Path(python or os.environ.get('LSP_DETECTOR_PYTHON') or PYTHON)
        if not python.is_file():
            raise DetectorError(f'{python}: there is no face detector; `make setup-capture` installs it.')
        if landmarker and not Path(landmarker).is_file():
            raise DetectorError(f'{landmarker}: there is no such file.')
        command = [str(python), detector.__file__, *(['--landmarker', str(landmarker)] if landmarker else [])]
        # MediaPipe reports every start of its own on standard error; only the last lines of a death are of interest.
        # A session of its own: Ctrl-C is for us, who end it in order.
        self._errors = os.memfd_create('detector')
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True
        )
        requests, answers = self._process.stdin, self._process.stdout
        assert requests and answers  # both are pipes
        self._requests, self._answers = requests, answers
        self._read(len(b'ready'))

    def see(self, image: np.ndarray, flags: int = 0) -> PictureDetections:
        """(height, width, 3) uint8 RGB; flags of ``lsp_ros.capture.detector``."""
        height, width, _ = image.shape
        try:
            self._requests.write(detector.REQUEST.pack(height, width, flags))
            self._requests.write(np.ascontiguousarray(image).data)
            self._requests.flush()
        except BrokenPipeError:
            raise self._death() from None
        faces, hands = detector.ANSWER.unpack(self._read(detector.ANSWER.size))
        face = self._array((detector.POINTS, 3)) if faces else None
        hands = [self._array((detector.HAND_POINTS, 2)) for _ in range(hands)]
        side = detector.MASK
        body = self._array((side, side), np.uint8) if flags & detector.BODY else None
        return PictureDetections(face, hands, body)

    def _array(self, shape: tuple[int, ...], kind: type = np.float32) -> np.ndarray:
        return np.frombuffer(self._read(int(np.prod(shape)) * np.dtype(kind).itemsize), kind).reshape(shape)

    def _read(self, size: int) -> bytes:
        answer = self._answers.read(size)
        if len(answer) < size:
            raise self._death()
        return answer

    def _death(self) -> DetectorError:
        self._process.wait()
        lines = os.pread(self._errors, 1 << 20, 0).decode(errors='replace').strip().splitlines()
        return DetectorError(f'the face detector ended ({lines[-1] if lines else "without a word"}).')

    def close(self) -> None:
        if self._process.poll() is None:
            self._requests.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._answers.close()
        os.close(self._errors)

    def __enter__(self) -> 'Detector':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
