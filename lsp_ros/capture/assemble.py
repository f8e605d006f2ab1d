"""All takes on one timeline of 60 frames a second: tracks, sound, and which picture belongs where."""

from collections.abc import Iterator

import numpy as np
from scipy.interpolate import CubicSpline

from lsp_ros.capture.take import BLUR, Take, stretches
from lsp_ros.capture.tracking import Track
from lsp_ros.capture.video import read_sound, room_tone
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE, frame_start
from lsp_ros.training.dataset import TRACKS

PAUSE = FRAME_RATE // 2  # frames after a clip, in which its room is heard and nothing is known
PICTURE_OFF = 0.25  # of a timeline frame that a picture's time may be beside it
MOST_PICTURES = 4000  # the renderer keeps all in memory (786 kB each)
BLURRED = 0.35  # of the clip's usual sharpness

Placed = dict[int, tuple[int, int]]
"""Timeline frame -> number of the take, number of its picture."""


def on_timeline(takes: list[Take], found: Track) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, Placed]:
    """Lays the takes one after the other; each then knows its place.

    Returns the tracks of a dataset (N, ...), where they are known (N,) bool (elsewhere they hold what was known last),
    the sound, and the pictures.
    """
    length = 0
    for take in takes:
        clip, take.start = take.clip, length
        take.stop = length = length + int(np.floor((clip.times[-1] + 1 / clip.rate) * FRAME_RATE)) + PAUSE
    tracks = {name: np.full((length, *shape), np.nan) for name, shape in TRACKS.items()}
    samples = np.zeros(-(-length * SAMPLE_RATE // FRAME_RATE), np.float32)
    shown: Placed = {}
    for k, take in enumerate(takes):
        sound = read_sound(take.clip.path, take.clip.times[-1] + 1 / take.clip.rate)
        begin, stop = frame_start(take.start), frame_start(take.stop) if take.stop < length else len(samples)
        samples[begin:stop] = np.concatenate([sound, room_tone(sound, stop - begin)])[: stop - begin]
        place_tracks(take, found, tracks)
        for frame, row in place_pictures(take, ~np.isnan(tracks['euler'][:, 0])):
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


def place_tracks(take: Take, found: Track, tracks: dict[str, np.ndarray]) -> None:
    """Interpolates a take's poses and points to 60 fps, within each stretch without a gap."""
    camera, depth = found.camera, float(np.median(found.translation[:, 2]))
    for first, stop in stretches(take.clip, take.state):
        chosen, times = take.tracked[first:stop], take.clip.times[first:stop]
        at = np.arange(int(np.ceil(times[0] * FRAME_RATE - 1e-6)), int(np.floor(times[-1] * FRAME_RATE + 1e-6)) + 1)
        flat = take.shoulders[first:stop]
        rays = np.concatenate([(flat - camera.centre) / camera.focal, np.ones((*flat.shape[:2], 1))], axis=-1)
        for name, values in (('points', found.points[chosen]), ('euler', found.euler[chosen]),
                             ('translation', found.translation[chosen]), ('shoulders', rays * depth)):
            tracks[name][take.start + at] = CubicSpline(times, values, axis=0)(at / FRAME_RATE)


def place_pictures(take: Take, known: np.ndarray) -> Iterator[tuple[int, int]]:
    """Timeline frame and number of each picture of a take that is sharp, on time, and known (N,) there; a blurred one
    gets its state."""
    state, sharp = take.state, take.seen.sharp
    usual = np.median(sharp[state == 0]) if (state == 0).any() else 0
    state[(state == 0) & (sharp < BLURRED * usual)] = BLUR
    for row in np.flatnonzero(state == 0):
        place = take.clip.times[row] * FRAME_RATE
        frame = take.start + round(place)
        if abs(place - round(place)) <= PICTURE_OFF and known[frame]:
            yield frame, int(row)
