"""Lips as shapes: closed where they cross or nearly meet."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lsp_ros.avatar import landmarks
from lsp_ros.motion.lips import contact, join_lips, part_lips


def face() -> np.ndarray:
    points = np.zeros((landmarks.LANDMARKS, 3), np.float32)
    points[landmarks.UPPER_LIP_INNER, 1] = 0.1
    points[landmarks.LOWER_LIP_INNER, 1] = -0.1
    points[landmarks.UPPER_LIP_OUTER, 1] = 0.8
    points[landmarks.LOWER_LIP_OUTER, 1] = -0.8
    return points


def test_crossed_lips_meet_halfway_and_keep_their_thickness():
    crossed = face()
    crossed[landmarks.UPPER_LIP_INNER, 1] = [-0.1, -0.2, -0.3]
    crossed[landmarks.LOWER_LIP_INNER, 1] = [0.1, 0.2, 0.3]
    mended = join_lips(np.stack([face(), crossed]))
    np.testing.assert_array_equal(mended[0], face())
    np.testing.assert_allclose(landmarks.lip_gap(mended[1]), 0, atol=1e-6)
    np.testing.assert_allclose(mended[1, landmarks.UPPER_LIP_OUTER, 1], 0.8 + 0.2, atol=1e-6)
    np.testing.assert_allclose(mended[1, landmarks.LOWER_LIP_OUTER, 1], -0.8 - 0.2, atol=1e-6)


def test_soft_lips_close_a_slit_and_leave_an_open_mouth_alone():
    gaps = np.array([-0.2, 0.0, 0.05, 0.1, 0.2, 0.3, 0.6])
    shown = contact(gaps, 0.1)
    assert (shown[:4] == 0).all() and (shown[5:] == gaps[5:]).all()
    assert 0 < shown[4] < 0.2
    np.testing.assert_array_equal(contact(gaps, 0.0), np.maximum(gaps, 0))


@given(st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3), st.floats(0, 0.01), st.sampled_from([0.0, 0.02, 0.1]))
def test_lips_never_cross_and_nothing_pops(gaps, little, seal):
    def shown(gaps):
        points = face().astype(float)
        points[landmarks.UPPER_LIP_INNER, 1] = gaps
        points[landmarks.LOWER_LIP_INNER, 1] = 0
        return join_lips(points, seal)

    here, near = shown(gaps), shown(np.array(gaps) - little)
    assert (here[landmarks.UPPER_LIP_INNER, 1] >= here[landmarks.LOWER_LIP_INNER, 1] - 1e-12).all()
    # soft lips open up to 2.05 times as fast while they part
    assert np.abs(here - near).max() <= (1 if seal == 0 else 1.6) * little + 1e-12


def test_lips_that_only_partly_cross_are_left_alone():
    points = np.zeros((2, 73, 3))
    points[:, 61:64, 1] = 1.0  # the upper lip above the lower, but for one pair of the second frame
    points[1, 61, 1] = -1.0
    np.testing.assert_array_equal(part_lips(points), points)
