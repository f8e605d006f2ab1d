"""The choice of candidate images follows the paper's rule (section 3.4)."""

import numpy as np
import pytest

from lsp_ros.avatar.landmarks import LEFT_EYE_LIDS, RIGHT_EYE_LIDS
from lsp_ros.training.candidates import INNER_LIP, choose_candidates, eyes_open, mouth_area


def faces(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Faces whose mouths open more from row to row, eyes open, heads turned at random."""
    rng = np.random.default_rng(seed)
    points = np.zeros((count, 73, 3))
    for lids in (LEFT_EYE_LIDS, RIGHT_EYE_LIDS):
        points[:, lids[0], 1] = 1.0
    opening = np.linspace(0, 1, count)[:, None]
    x = np.array([-2, -1, 0, 1, 2, 1, 0, -1.0])
    y = np.array([0, 1, 1, 1, 0, -1, -1, -1.0])
    points[:, INNER_LIP, 0] = x
    points[:, INNER_LIP, 1] = y * opening
    return points, rng.uniform(-10, 10, (count, 3))


def test_mouth_area_of_a_known_polygon():
    points, _ = faces(2)
    assert mouth_area(points) == pytest.approx([0, 6])


def test_crossed_lips_have_no_area():
    points, _ = faces(2)
    points[1, INNER_LIP, 1] *= -1
    assert mouth_area(points)[1] == 0


def test_mouths_are_the_hundredth_smallest_and_largest_of_four_minutes():
    points, euler = faces(14_400)
    assert choose_candidates(points, euler)[:2] == [99, 14_400 - 100]


def test_the_rank_shrinks_with_the_number_of_pictures():
    points, euler = faces(811)
    assert choose_candidates(points, euler)[:2] == [5, 811 - 6]


def test_heads_lie_nearest_to_the_quarter_points_of_the_rotations():
    points, euler = faces(400)
    euler[:, :2] = np.random.default_rng(1).permutation(np.linspace(-1, 1, 800)).reshape(400, 2) * [10, 20]
    euler[123, :2], euler[321, :2] = [-5, -10], [5, 10]
    assert choose_candidates(points, euler)[2:] == [123, 321]


def test_four_different_pictures_with_open_eyes():
    points, euler = faces(60)
    points[::2, LEFT_EYE_LIDS[0], 1] = points[::2, RIGHT_EYE_LIDS[0], 1] = 0.05
    points[1::2, LEFT_EYE_LIDS[0], 1] = 1.0
    assert not eyes_open(np.concatenate([points, points[1::2], points[1::2]]))[:60:2].any()
    # Half of the pictures blink, so that the median lid distance is that of open eyes only just.
    chosen = choose_candidates(np.concatenate([points, points[1::2]]), np.concatenate([euler, euler[1::2]]))
    assert len(set(chosen)) == 4
    assert all(row % 2 for row in chosen if row < 60)


def test_too_few_pictures_are_refused():
    points, euler = faces(3)
    with pytest.raises(ValueError, match='four candidate images'):
        choose_candidates(points, euler)
