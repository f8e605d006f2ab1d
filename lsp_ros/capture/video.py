"""Footage: what a video file holds, when each picture is shown, where a cut is, and the crop around the face.

Time 0 of a clip is its first picture. The sound is cut or filled with silence to begin there, to the sample; pictures
keep their own times, whatever the rate, constant or not. Both follow the file's clock (``media/clock.py``).
"""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.media.clock import Clock, decoded
from lsp_ros.media.files import MediaError, ffmpeg_name, opened, picture_track, sound_track
from lsp_ros.media.pictures import Deinterlacer, as_shown
from lsp_ros.media.sound import read_sound_track
from lsp_ros.storage import sha256_of_file
from lsp_ros.timeline import SAMPLE_RATE

THUMBNAIL = (48, 27)
# Mean change of the thumbnail's grey levels (of 255) from picture to picture that only a cut makes, if it also is that
# many times the usual change of the pictures around. Cuts within one scene (a sentence was taken out) changed it by 2.4
# and more, 7 times the usual; people who spoke by 1.8 at most, 2.7 times the usual.
CUT, CUT_RATIO, CUT_AROUND = 2.0, 5.0, 12
# The crop's side in widths of the face from ear to ear, and where the face's middle stands in it.
FACE_WIDTHS, FACE_HEIGHT = 2.4, 0.44
GAP = 0.25  # seconds between pictures that break a clip
SOUND_HOLE = 0.1  # seconds without sound that make what is shown meanwhile unknown


