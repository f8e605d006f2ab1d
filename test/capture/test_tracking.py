"""Tracking recovers what was projected."""

import numpy as np
import pytest
import synthetic_face as synthetic
from hypothesis import given
from hypothesis import strategies as st

from lsp_ros.avatar.landmarks import MOUTH_OUTPUT
from lsp_ros.capture.adjustment import find_focal, golden_section
from lsp_ros.capture.landmarks import RIGID, to_lsp73
from lsp_ros.capture.tracking import smooth_step, track

MATRIX = np.array([[1500.0, 0, 250], [0, 1500.0, 260], [0, 0, 1]])
N = 150


def motion(distance: float = 100.0):
    seconds = np.arange(N) / 30
    euler = np.stack([5 * np.sin(1.1 * seconds), 12 * np.sin(0.9 * seconds), 4 * np.sin(1.7 * seconds)], axis=1)
    away = np.stack([2 * np.sin(seconds), np.sin(1.3 * seconds), distance + 2 * np.cos(seconds)], axis=1)
    opening = 0.6 * (1 + np.sin(9 * seconds))
    return seconds, euler, away, opening


@pytest.fixture(scope='module')
def tracked():
    seconds, euler, away, opening = motion()
    meshes = synthetic.detected(euler, away, opening, MATRIX, noise=0.3)
    return track(meshes, seconds, np.zeros(N, int), (250, 260), focal=1500.0), euler, away, opening


def test_the_head_pose_is_found(tracked):
    found, euler, away, _ = tracked
    turned = found.euler - euler
    assert np.abs(turned - np.median(turned, axis=0)).max() < 0.5  # degrees; straight ahead is a choice
    # The template's pupils are 6.3 cm apart, so that centimetres agree. The origin of the head frame is a choice, too.
    assert abs(np.median(found.translation[:, 2]) / 100 - 1) < 0.03
    assert found.error.mean() < 0.5


def test_the_head_looks_straight_on_average_and_its_middle_is_the_origin(tracked):
    found, *_ = tracked
    assert abs(np.median(found.euler[:, 0])) < 1e-6
    np.testing.assert_allclose(found.points.mean(axis=(0, 1)), 0, atol=1e-6)


def test_the_jaw_moves_as_it_did(tracked):
    found, _, _, opening = tracked
    chin = found.points[:, MOUTH_OUTPUT[3], 1]
    slope, _ = np.polyfit(-opening, chin, 1)
    assert abs(slope - 1) < 0.1
    still = found.points[:, 39]
    assert still.std(axis=0).max() < 0.05


@pytest.mark.parametrize('distance', [60.0, 160.0])
def test_the_focal_length_is_found_on_exact_points(distance):
    _, euler, away, opening = motion(distance)
    focal = 15 * distance  # the face always fills as much of the picture
    matrix = np.array([[focal, 0, 250], [0, focal, 260], [0, 0, 1]])
    meshes = synthetic.detected(euler, away, 0 * opening, matrix)
    prior = synthetic.template()[RIGID]
    weight = np.ones(len(RIGID))
    found, tried = find_focal(meshes[::5, RIGID, :2], prior, (250, 260), weight, independent=1e4)
    assert abs(found / focal - 1) < 0.05
    assert min(tried, key=lambda pair: pair[1])[0] == pytest.approx(found, rel=0.05)


@given(st.floats(-5, 5), st.floats(0.1, 3))
def test_golden_section_finds_the_valley(where, width):
    found = golden_section(lambda x: abs(x - where) * width, -6, 6, 30)
    assert abs(found - where) < 1e-3


@given(st.integers(0, 1000))
def test_a_smooth_step_is_the_dense_solution_and_segments_know_nothing_of_one_another(seed):
    rng = np.random.default_rng(seed)
    n, d = 7, 2
    half = rng.standard_normal((n, d, d))
    H, g, x = half @ half.swapaxes(1, 2) + np.eye(d), rng.standard_normal((n, d)), rng.standard_normal((n, d))
    times, segment = np.cumsum(rng.uniform(0.01, 0.1, n)), np.array([0, 0, 0, 0, 1, 1, 1])
    acceleration = np.array([50.0, 200.0])
    step = smooth_step(H, g, x, times, segment, acceleration)
    A, b = np.zeros((n * d, n * d)), g.ravel().copy()
    for t in range(n):
        A[t * d : t * d + d, t * d : t * d + d] = H[t]
    for t in range(n - 2):
        if len(set(segment[t : t + 3])) == 1:
            h1, h2 = times[t + 1] - times[t], times[t + 2] - times[t + 1]
            row = np.array([2 / h1 / (h1 + h2), -2 / h1 / h2, 2 / h2 / (h1 + h2)])
            for k in range(d):
                place = [(t + a) * d + k for a in range(3)]
                A[np.ix_(place, place)] += np.outer(row, row) / acceleration[k] ** 2
                b[place] -= row * (row @ x[t : t + 3, k]) / acceleration[k] ** 2
    np.testing.assert_allclose(step.ravel(), np.linalg.solve(A, b), rtol=1e-6, atol=1e-8)
    alone = smooth_step(H[4:], g[4:], x[4:], times[4:], segment[4:], acceleration)
    np.testing.assert_allclose(step[4:], alone, rtol=1e-6, atol=1e-8)


def test_the_73_points_lie_where_the_scheme_says():
    face = to_lsp73(synthetic.template())
    assert face.shape == (73, 3)
    np.testing.assert_allclose(synthetic.mirrored(face)[:64], face[:64], atol=0.3)
