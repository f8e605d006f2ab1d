"""What a figure of a model card means: pure functions of arrays, each with its definition.

Mouth and head follow the paper's tables 1 and 2; D-L, D-V and D-Rot/Pos are those of Zhou et al. 2020
(MakeItTalk), with the normalisation stated at each.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from lsp_ros.geometry import rotation, to_camera
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE, frame_start, frames_in

BILABIALS = ('p', 'b', 'm')
NASALS = ('n', 'ng')  # sound like an M, with open lips
CLOSURE_MARGIN = 0.05
CLOSURE_SHARE = 0.01
LARGEST_OFFSET = 30  # frames
VOICE_BAND = (500.0, 2500.0)  # Hz: where vowels are, for which mouths open, and little of hissing and humming
QUIETEST = 1e-3  # of full scale: 60 dB below the largest sine


def point_error_mm(points: np.ndarray, truth: np.ndarray, metres_per_unit: float) -> float:
    """Mean distance of corresponding points in millimetres; (..., 3) both."""
    difference = np.asarray(points, np.float64) - np.asarray(truth, np.float64)
    return float(np.linalg.norm(difference, axis=-1).mean() * metres_per_unit * 1000)


@dataclass(frozen=True)
class Closures:
    """How many of the ``total`` P, B and M had their lips closed."""

    closed: int
    total: int

    @property
    def share(self) -> float:
        return self.closed / self.total if self.total else math.nan


def closures(
    gap: np.ndarray,
    phones: list[tuple[str, float, float]],
    largest: float,
    share: float = CLOSURE_SHARE,
    of: Collection[str] = BILABIALS,
) -> Closures:
    """P/B/M closures that close; or how many of other phones do.

    gap      (N,) height of the inner lip opening at 60 fps (``landmarks.lip_gap``)
    phones   (phone, start, end) in seconds
    largest  the person's largest opening, in the same unit
    of       the phones that count

    A closure closes if the gap falls below ``share`` of ``largest`` in a frame within the phone's time
    and 50 ms on either side. Phones that lie outside the N frames do not count.
    """
    closed = total = 0
    for phone, start, end in phones:
        frames = _closing(start, end)
        if phone not in of or frames.start < 0 or frames.stop > len(gap):
            continue
        total += 1
        closed += bool(gap[frames].min() < share * largest)
    return Closures(closed, total)


def known_phones(phones: list[tuple[str, float, float]], known: np.ndarray) -> list[tuple[str, float, float]]:
    """Those phones in whose frames, 50 ms on either side included, all is known; (N,) bool."""
    return [phone for phone in phones if known[max(0, _closing(*phone[1:]).start) : _closing(*phone[1:]).stop].all()]


def _closing(start: float, end: float) -> slice:
    """The frames in which the lips of a phone may close."""
    first, last = (start - CLOSURE_MARGIN) * FRAME_RATE, (end + CLOSURE_MARGIN) * FRAME_RATE
    return slice(math.ceil(first), math.floor(last) + 1)


@dataclass(frozen=True)
class HeadDistances:
    """D-L and D-V in percent of the face's width, D-Rot in degrees, D-Pos in percent of the face's width."""

    landmarks: float
    velocity: float
    rotation: float
    position: float


def head_distances(
    points: np.ndarray,
    pose: tuple[np.ndarray, np.ndarray],
    truth: tuple[np.ndarray, np.ndarray],
    known: np.ndarray | None = None,
) -> HeadDistances:
    """Distances between two head motions of N frames, worn by the same expression.

    points  (N, 73, 3) true head-frame landmarks: so only the head's motion differs
    pose    (euler (N, 3) degrees, translation (N, 3)) that is judged; ``truth`` likewise
    known   (N,) bool, frames whose truth is known: the others do not count; None: all are

    D-L    mean distance of the 73 landmarks in the camera frame, as a share of the face's width
    D-V    the same of their changes from frame to frame
    D-Rot  mean angle of the rotation between the two heads, degrees
    D-Pos  mean distance of the two translations, as a share of the face's width

    The face's width is the mean distance of the outermost contour points 0 and 14.
    """
    known = np.ones(len(points), bool) if known is None else np.asarray(known, bool)
    follows = np.flatnonzero(known[1:] & known[:-1])
    width = np.linalg.norm(points[known, 0] - points[known, 14], axis=-1).mean()
    judged, true = to_camera(points, *pose), to_camera(points, *truth)
    change = np.diff(judged, axis=0)[follows] - np.diff(true, axis=0)[follows]
    judged, true = judged[known], true[known]
    pose, truth = (tuple(np.asarray(part)[known] for part in one) for one in (pose, truth))
    turn = np.einsum('nji,njk->nik', rotation(pose[0]), rotation(truth[0]))
    cosine = (np.trace(turn, axis1=1, axis2=2) - 1) / 2
    return HeadDistances(
        landmarks=100 * float(np.linalg.norm(judged - true, axis=-1).mean() / width),
        velocity=100 * float(np.linalg.norm(change, axis=-1).mean() / width),
        rotation=float(np.degrees(np.arccos(cosine.clip(-1, 1))).mean()),
        position=100 * float(np.linalg.norm(pose[1] - truth[1], axis=-1).mean() / width),
    )


@dataclass(frozen=True)
class Offset:
    """By how many ms one signal comes after another, and how alike (Pearson's r) they are when moved together."""

    ms: float
    correlation: float


def offset(signal: np.ndarray, reference: np.ndarray) -> Offset:
    """The lag by which ``signal`` (N,) resembles ``reference`` (N,), both at 60 fps, most.

    Of all lags up to half a second either way the one with the largest correlation over the frames that
    overlap, to fractions of a frame by a parabola through it and its neighbours. Positive: ``signal`` is late.
    Frames that are NaN are not known and do not count. Raises ValueError for less than three known seconds, unequal
    lengths, or a signal that never changes.
    """
    signal, reference = np.asarray(signal, np.float64), np.asarray(reference, np.float64)
    if signal.shape != reference.shape or (np.isfinite(signal) & np.isfinite(reference)).sum() < 6 * LARGEST_OFFSET:
        raise ValueError(
            f'signals of {signal.shape} and {reference.shape} frames; three seconds in which both are known are needed'
        )
    found = []
    for lag in range(-LARGEST_OFFSET, LARGEST_OFFSET + 1):
        late = signal[max(0, lag) : len(signal) + min(0, lag)]
        early = reference[max(0, -lag) : len(reference) - max(0, lag)]
        both = np.isfinite(late) & np.isfinite(early)
        late, early = late[both], early[both]
        if len(late) < 2 or late.std() == 0 or early.std() == 0:
            raise ValueError('a signal that never changes has no offset')
        found.append(np.corrcoef(late, early)[0, 1])
    best = int(np.argmax(found))
    shift = 0.0
    if 0 < best < len(found) - 1:
        before, here, after = found[best - 1 : best + 2]
        bend = before - 2 * here + after
        shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return Offset(float(1000 * (best - LARGEST_OFFSET + shift) / FRAME_RATE), float(found[best]))


def loudness(samples: np.ndarray) -> np.ndarray:
    """(frames,) how loud the voice is in each frame of (n,) samples at 16 kHz: dB of the RMS of the vowels' band."""
    voice = sosfiltfilt(butter(4, VOICE_BAND, 'bandpass', fs=SAMPLE_RATE, output='sos'), samples)
    edges = [frame_start(frame) for frame in range(frames_in(len(samples)) + 1)]
    power = np.array([np.mean(voice[a:b] ** 2) for a, b in zip(edges[:-1], edges[1:], strict=True)])
    return 10 * np.log10(power + QUIETEST**2)
