"""Eyes, brows and posture from the person's footage: endless, seamless, exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_ros.motion.footage import FADE_FRAMES, OPEN_SHARE, POSTURE_FADE, POSTURE_STEP, Footage, Posture


def recorded(frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Eyes that drift, and blink every few seconds; brows that rise now and then."""
    generator = np.random.default_rng(seed)
    shape = np.zeros((16, 3))
    shape[[2, 10], 1], shape[[6, 14], 1] = 0.4, -0.4
    shape[:, 0] = np.arange(16)
    t = np.arange(frames)
    drift = np.cumsum(generator.normal(0, 0.003, (frames, 1, 3)), axis=0)
    starts = np.cumsum(generator.integers(90, 260, frames // 90 + 1))
    blink = np.exp(-0.5 * ((t[:, None] - starts) / 3.0) ** 2).max(axis=1)
    eyes = shape * (1 - blink[:, None, None] * (0, 1, 0)) + drift
    brows = np.zeros((frames, 12, 3)) + 0.2 * np.sin(t / 70)[:, None, None] + drift
    return eyes.astype(np.float32), brows.astype(np.float32)


@pytest.mark.parametrize('frames', [2, 3, 50, 239, 240, 1000, 5000])
@pytest.mark.parametrize('seed', range(3))
def test_no_jump_at_the_loop_point(frames, seed):
    footage = Footage(*recorded(frames, seed))
    last = footage.rows - 1
    assert footage.row(last) == last and footage.row(last + 1) < last
    played = np.array([np.concatenate(footage.at(frame)) for frame in range(footage.rows + 1)])
    steps = np.abs(np.diff(played, axis=0)).max(axis=(1, 2))
    recorded_steps = np.abs(np.diff(np.concatenate(recorded(frames, seed), axis=1), axis=0))
    assert steps[last] <= steps[:last].max() + 1e-6
    assert steps.max() <= recorded_steps.max() + 1e-6


def test_eyes_are_open_where_the_loop_closes():
    eyes, brows = recorded(5000)
    footage = Footage(eyes, brows)
    lids = [footage.at(f)[0][2, 1] - footage.at(f)[0][6, 1] for f in range(footage.rows - FADE_FRAMES, footage.rows)]
    assert min(lids) > OPEN_SHARE * 0.8 * 0.95


def test_footage_is_played_as_it_was_recorded():
    eyes, brows = recorded(2000)
    footage = Footage(eyes, brows, first=10, offset=5)
    for frame in (0, 1, 500):
        np.testing.assert_array_equal(footage.at(frame)[0], eyes[15 + frame])
        np.testing.assert_array_equal(footage.at(frame)[1], brows[15 + frame])


@given(st.integers(0, 10**15))
def test_the_row_of_a_frame_is_exact_for_ever(frame):
    footage = FOOTAGE
    begin = footage.row(footage.rows)
    period = footage.rows - begin
    here, next_ = footage.row(frame), footage.row(frame + 1)
    assert next_ == (here + 1 if here + 1 < footage.rows else begin)
    if frame >= begin:
        assert footage.row(frame + period * 10**9) == here


FOOTAGE = Footage(*recorded(1000))


def test_avatars_without_brow_footage_have_none():
    assert FOOTAGE.at(0)[1] is not None
    assert Footage(recorded(300)[0], None).at(0)[1] is None


def test_a_first_row_beyond_the_footage_is_refused():
    with pytest.raises(ValueError, match='first eye row is 300'):
        Footage(*recorded(300), first=300)


@pytest.mark.parametrize('frames', [2, 50, 1000])
def test_without_seam_work_the_rows_are_played_as_they_are(frames):
    eyes, brows = recorded(frames + 3)
    footage = Footage(eyes, brows, first=3, seamless=False)
    for frame in (0, 1, frames - 1, frames, 10**9 + 1):
        np.testing.assert_array_equal(footage.at(frame)[0], eyes[3 + frame % frames])
        np.testing.assert_array_equal(footage.at(frame)[1], brows[3 + frame % frames])


def slow_motion(rows: int, seed: int = 0) -> np.ndarray:
    """(rows, 6) of a head that looks elsewhere every few seconds."""
    generator = np.random.default_rng(seed)
    t = np.arange(rows)[:, None] / 6
    return (5 * np.sin(2 * np.pi * generator.uniform(0.03, 0.2, 6) * t + generator.uniform(0, 6, 6))).astype(np.float32)


@pytest.mark.parametrize('rows', [2 * POSTURE_FADE + 1, 100, 523])
@pytest.mark.parametrize('seed', range(3))
def test_posture_never_jumps_and_stays_where_the_person_was(rows, seed):
    recorded_rows = slow_motion(rows, seed)
    posture = Posture(recorded_rows)
    assert posture.frames == (rows - POSTURE_FADE) * POSTURE_STEP
    played = np.array([posture.at(frame) for frame in range(2 * posture.frames)])
    np.testing.assert_allclose(played[: posture.frames], played[posture.frames :])
    # Nothing is faster than the footage and the cross-fade of two of its moments, five seconds long, together can be.
    fade = 1.5 * np.ptp(recorded_rows, axis=0) / (POSTURE_FADE * POSTURE_STEP)
    fastest = np.abs(np.diff(recorded_rows, axis=0)).max(axis=0) / POSTURE_STEP
    assert (np.abs(np.diff(played, axis=0)).max(axis=0) <= 1.3 * fastest + fade).all()
    assert (np.abs(played).max(axis=0) <= 1.05 * np.abs(recorded_rows).max(axis=0)).all()


def test_outside_the_fade_posture_is_the_footage():
    recorded_rows = slow_motion(400)
    posture = Posture(recorded_rows)
    for row in (0, 1, 200, 400 - 2 * POSTURE_FADE - 1):
        np.testing.assert_allclose(posture.at(row * POSTURE_STEP), recorded_rows[POSTURE_FADE + row])


@given(st.integers(0, 10**15))
def test_posture_is_exact_for_any_frame(frame):
    posture = Posture(slow_motion(100))
    np.testing.assert_array_equal(posture.at(frame), posture.at(frame % posture.frames))


@pytest.mark.parametrize('rows', [None, np.ones((2 * POSTURE_FADE, 6))])
def test_too_little_footage_is_no_posture(rows):
    posture = Posture(rows)
    assert not any(posture.at(frame).any() for frame in range(100))
