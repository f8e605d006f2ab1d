"""Videos of a person -> a dataset folder, step by step; what a step has finished is never done again.

    <folder>/capture/      what the steps left: look-*, see-*/ (a file for every PIECE pictures), track, shoulders-*
    <folder>/dataset/      what ``lsp train`` reads
    <folder>/report.html   what is good, what was left out and why, what to record again

Every result is one file that carries the key it was made with: a hash of the videos' content, of the settings and of
all steps before. It appears under its name only when it is whole (written beside, flushed, renamed), and it is believed
only if its key is the one now wanted; so a run may be killed at any moment, and changed settings undo just what they
touch.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lsp_ros.capture import consent as consents
from lsp_ros.capture.adjustment import PinholeCamera
from lsp_ros.capture.assemble import Placed, on_timeline
from lsp_ros.capture.detection import Detection, FaceDetector
from lsp_ros.capture.landmarks import MESH_POINTS, to_lsp73
from lsp_ros.capture.shoulders import shoulder_lines, track_shoulders
from lsp_ros.capture.take import (
    ERROR,
    NO_SHOULDERS,
    REASONS,
    SHORTEST,
    TURNED,
    Take,
    drop_short,
    find_leaps,
    first_states,
    segments,
    shots,
    too_dark,
    without_sound,
)
from lsp_ros.capture.tracking import FaceTrack, track
from lsp_ros.capture.video import (
    Crop,
    Heard,
    check_sound,
    choose_crop,
    file_sha256,
    pictures,
    short_names,
)
from lsp_ros.capture.work import CaptureConfig, CaptureError, Progress, work_key
from lsp_ros.media.files import MediaError
from lsp_ros.signals import SHOULDER_POINTS
from lsp_ros.storage import remove_unfinished, sha256, store_arrays, stored_arrays, whole_folder
from lsp_ros.training.dataset import TRACKS, VALIDATION_SHARE, in_ranges, runs, write_dataset

TURNED_AWAY = 45.0  # degrees of yaw
LOST = 8.0  # pixels of tracking error


class Capture:
    """One run over all videos of one camera."""

    def __init__(
        self,
        videos: list[Path],
        folder: Path,
        config: CaptureConfig,
        detector: Callable[[], FaceDetector],
        consent: Path | None,
        progress: Progress | None = None,
    ) -> None:
        """``detector()`` starts one (``lsp_ros.capture.landmarks``); it is only called if there is something to see."""
        self.folder, self.config, self.progress = Path(folder), config, progress or Progress()
        self.videos = [Path(video) for video in videos]
        self.digests = [file_sha256(video) for video in self.videos]
        doubles = [video for k, video in enumerate(self.videos) if self.digests[k] in self.digests[:k]]
        if doubles:
            raise CaptureError(f'{doubles[0]}: this video was given twice.')
        self.held_out = {file_sha256(video): video for video in config.held_out}
        strange = [video for digest, video in self.held_out.items() if digest not in self.digests]
        if strange:
            raise CaptureError(f'{strange[0]}: is to be held out, but is not one of the videos.')
        if len(self.held_out) == len(self.digests):
            raise CaptureError('All videos are held out: nothing is left to learn from.')
        self.names = dict(zip(self.digests, short_names(self.videos)))
        names = {f'{digest[:8]} {Path(name).name}': digest for digest, name in self.names.items()}
        self.consent: dict[str, Any] | None = None
        self.record: str | None = None
        if consent:
            self.consent, self.record = consents.bind(consent, names)
        self.work = self.folder / 'capture'
        self.work.mkdir(parents=True, exist_ok=True)
        self.detection = Detection(self.work, detector, config.landmarker)
        self.left_out: list[str] = []  # sentences about videos that are not used ...
        self.remarks: list[str] = []  # ... and about others
        self.sounds: dict[str, Heard] = {}  # what the videos' sound lacks, by digest

    def close(self) -> None:
        self.detection.close()

    def __enter__(self) -> 'Capture':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self) -> 'CaptureResult':
        """All steps. Returns what the report tells about; the dataset is then in ``folder/dataset``."""
        progress = self.progress
        takes: list[Take] = []
        with progress.during('look: times, cuts, faces'):
            heard = self._check()
            for number, (video, digest) in enumerate(heard):
                take = self.detection.look(video, digest, self._part(number, len(heard)))
                if take.clip.times[-1] < SHORTEST:
                    self.left_out.append(f'{video}: is {take.clip.times[-1]:.2f} s long; {SHORTEST} s are the least.')
                elif not len(take.boxes):
                    self.left_out.append(f'{video}: no face was found in it{too_dark(take)}.')
                else:
                    take.heard = self.sounds[digest]
                    self.remarks += [f'{video}: {text}' for text in without_sound(take)]
                    takes.append(take)
        if not takes:
            raise CaptureError(self.left_out[0] if self.left_out else 'No video was given.')
        if all(take.digest in self.held_out for take in takes):
            raise CaptureError('Of the videos that are not held out none can be used: ' + self.left_out[0])
        size = takes[0].clip.width, takes[0].clip.height
        crop = choose_crop(np.concatenate([take.boxes for take in takes]), *size)
        with progress.during('see: landmarks of every picture'):
            for number, take in enumerate(takes):
                take.seen = self.detection.see(take, crop, self._part(number, len(takes)))
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
                self.sounds[digest] = sound = check_sound(video)
                _, _, image = next(pictures(video))
            except MediaError as error:
                self.left_out.append(str(error))
                continue
            if sound.damage:
                self.remarks.append(sound.damage)
            sizes[image.shape[1], image.shape[0]] = video
            heard.append((video, digest))
        if len(sizes) > 1:
            raise CaptureError(
                'The videos have different sizes ('
                + ', '.join(f'{w}x{h}' for w, h in sorted(sizes))
                + '); an avatar has one camera, so record all with the same settings.'
            )
        return heard

    def _track(self, takes: list[Take], crop: Crop) -> FaceTrack:
        """The FaceTrack of all clips' good pictures; the takes then know their pictures' states and rows in it."""
        for take in takes:
            take.leaps = find_leaps(take.clip, take.seen.faces)
            take.state = first_states(take.clip, take.seen, take.leaps, take.heard)
        good = [np.flatnonzero(take.state == 0) for take in takes]
        if sum(map(len, good)) < 4 * SHORTEST * max(take.clip.rate for take in takes):
            raise CaptureError('Hardly any picture shows a face that can be tracked.')
        file = self.work / 'track.npz'
        key = self.detection.key('track', [take.digest for take in takes], asdict(crop), self.config.focal, MESH_POINTS)
        stored = stored_arrays(file, key)
        if stored is None:
            meshes = np.concatenate([take.seen.faces[rows] for take, rows in zip(takes, good)])
            times = np.concatenate([take.clip.times[rows] for take, rows in zip(takes, good)])
            segment = np.concatenate(
                [segments(take.clip, rows) + 1_000_000 * k for k, (take, rows) in enumerate(zip(takes, good))]
            )
            centre = crop.camera_centre(takes[0].clip.width, takes[0].clip.height)
            focal = self.config.focal * crop.scale if self.config.focal else None
            found = track(meshes, times, segment, centre, focal, self.progress.share)
            stored = {
                'euler': found.euler,
                'translation': found.translation,
                'points': found.points,
                'error': found.error,
                'camera': np.array([found.camera.focal, *found.camera.centre]),
                'tried': np.array(found.tried).reshape(-1, 2),
            }
            store_arrays(file, key, **stored)
        focal, *centre = stored['camera'].tolist()
        found = FaceTrack(
            stored['euler'],
            stored['translation'],
            stored['points'],
            PinholeCamera(focal, tuple(centre)),
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
            good = sha256(take.state)
            key = self.detection.key('shoulders', take.digest, asdict(crop), good, MESH_POINTS)
            stored = stored_arrays(file, key)
            if stored is None:
                points = np.full((len(take.clip.times), SHOULDER_POINTS, 2), np.nan)
                part = self._part(number, len(takes))
                for first, stop in shots(take):
                    self._shoulders_of_shot(take, crop, first, stop, points, part)
                stored = {'points': points}
                store_arrays(file, key, **stored)
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
        sought = [(k, shoulder_lines(seen.bodies[k], to_lsp73(seen.faces[seen.body_rows[k]])[:, :2])) for k in masks]
        found = [(k, lines) for k, lines in sought if lines is not None]
        if not found:
            return
        # The key picture is the one whose lines are most like all others': one bad silhouette must not decide.
        middle = np.median([lines for _, lines in found], axis=0)
        k, lines = min(found, key=lambda pair: np.abs(pair[1] - middle).sum())
        key_image = next(self.detection.images(take, crop, seen.body_rows[k : k + 1]))

        def images() -> Iterator[np.ndarray]:
            for row, image in zip(good, self.detection.images(take, crop, good)):
                yield image
                if row % 25 == 0:
                    share(row / len(take.clip.times))

        followed, known = track_shoulders(images(), take.clip.times[good], key_image, lines, segments(take.clip, good))
        points[good[known]] = followed[known]

    def _write(self, takes: list[Take], crop: Crop, found: FaceTrack) -> 'CaptureResult':
        """Writes the dataset folder, all or nothing."""
        tracks, known, samples, shown = on_timeline(takes, found)
        manifest = {
            'name': self.config.name,
            'licence': self.config.licence,
            'source': self.config.source or ', '.join(self.names[take.digest] for take in takes),
            'person': {'kind': 'synthetic' if self.config.synthetic else 'real', 'consent': self.consent},
            'camera': {'matrix': found.camera.matrix.tolist(), 'metres_per_unit': 0.01},
            'split': self._split(takes, known),
            'capture': {
                'videos': {name: digest for digest, name in self.names.items()},
                'crop': asdict(crop),
                'focal_length': 'given' if self.config.focal else 'searched',
            },
        }
        out, content = self.folder / 'dataset', sha256(samples, *(tracks[name] for name in TRACKS))
        remove_unfinished(self.folder, older_than=0.0)  # nobody else writes here
        key = work_key('dataset', manifest, content, sorted(shown.items()))
        marker = out / '.key'
        if not (marker.is_file() and marker.read_text() == key):
            with whole_folder(out) as scratch:
                self._fill(scratch, manifest, takes, crop, tracks, samples, shown)
                (scratch / '.key').write_text(key)
        return CaptureResult(self, takes, crop, found, tracks, known, samples, shown)

    def _fill(
        self,
        folder: Path,
        manifest: dict[str, Any],
        takes: list[Take],
        crop: Crop,
        tracks: dict[str, np.ndarray],
        samples: np.ndarray,
        shown: Placed,
    ) -> None:
        """Writes all files of the dataset into an empty folder."""
        (folder / 'frames').mkdir()
        write_dataset(folder, manifest, tracks, samples)
        order = sorted(shown)
        for k, take in enumerate(takes):
            mine = [frame for frame in order if shown[frame][0] == k]
            rows = np.array([shown[frame][1] for frame in mine], int)
            for frame, jpeg in zip(mine, self.detection.images(take, crop, rows, encoded=True)):
                (folder / 'frames' / f'{frame:06d}.jpg').write_bytes(jpeg)
            self.progress.share((k + 1) / len(takes))
        if self.record:
            (folder / consents.RECORD).write_text(self.record)

    def _split(self, takes: list[Take], known: np.ndarray) -> dict[str, list[list[int]]]:
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
class CaptureResult:
    """What the report is made of: all that the steps know, take by take and on the timeline."""

    capture: Capture
    takes: list[Take]
    crop: Crop
    track: FaceTrack
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
        return next(self.capture.detection.images(self.takes[k], self.crop, np.array([row])))
