"""Points land on the pixels where the official release puts them (reference values in test/golden)."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_ros.geometry import project, rotation, to_camera

GOLDEN = Path(__file__).parent / 'golden'
degrees = st.floats(-180, 180)


def test_landmarks_and_shoulders_match_the_official_release():
    with np.load(GOLDEN / 'camera.npz') as golden:
        camera = to_camera(golden['points'], golden['euler'], golden['translation'], float(golden['scale']))
        np.testing.assert_allclose(project(camera, golden['matrix']), golden['landmarks2d'], atol=1e-3)
        shoulders = project(golden['shoulders'], golden['matrix'])
        np.testing.assert_allclose(shoulders, golden['shoulders2d'], atol=1e-3)


def test_at_rest_the_face_looks_into_the_camera_upright():
    right_up_near = to_camera(np.eye(3), np.zeros(3), np.zeros(3))
    np.testing.assert_allclose(right_up_near, np.diag([1, -1, -1]), atol=1e-12)


@pytest.mark.parametrize(
    ('euler', 'point', 'moves'),
    [
        ([10, 0, 0], [0, 0, 1], [0, 1, 0]),  # chin down: the nose goes down in the picture
        ([0, 10, 0], [0, 0, 1], [-1, 0, 0]),  # turn to the left of the picture
        ([0, 0, 10], [0, 1, 0], [1, 0, 0]),  # clockwise: the crown goes to the right
    ],
)
def test_positive_angles_turn_as_documented(euler, point, moves):
    shift = (rotation(euler) - rotation([0, 0, 0])) @ point
    assert shift @ moves > 0.1


@given(degrees, degrees, degrees)
def test_rotation_is_one_turn_about_each_axis_in_turn(x, y, z):
    def turn(axis, angle):
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        matrix = np.eye(3)
        a, b = [(1, 2), (2, 0), (0, 1)][axis]
        matrix[[a, a, b, b], [a, b, a, b]] = c, -s, s, c
        return matrix

    np.testing.assert_allclose(rotation([x, y, z]), turn(2, z) @ turn(1, y) @ turn(0, x + 180), atol=1e-12)


def test_points_behind_the_camera_are_refused():
    with pytest.raises(ValueError, match='in front of the camera'):
        project(np.array([[0.0, 0, 1], [0, 0, -1]]), np.eye(3))
