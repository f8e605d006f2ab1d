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
import json
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from lsp_ros.capture import consent as consents
from lsp_ros.capture import detector as flags
from lsp_ros.capture.landmarks import to_lsp73
from lsp_ros.capture.shoulders import shoulder_lines, track_shoulders
from lsp_ros.capture.tracking import Camera, Track, track
from lsp_ros.capture.video import (
    GAP,
    Clip,
    Crop,
    choose_crop,
    file_sha256,
    find_cuts,
    pictures,
    read_sound,
    room_tone,
    sharpness,
    thumbnail,
)
from lsp_ros.media import MediaError
from lsp_ros.rendering.sizes import PICTURE
from lsp_ros.signals import SHOULDER_POINTS
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE, frame_start
from lsp_ros.training.dataset import TRACKS, runs, write_dataset

VERSION = 1  # of what the steps compute: another one makes all of it anew
PIECE = 150  # pictures after which the work on a clip is kept
LOOK_EVERY = 0.5  # seconds between pictures in which the first look searches a face
HANDS_EVERY = 0.17  # seconds between pictures that are searched for hands
BODY_EVERY = 1.0
PAUSE = FRAME_RATE // 2  # frames after a clip, in which its room is heard and nothing is known
PICTURE_OFF = 0.25  # of a timeline frame that a picture's time may be beside it
MOST_PICTURES = 4000  # the renderer keeps all in memory (786 kB each)
BLURRED = 0.35  # of the clip's usual sharpness
TURNED_AWAY = 45.0  # degrees of yaw
LOST = 8.0  # pixels of tracking error
JUMP = 0.3  # widths of the face from one picture to the next
SHORTEST = 0.5  # seconds of a stretch that is worth keeping

NO_FACE, HAND, CUT, OUTSIDE, JUMPED, ERROR, TURNED, SHORT, NO_SHOULDERS, BLUR = range(1, 11)
REASONS = {
    NO_FACE: 'no face was found', HAND: 'a hand was over the face', CUT: 'a cut', OUTSIDE: 'the face left the picture',
    JUMPED: 'the landmarks jumped', ERROR: 'the face did not fit its landmarks', TURNED: 'the head was turned away',
    SHORT: 'too short between two gaps', NO_SHOULDERS: 'the shoulders were not found',
    BLUR: 'blurred (the picture alone is left out)',
}


@dataclass(frozen=True)
class Settings:
    """What a dataset is made with.

    focal       focal length in pixels of the source picture, if the camera is known; None: searched
    synthetic   the person is computer-generated, nobody has to agree
    landmarker  SHA-256 of the detector's model file, if it is not the one in the wheel
    """

    name: str
    licence: str = 'all rights reserved by the person shown'
    source: str | None = None
    focal: float | None = None
    synthetic: bool = False
    landmarker: str | None = None


class CaptureError(ValueError):
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


def key_of(*parts) -> str:
    """A short hash of anything that JSON can write."""
    return hashlib.sha256(json.dumps([VERSION, *parts], sort_keys=True, default=str).encode()).hexdigest()[:32]


def keep(file: Path, key: str, **arrays) -> None:
    """Writes arrays under a key; the file is whole or not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f'.{file.name}.{os.getpid()}')
    try:
        with open(scratch, 'wb') as out:
            np.savez(out, key=np.array(key), **arrays)
            out.flush()
            os.fsync(out.fileno())
        os.replace(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)


def kept(file: Path, key: str) -> dict[str, np.ndarray] | None:
    """What ``keep`` wrote under that key; None if it was another key, or the file is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files} if str(stored['key']) == key else None
    except Exception:  # noqa: BLE001  (zip, zlib and format errors of a damaged file; it is simply made again)
        return None


@dataclass(frozen=True)
class Seen:
    """What the detector saw in a clip's N pictures.

    faces (N, 478, 3) float32 pixels of the crop, NaN without a face; hand (N,) bool; sharp (N,) float32; bodies
    (B, 256, 256) uint8 of the pictures body_rows (B,).
    """

    faces: np.ndarray
    hand: np.ndarray
    sharp: np.ndarray
    bodies: np.ndarray
    body_rows: np.ndarray


