"""Stage 2 as a whole: streaming, silence, idling, commands, errors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_ros.avatar import landmarks
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.manifest import AvatarError, HeadPoseSettings, MouthSettings
from lsp_ros.motion.footage import Posture
from lsp_ros.motion.liveliness import SETTLE_FRAMES
from lsp_ros.motion.stage import MotionStage
from lsp_ros.signals import FaceMotion, HeadPoseCommand, HeadSource, PoseMode, SpeechFeatures

FIELDS = ('points', 'euler', 'translation', 'shoulders', 'speaking', 'source', 'clamped')
ALL_TIME = slice(None)


class LoadedAvatar:
    """An avatar whose files are read once, and whose manifest a test may change."""

    def __init__(self, avatar: 'Avatar | LoadedAvatar', **sections):
        self.path, self.camera, self.pose_range, self.face = avatar.path, avatar.camera, avatar.pose_range, avatar.face
        self.manifest = replace(avatar.manifest, **sections)
        self.networks = {name: avatar.weights(name) for name in ('mouth', 'head_pose')}
        # Random weights hardly move a mouth: give it something to say.
        self.networks['mouth']['decoder.6.bias'] = np.linspace(-0.5, 0.5, 75, dtype=np.float32)

    def weights(self, name):
        return self.networks[name]


@pytest.fixture(scope='module')
def avatar(tiny_avatar) -> LoadedAvatar:
    return LoadedAvatar(Avatar.load(tiny_avatar, parts=('motion',)))


def speech(frames: int, first: int = 0, active=ALL_TIME, seed: int = 0) -> SpeechFeatures:
    generator = np.random.default_rng(seed)
    spoken = np.zeros(frames, bool)
    spoken[active] = True
    values = generator.normal(0, 0.5, (frames, 2, 512)).astype(np.float32) * spoken[:, None, None]
    return SpeechFeatures(first, values, np.where(spoken, -20, -120).astype(np.float32), spoken)


def cut(features: SpeechFeatures, begin: int, end: int) -> SpeechFeatures:
    return SpeechFeatures(
        features.first_frame + begin, *(getattr(features, name)[begin:end] for name in ('values', 'level_db', 'active'))
    )


def join(blocks) -> FaceMotion:
    blocks = [block for block in blocks if block is not None]
    for before, after in zip(blocks, blocks[1:]):
        assert after.first_frame == before.first_frame + len(before)
    return FaceMotion(
        blocks[0].first_frame, *(np.concatenate([getattr(block, name) for block in blocks]) for name in FIELDS)
    )


def whole(stage: MotionStage, features: SpeechFeatures) -> FaceMotion:
    return join([stage.push(features), stage.flush()])


def assert_same(a: FaceMotion, b: FaceMotion) -> None:
    assert a.first_frame == b.first_frame
    for name in FIELDS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=2e-5, err_msg=name)


def command(mode=PoseMode.ABSOLUTE, yaw=0.0, **settings) -> HeadPoseCommand:
    half = np.radians(yaw) / 2
    return HeadPoseCommand(mode, np.array([0, 0, np.sin(half), np.cos(half)]), np.zeros(3), **settings)


def test_every_frame_that_came_in_goes_out(avatar):
    for frames in (1, 17, 100):
        motion = whole(MotionStage(avatar), speech(frames, first=7))
        assert (motion.first_frame, len(motion)) == (7, frames)
        shapes = {name: getattr(motion, name).shape[1:] for name in FIELDS}
        assert shapes['points'] == (73, 3) and shapes['shoulders'] == (18, 3)
        assert shapes['euler'] == shapes['translation'] == (3,)
        assert motion.points.dtype == np.float32 and motion.source.dtype == np.uint8


def test_a_frame_waits_for_the_stated_look_ahead_and_not_longer(avatar):
    stage = MotionStage(avatar)
    assert stage.look_ahead == 18
    features = speech(60)
    for frame in range(60):
        motion = stage.push(cut(features, frame, frame + 1))
        assert (motion is None) == (frame < 18)
        assert motion is None or (motion.first_frame, len(motion)) == (frame - 18, 1)


@pytest.mark.slow
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.sampled_from([0.0, 1.5]))
@settings(max_examples=8, deadline=None)
def test_any_chunking_gives_the_same_motion(avatar, chunks, smoothing):
    avatar = LoadedAvatar(avatar, mouth=replace(avatar.manifest.mouth, smoothing=smoothing))
    features = speech(sum(chunks), active=slice(5, 30))
    stage = MotionStage(avatar, seed=3)
    ends = np.cumsum(chunks)
    pieces = [stage.push(cut(features, end - n, end)) for n, end in zip(chunks, ends)]
    assert_same(join([*pieces, stage.flush()]), whole(MotionStage(avatar, seed=3), features))


def test_reset_and_flush_leave_a_new_stage(avatar):
    features = speech(50)
    expected = whole(MotionStage(avatar, seed=2), features)
    stage = MotionStage(avatar, seed=2)
    stage.push(speech(77, first=500, seed=9))
    stage.command(command(yaw=10))
    stage.reset()
    assert stage.flush() is None
    for _ in range(2):
        assert_same(whole(stage, features), expected)


def test_seeds_make_different_motion(avatar):
    one, two = (whole(MotionStage(avatar, seed=seed), speech(120)) for seed in (1, 2))
    assert np.abs(one.euler - two.euler).max() > 1e-3
    assert np.abs(one.points[:, landmarks.EYES] - two.points[:, landmarks.EYES]).max() > 0.01


def mouth(motion: FaceMotion) -> np.ndarray:
    return motion.points[:, landmarks.MOUTH_OUTPUT]


def test_mouth_is_exactly_at_rest_150_ms_after_speech(avatar):
    motion = whole(MotionStage(avatar), speech(160, active=slice(40, 90)))
    rest = (avatar.face.mouth_mean[landmarks.MOUTH_OUTPUT] + avatar.face.mouth_rest).astype(np.float32)
    moved = np.abs(mouth(motion) - rest).max(axis=(1, 2))
    assert (moved[89 + 9 :] == 0).all() and (moved[: 40 - 7] == 0).all()
    assert (moved[40:90] > 0.01).all()
    assert motion.speaking.tolist() == [40 <= t < 90 for t in range(160)]


def test_jaw_line_stays_at_the_mean_where_the_manifest_says_so(avatar):
    still = LoadedAvatar(avatar, mouth=replace(avatar.manifest.mouth, contour=False))
    jaw = landmarks.MOUTH_OUTPUT[:7]
    assert np.abs(whole(MotionStage(avatar), speech(30)).points[:, jaw] - avatar.face.mean_points[jaw]).max() > 0.01
    motion = whole(MotionStage(still), speech(30))
    np.testing.assert_array_equal(motion.points[:, jaw], np.tile(avatar.face.mean_points[jaw], (30, 1, 1)))
    assert np.abs(mouth(motion)[:, 7:] - avatar.face.mouth_mean[landmarks.MOUTH]).max() > 0.01


def test_amplitude_multiplies_lips_only(avatar):
    twice = LoadedAvatar(avatar, mouth=MouthSettings(look_ahead=18, amplitude=(2.0, 0.0, 1.0), smoothing=0.0))
    base = avatar.face.mean_points[landmarks.MOUTH_OUTPUT]
    plain, scaled = (mouth(whole(MotionStage(a), speech(30))) - base for a in (avatar, twice))
    np.testing.assert_allclose(scaled[:, :7], plain[:, :7], atol=1e-6)
    np.testing.assert_allclose(scaled[:, 7:, 0], 2 * plain[:, 7:, 0], atol=1e-5)
    np.testing.assert_allclose(scaled[:, 7:, 1], 0, atol=1e-6)


def test_nose_and_upper_contour_stay_at_the_mean(avatar):
    still = np.concatenate([landmarks.CONTOUR[:4], landmarks.CONTOUR[11:], landmarks.NOSE])
    motion = whole(MotionStage(avatar), speech(40))
    np.testing.assert_array_equal(motion.points[:, still], np.tile(avatar.face.mean_points[still], (40, 1, 1)))


def test_shoulders_follow_half_of_the_heads_translation(avatar):
    motion = whole(MotionStage(avatar), speech(120))
    moved = motion.translation - avatar.face.shoulder_translation
    assert np.abs(moved).max() > 0.01
    np.testing.assert_allclose(motion.shoulders - avatar.face.shoulders, 0.5 * moved[:, None].repeat(18, 1), atol=1e-4)


def test_idle_amplitude_zero_is_perfectly_still_in_silence(avatar):
    motion = whole(MotionStage(avatar, idle_amplitude=0.0), speech(400, active=slice(0, 100)))
    settled = 100 + 9 + SETTLE_FRAMES
    for name in ('points', 'euler', 'translation', 'shoulders'):
        values = getattr(motion, name)[settled:]
        assert (values == values[0]).all(), name
    assert np.abs(np.diff(motion.euler[:90], axis=0)).max() > 0


def test_idle_amplitude_scales_idle_motion_and_leaves_speech_alone(avatar):
    features = speech(600, active=slice(0, 200))
    quiet, lively = (whole(MotionStage(avatar, idle_amplitude=a), features) for a in (0.5, 1.0))
    spoken, idle = slice(SETTLE_FRAMES, 200), slice(209 + SETTLE_FRAMES, 600)
    np.testing.assert_allclose(quiet.euler[spoken], lively.euler[spoken], atol=1e-5)
    np.testing.assert_allclose(quiet.euler[idle], 0.5 * lively.euler[idle], atol=1e-5)
    np.testing.assert_array_equal(quiet.points[idle][:, landmarks.EYES], lively.points[idle][:, landmarks.EYES])
    assert np.abs(np.diff(quiet.euler, axis=0)).max() < 2 * np.abs(np.diff(lively.euler, axis=0)).max() + 0.05


@pytest.mark.slow
def test_the_head_also_goes_where_the_person_slowly_went(avatar):
    features, posture = speech(900), Posture(avatar.face.posture)
    for seed in (0, 3):
        moved, still = (whole(MotionStage(a, seed=seed), features) for a in (avatar, without_posture(avatar)))
        slow = moved.euler - still.euler
        begin = next(b for b in range(posture.frames) if np.abs(slow[0] - posture.at(b)[:3]).max() < 1e-3)
        np.testing.assert_allclose(slow, [posture.at(begin + t)[:3] for t in range(900)], atol=1e-3)
        assert (begin > 0) == (seed > 0)


@pytest.mark.parametrize('amplitude', [-0.1, np.nan, np.inf])
def test_a_senseless_idle_amplitude_is_refused(avatar, amplitude):
    with pytest.raises(ValueError, match='idle amplitude'):
        MotionStage(avatar, idle_amplitude=amplitude)


def test_a_command_is_shown_and_returns_without_a_jump(avatar):
    stage = MotionStage(avatar, seed=1)
    stage.command(command(yaw=-10, transition=0.5, timeout=2.0), frame=60)
    motion = whole(stage, speech(300))
    np.testing.assert_allclose(motion.euler[90:180], np.tile((0, 10, 0), (90, 1)), atol=1e-3)
    assert motion.source[30] == HeadSource.AUTONOMOUS and motion.source[100] == HeadSource.COMMAND
    assert motion.source[185] == HeadSource.TRANSITION and motion.source[-1] == HeadSource.AUTONOMOUS
    assert np.abs(np.diff(motion.euler, axis=0)).max() < 1.875 * 10 / 30 + 0.3


def without_posture(avatar) -> LoadedAvatar:
    still = LoadedAvatar(avatar)
    still.networks, still.face = avatar.networks, replace(avatar.face, posture=None)
    return still


def echo(avatar) -> LoadedAvatar:
    """An avatar whose head-pose network only repeats the pose it saw last, and all else holds still: it stays where it
    is put."""
    echo = without_posture(LoadedAvatar(avatar, head_pose=HeadPoseSettings(15, 0.0, (1.0, 1.0), (0.0, 0.0))))
    w = echo.networks['head_pose']
    for name, tensor in w.items():
        if not name.startswith('encoder'):
            w[name] = np.zeros_like(tensor)
    one, small = np.eye(12), 1e-3
    # A leaky ReLU loses nothing of a pair (x, -x), a gate is open at a large bias, tanh of little is linear.
    pair, join = np.concatenate([one, -one]), np.concatenate([one, -one], axis=1) / 1.2
    w['start1.weight'][:24, :, 0] = pair
    w['start2.weight'][:24, :24, 0] = pair @ join
    w['layers.0.filter.weight'][:12, :24, 1] = small * join
    w['layers.0.gate.bias'][:] = 30
    w['layers.0.skip.weight'][:24, :12, 0] = pair / small
    w['end1.weight'][:24, :24, 0] = pair @ join
    w['end2.weight'][1:13, :24, 0] = join
    return echo


def test_the_head_goes_on_from_where_it_was_put(avatar):
    """What is shown is fed back: a network that repeats what it saw stays there when it gets the head back.

    In f32: a network that only repeats adds up what int8 rounds, which none that was trained does.
    """
    stage = MotionStage(echo(avatar), precision='f32')
    stage.command(command(yaw=-10, transition=0.3, timeout=1.0), frame=30)
    motion = whole(stage, speech(200))
    assert motion.source[29] == motion.source[-1] == HeadSource.AUTONOMOUS
    np.testing.assert_allclose(motion.euler[:30], 0, atol=1e-6)
    np.testing.assert_allclose(motion.euler[60:, 1], 10, atol=0.1)


def test_an_offset_does_not_pile_up(avatar):
    stage = MotionStage(echo(avatar))
    stage.command(command(PoseMode.OFFSET, yaw=-5, transition=0.3, timeout=2.0), frame=30)
    motion = whole(stage, speech(250))
    np.testing.assert_allclose(motion.euler[60:150, 1], 5, atol=0.01)
    np.testing.assert_allclose(motion.euler[180:], 0, atol=0.01)


def test_poses_out_of_range_are_clamped_and_marked(avatar):
    stage = MotionStage(avatar)
    stage.command(command(yaw=60, timeout=0.0))
    motion = whole(stage, speech(120))
    assert motion.clamped[-1] and motion.euler[-1, 1] == avatar.pose_range.euler_min[1]


def test_a_bad_command_is_refused_and_the_running_one_stays(avatar):
    stage = MotionStage(avatar)
    stage.command(command(yaw=-10, transition=0.1, timeout=0.0))
    with pytest.raises(ValueError, match='zero quaternion'):
        stage.command(HeadPoseCommand(PoseMode.ABSOLUTE, np.zeros(4), np.zeros(3)))
    assert whole(stage, speech(60)).euler[-1, 1] == pytest.approx(10, abs=1e-3)


def test_silence_of_another_stream_is_forgotten(avatar):
    stage = MotionStage(avatar)
    hum = SpeechFeatures(0, np.full((3, 2, 512), 0.3, np.float32), np.full(3, -60, np.float32), np.zeros(3, bool))
    stage.push(hum)
    np.testing.assert_array_equal(stage.silence(1).values[0], hum.values[-1])
    stage.reset()
    assert not stage.silence(2).values.any()
    stage.push(hum)
    stage.flush()
    assert not stage.silence(2).values.any()


def test_silence_continues_the_timeline(avatar):
    stage = MotionStage(avatar)
    stage.push(speech(30, first=100, active=slice(0, 20)))
    quiet = stage.silence(10)
    assert (quiet.first_frame, len(quiet), quiet.active.any()) == (130, 10, False)
    np.testing.assert_array_equal(quiet.values, np.tile(speech(30, active=slice(0, 20)).values[-1], (10, 1, 1)))
    motion = stage.push(quiet)
    assert motion.first_frame == 112 and len(motion) == 10
    assert stage.next_frame == 140


def bad_blocks():
    good = speech(5, first=20)
    late = replace(good, first_frame=21)
    nan = replace(good, values=np.where(np.arange(5)[:, None, None] == 3, np.nan, good.values))
    return [
        (late, 'frame 21, frame 20 is next'),
        (replace(good, first_frame=19), 'frame 19'),
        (nan, 'frame 23 are not finite'),
        (replace(good, values=good.values * np.float32(1e30)), 'frame 20 are not finite or above'),
        (replace(good, values=good.values[:, :1]), r'shape \(5, 1, 512\)'),
        (replace(good, active=good.active[:4]), 'activity'),
    ]


@pytest.mark.parametrize('block, words', bad_blocks())
def test_bad_features_are_refused_and_nothing_is_lost(avatar, block, words):
    stage = MotionStage(avatar)
    first = stage.push(speech(20))
    with pytest.raises(ValueError, match=words):
        stage.push(block)
    assert_same(
        join([first, stage.push(speech(5, first=20)), stage.flush()]),
        join([(twin := MotionStage(avatar)).push(speech(20)), twin.push(speech(5, first=20)), twin.flush()]),
    )


def test_weights_of_another_network_are_named(avatar):
    broken = LoadedAvatar(avatar)
    del broken.networks['head_pose']['layers.3.gate.bias']
    with pytest.raises(AvatarError, match='layers.3.gate.bias'):
        MotionStage(broken)
