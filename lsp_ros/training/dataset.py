"""The folder that every network learns from: pictures, tracked motion and sound of one person at 60 fps.

    <dataset>/
        dataset.yaml      what it is (keys below)
        tracks.npz        float32 arrays with one row for each frame of the timeline
                            points       (N, 73, 3)  landmarks in the head frame: expression only
                            euler        (N, 3)      head rotation in degrees
                            translation  (N, 3)      head origin in the camera frame
                            shoulders    (N, 18, 3)  shoulder points in the camera frame
        audio.wav         mono, 16 kHz; frame t belongs to the time t / 60 s
        frames/NNNNNN.jpg 512x512 RGB pictures (or .png) of timeline frame NNNNNN; gaps are allowed.
                          Only the renderer and the choice of candidate images need them.
        phones.json       optional: {"phones": [[phone, start, end], ...]}, seconds, gapless, 'pau' is silence

    dataset.yaml
        format: 1
        name, licence, source: text
        person: {kind: synthetic | real, consent: null | {who, purpose, until, means, record_sha256}}
        landmarks: lsp73
        frame_rate: 60
        camera: {matrix: 3x3 in pixels of the 512x512 picture, metres_per_unit: size of the length unit}
        split:                                  frame ranges [first, stop), all optional
            validation: [[first, stop], ...]    default: the last fifth of the timeline
            held_out: [[first, stop], ...]      neither trained on nor used to choose a model
            pictures: [[first, stop], ...]      pictures to choose a renderer with; default: those of validation.
                                                Other pictures train it, held-out ones excepted.
            unknown: [[first, stop], ...]       heard, but nothing is known of the face: never judged by them

Frames of reference and the rotation convention are those of ``lsp_ros.signals``.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from lsp_ros.avatar.landmarks import MOUTH_OUTPUT
from lsp_ros.errors import LspError
from lsp_ros.signals import LANDMARKS, SHOULDER_POINTS
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE, frame_start, frames_in

FORMAT = 1
VALIDATION_SHARE = 0.2
TRACKS = {
    'points': (LANDMARKS, 3),
    'euler': (3,),
    'translation': (3,),
    'shoulders': (SHOULDER_POINTS, 3),
}

Ranges = tuple[tuple[int, int], ...]


class DatasetError(LspError, ValueError):
    """A dataset folder that cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Dataset:
    """A dataset folder in memory, sound and pictures excepted: those are read when asked for."""

    path: Path
    manifest: dict[str, Any]
    points: np.ndarray
    euler: np.ndarray
    translation: np.ndarray
    shoulders: np.ndarray
    validation: Ranges
    held_out: Ranges
    picture_validation: Ranges
    unknown: Ranges = ()

    def __len__(self) -> int:
        return len(self.points)

    @property
    def name(self) -> str:
        return self.manifest['name']

    @property
    def camera_matrix(self) -> np.ndarray:
        """(3, 3) float64, pixels of the 512x512 picture."""
        return np.asarray(self.manifest['camera']['matrix'], np.float64)

    @property
    def metres_per_unit(self) -> float:
        return float(self.manifest['camera']['metres_per_unit'])

    @cached_property
    def held_out_mask(self) -> np.ndarray:
        """(N,) bool, frames that nothing may learn from."""
        return in_ranges(len(self), self.held_out)

    @cached_property
    def known_mask(self) -> np.ndarray:
        """(N,) bool, frames whose tracks are true."""
        return ~in_ranges(len(self), self.unknown)

    @cached_property
    def validation_time(self) -> np.ndarray:
        """(N,) bool, frames to choose a model with, as far as their tracks are known."""
        return in_ranges(len(self), self.validation) & ~self.held_out_mask

    @cached_property
    def training_time(self) -> np.ndarray:
        """(N,) bool, frames to learn from, as far as their tracks are known; the sound of all of them is of use."""
        return ~in_ranges(len(self), self.validation) & ~self.held_out_mask

    @cached_property
    def validation_mask(self) -> np.ndarray:
        """(N,) bool, known frames to choose a model with."""
        return self.validation_time & self.known_mask

    @cached_property
    def training_mask(self) -> np.ndarray:
        """(N,) bool, known frames to learn from."""
        return self.training_time & self.known_mask

    @cached_property
    def pictures(self) -> dict[int, Path]:
        """Timeline frame -> picture file, in order of time."""
        folder = self.path / 'frames'
        files = [path for path in folder.glob('*') if path.suffix in ('.jpg', '.png')]
        try:
            found = {int(path.stem): path for path in files}
        except ValueError as error:
            raise DatasetError(f'{folder}: a picture is not named by its frame number ({error})') from None
        late = [frame for frame in found if frame >= len(self)]
        if late:
            raise DatasetError(f'{folder}: picture {min(late)} lies behind the last frame {len(self) - 1}')
        return dict(sorted(found.items()))

    def training_pictures(self) -> list[int]:
        """Frames of the pictures that the renderer learns from."""
        unused = self.held_out_mask | in_ranges(len(self), self.picture_validation) | ~self.known_mask
        return [frame for frame in self.pictures if not unused[frame]]

    def validation_pictures(self) -> list[int]:
        """Frames of the pictures that the renderer is validated with."""
        used = in_ranges(len(self), self.picture_validation) & self.known_mask
        return [frame for frame in self.pictures if used[frame]]

    def read_audio(self) -> np.ndarray:
        """The sound, float32 mono at 16 kHz, cut or filled with silence to exactly the timeline's length."""
        file = self.path / 'audio.wav'
        if not file.is_file():
            raise DatasetError(f'{file}: missing')
        samples, rate = soundfile.read(file, dtype='float32', always_2d=True)
        if rate != SAMPLE_RATE:
            raise DatasetError(f'{file}: {rate} Hz, but {SAMPLE_RATE} Hz is needed')
        samples = samples.mean(axis=1)
        frames = frames_in(len(samples))
        if abs(frames - len(self)) > FRAME_RATE // 2:
            raise DatasetError(f'{file}: {frames} frames of sound for {len(self)} frames of motion')
        missing = -(-len(self) * SAMPLE_RATE // FRAME_RATE) - len(samples)
        return np.pad(samples, (0, missing)) if missing > 0 else samples[: len(samples) + missing]

    def training_audio(self) -> list[np.ndarray]:
        """The sound of each run of training frames, float32 mono at 16 kHz."""
        samples = self.read_audio()
        return [samples[frame_start(first) : frame_start(stop)] for first, stop in runs(self.training_time)]

    def phones(self) -> list[tuple[str, float, float]]:
        """Phones with start and end in seconds; raises DatasetError where the dataset has none."""
        file = self.path / 'phones.json'
        if not file.is_file():
            raise DatasetError(f'{file}: missing, but this figure needs phone times')
        return [(phone, float(start), float(end)) for phone, start, end in json.loads(file.read_text())['phones']]

    def mouth_displacement(self, mean: np.ndarray) -> np.ndarray:
        """(N, 25, 3) float32 displacement of the mouth points from ``mean`` (73, 3)."""
        return self.points[:, MOUTH_OUTPUT] - mean[MOUTH_OUTPUT].astype(np.float32)

    def mean_points(self) -> np.ndarray:
        """(73, 3) float32 mean of all points over the training frames: the base of every displacement."""
        return self.points[self.training_mask].mean(axis=0, dtype=np.float64).astype(np.float32)


def in_ranges(length: int, ranges: Iterable[tuple[int, int]]) -> np.ndarray:
    """(length,) bool, True in the ranges [first, stop)."""
    mask = np.zeros(length, bool)
    for first, stop in ranges:
        mask[first:stop] = True
    return mask


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """The ranges [first, stop) where a (N,) bool mask is True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(mask, bool), [False]]).astype(np.int8)))
    return [(int(first), int(stop)) for first, stop in zip(edges[::2], edges[1::2])]


def _ranges(file: Path, key: str, value: Any, length: int) -> Ranges:
    try:
        ranges = tuple((int(first), int(stop)) for first, stop in value)
    except (TypeError, ValueError):
        raise DatasetError(f'{file}: split.{key} is {value!r}, not a list of [first, stop]') from None
    for first, stop in ranges:
        if not 0 <= first < stop <= length:
            raise DatasetError(f'{file}: split.{key} has [{first}, {stop}], not within 0..{length}')
    return ranges


def load_dataset(path: Path | str) -> Dataset:
    """Read and check a dataset folder; raises DatasetError with the file and what is wrong."""
    path = Path(path)
    file = path / 'dataset.yaml'
    if not file.is_file():
        raise DatasetError(f'{file}: missing, so {path} is not a dataset folder')
    try:
        manifest = yaml.safe_load(file.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise DatasetError(f'{file}: is not valid YAML') from None
    if not isinstance(manifest, dict) or manifest.get('format') != FORMAT:
        raise DatasetError(f'{file}: not a dataset of format {FORMAT}')
    for key, allowed in (('landmarks', 'lsp73'), ('frame_rate', FRAME_RATE)):
        if manifest.get(key) != allowed:
            raise DatasetError(f'{file}: {key} is {manifest.get(key)!r}, but {allowed!r} is needed')
    for key in ('name', 'licence', 'source', 'person', 'camera'):
        if key not in manifest:
            raise DatasetError(f'{file}: {key} is missing')
    split = manifest.get('split') or {}
    for key, table in (('camera', manifest['camera']), ('split', split)):
        if not isinstance(table, dict):
            raise DatasetError(f'{file}: {key} must be a table of keys and values, not {table!r}')
    if np.shape(manifest['camera'].get('matrix')) != (3, 3):
        raise DatasetError(f'{file}: camera.matrix is not 3x3')
    tracks_file = path / 'tracks.npz'
    if not tracks_file.is_file():
        raise DatasetError(f'{tracks_file}: missing')
    with np.load(tracks_file, allow_pickle=False) as stored:
        missing = [name for name in TRACKS if name not in stored]
        if missing:
            raise DatasetError(f'{tracks_file}: array {missing[0]} is missing')
        tracks = {name: np.asarray(stored[name], np.float32) for name in TRACKS}
    length = len(tracks['points'])
    for name, shape in TRACKS.items():
        if tracks[name].shape != (length, *shape):
            raise DatasetError(f'{tracks_file}: {name} has shape {tracks[name].shape}, not {(length, *shape)}')
        if not np.isfinite(tracks[name]).all():
            raise DatasetError(f'{tracks_file}: {name} has values that are not finite')
    last_fifth = [[int(length * (1 - VALIDATION_SHARE)), length]]
    validation = _ranges(file, 'validation', split.get('validation', last_fifth), length)
    held_out = _ranges(file, 'held_out', split.get('held_out', []), length)
    choosing = runs(in_ranges(length, validation) & ~in_ranges(length, held_out))
    pictures = _ranges(file, 'pictures', split.get('pictures', choosing), length)
    unknown = _ranges(file, 'unknown', split.get('unknown', []), length)
    return Dataset(
        path, manifest, **tracks, validation=validation, held_out=held_out, picture_validation=pictures, unknown=unknown
    )


def write_dataset(
    path: Path | str,
    manifest: dict[str, Any],
    tracks: dict[str, np.ndarray],
    samples: np.ndarray,
    phones: list[tuple[str, float, float]] | None = None,
) -> None:
    """Write everything of a dataset but its pictures; ``manifest`` as described above, format and rates added."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    manifest = {'format': FORMAT, 'landmarks': 'lsp73', 'frame_rate': FRAME_RATE, **manifest}
    (path / 'dataset.yaml').write_text(yaml.safe_dump(manifest, sort_keys=False))
    stored = {name: np.asarray(tracks[name], np.float32) for name in TRACKS}
    np.savez_compressed(path / 'tracks.npz', **stored)  # type: ignore[arg-type]  # takes them for ``allow_pickle``, too
    soundfile.write(path / 'audio.wav', np.asarray(samples, np.float32), SAMPLE_RATE, subtype='PCM_16')
    if phones is not None:
        rounded = [[phone, round(float(start), 4), round(float(end), 4)] for phone, start, end in phones]
        (path / 'phones.json').write_text(json.dumps({'phones': rounded}))