class Capture:
    """One run over all videos of one camera."""

    def __init__(self, videos: list[Path], folder: Path, settings: Settings, detector: Callable, consent: Path | None,
                 progress: Progress | None = None):
        """``detector()`` starts one (``lsp_ros.capture.landmarks``); it is only called if there is something to see."""
        self.folder, self.settings, self.progress = Path(folder), settings, progress or Progress()
        self._start, self._detector = detector, None
        self.videos = [Path(video) for video in videos]
        self.digests = [file_sha256(video) for video in self.videos]
        doubles = [video for k, video in enumerate(self.videos) if self.digests[k] in self.digests[:k]]
        if doubles:
            raise CaptureError(f'{doubles[0]}: this video was given twice.')
        names = {f'{digest[:8]} {video.name}': digest for video, digest in zip(self.videos, self.digests)}
        self.consent, self.record = consents.bind(consent, names) if consent else (None, None)
        self.work = self.folder / 'capture'
        self.work.mkdir(parents=True, exist_ok=True)
        self.left_out: list[str] = []  # sentences about whole videos

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

    def look(self, number: int) -> tuple[Clip, np.ndarray]:
        """A first pass over a video: times, cuts, and (K, 4) boxes of the face in source pixels every half second."""
        path, digest = self.videos[number], self.digests[number]
        file, key = self.work / f'look-{digest[:12]}.npz', self._key('look', digest)
        stored = kept(file, key)
        if stored is None:
            times, small, boxes, due = [], [], [], 0.0
            size = None
            for _, seconds, image in pictures(path):
                size = size or image.shape
                times.append(seconds)
                small.append(thumbnail(image))
                if seconds >= due:
                    due = seconds + LOOK_EVERY
                    face = self.detector.see(image, flags.FORGET).face
                    if face is not None:
                        boxes.append(face_box(face))
            cuts = np.array(find_cuts(np.array(small)), int)
            stored = {'times': np.array(times), 'size': np.array(size[:2]), 'cuts': cuts,
                      'boxes': np.array(boxes).reshape(-1, 4)}
            keep(file, key, **stored)
        height, width = (int(side) for side in stored['size'])
        cuts = tuple(int(cut) for cut in stored['cuts'])
        return Clip(path, width, height, stored['times'], cuts), stored['boxes']

    def see(self, number: int, clip: Clip, crop: Crop, done: float, share: float) -> Seen:
        """Every picture of a clip: cropped, kept as JPEG, and seen by the detector."""
        parts, missing = self._pieces(number, clip, crop), []
        for first, file, key in parts:
            if kept(file, key) is None:
                missing.append((first, file, key))
        if missing:
            images = pictures(clip.path, missing[0][0])
            hands = max(1, round(HANDS_EVERY * clip.rate))
            bodies = max(1, round(BODY_EVERY * clip.rate))
            todo = {first: (file, key) for first, file, key in missing}
            for row, _, image in images:
                first = row // PIECE * PIECE
                if row == first:
                    piece = {'faces': [], 'hand': [], 'sharp': [], 'jpeg': [], 'bodies': [], 'body_rows': []}
                if first not in todo:
                    continue
                self._see_one(piece, row, crop.apply(image), forget=row == first or row in clip.cuts,
                              hands=row % hands == 0, body=row % bodies == 0)
                if row == min(first + PIECE, len(clip.times)) - 1:
                    file, key = todo.pop(first)
                    sizes = np.array([len(jpeg) for jpeg in piece['jpeg']])
                    keep(file, key, faces=np.array(piece['faces'], np.float32), hand=np.array(piece['hand']),
                         sharp=np.array(piece['sharp'], np.float32), sizes=sizes,
                         jpeg=np.frombuffer(b''.join(piece['jpeg']), np.uint8),
                         bodies=np.array(piece['bodies'], np.uint8).reshape(-1, flags.MASK, flags.MASK),
                         body_rows=np.array(piece['body_rows'], int))
                    self.progress.share(done + share * (row + 1) / len(clip.times))
        pieces = [kept(file, key) for _, file, key in parts]
        names = ('faces', 'hand', 'sharp', 'bodies', 'body_rows')
        joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in names}
        # A hand that was found belongs to the pictures around, which nobody searched.
        rows = np.flatnonzero(joined['hand'])
        reach = max(1, round(HANDS_EVERY * clip.rate))
        for row in rows:
            joined['hand'][max(0, row - reach) : row + reach + 1] = True
        return Seen(**joined)

    def _pieces(self, number: int, clip: Clip, crop: Crop) -> list[tuple[int, Path, str]]:
        folder = self.work / f'see-{self.digests[number][:12]}'
        return [(first, folder / f'{first:06d}.npz', self._key('see', self.digests[number], asdict(crop), first))
                for first in range(0, len(clip.times), PIECE)]

    def _see_one(self, piece: dict, row: int, image: np.ndarray, forget: bool, hands: bool, body: bool) -> None:
        wanted = flags.FORGET * forget | flags.HANDS * hands | flags.BODY * body
        sight = self.detector.see(image, wanted)
        face = sight.face
        piece['faces'].append(np.full((flags.POINTS, 3), np.nan, np.float32) if face is None else face)
        piece['hand'].append(face is not None and any(over_face(hand, face) for hand in sight.hands))
        piece['sharp'].append(0.0 if face is None else sharpness(image, face_box(face)))
        piece['jpeg'].append(cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
        if body:
            piece['bodies'].append(sight.body)
            piece['body_rows'].append(row)

    def images(self, number: int, clip: Clip, crop: Crop, rows: np.ndarray, encoded: bool = False) -> Iterator:
        """Kept pictures of a clip in order: (512, 512, 3) RGB, or the JPEG's bytes."""
        wanted = set(int(row) for row in rows)
        for first, file, key in self._pieces(number, clip, crop):
            inside = [row for row in range(first, min(first + PIECE, len(clip.times))) if row in wanted]
            if not inside:
                continue
            stored = kept(file, key)
            ends = np.cumsum(stored['sizes'])
            for row in inside:
                data = stored['jpeg'][ends[row - first] - stored['sizes'][row - first] : ends[row - first]]
                yield data.tobytes() if encoded else cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]

    # From what was seen to what is true -------------------------------------------------------------------------------

    def run(self) -> 'Result':
        """All steps. Returns what the report tells about; the dataset is then in ``folder/dataset``."""
        progress = self.progress
        clips, boxes, numbers = [], [], []
        with progress.during('look: times, cuts, faces'):
            for number, video in enumerate(self.videos):
                clip, found = self.look(number)
                try:
                    read_sound(video, 0.1)
                except MediaError as error:
                    self.left_out.append(str(error))
                    continue
                if not len(found):
                    self.left_out.append(f'{video}: no face was found in it.')
                    continue
                clips.append(clip)
                boxes.append(found)
                numbers.append(number)
                progress.share((number + 1) / len(self.videos))
        if not clips:
            raise CaptureError(self.left_out[0] if self.left_out else 'No video was given.')
        sizes = {(clip.width, clip.height) for clip in clips}
        if len(sizes) > 1:
            raise CaptureError('The videos have different sizes (' + ', '.join(f'{w}x{h}' for w, h in sorted(sizes)) +
                               '); an avatar has one camera, so record all with the same settings.')
        crop = choose_crop(np.concatenate(boxes), clips[0].width, clips[0].height)
        seen = []
        with progress.during('see: landmarks of every picture'):
            for position, (number, clip) in enumerate(zip(numbers, clips)):
                seen.append(self.see(number, clip, crop, position / len(clips), 1 / len(clips)))
        with progress.during('track: focal length, shape, poses'):
            states, tracked = self._track(numbers, clips, crop, seen)
        with progress.during('shoulders: Lucas-Kanade flow'):
            shoulders = self._shoulders(numbers, clips, crop, seen, states)
        with progress.during('dataset: 60 frames a second'):
            result = self._write(numbers, clips, crop, seen, states, tracked, shoulders)
        return result

    def _track(self, numbers: list[int], clips: list[Clip], crop: Crop, seen: list[Seen]):
        """States (one array of reasons a clip, 0 for good pictures) and the Track of all good pictures of all clips."""
        states = [first_states(clip, sight) for clip, sight in zip(clips, seen)]
        good = [np.flatnonzero(state == 0) for state in states]
        if sum(map(len, good)) < 4 * SHORTEST * max(clip.rate for clip in clips):
            raise CaptureError('Hardly any picture shows a face that can be tracked; the report says why.')
        file = self.work / 'track.npz'
        key = self._key('track', [self.digests[number] for number in numbers], asdict(crop), self.settings.focal)
        stored = kept(file, key)
        if stored is None:
            meshes = np.concatenate([sight.faces[rows] for sight, rows in zip(seen, good)])
            times = np.concatenate([clip.times[rows] for clip, rows in zip(clips, good)])
            segment = np.concatenate([segments(clip, rows) + 1_000_000 * k
                                      for k, (clip, rows) in enumerate(zip(clips, good))])
            centre = crop.camera_centre(clips[0].width, clips[0].height)
            focal = self.settings.focal * crop.scale if self.settings.focal else None
            found = track(meshes, times, segment, centre, focal, self.progress.share)
            stored = {'euler': found.euler, 'translation': found.translation, 'points': found.points,
                      'error': found.error, 'camera': np.array([found.camera.focal, *found.camera.centre]),
                      'tried': np.array(found.tried).reshape(-1, 2)}
            keep(file, key, **stored)
        focal, *centre = stored['camera'].tolist()
        tracked = Track(stored['euler'], stored['translation'], stored['points'], Camera(focal, tuple(centre)),
                        stored['error'], [tuple(pair) for pair in stored['tried'].tolist()])
        # What only the tracking can tell.
        first, per_clip = 0, []
        for clip, state, rows in zip(clips, states, good):
            part = slice(first, first + len(rows))
            state[rows[np.abs(tracked.euler[part, 1]) > TURNED_AWAY]] = TURNED
            state[rows[tracked.error[part] > LOST]] = ERROR
            drop_short(clip, state)
            per_clip.append((rows, part))
            first += len(rows)
        return states, (tracked, per_clip)

    def _shoulders(self, numbers: list[int], clips: list[Clip], crop: Crop, seen: list[Seen], states: list[np.ndarray]):
        """(N, 18, 2) pixels for each clip's pictures, NaN where they are not known (the states then say so)."""
        all_points = []
        for position, (number, clip, sight, state) in enumerate(zip(numbers, clips, seen, states)):
            file = self.work / f'shoulders-{self.digests[number][:12]}.npz'
            good = hashlib.sha256(state.tobytes()).hexdigest()
            key = self._key('shoulders', self.digests[number], asdict(crop), good)
            stored = kept(file, key)
            if stored is None:
                points = np.full((len(clip.times), SHOULDER_POINTS, 2), np.nan)
                for first, stop in shots(clip):
                    self._shoulders_of_shot(number, clip, crop, sight, state, first, stop, points)
                stored = {'points': points}
                keep(file, key, **stored)
            points = stored['points']
            state[(state == 0) & np.isnan(points[:, 0, 0])] = NO_SHOULDERS
            drop_short(clip, state)
            all_points.append(points)
            self.progress.share((position + 1) / len(clips))
        if not any((state == 0).any() for state in states):
            raise CaptureError('The shoulders are not in the picture; record head and shoulders, or place the camera '
                               'farther away.')
        return all_points

    def _shoulders_of_shot(self, number, clip, crop, sight: Seen, state, first: int, stop: int, points) -> None:
        good = np.flatnonzero(state[first:stop] == 0) + first
        masks = [k for k, row in enumerate(sight.body_rows) if row in set(good.tolist())]
        if not masks:
            return
        found = [(k, shoulder_lines(sight.bodies[k], to_lsp73(sight.faces[sight.body_rows[k]])[:, :2])) for k in masks]
        found = [(k, lines) for k, lines in found if lines is not None]
        if not found:
            return
        # The key picture is the one whose lines are most like all others': one bad silhouette must not decide.
        middle = np.median([lines for _, lines in found], axis=0)
        k, lines = min(found, key=lambda pair: np.abs(pair[1] - middle).sum())
        row = int(sight.body_rows[k])
        key_image = next(self.images(number, clip, crop, np.array([row])))
        followed, known = track_shoulders(self.images(number, clip, crop, good), clip.times[good], key_image, lines)
        points[good[known]] = followed[known]

    def _write(self, numbers, clips, crop: Crop, seen, states, tracked, shoulders) -> 'Result':
        """Puts everything on the timeline and writes the dataset folder, all or nothing."""
        found, per_clip = tracked
        depth = float(np.median(found.translation[:, 2]))
        camera = found.camera
        starts, length = [], 0
        for clip in clips:
            starts.append(length)
            length += int(np.floor((clip.times[-1] + 1 / clip.rate) * FRAME_RATE)) + PAUSE
        tracks = {name: np.full((length, *shape), np.nan) for name, shape in TRACKS.items()}
        samples = np.zeros(-(-length * SAMPLE_RATE // FRAME_RATE), np.float32)
        shown: dict[int, tuple[int, int]] = {}  # timeline frame -> clip, picture
        for k, (clip, sight, state, (rows, part)) in enumerate(zip(clips, seen, states, per_clip)):
            sound = read_sound(clip.path, clip.times[-1] + 1 / clip.rate)
            begin = frame_start(starts[k])
            stop = frame_start(starts[k + 1]) if k + 1 < len(clips) else len(samples)
            samples[begin:stop] = np.concatenate([sound, room_tone(sound, stop - begin)])[: stop - begin]
            index = np.full(len(clip.times), -1)
            index[rows] = np.arange(part.start, part.stop)
            for first, stop in stretches(clip, state):
                chosen = index[first:stop]
                at = np.arange(int(np.ceil(clip.times[first] * FRAME_RATE - 1e-6)),
                               int(np.floor(clip.times[stop - 1] * FRAME_RATE + 1e-6)) + 1)
                flat = shoulders[k][first:stop]
                rays = np.concatenate([(flat - camera.centre) / camera.focal, np.ones((*flat.shape[:2], 1))], axis=-1)
                for name, values in (('points', found.points[chosen]), ('euler', found.euler[chosen]),
                                     ('translation', found.translation[chosen]), ('shoulders', rays * depth)):
                    spline = CubicSpline(clip.times[first:stop], values, axis=0)
                    tracks[name][starts[k] + at] = spline(at / FRAME_RATE)
            self._place_pictures(clip, sight, state, starts[k], k, shown, tracks)
        if len(shown) > MOST_PICTURES:
            order = sorted(shown)
            shown = {order[k]: shown[order[k]] for k in np.linspace(0, len(order) - 1, MOST_PICTURES).astype(int)}
        known = ~np.isnan(tracks['euler'][:, 0])
        for values in tracks.values():  # unknown frames hold what was known before, or first
            last = np.maximum.accumulate(np.where(known, np.arange(length), -1))
            last[last < 0] = int(np.argmax(known))
            values[:] = values[last]
        manifest = {
            'name': self.settings.name,
            'licence': self.settings.licence,
            'source': self.settings.source or ', '.join(clip.path.name for clip in clips),
            'person': {'kind': 'synthetic' if self.settings.synthetic else 'real', 'consent': self.consent},
            'camera': {'matrix': camera.matrix.tolist(), 'metres_per_unit': 0.01},
            'split': {'unknown': [list(pair) for pair in runs(~known)]},
            'capture': {'videos': {video.name: digest for video, digest in zip(self.videos, self.digests)},
                        'crop': asdict(crop), 'focal_length': 'given' if self.settings.focal else 'searched'},
        }
        out, scratch = self.folder / 'dataset', self.folder / f'.dataset.{os.getpid()}'
        content = hashlib.sha256(samples.tobytes())
        for name in TRACKS:
            content.update(np.ascontiguousarray(tracks[name]))
        key = key_of('dataset', manifest, content.hexdigest(), sorted(shown.items()))
        marker = out / '.key'
        if not (marker.is_file() and marker.read_text() == key):
            for old in self.folder.glob('.dataset.*'):
                shutil.rmtree(old)
            (scratch / 'frames').mkdir(parents=True)
            write_dataset(scratch, manifest, tracks, samples)
            order = sorted(shown)
            for k, clip in enumerate(clips):
                mine = [frame for frame in order if shown[frame][0] == k]
                rows = np.array([shown[frame][1] for frame in mine], int)
                for frame, jpeg in zip(mine, self.images(numbers[k], clip, crop, rows, encoded=True)):
                    (scratch / 'frames' / f'{frame:06d}.jpg').write_bytes(jpeg)
                self.progress.share((k + 1) / len(clips))
            if self.record:
                (scratch / consents.RECORD).write_text(self.record)
            (scratch / '.key').write_text(key)
            if out.exists():
                shutil.rmtree(out)
            os.replace(scratch, out)
        return Result(self, clips, crop, seen, states, found, per_clip, shoulders, tracks, known, samples, shown,
                      starts, numbers)

    def _place_pictures(self, clip, sight, state, start, k, shown, tracks) -> None:
        usual = np.median(sight.sharp[state == 0]) if (state == 0).any() else 0
        state[(state == 0) & (sight.sharp < BLURRED * usual)] = BLUR
        for row in np.flatnonzero(state == 0):
            place = clip.times[row] * FRAME_RATE
            frame = start + round(place)
            if abs(place - round(place)) <= PICTURE_OFF and not np.isnan(tracks['euler'][frame, 0]):
                shown[frame] = (k, int(row))


@dataclass(frozen=True)
class Result:
    """What the report is made of: all that the steps know, clip by clip and on the timeline."""

    capture: Capture
    clips: list[Clip]
    crop: Crop
    seen: list[Seen]
    states: list[np.ndarray]
    track: Track
    per_clip: list[tuple[np.ndarray, slice]]
    shoulders: list[np.ndarray]
    tracks: dict[str, np.ndarray]
    known: np.ndarray
    samples: np.ndarray
    shown: dict[int, tuple[int, int]]
    starts: list[int]
    numbers: list[int]

    def counts(self) -> dict[str, int]:
        """How many pictures were left out for which reason."""
        states = np.concatenate(self.states)
        return {text: int((states == code).sum()) for code, text in REASONS.items() if (states == code).any()}

    def picture(self, frame: int) -> np.ndarray:
        """(512, 512, 3) RGB of a timeline frame that has a picture."""
        k, row = self.shown[frame]
        return next(self.capture.images(self.numbers[k], self.clips[k], self.crop, np.array([row])))


def face_box(face: np.ndarray) -> np.ndarray:
    """(478, 3) mesh -> left, top, right, bottom in pixels."""
    return np.concatenate([face[:468, :2].min(axis=0), face[:468, :2].max(axis=0)])


def over_face(hand: np.ndarray, face: np.ndarray) -> bool:
    """Whether any point of a hand (21, 2) lies on the face's mesh (478, 3)."""
    hull = cv2.convexHull(np.ascontiguousarray(face[:468, :2], np.float32))
    return any(cv2.pointPolygonTest(hull, (float(x), float(y)), False) >= 0 for x, y in hand)


def first_states(clip: Clip, seen: Seen) -> np.ndarray:
    """(N,) int8: why a picture cannot be tracked, as far as the picture itself tells; 0 where it can."""
    state = np.zeros(len(clip.times), np.int8)
    faces = seen.faces[:, :468, :2]
    with np.errstate(invalid='ignore'):
        outside = ((faces < 0) | (faces > PICTURE)).any(axis=(1, 2))
        width = faces[..., 0].max(axis=1) - faces[..., 0].min(axis=1)
        jump = np.linalg.norm(np.diff(faces.mean(axis=1), axis=0), axis=1) > JUMP * width[1:]
    state[1:][jump] = JUMPED
    state[outside] = OUTSIDE
    for cut in clip.cuts:
        state[max(0, cut - 1) : cut + 1] = CUT
    state[seen.hand] = HAND
    state[np.isnan(faces[:, 0, 0])] = NO_FACE
    drop_short(clip, state)
    return state


def shots(clip: Clip) -> list[tuple[int, int]]:
    """Ranges [first, stop) of pictures between cuts."""
    edges = [0, *clip.cuts, len(clip.times)]
    return list(zip(edges[:-1], edges[1:]))


def stretches(clip: Clip, state: np.ndarray) -> list[tuple[int, int]]:
    """Ranges [first, stop) of pictures that are good (or only blurred) and follow one another without a gap."""
    good = (state == 0) | (state == BLUR)
    found = []
    for first, stop in runs(good):
        gaps = np.flatnonzero(np.diff(clip.times[first:stop]) > GAP) + first + 1
        edges = [first, *gaps, stop]
        found += [(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:])]
    return found


def drop_short(clip: Clip, state: np.ndarray) -> None:
    for first, stop in stretches(clip, state):
        if clip.times[stop - 1] - clip.times[first] < SHORTEST:
            state[first:stop] = SHORT


def segments(clip: Clip, rows: np.ndarray) -> np.ndarray:
    """A number for each of the rows, equal where pictures follow one another without a gap."""
    broken = (np.diff(rows) > 1) | (np.diff(clip.times[rows]) > GAP)
    return np.concatenate([[0], np.cumsum(broken)]) if len(rows) else np.zeros(0, int)


def peak_memory() -> float:
    """MB that this process and the largest of those it started have held at most."""
    own, others = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + others) / 1024
