"""What the detector sees in the videos, kept piece by piece: who is stopped and starts again sees nothing twice.

<folder>/look-*.npz             times, cuts and boxes of the face of one video
<folder>/see-*/<first>.npz      ``PIECE`` pictures of one video from number ``first`` on: landmarks, and the JPEGs
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from lsp_ros.capture import detector as flags
from lsp_ros.capture.landmarks import PictureDetections
from lsp_ros.capture.take import ClipDetections, Take
from lsp_ros.capture.video import Clip, Crop, change, duration, find_cuts, pictures, sharpness, thumbnail
from lsp_ros.capture.work import CaptureError, work_key
from lsp_ros.storage import has_arrays, store_arrays, stored_arrays

PIECE = 150  # pictures after which the work on a clip is kept
WARM = 4  # pictures that the detector sees before its landmarks count: it looks for a face where the last one was
LOOK_EVERY = 0.5  # seconds between pictures in which the first look searches a face
HANDS_EVERY = 0.17  # seconds between pictures that are searched for hands
BODY_EVERY = 1.0


class FaceDetector(Protocol):
    """What sees faces: ``lsp_ros.capture.landmarks.Detector``."""

    def see(self, image: np.ndarray, flags: int = 0) -> PictureDetections:
        """(height, width, 3) uint8 RGB; flags of ``lsp_ros.capture.detector``."""

    def close(self) -> None: ...


@dataclass
class Piece:
    """What was seen in some pictures of one clip, one after the other."""

    faces: list[np.ndarray] = field(default_factory=list)
    hand: list[bool] = field(default_factory=list)
    sharp: list[float] = field(default_factory=list)
    jpeg: list[bytes] = field(default_factory=list)
    bodies: list[np.ndarray] = field(default_factory=list)
    body_rows: list[int] = field(default_factory=list)

    def add(self, row: int, image: np.ndarray, sight: PictureDetections) -> None:
        """The next picture (512, 512, 3) RGB, number ``row`` of the clip, and what was seen in it."""
        face = sight.face
        self.faces.append(np.full((flags.POINTS, 3), np.nan, np.float32) if face is None else face)
        self.hand.append(face is not None and any(over_face(hand, face) for hand in sight.hands))
        self.sharp.append(0.0 if face is None else sharpness(image, face_box(face)))
        self.jpeg.append(cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
        if sight.body is not None:
            self.bodies.append(sight.body)
            self.body_rows.append(row)

    def arrays(self) -> dict[str, np.ndarray]:
        """As they are kept: the fields of ``ClipDetections``; ``jpeg``, all files in a row, and their sizes."""
        return {
            'faces': np.array(self.faces, np.float32),
            'hand': np.array(self.hand),
            'sharp': np.array(self.sharp, np.float32),
            'sizes': np.array([len(jpeg) for jpeg in self.jpeg]),
            'jpeg': np.frombuffer(b''.join(self.jpeg), np.uint8),
            'bodies': np.array(self.bodies, np.uint8).reshape(-1, flags.MASK, flags.MASK),
            'body_rows': np.array(self.body_rows, int),
        }


class Detection:
    """Detection in the videos of one capture, kept by content; a detector is started when there is something to do."""

    def __init__(self, folder: Path, start: Callable[[], FaceDetector], landmarker: str | None = None) -> None:
        """``start()`` gives a detector; ``landmarker`` is the SHA-256 of its model if it is not that in the wheel."""
        self.folder, self._start, self._landmarker = folder, start, landmarker
        self._detector: FaceDetector | None = None

    @property
    def detector(self) -> FaceDetector:
        if self._detector is None:
            self._detector = self._start()
        return self._detector

    def close(self) -> None:
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def key(self, *parts: object) -> str:
        """The key of anything that depends on what this detector sees."""
        return work_key(*parts, *([self._landmarker] if self._landmarker else []))

    def look(self, path: Path, digest: str, share: Callable[[float], None] = lambda share: None) -> Take:
        """A first pass over a video: times, cuts, and boxes of the face every half second."""
        file, key = self.folder / f'look-{digest[:12]}.npz', self.key('look', digest)
        stored = stored_arrays(file, key)
        if stored is None:
            times, changes, boxes, due = [], [], [], 0.0
            faces: list[float] = []
            whole: list[float] = []
            size: tuple[int, ...] = ()
            small: np.ndarray | None = None
            seconds_in_all = duration(path)
            for _, seconds, image in pictures(path):
                size, before, small = size or image.shape, small, thumbnail(image)
                times.append(seconds)
                if before is not None:
                    changes.append(change(before, small))
                if seconds >= due:
                    due = seconds + LOOK_EVERY
                    face = self.detector.see(image, flags.FORGET).face
                    whole.append(grey(image))
                    if face is not None:
                        boxes.append(face_box(face))
                        faces.append(grey(image, boxes[-1]))
                    if seconds_in_all:
                        share(min(1.0, seconds / seconds_in_all))
            stored = {
                'times': np.array(times),
                'size': np.array(size[:2]),
                'cuts': np.array(find_cuts(np.array(changes)), int),
                'boxes': np.array(boxes).reshape(-1, 4),
                'light': np.array(np.median(faces or whole)),
            }
            store_arrays(file, key, **stored)
        share(1.0)
        height, width = (int(side) for side in stored['size'])
        cuts = tuple(int(cut) for cut in stored['cuts'])
        clip = Clip(path, width, height, stored['times'], cuts)
        return Take(digest, clip, stored['boxes'], light=float(stored['light']))

    def see(self, take: Take, crop: Crop, share: Callable[[float], None] = lambda share: None) -> ClipDetections:
        """Every picture of a clip: cropped, kept as JPEG, and seen by the detector."""
        clip, parts = take.clip, self._pieces(take, crop)
        todo = {first: (file, key) for first, file, key in parts if not has_arrays(file, key)}
        if todo:
            self._see_pieces(clip, crop, todo, share)
        share(1.0)
        # Without the pictures themselves, which are most of it: a long film's would not fit into memory.
        names = ('faces', 'hand', 'sharp', 'bodies', 'body_rows')
        pieces = [_kept(file, key, names) for _, file, key in parts]
        joined = {name: np.concatenate([piece.pop(name) for piece in pieces]) for name in names}
        # A hand that was found belongs to the pictures around, which nobody searched.
        rows = np.flatnonzero(joined['hand'])
        reach = max(1, round(HANDS_EVERY * clip.rate))
        for row in rows:
            joined['hand'][max(0, row - reach) : row + reach + 1] = True
        return ClipDetections(**joined)

    def _see_pieces(
        self, clip: Clip, crop: Crop, todo: dict[int, tuple[Path, str]], share: Callable[[float], None]
    ) -> None:
        """Sees the pieces {first picture: file and key} and keeps each when it is whole."""
        hands = max(1, round(HANDS_EVERY * clip.rate))
        bodies = max(1, round(BODY_EVERY * clip.rate))
        recent: deque[np.ndarray] = deque(maxlen=WARM)  # of the same shot
        piece = Piece()
        for row, _, image in pictures(clip.path, max(0, min(todo) - WARM)):
            if row >= len(clip.times):
                break
            first = row // PIECE * PIECE
            if row in clip.cuts:
                recent.clear()
            if first in todo:
                cropped = crop.apply(image)
                if row == first:
                    piece = Piece()
                if row == first or row in clip.cuts:
                    self._warm_up([crop.apply(before) for before in recent] or [cropped])
                wanted = flags.HANDS * (row % hands == 0) | flags.BODY * (row % bodies == 0)
                piece.add(row, cropped, self.detector.see(cropped, wanted))
                if row == min(first + PIECE, len(clip.times)) - 1:
                    file, key = todo.pop(first)
                    store_arrays(file, key, **piece.arrays())
                    share((row + 1) / len(clip.times))
                    if not todo:
                        break
            recent.append(image)

    def _pieces(self, take: Take, crop: Crop) -> list[tuple[int, Path, str]]:
        folder = self.folder / f'see-{take.digest[:12]}'
        return [
            (first, folder / f'{first:06d}.npz', self.key('see', take.digest, asdict(crop), first))
            for first in range(0, len(take.clip.times), PIECE)
        ]

    def _warm_up(self, images: list[np.ndarray]) -> None:
        """Begins anew with the pictures before, the first of them again and again where there are too few: so a piece
        is seen as in one go with all others, whatever was seen before it in this run."""
        self.detector.see(images[0], flags.FORGET)
        for image in (images[:1] * WARM + images[1:])[1 - WARM :]:
            self.detector.see(image)

    def images(self, take: Take, crop: Crop, rows: np.ndarray, encoded: bool = False) -> Iterator[Any]:
        """Kept pictures of a clip in order: (512, 512, 3) RGB, or the JPEG's bytes."""
        wanted = set(int(row) for row in rows)
        for first, file, key in self._pieces(take, crop):
            inside = [row for row in range(first, min(first + PIECE, len(take.clip.times))) if row in wanted]
            if not inside:
                continue
            stored = _kept(file, key, ('sizes', 'jpeg'))
            ends = np.cumsum(stored['sizes'])
            for row in inside:
                data = stored['jpeg'][ends[row - first] - stored['sizes'][row - first] : ends[row - first]]
                if encoded:
                    yield data.tobytes()
                    continue
                image = cv2.imdecode(data, cv2.IMREAD_COLOR)
                assert image is not None  # it was encoded here, and the file has a checksum
                yield image[..., ::-1]


def _kept(file: Path, key: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays of a piece that is known to be there; CaptureError where it has gone since."""
    stored = stored_arrays(file, key, names)
    if stored is None:
        raise CaptureError(f'{file}: is gone or was changed during the run; start the command again.')
    return stored


def face_box(face: np.ndarray) -> np.ndarray:
    """(478, 3) mesh -> left, top, right, bottom in pixels."""
    return np.concatenate([face[:468, :2].min(axis=0), face[:468, :2].max(axis=0)])


def grey(image: np.ndarray, box: np.ndarray | None = None) -> float:
    """Mean grey level, of 255, of a picture (height, width, 3) or of a box in it."""
    if box is not None:
        left, top, right, bottom = np.clip(np.round(box), 0, max(image.shape)).astype(int)
        image = image[top:bottom, left:right] if image[top:bottom, left:right].size else image
    return float(image[::4, ::4].mean())


def over_face(hand: np.ndarray, face: np.ndarray) -> bool:
    """Whether any point of a hand (21, 2) lies on the face's mesh (478, 3)."""
    hull = cv2.convexHull(np.ascontiguousarray(face[:468, :2], np.float32))
    return any(cv2.pointPolygonTest(hull, (float(x), float(y)), False) >= 0 for x, y in hand)
