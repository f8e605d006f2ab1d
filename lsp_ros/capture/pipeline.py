"""Videos of a person -> a dataset folder, step by step; what a step has finished is never done again.

    <folder>/capture/      what the steps left: look-*, see-*/ (a file for every PIECE pictures), track, shoulders-*
    <folder>/dataset/      what ``lsp train`` reads
    <folder>/report.html   what is good, what was left out and why, what to record again

Every result is one file that carries the key it was made with: a hash of the videos' content, of the settings and of
all steps before. It appears under its name only when it is whole (written beside, flushed, renamed), and it is believed
only if its key is the one now wanted; so a run may be killed at any moment, and changed settings undo just what they
touch.
"""

import contextlib
import hashlib
import os
import resource
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np

from lsp_ros.capture import consent as consents
from lsp_ros.capture import detector as flags
from lsp_ros.capture.assemble import on_timeline
from lsp_ros.capture.kept import is_kept, keep, kept, key_of
from lsp_ros.capture.landmarks import MESH_POINTS, to_lsp73
from lsp_ros.capture.shoulders import shoulder_lines, track_shoulders
from lsp_ros.capture.take import (
    ERROR,
    NO_SHOULDERS,
    REASONS,
    SHORTEST,
    TURNED,
    Seen,
    Take,
    drop_short,
    find_leaps,
    first_states,
    segments,
    shots,
)
from lsp_ros.capture.tracking import Camera, Track, track
from lsp_ros.capture.video import (
    Clip,
    Crop,
    change,
    check_sound,
    choose_crop,
    duration,
    file_sha256,
    find_cuts,
    pictures,
    sharpness,
    thumbnail,
)
from lsp_ros.errors import LspError
from lsp_ros.media import MediaError
from lsp_ros.signals import SHOULDER_POINTS
from lsp_ros.training.dataset import TRACKS, VALIDATION_SHARE, in_ranges, runs, write_dataset

PIECE = 150  # pictures after which the work on a clip is kept
WARM = 4  # pictures that the detector sees before its landmarks count: it looks for a face where the last one was
LOOK_EVERY = 0.5  # seconds between pictures in which the first look searches a face
HANDS_EVERY = 0.17  # seconds between pictures that are searched for hands
BODY_EVERY = 1.0
TURNED_AWAY = 45.0  # degrees of yaw
LOST = 8.0  # pixels of tracking error


@dataclass(frozen=True)
class Settings:
    """What a dataset is made with.

    focal       focal length in pixels of the source picture, if the camera is known; None: searched
    synthetic   the person is computer-generated, nobody has to agree
    landmarker  SHA-256 of the detector's model file, if it is not the one in the wheel
    held_out    videos that nothing may learn from, to show the avatar on
    """

    name: str
    licence: str = 'all rights reserved by the person shown'
    source: str | None = None
    focal: float | None = None
    synthetic: bool = False
    landmarker: str | None = None
    held_out: tuple[Path, ...] = ()


class CaptureError(LspError, ValueError):
    """Footage that no avatar can be made of; one sentence."""


@dataclass
class Progress:
    """Who hears how far the work is: ``step`` names what begins, ``share`` from 0 to 1 follows."""

    step: Callable[[str], None] = lambda name: None
    share: Callable[[float], None] = lambda share: None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def during(self, name: str) -> Iterator[None]:
        self.step(name)
        began = time.perf_counter()
        try:
            yield
        finally:
            kind = name.split(':')[0]
            self.seconds[kind] = self.seconds.get(kind, 0.0) + time.perf_counter() - began


