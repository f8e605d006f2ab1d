"""Pictures of any rate come onto the timeline with the sound that belongs to them."""

import numpy as np
import pytest
import synthetic_face as synthetic

from lsp_ros.capture.adjustment import PinholeCamera
from lsp_ros.capture.assemble import PICTURE_OFF, STILL, find_pace, on_timeline, sound_of
from lsp_ros.capture.take import ClipDetections, Take
from lsp_ros.capture.tracking import FaceTrack
from lsp_ros.capture.video import Clip
from lsp_ros.geometry import project, to_camera
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE

SECONDS = 40
NTSC = {'23.976': 24, '29.97': 30, '59.94': 60}


def times_at(rate: str) -> np.ndarray:
    """As a file tells them: to the millisecond."""
    number = np.arange(int(SECONDS * float(rate)))
    return np.round(number * 1.001 / NTSC[rate] if rate in NTSC else number / float(rate), 3)


def take_of(path, times: np.ndarray, speed: float) -> tuple[Take, FaceTrack]:
    """A head that turns to and fro by at most ``speed`` degrees a second, ideally tracked."""
    N = len(times)
    euler = np.zeros((N, 3))
    euler[:, 1] = speed / 3 * np.sin(3 * times)
    points = np.repeat(synthetic.template()[None, :73], N, axis=0)
    found = FaceTrack(
        euler, np.tile([0.0, 0.0, 100.0], (N, 1)), points, PinholeCamera(1500.0, (256.0, 256.0)), np.zeros(N), []
    )
    nothing = np.zeros((0, 256, 256), np.uint8)
    seen = ClipDetections(np.zeros((N, 478, 3), np.float32), np.zeros(N, bool), np.ones(N), nothing, np.zeros(0, int))
    return Take(
        '0',
        Clip(path, 512, 512, times, ()),
        np.zeros((0, 4)),
        seen,
        (),
        np.zeros(N, np.int8),
        np.arange(N),
        np.full((N, 18, 2), 300.0),
    ), found


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    """Two pictures, and sound of 40 s with a click at every full second of the file."""
    sound = np.zeros((SECONDS + 1) * SAMPLE_RATE)
    for second in range(SECONDS):
        sound[second * SAMPLE_RATE : second * SAMPLE_RATE + 16] = 0.8
    file = tmp_path_factory.mktemp('film') / 'film.mkv'
    return synthetic.write_film(file, np.arange(2) / 25, [synthetic.draw(128, 80)] * 2, sound)


@pytest.mark.parametrize('speed', [0.0, 30.0])
@pytest.mark.parametrize(
    'rate,least', [('60', 1), ('59.94', 1), ('30', 1), ('29.97', 1), ('25', 0.6), ('24', 0.5), ('23.976', 0.5)]
)
def test_pictures_are_kept_where_the_face_is_what_they_show(film, rate, least, speed):
    take, found = take_of(film, times_at(rate), speed)
    tracks, known, _, shown = on_timeline([take], found)
    assert len(shown) >= least * len(take.clip.times) - 2
    if not speed:
        assert len(shown) >= len(take.clip.times) - 2
    frames, rows = np.array(list(shown)), np.array([row for _, row in shown.values()])
    assert known[frames].all()
    there = project(
        to_camera(*(tracks[name][frames] for name in ('points', 'euler', 'translation'))), found.camera.matrix
    )
    own = project(to_camera(found.points[rows], found.euler[rows], found.translation[rows]), found.camera.matrix)
    beside = np.abs(take.places[rows] - frames)
    assert (np.linalg.norm(there - own, axis=-1).max(axis=-1)[beside > PICTURE_OFF] <= STILL).all()
    assert beside.max() <= 0.5


@pytest.mark.parametrize('rate', ['60', '59.94', '29.97', '25'])
def test_a_click_is_heard_at_the_frame_that_shows_its_moment(film, rate):
    take, found = take_of(film, times_at(rate), 0.0)
    _, _, samples, _ = on_timeline([take], found)
    clicks = np.flatnonzero((np.abs(samples[1:]) > 0.3) & (np.abs(samples[:-1]) < 0.3)) + 1
    for second in range(1, SECONDS - 1):
        frame = np.interp(second, take.clip.times, take.places)
        assert np.abs(clicks - frame * SAMPLE_RATE / FRAME_RATE).min() <= 2


def test_only_rates_beside_ours_are_played_at_another_pace():
    for rate in ('60', '30', '25', '24', '50'):
        assert find_pace(times_at(rate)) == (1.0, 0.0)
    for rate in ('59.94', '29.97'):
        pace, shift = find_pace(times_at(rate))
        assert pace == pytest.approx(1 / 1.001, abs=2e-5) and min(shift, 1 - shift) < 0.2
    uneven = np.cumsum(np.random.default_rng(0).choice([0.02, 0.033, 0.05], 900))
    assert find_pace(uneven) == (1.0, 0.0)


def test_a_first_picture_that_came_late_does_not_move_the_others(film):
    times = np.r_[0.0, np.arange(1, 1200) / 30 - 0.008]
    pace, shift = find_pace(times)
    assert pace == pytest.approx(1, abs=1e-5) and shift == pytest.approx(0.48, abs=0.02)
    take, _ = take_of(film, times, 0.0)
    take.pace, take.shift = pace, shift
    heard = sound_of(take)
    click = np.flatnonzero(np.abs(heard[SAMPLE_RATE // 2 :]) > 0.3)[0] + SAMPLE_RATE // 2
    assert click == pytest.approx((1 + shift / FRAME_RATE) * SAMPLE_RATE, abs=2)
