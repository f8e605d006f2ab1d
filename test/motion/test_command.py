"""Head-pose commands: conversion, blending, clamping, hand-over in both directions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lsp_ros.motion.command import HeadPoseControl, check_command
from lsp_ros.motion.pose_limits import PoseLimits
from lsp_ros.signals import HeadPoseCommand, HeadSource, PoseMode

LIMITS = PoseLimits(np.array([-9.0, -15, -7, -4, -2, -3]), np.array([9.0, 15, 7, 4, 2, 3]))
FORWARD, LEFT, UP = np.eye(3)
metres = st.floats(-0.2, 0.2)


def turn(axis, degrees) -> np.ndarray:
    return Rotation.from_rotvec(np.radians(degrees) * axis).as_quat()


def command(mode=PoseMode.ABSOLUTE, orientation=(0, 0, 0, 1), translation=(0, 0, 0), transition=0.5, timeout=0.0):
    return HeadPoseCommand(mode, np.array(orientation, float), np.array(translation, float), transition, timeout)


@pytest.mark.parametrize('bad, word', [
    ({'orientation': (0, 0, 0, 0)}, 'zero quaternion'),
    ({'orientation': (0, np.nan, 0, 1)}, 'orientation'),
    ({'orientation': (0, 0, 1)}, 'orientation'),
    ({'translation': (np.inf, 0, 0)}, 'translation'),
    ({'translation': (0, 50, 0)}, 'translation'),
    ({'translation': (0, 0)}, 'translation'),
    ({'transition': -1}, 'transition'),
    ({'transition': np.nan}, 'transition'),
    ({'transition': 1e9}, 'transition'),
    ({'timeout': -0.1}, 'time-out'),
    ({'timeout': np.inf}, 'time-out'),
    ({'mode': 7}, 'mode'),
])  # fmt: skip
def test_a_senseless_command_is_refused_with_its_reason(bad, word):
    with pytest.raises(ValueError, match=word):
        check_command(command(**bad))


def test_autonomous_needs_no_pose():
    check_command(command(PoseMode.AUTONOMOUS, orientation=(0, 0, 0, 0), translation=(np.nan, 0, 0)))


def wander(frames) -> np.ndarray:
    """A head that moves by itself, well within its range."""
    t = np.arange(frames)[:, None] / 60
    return np.sin(t * (1.1, 1.7, 2.3, 0.7, 1.3, 0.9)) * LIMITS.high * 0.4


def run(commands, frames=400, own=None):
    """Commands {frame: command} -> shown poses, sources, clamped flags."""
    control = HeadPoseControl(LIMITS, 0.01)
    own = wander(frames) if own is None else own
    rows = []
    for frame in range(frames):
        for c in commands.get(frame, ()):
            control.command(c, frame)
        rows.append(control.step(frame, own[frame]))
    shown, source, clamped = zip(*rows)
    return np.array(shown), np.array(source), np.array(clamped)


def test_without_commands_the_avatar_moves_by_itself():
    shown, source, clamped = run({})
    np.testing.assert_allclose(shown, wander(400))
    assert (source == HeadSource.AUTONOMOUS).all() and not clamped.any()


def test_absolute_arrives_in_time_holds_and_returns():
    shown, source, clamped = run({100: [command(orientation=turn(UP, -10), transition=0.5, timeout=2.0)]})
    target = (0, 10, 0, 0, 0, 0)
    np.testing.assert_allclose(shown[130:220], np.tile(target, (90, 1)), atol=1e-6)
    np.testing.assert_allclose(shown[:101], wander(400)[:101])
    np.testing.assert_allclose(shown[250:], wander(400)[250:], atol=1e-9)
    assert source[99] == HeadSource.AUTONOMOUS and source[110] == source[225] == HeadSource.TRANSITION
    assert (source[130:220] == HeadSource.COMMAND).all() and source[250] == HeadSource.AUTONOMOUS
    assert not clamped.any()


def test_time_out_zero_holds_until_replaced():
    shown, source, _ = run({10: [command(orientation=turn(LEFT, 5))], 900: [command(PoseMode.AUTONOMOUS)]}, 1000)
    np.testing.assert_allclose(shown[60:901], np.tile((5, 0, 0, 0, 0, 0), (841, 1)), atol=1e-6)
    np.testing.assert_allclose(shown[940:], wander(1000)[940:], atol=1e-9)
    assert source[-1] == HeadSource.AUTONOMOUS


def test_renewing_a_command_postpones_its_time_out():
    again = command(orientation=turn(UP, 5), timeout=0.5, transition=0.2)
    shown, source, _ = run({frame: [again] for frame in range(50, 200, 20)})
    assert (source[80:215] != HeadSource.AUTONOMOUS).all()
    np.testing.assert_allclose(shown[110:200, 1], -5, atol=1e-6)
    assert source[260] == HeadSource.AUTONOMOUS


def test_offset_rides_on_the_avatars_own_motion():
    own = wander(400)
    shown, source, _ = run({50: [command(PoseMode.OFFSET, translation=(0, 0.01, 0), transition=0.5)]})
    np.testing.assert_allclose(shown[80:] - own[80:], np.tile((0, 0, 0, 1, 0, 0), (320, 1)), atol=1e-9)
    assert (source[80:] == HeadSource.COMMAND).all()


def test_offset_turns_about_the_heads_own_axes():
    own = np.tile((0.0, 15, 0, 0, 0, 0), (100, 1))
    shown, _, _ = run({0: [command(PoseMode.OFFSET, turn(LEFT, 8), transition=0.1)]}, 100, own)
    expected = Rotation.from_euler('ZYX', (0, 15, 0), degrees=True) * Rotation.from_euler('X', 8, degrees=True)
    np.testing.assert_allclose(shown[-1, :3][::-1], expected.as_euler('ZYX', degrees=True), atol=1e-6)


def test_a_pose_out_of_range_is_held_at_the_edge_and_says_so():
    shown, _, clamped = run({50: [command(orientation=turn(UP, 90), timeout=2)]})
    assert shown[120, 1] == LIMITS.low[1] and clamped[120]
    assert not clamped[:50].any() and not clamped[300:].any()


def test_a_command_for_a_later_frame_waits():
    control = HeadPoseControl(LIMITS, 0.01)
    control.command(command(orientation=turn(LEFT, 5), transition=0.1), frame=50)
    shown = np.array([control.step(frame, np.zeros(6))[0] for frame in range(80)])
    assert not shown[:51].any() and shown[-1, 0] == pytest.approx(5)


def test_a_refused_command_changes_nothing():
    control = HeadPoseControl(LIMITS, 0.01)
    control.command(command(orientation=turn(LEFT, 5), transition=0.1), frame=0)
    with pytest.raises(ValueError):
        control.command(command(orientation=(0, 0, 0, 0)), frame=0)
    shown = np.array([control.step(frame, np.zeros(6))[0] for frame in range(60)])
    assert shown[-1, 0] == pytest.approx(5)


commands = st.builds(
    lambda mode, axis, degrees, shift, transition, timeout: command(
        mode, turn(np.array(axis) / np.linalg.norm(axis), degrees), shift, transition, timeout
    ),
    st.sampled_from(PoseMode),
    st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (-1, 2, 0.5)]),
    st.floats(-180, 180),
    st.tuples(metres, metres, metres),
    st.sampled_from([0.0, 0.05, 0.3, 1.0, 3.0]),
    st.sampled_from([0.0, 0.02, 0.4, 2.0]),
)


@given(st.lists(st.tuples(st.integers(0, 300), commands), max_size=12))
@settings(max_examples=60, deadline=None)
def test_whatever_is_commanded_the_head_neither_jumps_nor_leaves_its_range(given_commands):
    schedule: dict[int, list] = {}
    for frame, c in given_commands:
        schedule.setdefault(frame, []).append(c)
    shown, _, _ = run(schedule)
    assert (shown >= LIMITS.low).all() and (shown <= LIMITS.high).all()
    assert (np.abs(np.diff(shown, axis=0)) <= 2 * LIMITS.speed + 1e-9).all()


@given(st.floats(-8, 8), st.floats(-5, 5), st.sampled_from([0.2, 0.5, 1.0]), st.sampled_from(list(PoseMode)[1:]))
@settings(max_examples=30, deadline=None)
def test_a_hand_over_starts_and_ends_without_a_jerk(yaw, pitch, transition, mode):
    """The speed changes by little from frame to frame: what a minimum-jerk move of that size and time needs."""
    q = (Rotation.from_rotvec(np.radians(yaw) * UP) * Rotation.from_rotvec(np.radians(pitch) * LEFT)).as_quat()
    shown, _, _ = run({60: [command(mode, q, transition=transition, timeout=2.0)]})
    change = np.abs(np.diff(shown, 2, axis=0)).max(axis=0)
    frames = transition * 60
    size = np.abs(np.diff(shown[[60, 100, 150, 180]], axis=0)).max(axis=0) + 10
    assert (change[:3] <= 6 * size[:3] / frames**2 + 0.06).all()


def test_sixty_commands_a_second_are_followed():
    """A tracker that streams poses: each command renews the plan and the head keeps up."""
    path = 8 * np.sin(np.arange(400) / 60)
    shown, _, _ = run({f: [command(orientation=turn(LEFT, path[f]), transition=0.2, timeout=0.5)] for f in range(399)})
    assert np.abs(shown[60:, 0] - path[60:]).max() < 1.5
    assert np.abs(np.diff(shown[60:, 0], 2)).max() < 0.05