@dataclass(frozen=True)
class Clip:
    """What a file holds: picture size as shown (rotation and pixel shape applied), times (N,) in seconds from the first
    picture, and cuts: numbers of the pictures that begin a new shot."""

    path: Path
    width: int
    height: int
    times: np.ndarray
    cuts: tuple[int, ...]

    @property
    def rate(self) -> float:
        """Usual number of pictures a second."""
        return float(1 / np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0


@dataclass(frozen=True)
class Crop:
    """A square of the source picture, whole source pixels, that is shown as 512x512."""

    left: int
    top: int
    side: int

    @property
    def scale(self) -> float:
        return PICTURE / self.side

    def camera_centre(self, width: int, height: int) -> tuple[float, float]:
        """Principal point in the crop: the middle of the source picture (paper 4.1)."""
        return (width / 2 - self.left) * self.scale, (height / 2 - self.top) * self.scale

    def apply(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) -> (512, 512, 3); what lies outside the source repeats its edge."""
        height, width = image.shape[:2]
        before = max(0, -self.top), max(0, -self.left)
        after = max(0, self.top + self.side - height), max(0, self.left + self.side - width)
        part = image[max(0, self.top) : self.top + self.side, max(0, self.left) : self.left + self.side]
        if any(before + after):
            part = cv2.copyMakeBorder(part, before[0], after[0], before[1], after[1], cv2.BORDER_REPLICATE)
        how = cv2.INTER_AREA if self.side > PICTURE else cv2.INTER_CUBIC
        return cv2.resize(part, (PICTURE, PICTURE), interpolation=how)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits; MediaError where it is missing."""
    if not path.is_file():
        raise MediaError(f'{path}: there is no such file.')
    return sha256_of_file(path)


def readable(name: str) -> str:
    """A file's name as YAML and HTML, which are UTF-8, can hold it."""
    return name.encode('utf-8', 'replace').decode()


def short_names(files: list[Path]) -> list[str]:
    """A name for each file: its own, with as many folders before it as tell it from the others."""
    paths = [Path(os.path.abspath(file)) for file in files]
    names = []
    for path in paths:
        depth = 1
        while depth < len(path.parts) and sum(other.parts[-depth:] == path.parts[-depth:] for other in paths) > 1:
            depth += 1
        names.append(readable('/'.join(path.parts[-depth:])))
    return names


def duration(path: Path) -> float | None:
    """How many seconds of pictures the file says that it holds; None where it does not say."""
    try:
        with av.open(ffmpeg_name(path)) as container:
            stream = next(iter(container.streams.video), None)
            if stream is not None and stream.duration and stream.time_base:
                return float(stream.duration * stream.time_base)
            return container.duration / av.time_base if container.duration else None
    except (av.error.FFmpegError, OSError):
        return None


def pictures(path: Path, first: int = 0) -> Iterator[tuple[int, float, np.ndarray]]:
    """(number, seconds, (height, width, 3) uint8 RGB as shown) of each picture from number ``first`` on.

    Pictures without a time or not later than the one before do not count. Raises MediaError if nothing can be decoded.
    """
    number, origin, last = 0, None, -1.0
    with opened(path, 'video') as container:
        stream = picture_track(container, path)
        stream.thread_type = 'AUTO'
        aspect = float(stream.sample_aspect_ratio or 1)
        # A damaged packet is a gap in time, which the caller sees.
        for frame, time in Deinterlacer().frames(decoded(container, stream, Clock(path))):
            if time is None:
                continue
            origin = time if origin is None else origin
            if time - origin <= last:
                continue
            last = time - origin
            if number >= first:
                yield number, last, as_shown(frame, aspect)
            number += 1
    if not number:
        raise MediaError(f'{path}: holds no picture that can be decoded.')


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Small grey picture in which only a cut changes much."""
    return cv2.cvtColor(cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


def change(before: np.ndarray, after: np.ndarray) -> float:
    """Mean change of grey levels between two thumbnails."""
    return float(np.abs(after.astype(np.float32) - before).mean())


def find_cuts(changes: np.ndarray) -> list[int]:
    """(N - 1,) changes from each of N pictures to the next -> numbers of the pictures that begin a new shot."""
    found = []
    for k in np.flatnonzero(changes > CUT):
        around = np.concatenate([changes[max(0, k - CUT_AROUND) : k], changes[k + 1 : k + 1 + CUT_AROUND]])
        usual, upper = np.percentile(around, [50, 75]) if len(around) else (0, 0)
        if usual < upper / 4:  # every other picture is shown twice: that is no still scene
            usual = upper
        if changes[k] >= CUT_RATIO * usual:
            found.append(int(k) + 1)
    return found


def read_sound(path: Path, seconds: float | None = None) -> np.ndarray:
    """The file's sound from its first picture on, exactly ``seconds`` long or to its end: (n,) float32 mono at 16 kHz.

    Damaged packets are silence (``read_audio``). Raises MediaError.
    """
    samples = read_sound_track(path).samples
    late = round(_late(path) * SAMPLE_RATE)
    samples = np.pad(samples, (late, 0)) if late > 0 else samples[-late:]
    if seconds is None:
        return samples
    length = round(seconds * SAMPLE_RATE)
    return np.pad(samples, (0, max(0, length - len(samples))))[:length]


@dataclass(frozen=True)
class Heard:
    """What a file's sound lacks: ``damage``, a sentence or None, and ``holes``: from when to when, in seconds from the
    first picture, nothing is known of the sound. The last hole, after the end of the sound, is for ever."""

    damage: str | None
    holes: tuple[tuple[float, float], ...]

    def at(self, times: np.ndarray) -> np.ndarray:
        """(N,) seconds -> (N,) bool: whether the file holds the sound of that moment."""
        heard = np.ones(len(times), bool)
        for begin, end in self.holes:
            heard &= (times < begin) | (times >= end)
        return heard


def check_sound(path: Path) -> Heard:
    """What is missing in a file's sound. Raises MediaError where it has none that can be read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        sound = read_sound_track(path)
    late = _late(path)
    end = late + len(sound.samples) / SAMPLE_RATE
    holes = [(begin + late, stop + late) for begin, stop in sound.holes if stop - begin > SOUND_HOLE]
    holes = [*([(-1.0, late)] if late > SOUND_HOLE else []), *holes, (end + SOUND_HOLE, np.inf)]
    return Heard(str(caught[0].message) if caught else None, tuple(holes))


def _late(path: Path) -> float:
    """Seconds by which the sound begins after the first picture, by the file's clock."""
    clock = Clock(path)
    return _first_time(path, 'sound', clock) - _first_time(path, 'video', clock)


def _first_time(path: Path, kind: str, clock: Clock) -> float:
    """Seconds at which the first picture or sound that can be decoded begins."""
    with opened(path, kind) as container:
        track = sound_track(container, path) if kind == 'sound' else picture_track(container, path)
        return next((time for _, time in decoded(container, track, clock) if time is not None), 0.0)


def room_tone(sound: np.ndarray, length: int, seed: int = 0) -> np.ndarray:
    """What a room sounds like while nobody speaks, (length,) float32: noise with the spectrum of the quietest moment.

    Between clips it is better than digital silence, above which the next clip's room would be taken for speech.
    """
    piece = SAMPLE_RATE // 8
    parts = [sound[first : first + piece] for first in range(0, len(sound) - piece + 1, piece // 2)]
    parts = [part for part in parts if part.any()] or [np.zeros(piece, np.float32)]
    spectrum = np.abs(np.fft.rfft(min(parts, key=lambda part: float((part**2).sum())), axis=0))
    rng = np.random.default_rng(seed)
    grains = -(-length // (piece // 2)) + 1
    noise = np.zeros((grains + 1) * (piece // 2), np.float32)
    window = np.sin(np.pi * (np.arange(piece) + 0.5) / piece)  # halves overlap at constant power
    for k in range(grains):
        grain = np.fft.irfft(spectrum * np.exp(2j * np.pi * rng.random(len(spectrum))), piece)
        noise[k * (piece // 2) : k * (piece // 2) + piece] += window * grain
    return noise[piece // 2 : piece // 2 + length]


def choose_crop(boxes: np.ndarray, width: int, height: int) -> Crop:
    """The square for faces (N, 4; left, top, right, bottom of the face in source pixels) of a whole recording.

    As large as the usual framing, larger if the face wanders, smaller only if the picture has no more.
    """
    left, top, right, bottom = boxes.T
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    face = np.median(right - left)
    low, high = np.percentile(np.stack([centre_x, centre_y]), [1, 99], axis=1)
    side = max(FACE_WIDTHS * face, (high - low).max() + 1.7 * face)
    side = int(min(side, width, height))
    middle = (low + high) / 2
    x = np.clip(round(middle[0] - side / 2), 0, width - side)
    y = np.clip(round(middle[1] - FACE_HEIGHT * side), 0, height - side)
    return Crop(int(x), int(y), side)


def sharpness(image: np.ndarray, box: np.ndarray) -> float:
    """Variance of the Laplacian of the face's brightness; box left, top, right, bottom in pixels."""
    left, top, right, bottom = np.clip(np.round(box), 0, PICTURE).astype(int)
    part = image[top:bottom, left:right]
    if min(part.shape[:2]) < 8:
        return 0.0
    return float(cv2.Laplacian(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())
