"""Figures mean what the model card says they mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_ros.evaluation.metrics import (
    NASALS,
    Closures,
    closures,
    head_distances,
    known_phones,
    loudness,
    offset,
    point_error_mm,
)


def test_other_phones_can_be_asked_for():
    gap = np.zeros(120)
    gap[60:] = 1.0
    phones = [('n', 0.3, 0.4), ('m', 0.5, 0.6), ('ng', 1.5, 1.6)]
    assert closures(gap, phones, largest=1.0, of=NASALS) == Closures(1, 2)


def test_point_error_is_the_mean_distance_in_millimetres():
    truth = np.zeros((2, 25, 3))
    points = truth + [0.3, 0.4, 0.0]
    points[1] = 0
    assert point_error_mm(points, truth, metres_per_unit=0.01) == pytest.approx(2.5)


def test_a_closure_closes_within_fifty_milliseconds_of_its_phone():
    gap = np.ones(120)
    gap[[63, 90]] = 0.0
    phones = [('pau', 0.0, 1.0), ('b', 1.0, 1.1), ('aa', 1.1, 1.3), ('m', 1.3, 1.4), ('t', 1.4, 1.6)]
    assert closures(gap, phones, largest=1.0) == Closures(1, 2)  # frame 90 is 100 ms behind the end of m
    gap[86] = 0.0  # 1.433 s
    assert closures(gap, phones, largest=1.0).share == 1.0


@pytest.mark.parametrize(('opening', 'closed'), [(0.0099, 1), (0.0101, 0)])
def test_a_closure_is_judged_by_a_share_of_the_largest_opening(opening, closed):
    gap = np.full(120, 2.0 * opening)
    assert closures(gap, [('p', 1.0, 1.1)], largest=2.0).closed == closed


def test_phones_outside_the_clip_do_not_count():
    assert closures(np.zeros(60), [('p', 0.0, 0.1), ('b', 0.5, 0.6), ('m', 0.9, 1.0)], 1.0) == Closures(1, 1)


def test_no_bilabial_gives_no_share():
    assert np.isnan(closures(np.zeros(60), [('aa', 0.2, 0.5)], 1.0).share)


def head(frames: int = 50):
    points = np.random.default_rng(0).normal(0, 3, (1, 73, 3)).repeat(frames, axis=0)
    points[:, 0], points[:, 14] = [-5, 0, 0], [5, 0, 0]
    return points, np.zeros((frames, 3)), np.tile([0.0, 0.0, 100.0], (frames, 1))


def test_equal_heads_are_at_no_distance():
    points, euler, translation = head()
    distances = head_distances(points, (euler, translation), (euler, translation))
    assert (distances.landmarks, distances.velocity, distances.position) == (0, 0, 0)
    assert distances.rotation == pytest.approx(0, abs=1e-5)


def test_a_shifted_head_is_as_far_as_its_shift_in_face_widths():
    points, euler, translation = head()
    distances = head_distances(points, (euler, translation + [1.0, 0, 0]), (euler, translation))
    assert distances.landmarks == pytest.approx(10)
    assert distances.position == pytest.approx(10)
    assert distances.velocity == pytest.approx(0, abs=1e-9)


def test_rotation_is_the_angle_between_the_heads_about_any_axis():
    points, euler, translation = head()
    for axis in range(3):
        turned = euler.copy()
        turned[:, axis] = 7.0
        assert head_distances(points, (turned, translation), (euler, translation)).rotation == pytest.approx(7.0)


def test_velocity_sees_a_jitter_that_the_mean_position_does_not():
    points, euler, translation = head()
    jitter = translation.copy()
    jitter[::2, 0] += 0.1
    assert head_distances(points, (euler, jitter), (euler, translation)).velocity == pytest.approx(1.0)


def test_frames_whose_truth_is_not_known_do_not_count():
    points, euler, translation = head()
    known = np.ones(50, bool)
    known[[0, 20, 21, 22, 49]] = False
    wild = translation + [1.0, 0, 0]
    wild[~known] = 1e6
    nose = points.copy()
    nose[~known] = 1e6
    distances = head_distances(nose, (euler, wild), (euler, translation), known)
    assert distances.landmarks == pytest.approx(10) and distances.position == pytest.approx(10)
    assert distances.velocity == pytest.approx(0, abs=1e-9)  # nor the steps into them and out of them


def test_an_offset_is_found_around_what_is_not_known():
    mouth = opening(700)
    late, reference = mouth[44:644], mouth[50:650].copy()
    reference[200:300] = np.nan
    found = offset(late, reference)
    assert found.ms == pytest.approx(100, abs=0.5) and found.correlation == pytest.approx(1)
    reference[150:] = np.nan
    with pytest.raises(ValueError, match='three seconds'):
        offset(late, reference)


def test_a_phone_counts_only_where_all_that_it_is_judged_by_is_known():
    known = np.ones(120, bool)
    known[63] = False
    phones = [('p', 0.5, 0.6), ('b', 0.95, 0.99), ('m', 0.95, 1.0), ('b', 1.12, 1.2), ('p', 1.9, 2.5)]
    assert known_phones(phones, known) == [phones[0], phones[1], phones[3], phones[4]]


def opening(frames: int = 600) -> np.ndarray:
    """Something like a talking mouth: low-passed noise, never below zero."""
    noise = np.random.default_rng(3).normal(size=frames + 30)
    return np.maximum(np.convolve(noise, np.hanning(13), mode='same'), 0)[15:-15]


@given(st.integers(-20, 20), st.floats(0.1, 10), st.floats(-5, 5))
def test_a_shift_is_found_whatever_the_scale(frames, gain, level):
    signal = opening(700)
    found = offset(gain * signal[50 - frames : 550 - frames] + level, signal[50:550])
    assert found.ms == pytest.approx(1000 * frames / 60, abs=0.5)
    assert found.correlation == pytest.approx(1)


def test_a_shift_by_a_part_of_a_frame_is_found():
    time = np.arange(6000) / 10
    fine = np.interp(np.arange(0, 600, 0.1), np.arange(600), opening())[: len(time)]
    assert offset(fine[1000:5000:10], fine[1004:5004:10]).ms == pytest.approx(0.4 * 1000 / 60, abs=2)


def test_a_mouth_that_opens_when_it_sounds_has_no_offset_to_the_sound():
    mouth = opening()
    samples = np.repeat(mouth, 267)[:160_000] * np.sin(2 * np.pi * 1000 * np.arange(160_000) / 16000) * 0.2
    heard = loudness(samples)
    for frames in (0, 6):
        late = np.roll(mouth, frames)
        assert offset(late, heard).ms == pytest.approx(1000 * frames / 60, abs=12)


def test_loudness_hears_vowels_and_no_hum():
    time = np.arange(16000) / 16000
    vowel, hum = (0.1 * np.sin(2 * np.pi * hertz * time) for hertz in (1000, 60))
    assert loudness(vowel).mean() > loudness(hum).mean() + 30
    assert len(loudness(vowel)) == 60
    assert loudness(0 * vowel) == pytest.approx(-60)


@pytest.mark.parametrize('signal', [np.zeros(300), np.ones(100)])
def test_signals_without_an_offset_are_refused(signal):
    with pytest.raises(ValueError, match='never changes|three seconds'):
        offset(signal, signal)
