"""What is known of each video, and which of its pictures are good."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.capture.detector import MASK, POINTS
from lsp_ros.capture.landmarks import RIGID
from lsp_ros.capture.video import GAP, Clip, Heard
from lsp_ros.signals import SHOULDER_POINTS
from lsp_ros.timeline import FRAME_RATE
from lsp_ros.training.dataset import runs

JUMP = 0.3  # widths of the face from one picture to the next
# Widths of the face that a head leaps at a cut nobody saw: it moves that far from one picture to the next and that many
# times as far as in the steps around. A head has mass: it gains speed, and loses it, over several pictures.
LEAP, LEAP_RATIO = 0.03, 4.0
ALL_HEARD = Heard(None, ())
SHORTEST = 0.5  # seconds of a stretch that is worth keeping

NO_FACE, HAND, CUT, OUTSIDE, JUMPED, ERROR, TURNED, SHORT, NO_SHOULDERS, BLUR, NO_SOUND = range(1, 12)
DARK = 30.0  # grey level, of 255, below which a face is very dark; by a window or a lamp it has 80 to 180
REASONS = {
    NO_FACE: 'no face was found',
    HAND: 'a hand was over the face',
    CUT: 'a cut',
    OUTSIDE: 'the face left the picture',
    JUMPED: 'the landmarks jumped',
    ERROR: 'the face did not fit its landmarks',
    TURNED: 'the head was turned away',
    SHORT: 'too short between two gaps',
    NO_SHOULDERS: 'the shoulders were not found',
    BLUR: 'blurred (the picture alone is left out)',
    NO_SOUND: 'the video has no sound there',
}


@dataclass(frozen=True)
class ClipDetections:
    """What the detector found in a clip's N pictures.

    faces (N, 478, 3) float32 pixels of the crop, NaN without a face; hand (N,) bool; sharp (N,) float32; bodies
    (B, 256, 256) uint8 of the pictures body_rows (B,). By default of no picture.
    """

    faces: np.ndarray = field(default_factory=lambda: np.zeros((0, POINTS, 3), np.float32))
    hand: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    sharp: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    bodies: np.ndarray = field(default_factory=lambda: np.zeros((0, MASK, MASK), np.uint8))
    body_rows: np.ndarray = field(default_factory=lambda: np.zeros(0, int))


@dataclass
class Take:
    """One video's way through the steps; each step adds what it found. What no step has found yet is empty.

    digest     SHA-256 of the file
    boxes      (K, 4) where the face was at the first look, in source pixels
    leaps      numbers of the pictures to which the head leapt: a shot begins there, too
    state      (N,) int8 why a picture is left out (REASONS), 0 for a good one
    tracked    (N,) int row of each picture in the ``FaceTrack``, -1 for one that was not tracked
    shoulders  (N, 18, 2) pixels of the crop, NaN where they are not known
    start      first frame on the timeline; stop: the first after its pause
    pace       timeline seconds for a second of the file (``assemble.find_pace``)
    shift      timeline frames from ``start`` to the first picture, from 0 to 1
    light      mean grey level, of 255, of the face at the first look, of the whole picture where no face was found
    heard      what the sound lacks
    """

    digest: str
    clip: Clip
    boxes: np.ndarray
    seen: ClipDetections = field(default_factory=ClipDetections)
    leaps: tuple[int, ...] = ()
    state: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int8))
    tracked: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    shoulders: np.ndarray = field(default_factory=lambda: np.zeros((0, SHOULDER_POINTS, 2)))
    start: int = 0
    stop: int = 0
    pace: float = 1.0
    shift: float = 0.0
    light: float = 128.0
    heard: Heard = ALL_HEARD

    @property
    def places(self) -> np.ndarray:
        """(N,) where the pictures are on the timeline: frames from ``start`` on, rarely whole."""
        return self.shift + self.clip.times * (self.pace * FRAME_RATE)

    def seconds_at(self, frames: npt.ArrayLike) -> np.ndarray:
        """Seconds of the file at timeline frames counted from ``start``."""
        return (np.asarray(frames) - self.shift) / (self.pace * FRAME_RATE)


def find_leaps(clip: Clip, faces: np.ndarray) -> tuple[int, ...]:
    """Numbers of the pictures before which the unsmoothed head (N, 478, 3) leaps: cuts that show in nothing else."""
    if len(faces) < 2:
        return ()
    points, between = faces[:, RIGID, :2].astype(np.float64), np.diff(clip.times)
    step = np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=-1).mean(axis=-1)) / np.ptp(faces[1:, :468, 0], axis=1)
    step = step * np.median(between) / between
    padded = np.pad(np.nan_to_num(step), 2)
    around = np.max([padded[k : k + len(step)] for k in (0, 1, 3, 4)], axis=0)
    return tuple(int(k) + 1 for k in np.flatnonzero((step > LEAP) & (step > LEAP_RATIO * around)))


def too_dark(take: Take) -> str:
    """What a sentence on a take ends with if its pictures are very dark."""
    if take.light >= DARK:
        return ''
    return f': it is very dark (mean grey level {take.light:.0f} of 255); light the face from the front'


def without_sound(take: Take) -> list[str]:
    """The end of a sentence on a take if its file lacks the sound of some pictures."""
    times = take.clip.times
    silent = times[~take.heard.at(times)]
    if not len(silent):
        return []
    return [
        f'has no sound for {len(silent)} of its {len(times)} pictures, from {silent[0]:.1f} s on; they are left out.'
    ]


def first_states(clip: Clip, seen: ClipDetections, leaps: tuple[int, ...] = (), heard: Heard = ALL_HEARD) -> np.ndarray:
    """(N,) int8: why a picture cannot be tracked, as far as the picture itself tells; 0 where it can."""
    state = np.zeros(len(clip.times), np.int8)
    faces = seen.faces[:, :468, :2]
    with np.errstate(invalid='ignore'):
        outside = ((faces < 0) | (faces > PICTURE)).any(axis=(1, 2))
        width = faces[..., 0].max(axis=1) - faces[..., 0].min(axis=1)
        jump = np.linalg.norm(np.diff(faces.mean(axis=1), axis=0), axis=1) > JUMP * width[1:]
    state[1:][jump] = JUMPED
    state[outside] = OUTSIDE
    for numbers, why in ((leaps, JUMPED), (clip.cuts, CUT)):
        for number in numbers:
            state[max(0, number - 1) : number + 1] = why
    state[seen.hand] = HAND
    state[np.isnan(faces[:, 0, 0])] = NO_FACE
    state[~heard.at(clip.times)] = NO_SOUND
    drop_short(clip, state)
    return state


def shots(take: Take) -> list[tuple[int, int]]:
    """Ranges [first, stop) of pictures between cuts."""
    edges = sorted({0, *take.clip.cuts, *take.leaps, len(take.clip.times)})
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