class Capture:
    """One run over all videos of one camera."""

    def __init__(
        self,
        videos: list[Path],
        folder: Path,
        settings: Settings,
        detector: Callable,
        consent: Path | None,
        progress: Progress | None = None,
    ):
        """``detector()`` starts one (``lsp_ros.capture.landmarks``); it is only called if there is something to see."""
        self.folder, self.settings, self.progress = Path(folder), settings, progress or Progress()
        self._start, self._detector = detector, None
        self.videos = [Path(video) for video in videos]
        self.digests = [file_sha256(video) for video in self.videos]
        doubles = [video for k, video in enumerate(self.videos) if self.digests[k] in self.digests[:k]]
        if doubles:
            raise CaptureError(f'{doubles[0]}: this video was given twice.')
        self.held_out = {file_sha256(video): video for video in settings.held_out}
        strange = [video for digest, video in self.held_out.items() if digest not in self.digests]
        if strange:
            raise CaptureError(f'{strange[0]}: is to be held out, but is not one of the videos.')
        if len(self.held_out) == len(self.digests):
            raise CaptureError('All videos are held out: nothing is left to learn from.')
        self.names = dict(zip(self.digests, short_names(self.videos)))
        names = {f'{digest[:8]} {video.name}': digest for video, digest in zip(self.videos, self.digests)}
        self.consent, self.record = consents.bind(consent, names) if consent else (None, None)
        self.work = self.folder / 'capture'
        self.work.mkdir(parents=True, exist_ok=True)
        self.left_out: list[str] = []  # sentences about videos that are not used ...
        self.remarks: list[str] = []  # ... and about others

    # What was seen -------------------------------------------------------------------------------------------------

    @property
    def detector(self):
        if self._detector is None:
            self._detector = self._start()
        return self._detector

    def close(self) -> None:
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def __enter__(self) -> 'Capture':
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _key(self, *parts) -> str:
        return key_of(*parts, *([self.settings.landmarker] if self.settings.landmarker else []))

    def look(self, path: Path, digest: str, share: Callable[[float], None] = lambda share: None) -> Take:
        """A first pass over a video: times, cuts, and boxes of the face every half second."""
        file, key = self.work / f'look-{digest[:12]}.npz', self._key('look', digest)
        stored = kept(file, key)
        if stored is None:
            times, changes, boxes, due = [], [], [], 0.0
            size = small = None
            seconds_in_all = duration(path)
            for _, seconds, image in pictures(path):
                size, before, small = size or image.shape, small, thumbnail(image)
                times.append(seconds)
                if before is not None:
                    changes.append(change(before, small))
                if seconds >= due:
                    due = seconds + LOOK_EVERY
                    face = self.detector.see(image, flags.FORGET).face
                    if face is not None:
                        boxes.append(face_box(face))
                    if seconds_in_all:
                        share(min(1.0, seconds / seconds_in_all))
            cuts = np.array(find_cuts(np.array(changes)), int)
            stored = {
                'times': np.array(times),
                'size': np.array(size[:2]),
                'cuts': cuts,
                'boxes': np.array(boxes).reshape(-1, 4),
            }
            keep(file, key, **stored)
        share(1.0)
        height, width = (int(side) for side in stored['size'])
        cuts = tuple(int(cut) for cut in stored['cuts'])
        return Take(digest, Clip(path, width, height, stored['times'], cuts), stored['boxes'])

    def see(self, take: Take, crop: Crop, share: Callable[[float], None] = lambda share: None) -> Seen:
        """Every picture of a clip: cropped, kept as JPEG, and seen by the detector."""
        clip, parts = take.clip, self._pieces(take, crop)
        todo = {first: (file, key) for first, file, key in parts if not is_kept(file, key)}
        if todo:
            hands = max(1, round(HANDS_EVERY * clip.rate))
            bodies = max(1, round(BODY_EVERY * clip.rate))
            recent: deque[np.ndarray] = deque(maxlen=WARM)  # of the same shot
            for row, _, image in pictures(clip.path, max(0, min(todo) - WARM)):
                if row >= len(clip.times):
                    break
                first = row // PIECE * PIECE
                if row in clip.cuts:
                    recent.clear()
                if first in todo:
                    image_of_it = crop.apply(image)
                    if row == first:
                        piece = {'faces': [], 'hand': [], 'sharp': [], 'jpeg': [], 'bodies': [], 'body_rows': []}
                    if row == first or row in clip.cuts:
                        self._warm_up([crop.apply(before) for before in recent] or [image_of_it])
                    self._see_one(piece, row, image_of_it, hands=row % hands == 0, body=row % bodies == 0)
                    if row == min(first + PIECE, len(clip.times)) - 1:
                        file, key = todo.pop(first)
                        sizes = np.array([len(jpeg) for jpeg in piece['jpeg']])
                        keep(
                            file,
                            key,
                            faces=np.array(piece['faces'], np.float32),
                            hand=np.array(piece['hand']),
                            sharp=np.array(piece['sharp'], np.float32),
                            sizes=sizes,
                            jpeg=np.frombuffer(b''.join(piece['jpeg']), np.uint8),
                            bodies=np.array(piece['bodies'], np.uint8).reshape(-1, flags.MASK, flags.MASK),
                            body_rows=np.array(piece['body_rows'], int),
                        )
                        share((row + 1) / len(clip.times))
                        if not todo:
                            break
                recent.append(image)
        share(1.0)
        # Without the pictures themselves, which are most of it: a long film's would not fit into memory.
        names = ('faces', 'hand', 'sharp', 'bodies', 'body_rows')
        pieces = [kept(file, key, names) for _, file, key in parts]
        joined = {name: np.concatenate([piece.pop(name) for piece in pieces]) for name in names}
        # A hand that was found belongs to the pictures around, which nobody searched.
        rows = np.flatnonzero(joined['hand'])
        reach = max(1, round(HANDS_EVERY * clip.rate))
        for row in rows:
            joined['hand'][max(0, row - reach) : row + reach + 1] = True
        return Seen(**joined)

    def _pieces(self, take: Take, crop: Crop) -> list[tuple[int, Path, str]]:
        folder = self.work / f'see-{take.digest[:12]}'
        return [
            (first, folder / f'{first:06d}.npz', self._key('see', take.digest, asdict(crop), first))
            for first in range(0, len(take.clip.times), PIECE)
        ]

    def _warm_up(self, images: list[np.ndarray]) -> None:
        """Begins anew with the pictures before, the first of them again and again where there are too few: so a piece
        is seen as in one go with all others, whatever was seen before it in this run."""
        self.detector.see(images[0], flags.FORGET)
        for image in (images[:1] * WARM + images[1:])[1 - WARM :]:
            self.detector.see(image)

    def _see_one(self, piece: dict, row: int, image: np.ndarray, hands: bool, body: bool) -> None:
        sight = self.detector.see(image, flags.HANDS * hands | flags.BODY * body)
        face = sight.face
        piece['faces'].append(np.full((flags.POINTS, 3), np.nan, np.float32) if face is None else face)
        piece['hand'].append(face is not None and any(over_face(hand, face) for hand in sight.hands))
        piece['sharp'].append(0.0 if face is None else sharpness(image, face_box(face)))
        piece['jpeg'].append(cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
        if body:
            piece['bodies'].append(sight.body)
            piece['body_rows'].append(row)

    def images(self, take: Take, crop: Crop, rows: np.ndarray, encoded: bool = False) -> Iterator:
        """Kept pictures of a clip in order: (512, 512, 3) RGB, or the JPEG's bytes."""
        wanted = set(int(row) for row in rows)
        for first, file, key in self._pieces(take, crop):
            inside = [row for row in range(first, min(first + PIECE, len(take.clip.times))) if row in wanted]
            if not inside:
                continue
            stored = kept(file, key, ('sizes', 'jpeg'))
            ends = np.cumsum(stored['sizes'])
            for row in inside:
                data = stored['jpeg'][ends[row - first] - stored['sizes'][row - first] : ends[row - first]]
                yield data.tobytes() if encoded else cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]

    # From what was seen to what is true -------------------------------------------------------------------------------

    def run(self) -> 'Result':
        """All steps. Returns what the report tells about; the dataset is then in ``folder/dataset``."""
        progress = self.progress
        takes: list[Take] = []
        with progress.during('look: times, cuts, faces'):
            heard = self._check()
            for number, (video, digest) in enumerate(heard):
                take = self.look(video, digest, self._part(number, len(heard)))
                if take.clip.times[-1] < SHORTEST:
                    self.left_out.append(f'{video}: is {take.clip.times[-1]:.2f} s long; {SHORTEST} s are the least.')
                elif not len(take.boxes):
                    self.left_out.append(f'{video}: no face was found in it.')
                else:
                    takes.append(take)
        if not takes:
            raise CaptureError(self.left_out[0] if self.left_out else 'No video was given.')
        if all(take.digest in self.held_out for take in takes):
            raise CaptureError('Of the videos that are not held out none can be used: ' + self.left_out[0])
        size = takes[0].clip.width, takes[0].clip.height
        crop = choose_crop(np.concatenate([take.boxes for take in takes]), *size)
        with progress.during('see: landmarks of every picture'):
            for number, take in enumerate(takes):
                take.seen = self.see(take, crop, self._part(number, len(takes)))
        with progress.during('track: focal length, shape, poses'):
            found = self._track(takes, crop)
        with progress.during('shoulders: Lucas-Kanade flow'):
            self._shoulders(takes, crop)
        with progress.during('dataset: 60 frames a second'):
            return self._write(takes, crop, found)

    def _part(self, number: int, count: int) -> Callable[[float], None]:
        """Who hears how far the work on one of so many videos is, and tells it as part of the step."""
        return lambda share: self.progress.share((number + share) / count)

    def _check(self) -> list[tuple[Path, str]]:
        """The videos that have sound, before any is read in full; CaptureError where their sizes differ."""
        heard, sizes = [], {}
        for video, digest in zip(self.videos, self.digests):
            try:
                damaged = check_sound(video)
                _, _, image = next(pictures(video))
            except MediaError as error:
                self.left_out.append(str(error))
                continue
            if damaged:
                self.remarks.append(damaged)
            sizes[image.shape[1], image.shape[0]] = video
            heard.append((video, digest))
        if len(sizes) > 1:
            raise CaptureError(
                'The videos have different sizes ('
                + ', '.join(f'{w}x{h}' for w, h in sorted(sizes))
                + '); an avatar has one camera, so record all with the same settings.'
            )
        return heard

    def _track(self, takes: list[Take], crop: Crop) -> Track:
        """The Track of all good pictures of all clips; the takes then know their pictures' states and rows in it."""
        for take in takes:
            take.leaps = find_leaps(take.clip, take.seen.faces)
            take.state = first_states(take.clip, take.seen, take.leaps)
        good = [np.flatnonzero(take.state == 0) for take in takes]
        if sum(map(len, good)) < 4 * SHORTEST * max(take.clip.rate for take in takes):
            raise CaptureError('Hardly any picture shows a face that can be tracked.')
        file = self.work / 'track.npz'
        key = self._key('track', [take.digest for take in takes], asdict(crop), self.settings.focal, MESH_POINTS)
        stored = kept(file, key)
        if stored is None:
            meshes = np.concatenate([take.seen.faces[rows] for take, rows in zip(takes, good)])
            times = np.concatenate([take.clip.times[rows] for take, rows in zip(takes, good)])
            segment = np.concatenate(
                [segments(take.clip, rows) + 1_000_000 * k for k, (take, rows) in enumerate(zip(takes, good))]
            )
            centre = crop.camera_centre(takes[0].clip.width, takes[0].clip.height)
            focal = self.settings.focal * crop.scale if self.settings.focal else None
            found = track(meshes, times, segment, centre, focal, self.progress.share)
            stored = {
                'euler': found.euler,
                'translation': found.translation,
                'points': found.points,
                'error': found.error,
                'camera': np.array([found.camera.focal, *found.camera.centre]),
                'tried': np.array(found.tried).reshape(-1, 2),
            }
            keep(file, key, **stored)
        focal, *centre = stored['camera'].tolist()
        found = Track(
            stored['euler'],
            stored['translation'],
            stored['points'],
            Camera(focal, tuple(centre)),
            stored['error'],
            [tuple(pair) for pair in stored['tried'].tolist()],
        )
        # What only the tracking can tell.
        first = 0
        for take, rows in zip(takes, good):
            part = slice(first, first + len(rows))
            take.tracked = np.full(len(take.state), -1)
            take.tracked[rows] = np.arange(part.start, part.stop)
            take.state[rows[np.abs(found.euler[part, 1]) > TURNED_AWAY]] = TURNED
            take.state[rows[found.error[part] > LOST]] = ERROR
            drop_short(take.clip, take.state)
            first += len(rows)
        return found

    def _shoulders(self, takes: list[Take], crop: Crop) -> None:
        """Finds the shoulders of each take's good pictures; where it cannot, the states then say so."""
        for number, take in enumerate(takes):
            file = self.work / f'shoulders-{take.digest[:12]}.npz'
            good = hashlib.sha256(take.state.tobytes()).hexdigest()
            key = self._key('shoulders', take.digest, asdict(crop), good, MESH_POINTS)
            stored = kept(file, key)
            if stored is None:
                points = np.full((len(take.clip.times), SHOULDER_POINTS, 2), np.nan)
                part = self._part(number, len(takes))
                for first, stop in shots(take):
                    self._shoulders_of_shot(take, crop, first, stop, points, part)
                stored = {'points': points}
                keep(file, key, **stored)
            take.shoulders = stored['points']
            take.state[(take.state == 0) & np.isnan(take.shoulders[:, 0, 0])] = NO_SHOULDERS
            drop_short(take.clip, take.state)
            self.progress.share((number + 1) / len(takes))
        if not any((take.state == 0).any() for take in takes):
            raise CaptureError(
                'The shoulders are not in the picture; record head and shoulders, or place the camera farther away.'
            )

    def _shoulders_of_shot(
        self, take: Take, crop: Crop, first: int, stop: int, points: np.ndarray, share: Callable[[float], None]
    ) -> None:
        seen = take.seen
        good = np.flatnonzero(take.state[first:stop] == 0) + first
        masks = [k for k, row in enumerate(seen.body_rows) if row in set(good.tolist())]
        if not masks:
            return
        found = [(k, shoulder_lines(seen.bodies[k], to_lsp73(seen.faces[seen.body_rows[k]])[:, :2])) for k in masks]
        found = [(k, lines) for k, lines in found if lines is not None]
        if not found:
            return
        # The key picture is the one whose lines are most like all others': one bad silhouette must not decide.
        middle = np.median([lines for _, lines in found], axis=0)
        k, lines = min(found, key=lambda pair: np.abs(pair[1] - middle).sum())
        key_image = next(self.images(take, crop, seen.body_rows[k : k + 1]))

        def images() -> Iterator[np.ndarray]:
            for row, image in zip(good, self.images(take, crop, good)):
                yield image
                if row % 25 == 0:
                    share(row / len(take.clip.times))

        followed, known = track_shoulders(images(), take.clip.times[good], key_image, lines, segments(take.clip, good))
        points[good[known]] = followed[known]

    def _write(self, takes: list[Take], crop: Crop, found: Track) -> 'Result':
        """Writes the dataset folder, all or nothing."""
        tracks, known, samples, shown = on_timeline(takes, found)
        manifest = {
            'name': self.settings.name,
            'licence': self.settings.licence,
            'source': self.settings.source or ', '.join(self.names[take.digest] for take in takes),
            'person': {'kind': 'synthetic' if self.settings.synthetic else 'real', 'consent': self.consent},
            'camera': {'matrix': found.camera.matrix.tolist(), 'metres_per_unit': 0.01},
            'split': self._split(takes, known),
            'capture': {
                'videos': {name: digest for digest, name in self.names.items()},
                'crop': asdict(crop),
                'focal_length': 'given' if self.settings.focal else 'searched',
            },
        }
        out, scratch = self.folder / 'dataset', self.folder / f'.dataset.{os.getpid()}'
        for old in self.folder.glob('.dataset.*'):
            shutil.rmtree(old)
        content = hashlib.sha256(samples.tobytes())
        for name in TRACKS:
            content.update(np.ascontiguousarray(tracks[name]))
        key = key_of('dataset', manifest, content.hexdigest(), sorted(shown.items()))
        marker = out / '.key'
        if not (marker.is_file() and marker.read_text() == key):
            (scratch / 'frames').mkdir(parents=True)
            write_dataset(scratch, manifest, tracks, samples)
            order = sorted(shown)
            for k, take in enumerate(takes):
                mine = [frame for frame in order if shown[frame][0] == k]
                rows = np.array([shown[frame][1] for frame in mine], int)
                for frame, jpeg in zip(mine, self.images(take, crop, rows, encoded=True)):
                    (scratch / 'frames' / f'{frame:06d}.jpg').write_bytes(jpeg)
                self.progress.share((k + 1) / len(takes))
            if self.record:
                (scratch / consents.RECORD).write_text(self.record)
            (scratch / '.key').write_text(key)
            # The old one is moved aside whole and only then deleted: what is called dataset is never half of one.
            aside = self.folder / f'.dataset.{os.getpid()}.old'
            if out.exists():
                os.replace(out, aside)
            os.replace(scratch, out)
            shutil.rmtree(aside, ignore_errors=True)
        return Result(self, takes, crop, found, tracks, known, samples, shown)

    def _split(self, takes: list[Take], known: np.ndarray) -> dict[str, list]:
        """The ``split`` of ``dataset.yaml``. Where videos are held out, the last fifth of what is known of the
        others validates."""
        split = {'unknown': runs(~known)}
        held_out = [(take.start, take.stop) for take in takes if take.digest in self.held_out]
        if held_out:
            others = ~in_ranges(len(known), held_out)
            learned = np.flatnonzero(known & others)
            if not len(learned):
                raise CaptureError('In the videos that are not held out nothing can be tracked.')
            validation = others & (np.arange(len(known)) >= learned[int(len(learned) * (1 - VALIDATION_SHARE))])
            split |= {'held_out': held_out, 'validation': runs(validation)}
        return {name: [list(pair) for pair in ranges] for name, ranges in split.items()}


