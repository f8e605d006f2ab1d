"""Points land on the pixels where the official release puts them (reference values in test/golden)."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lsp_ros.geometry import (
    euler_axes,
    euler_to_quaternion,
    pose_from_rep103,
    pose_to_rep103,
    project,
    quaternion_product,
    quaternion_to_euler,
    rotation,
    rotation_about_x,
    rotation_to_euler,
    to_camera,
)

GOLDEN = Path(__file__).parent / 'golden'
degrees = st.floats(-180, 180)
angles = st.floats(-60, 60)
metres = st.floats(-0.2, 0.2)
FORWARD, LEFT, UP = np.eye(3)


def turn(axis, degrees) -> np.ndarray:
    return Rotation.from_rotvec(np.radians(degrees) * axis).as_quat()


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


@pytest.mark.parametrize('axis, degrees, euler', [
    (LEFT, 8, (8, 0, 0)),      # pitch, nose down: the chin goes down
    (UP, 8, (0, -8, 0)),       # to the person's left: the face turns to the right side of the picture
    (FORWARD, 8, (0, 0, -8)),  # left side up: counter-clockwise in the picture
])  # fmt: skip
def test_rep103_axes_mean_what_the_picture_shows(axis, degrees, euler):
    np.testing.assert_allclose(pose_from_rep103(turn(axis, degrees), np.zeros(3), 0.01)[0], euler, atol=1e-9)


def test_rep103_translation_is_metres_forward_left_up():
    _, translation = pose_from_rep103(np.array([0, 0, 0, 1]), np.array([0.03, 0.02, 0.01]), metres_per_unit=0.01)
    # The camera sees the person's left on its right, up against its y, and forward as nearer.
    np.testing.assert_allclose(translation, (2, -1, -3))


def test_identity_looks_straight_ahead_and_the_length_of_a_quaternion_does_not_matter():
    q = turn(np.array([0.6, 0, 0.8]), 20)
    np.testing.assert_allclose(pose_from_rep103(np.array([0, 0, 0, 1]), np.zeros(3), 1.0)[0], 0)
    np.testing.assert_allclose(pose_from_rep103(-0.3 * q, np.zeros(3), 1)[0], pose_from_rep103(q, np.zeros(3), 1)[0])


@given(st.tuples(angles, angles, angles), st.tuples(metres, metres, metres))
def test_conversion_there_and_back_gives_the_same_pose(euler, translation):
    rotation = Rotation.from_euler('ZYX', euler[::-1], degrees=True)
    assume(rotation.magnitude() < np.radians(84))
    there = pose_to_rep103(np.array(euler), np.array(translation) / 0.01, 0.01)
    back = pose_from_rep103(*there, 0.01)
    np.testing.assert_allclose(back[0], euler, atol=1e-6)
    np.testing.assert_allclose(back[1], np.array(translation) / 0.01, atol=1e-9)


@given(st.tuples(angles, angles, angles))
def test_euler_angles_are_those_of_the_camera_convention(euler):
    """R = Rz Ry Rx(ex + 180) maps head-frame points; the REP-103 rotation moves the same points, seen by a robot."""
    rotation = Rotation.from_euler('ZYX', (euler[2], euler[1], euler[0]), degrees=True)
    assume(rotation.magnitude() < np.radians(84))
    orientation, _ = pose_to_rep103(np.array(euler), np.zeros(3), 1.0)
    to_camera = Rotation.from_euler('ZYX', (euler[2], euler[1], euler[0] + 180), degrees=True).as_matrix()
    nose_rep, nose_head = Rotation.from_quat(orientation).apply(FORWARD), to_camera @ (0, 0, 1)
    # camera x right = robot left, camera y down = robot -up, camera z forward = robot -forward
    np.testing.assert_allclose(nose_head, (nose_rep[1], -nose_rep[2], -nose_rep[0]), atol=1e-9)


def test_a_turn_to_the_back_still_means_that_side():
    euler, _ = pose_from_rep103(turn(UP, 170), np.zeros(3), 1.0)
    np.testing.assert_allclose(euler, (0, -85, 0), atol=1e-9)


@given(st.tuples(angles, angles, angles), st.tuples(angles, angles, angles))
def test_rotations_are_those_of_scipy(one, other):
    first, second = (Rotation.from_euler('ZYX', euler[::-1], degrees=True) for euler in (one, other))
    quaternions = [euler_to_quaternion(np.array(euler)) for euler in (one, other)]
    np.testing.assert_allclose(
        rotation(one), (first * Rotation.from_euler('x', 180, degrees=True)).as_matrix(), atol=1e-12
    )
    np.testing.assert_allclose(quaternions[0], first.as_quat(canonical=True), atol=1e-12)
    np.testing.assert_allclose(quaternion_to_euler(quaternions[0]), one, atol=1e-5)
    np.testing.assert_allclose(
        Rotation.from_quat(quaternion_product(*quaternions)).as_matrix(), (first * second).as_matrix(), atol=1e-12
    )


@given(st.tuples(st.floats(-80, 80), st.floats(-80, 80), st.floats(-170, 170)))
def test_angles_are_those_of_the_rotation(euler):
    np.testing.assert_allclose(rotation_to_euler(rotation(np.array(euler))), euler, atol=1e-6)


@given(st.tuples(angles, angles, angles))
def test_as_an_angle_grows_points_turn_about_its_axis(euler):
    step = 1e-3
    for axis, change in zip(euler_axes(np.array(euler)), step * np.eye(3)):
        grown = rotation(euler + change / 2) - rotation(euler - change / 2)
        np.testing.assert_allclose(np.cross(axis, rotation(euler).T).T, grown / np.radians(step), atol=1e-8)


@given(angles)
def test_a_turn_about_x_is_that_of_scipy(degrees):
    turned = Rotation.from_euler('x', degrees, degrees=True).as_matrix()
    np.testing.assert_allclose(rotation_about_x(degrees), turned, atol=1e-15)
