"""All takes on one timeline of 60 frames a second: tracks, sound, and which picture belongs where."""

import warnings

import numpy as np
from scipy.interpolate import CubicSpline

from lsp_ros.capture.take import BLUR, Take, stretches
from lsp_ros.capture.tracking import FaceTrack
from lsp_ros.capture.video import read_sound, room_tone
from lsp_ros.geometry import project, to_camera
from lsp_ros.media.resampling import resample
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE, frame_start
from lsp_ros.training.dataset import TRACKS

PAUSE = FRAME_RATE // 2  # frames after a clip, in which its room is heard and nothing is known
PICTURE_OFF = 0.25  # of a timeline frame that a picture's time may be beside it ...
STILL = 0.5  # ... or pixels that no landmark may move by in between
PACE, PACE_STEP = 0.005, 1e-6  # a clip may be played that much faster or slower, to lie on the timeline
MOST_PICTURES = 4000  # the renderer keeps all in memory (786 kB each)
BLURRED = 0.35  # of the clip's usual sharpness

Placed = dict[int, tuple[int, int]]
"""Timeline frame -> number of the take, number of its picture."""


def on_timeline(takes: list[Take], found: FaceTrack) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, Placed]:
    """Lays the takes one after the other; each then knows its place.

    Returns the tracks of a dataset (N, ...), where they are known (N,) bool (elsewhere they hold what was known last),
    the sound, and the pictures.
    """
    length = 0
    for take in takes:
        take.pace, take.shift = find_pace(take.clip.times)
        take.start = length
        take.stop = length = length + int(np.floor(take.places[-1] + take.pace * FRAME_RATE / take.clip.rate)) + PAUSE
    tracks = {name: np.full((length, *shape), np.nan) for name, shape in TRACKS.items()}
    samples = np.zeros(-(-length * SAMPLE_RATE // FRAME_RATE), np.float32)
    shown: Placed = {}
    for k, take in enumerate(takes):
        sound = sound_of(take)
        begin, stop = frame_start(take.start), frame_start(take.stop) if take.stop < length else len(samples)
        samples[begin:stop] = np.concatenate([sound, room_tone(sound, stop - begin)])[: stop - begin]
        place_tracks(take, found, tracks)
        for frame, row in place_pictures(take, found, tracks).items():
            shown[frame] = (k, row)
    if len(shown) > MOST_PICTURES:
        order = sorted(shown)
        shown = {order[k]: shown[order[k]] for k in np.linspace(0, len(order) - 1, MOST_PICTURES).astype(int)}
    known = ~np.isnan(tracks['euler'][:, 0])
    for values in tracks.values():  # unknown frames hold what was known before, or first
        last = np.maximum.accumulate(np.where(known, np.arange(length), -1))
        last[last < 0] = int(np.argmax(known))
        values[:] = values[last]
    return tracks, known, samples, shown


def find_pace(times: np.ndarray) -> tuple[float, float]:
    """How a clip's pictures, at ``times`` (N,) seconds, lie on the timeline: timeline seconds for a second of the file,
    and where the first picture is, in frames from 0 to 1.

    At 29.97 or 59.94 pictures a second they would slip by a frame in 16.7 s: half of them would lie between two frames,
    for seconds on end. Played a thousandth faster, sound and all, they lie on the frames. Nobody hears half a percent.
    """

    def share_on_time(pace: float, shift: float) -> float:
        places = shift + times * (pace * FRAME_RATE)
        return float((np.abs(places - np.round(places)) <= PICTURE_OFF).mean())

    as_it_is = share_on_time(1.0, 0.0)
    if as_it_is > 0.9:
        return 1.0, 0.0
    best = as_it_is + 0.1, 1.0, 0.0
    # The pictures' places modulo one frame, as turns of a pointer: at the pace sought all of them point alike.
    step = max(PACE_STEP, 0.05 / (FRAME_RATE * max(times[-1], 1.0)))
    paces = 1 + step * np.arange(-int(PACE / step), int(PACE / step) + 1)
    some = times[np.linspace(0, len(times) - 1, min(len(times), 500)).astype(int)]
    pointers = [np.exp(2j * np.pi * FRAME_RATE * pace * some).mean() for pace in paces]
    pace = float(paces[np.argmax(np.abs(pointers))])
    shift = float(-np.angle(np.exp(2j * np.pi * FRAME_RATE * pace * times).mean()) / (2 * np.pi)) % 1.0
    if shift > 1 - PICTURE_OFF / 2:  # the first picture itself is on the frame before
        shift = 0.0
    return (pace, shift) if share_on_time(pace, shift) > best[0] else (1.0, 0.0)


def sound_of(take: Take) -> np.ndarray:
    """The take's sound as the timeline has it: as long as its pictures, at its pace, (n,) float32."""
    clip = take.clip
    seconds = clip.times[-1] + 1 / clip.rate
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # damaged packets: ``Capture`` has told of them
        sound = read_sound(clip.path, seconds)
    if (take.pace, take.shift) == (1.0, 0.0):
        return sound
    length = round((take.shift / FRAME_RATE + seconds * take.pace) * SAMPLE_RATE)
    at = take.seconds_at(np.arange(length) * (FRAME_RATE / SAMPLE_RATE))
    return resample(sound, at * SAMPLE_RATE)


def place_tracks(take: Take, found: FaceTrack, tracks: dict[str, np.ndarray]) -> None:
    """Interpolates a take's poses and points to 60 fps, within each stretch without a gap."""
    camera, depth, places = found.camera, float(np.median(found.translation[:, 2])), take.places
    for first, stop in stretches(take.clip, take.state):
        chosen, at_rows = take.tracked[first:stop], places[first:stop]
        at = np.arange(int(np.ceil(at_rows[0] - 1e-4)), int(np.floor(at_rows[-1] + 1e-4)) + 1)
        flat = take.shoulders[first:stop]
        rays = np.concatenate([(flat - camera.centre) / camera.focal, np.ones((*flat.shape[:2], 1))], axis=-1)
        for name, values in (
            ('points', found.points[chosen]),
            ('euler', found.euler[chosen]),
            ('translation', found.translation[chosen]),
            ('shoulders', rays * depth),
        ):
            tracks[name][take.start + at] = CubicSpline(at_rows, values, axis=0)(at)


def place_pictures(take: Take, found: FaceTrack, tracks: dict[str, np.ndarray]) -> dict[int, int]:
    """Timeline frame -> number of each picture of a take that is sharp and shows what is known of that frame; a
    blurred one gets its state.

    A picture belongs to the frame nearest to it, if it is nearly at that frame's time or if the face hardly moves in
    between.
    """
    state, sharp = take.state, take.seen.sharp
    usual = np.median(sharp[state == 0]) if (state == 0).any() else 0
    state[(state == 0) & (sharp < BLURRED * usual)] = BLUR
    rows = np.flatnonzero(state == 0)
    places = take.places[rows]
    off, frames = np.abs(places - np.round(places)), take.start + np.round(places).astype(int)
    known = ~np.isnan(tracks['euler'][frames, 0])
    kept = known & (off <= PICTURE_OFF)
    between = np.flatnonzero(known & ~kept)
    if len(between):
        kept[between[_moves(take, found, tracks, rows[between], frames[between]) <= STILL]] = True
    chosen: dict[int, int] = {}
    for k in np.flatnonzero(kept)[np.argsort(-off[kept], kind='stable')]:  # the nearest of several comes last
        chosen[int(frames[k])] = int(rows[k])
    return chosen


def _moves(
    take: Take, found: FaceTrack, tracks: dict[str, np.ndarray], rows: np.ndarray, frames: np.ndarray
) -> np.ndarray:
    """Pixels that the landmark which moves most does so between picture and timeline frame, (n,)."""
    own = take.tracked[rows]
    there = project(to_camera(found.points[own], found.euler[own], found.translation[own]), found.camera.matrix)
    named = (tracks[name][frames] for name in ('points', 'euler', 'translation'))
    return np.linalg.norm(project(to_camera(*named), found.camera.matrix) - there, axis=-1).max(axis=-1)