@dataclass(frozen=True)
class Result:
    """What the report is made of: all that the steps know, take by take and on the timeline."""

    capture: Capture
    takes: list[Take]
    crop: Crop
    track: Track
    tracks: dict[str, np.ndarray]
    known: np.ndarray
    samples: np.ndarray
    shown: dict[int, tuple[int, int]]

    def counts(self) -> dict[str, int]:
        """How many pictures were left out for which reason."""
        states = np.concatenate([take.state for take in self.takes])
        return {text: int((states == code).sum()) for code, text in REASONS.items() if (states == code).any()}

    def picture(self, frame: int) -> np.ndarray:
        """(512, 512, 3) RGB of a timeline frame that has a picture."""
        k, row = self.shown[frame]
        return next(self.capture.images(self.takes[k], self.crop, np.array([row])))


def short_names(files: list[Path]) -> list[str]:
    """A name for each file: its own, with as many folders before it as tell it from the others."""
    paths = [Path(os.path.abspath(file)) for file in files]
    names = []
    for path in paths:
        depth = 1
        while depth < len(path.parts) and sum(other.parts[-depth:] == path.parts[-depth:] for other in paths) > 1:
            depth += 1
        names.append('/'.join(path.parts[-depth:]))
    return names


def face_box(face: np.ndarray) -> np.ndarray:
    """(478, 3) mesh -> left, top, right, bottom in pixels."""
    return np.concatenate([face[:468, :2].min(axis=0), face[:468, :2].max(axis=0)])


def over_face(hand: np.ndarray, face: np.ndarray) -> bool:
    """Whether any point of a hand (21, 2) lies on the face's mesh (478, 3)."""
    hull = cv2.convexHull(np.ascontiguousarray(face[:468, :2], np.float32))
    return any(cv2.pointPolygonTest(hull, (float(x), float(y)), False) >= 0 for x, y in hand)


def peak_memory() -> float:
    """MB that this process and the largest of those it started have held at most."""
    own, others = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + others) / 1024
