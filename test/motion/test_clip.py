"""A clip with all of it at hand: the same networks and rules as live, smoothed both ways."""

from dataclasses import replace

import numpy as np
import pytest

from lsp_ros.avatar.landmarks import LOWER_LIP_INNER, LOWER_LIP_OUTER, UPPER_LIP_INNER, UPPER_LIP_OUTER, lip_gap
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.manifest import PoseRange
from lsp_ros.motion.clip import smooth, whole_clip_form, whole_clip_stage
from lsp_ros.motion.lips import join_lips, part_lips
from lsp_ros.motion.stage import MotionStage
from lsp_ros.signals import FaceMotion, HeadPoseCommand, PoseMode, SpeechFeatures

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def avatar(tiny_avatar) -> Avatar:
    return Avatar.load(tiny_avatar, parts=('motion',))


def speech(frames: int) -> SpeechFeatures:
    values = np.random.default_rng(0).normal(0, 0.5, (frames, 2, 512)).astype(np.float32)
    return SpeechFeatures(0, values, np.full(frames, -20, np.float32), np.ones(frames, bool))


def whole(stage, *blocks: SpeechFeatures) -> FaceMotion | None:
    return FaceMotion.join([*map(stage.push, blocks), stage.flush()])


def test_any_chunking_gives_the_same_motion_at_the_end(avatar):
    features, stage = speech(60), whole_clip_stage(avatar, seed=2)
    once = whole(stage, features)
    assert (once.first_frame, len(once)) == (0, 60 - stage.cut)
    assert stage.push(features[:7]) is None
    again = whole(stage, features[7:50], features[50:])
    for name in FaceMotion.columns():
        np.testing.assert_allclose(getattr(again, name), getattr(once, name), atol=2e-5)


def test_without_smoothing_and_bounds_it_is_the_live_motion(avatar):
    """As long as no lips cross, which they do not here."""
    limits = PoseRange(*np.tile(np.float64([[-1e6], [1e6]]), (2, 3)))
    manifest = replace(
        avatar.manifest, pose_range=limits, head_pose=replace(avatar.manifest.head_pose, smoothing=(0.0, 0.0))
    )
    still = Avatar(avatar.path, manifest)
    offline, live = (
        whole(stage, speech(60)) for stage in (whole_clip_stage(still), MotionStage(still, precision='f32'))
    )
    assert not live.clamped.any()
    np.testing.assert_allclose(offline.points, live.points[: len(offline)], atol=1e-6)
    np.testing.assert_allclose(offline.euler, live.euler[: len(offline)], atol=1e-6)
    np.testing.assert_allclose(offline.shoulders, live.shoulders[: len(offline)], atol=1e-4)


def test_a_clip_shorter_than_the_look_ahead_gives_nothing(avatar):
    stage = whole_clip_stage(avatar)
    assert whole(stage, speech(stage.cut)) is None
    assert len(whole(stage, speech(stage.cut + 1))) == 1
    assert stage.flush() is None


def test_commands_are_refused(avatar):
    with pytest.raises(ValueError, match='live motion'):
        whole_clip_stage(avatar).command(HeadPoseCommand(PoseMode.AUTONOMOUS, np.zeros(4), np.zeros(3)))


def test_smoothing_comes_neither_early_nor_late():
    pulse = np.zeros((101, 2))
    pulse[50] = 1
    smoothed = smooth(pulse, 5)
    np.testing.assert_allclose(smoothed, smoothed[::-1], atol=1e-12)
    assert smoothed.sum(axis=0) == pytest.approx(1) and smoothed[50].max() == smoothed.max() < 0.1


def test_a_mouth_that_does_not_rest_says_what_the_network_says_in_silence(avatar):
    features = speech(40)
    silent = replace(features, active=np.zeros(40, bool))
    talkative = Avatar(avatar.path, replace(avatar.manifest, mouth=replace(avatar.manifest.mouth, rests=False)))
    np.testing.assert_array_equal(
        whole(MotionStage(talkative), silent).points, whole(MotionStage(talkative), features).points
    )
    assert not np.array_equal(whole(MotionStage(avatar), silent).points, whole(MotionStage(avatar), features).points)


def test_soft_lips_close_in_a_film_as_they_do_live(avatar):
    """The face's lips are nearly 0.4 apart: a seal of that much closes them, none leaves them where they are."""

    def film(seal: float) -> FaceMotion:
        mouth = replace(avatar.manifest.mouth, seal=seal)
        return whole(whole_clip_stage(Avatar(avatar.path, replace(avatar.manifest, mouth=mouth))), speech(40))

    plain, soft = film(0.0), film(0.4)
    assert lip_gap(plain.points).min() > 0.2
    lips = np.concatenate([UPPER_LIP_INNER, LOWER_LIP_INNER, UPPER_LIP_OUTER, LOWER_LIP_OUTER])
    np.testing.assert_allclose(soft.points, join_lips(plain.points, 0.4), atol=1e-6)
    assert (lip_gap(soft.points) < lip_gap(plain.points) - 0.1).all()
    others = np.setdiff1d(np.arange(73), lips)
    np.testing.assert_array_equal(soft.points[:, others], plain.points[:, others])
    # A film without soft lips is what the authors' program makes of what the networks said.
    said = MotionStage(avatar, precision='f32', form=lambda avatar: replace(whole_clip_form(avatar), finish=None))
    raw = whole(said, speech(40)).points[: len(plain)].astype(np.float64)
    np.testing.assert_allclose(plain.points, part_lips(raw), atol=1e-6)
