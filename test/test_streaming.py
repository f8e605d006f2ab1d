"""Stages, tracks and filters keep the one contract of ``lsp_ros/streaming.py``."""

import math
from dataclasses import replace

import numpy as np
import pytest
import streaming_conformance as conformance
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from streaming_conformance import Case

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.evaluation.head_variants import RecurrentSampler
from lsp_ros.motion.clip import whole_clip_stage
from lsp_ros.motion.filters import GaussianSmoother, LowPass, WholeClip
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.head_pose_live import HeadPoseSampler
from lsp_ros.motion.head_track import DrawnPoses
from lsp_ros.motion.mouth_live import MouthPredictor
from lsp_ros.motion.stage import MotionStage
from lsp_ros.openvino_graph import PRECISIONS
from lsp_ros.signals import HeadPoseCommand, PoseMode, SpeechFeatures
from lsp_ros.speech.apc_live import FeatureEncoder
from lsp_ros.speech.stage import SpeechStage

FRAMES = 50
SAMPLES = 9_731


@pytest.fixture(scope='module')
def avatar(tiny_avatar):
    loaded = Avatar.load(tiny_avatar, parts=('speech', 'motion'))
    return Avatar(loaded.path, replace(loaded.manifest, mouth=replace(loaded.manifest.mouth, smoothing=1.5)))


def speech() -> SpeechFeatures:
    """Frames 7 on: some silence, some speech, some silence."""
    active = np.zeros(FRAMES, bool)
    active[5:35] = True
    values = np.random.default_rng(0).normal(0, 0.5, (FRAMES, 2, 512)).astype(np.float32) * active[:, None, None]
    return SpeechFeatures(7, values, np.where(active, -20, -120).astype(np.float32), active)


def of_frames(stream) -> Case:
    features, ahead = speech(), stream.look_ahead
    total = FRAMES - getattr(stream, 'cut', 0)
    return Case(stream, lambda a, b: features[a:b], FRAMES, lambda n: int(max(0, n - ahead)), total)


def of_rows(stream, columns: int) -> Case:
    rows = np.random.default_rng(1).normal(size=(FRAMES, columns)).astype(np.float32)
    ahead = stream.look_ahead
    return Case(stream, lambda a, b: rows[a:b], FRAMES, lambda n: max(0, n - ahead), FRAMES)


def of_samples(stage: SpeechStage) -> Case:
    generator = np.random.default_rng(2)
    samples = (0.1 * generator.normal(size=SAMPLES) * (np.arange(SAMPLES) % 4000 < 2500)).astype(np.float32)

    def complete(n: int) -> int:
        return timeline.frames_in(max(0, n - stage.look_ahead))

    return Case(stage, lambda a, b: samples[a:b], SAMPLES, complete, timeline.frames_in(SAMPLES), tolerance=2e-4)


def heads(avatar) -> DrawnPoses:
    """Three heads that hear the same."""
    sampler = HeadPoseSampler(avatar.weights('head_pose'))
    return DrawnPoses(sampler, 15, LowPass(np.repeat([3.0, 8.0], 3)), np.ones(6), seed=4, streams=3)


CASES = {
    'speech stage': lambda avatar: of_samples(SpeechStage(avatar)),
    'motion stage': lambda avatar: of_frames(MotionStage(avatar, seed=3)),
    'motion stage, whole clip': lambda avatar: of_frames(whole_clip_stage(avatar, seed=3)),
    'mouth track': lambda avatar: of_frames(MotionStage(avatar).mouth),
    'head track': lambda avatar: of_frames(MotionStage(avatar, seed=3).head),
    'eye track': lambda avatar: of_frames(MotionStage(avatar, seed=3).eyes),
    'drawn poses': lambda avatar: of_rows(heads(avatar), 1024),
    'Gaussian smoother': lambda avatar: of_rows(GaussianSmoother(1.5), 4),
    'Gaussian smoother, sigma 0': lambda avatar: of_rows(GaussianSmoother(0.0), 4),
    'low-pass': lambda avatar: of_rows(LowPass(np.array([0.0, 2.0, 5.0])), 3),
    'whole clip': lambda avatar: of_frames(WholeClip(lambda block: block, cut=4)),
}


@pytest.fixture(scope='module', params=CASES)
def case(request, avatar):
    return CASES[request.param](avatar)


def test_every_output_waits_for_the_stated_look_ahead_and_not_longer(case):
    conformance.check_look_ahead(case, step=max(1, case.length // 97))


@pytest.mark.slow
@given(st.data())
@settings(max_examples=8)
def test_any_chunking_gives_what_one_push_gives(case, data):
    conformance.check_any_chunking(case, data.draw(st.lists(st.integers(0, case.length), max_size=8)))


@given(st.floats(0, 1))
@settings(max_examples=4)
def test_after_reset_it_is_as_new(case, share):
    conformance.check_reset(case, int(share * case.length))


@given(st.floats(0, 1))
@settings(max_examples=4)
def test_after_flush_it_is_as_new(case, share):
    conformance.check_flush(case, int(share * case.length))


@given(st.floats(0, 1))
@settings(max_examples=4)
def test_it_goes_on_from_a_snapshot(case, share):
    conformance.check_snapshot(case, int(share * case.length))


def test_a_command_after_the_snapshot_is_taken_back_with_the_rest(avatar):
    stage, features = MotionStage(avatar, seed=3), speech()
    expected = conformance.joined([stage.push(features), stage.flush()])
    before = stage.push(features[:30])
    assumed = stage.snapshot()
    stage.command(HeadPoseCommand(PoseMode.ABSOLUTE, np.array([0, 0, 0.1, 1]), np.zeros(3), 0.1, 0.0))
    stage.push(stage.silence(15))
    stage.restore(assumed)
    found = conformance.joined([before, stage.push(features[30:]), stage.flush()])
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=2e-5, err_msg=name)


def test_what_waits_for_the_whole_clip_says_so(avatar):
    assert math.isinf(whole_clip_stage(avatar).look_ahead)


def test_a_track_that_is_given_too_short_a_look_ahead_is_refused(avatar):
    stage = MotionStage(avatar)
    with pytest.raises(ValueError, match='15 are needed'):
        type(stage.head)(stage.head.drawn, None, None, None, 0.01, look_ahead=14)


def rows(columns: int) -> np.ndarray:
    """(12, 3, columns): what three streams hear."""
    return np.random.default_rng(5).normal(0, 0.5, (12, 3, columns)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize('precision', PRECISIONS)
def test_the_apc_says_of_each_stream_of_a_batch_what_it_says_alone(avatar, precision):
    encoder = FeatureEncoder(avatar.weights('apc'), precision)
    conformance.check_batch(
        lambda first: encoder.start(len(first)), lambda state, row: encoder.step(state, row[:, None])[:, 0], rows(80)
    )


@pytest.mark.slow
def test_the_apc_hears_any_number_of_rows_at_once(avatar):
    encoder = FeatureEncoder(avatar.weights('apc'))
    mel = rows(80).swapaxes(0, 1)
    whole, pieces = encoder.start(3), encoder.start(3)
    expected = encoder.step(whole, mel)
    found = [encoder.step(pieces, part) for part in np.split(mel, [1, 4, 4, 9], axis=1)]
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, atol=1e-6)
    np.testing.assert_allclose(pieces.hidden, whole.hidden, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('precision', PRECISIONS)
def test_the_mouth_says_of_each_stream_of_a_batch_what_it_says_alone(avatar, precision):
    weights = avatar.weights('mouth')
    mouth = MouthPredictor({**weights, 'decoder.6.weight': 10 * weights['decoder.6.weight']}, precision)
    conformance.check_batch(
        lambda first: mouth.start(len(first)), lambda state, row: mouth.step(state, row[:, None])[:, 0], rows(1024)
    )


@pytest.mark.parametrize('precision', PRECISIONS)
def test_the_head_says_of_each_stream_of_a_batch_what_it_says_alone(avatar, precision):
    head = HeadPoseSampler(avatar.weights('head_pose'), noise_scale=0, precision=precision)
    conformance.check_batch(head.start, head.sample, rows(1024))


def test_the_recurrent_head_says_of_each_stream_of_a_batch_what_it_says_alone():
    torch.manual_seed(0)
    head = RecurrentSampler(HeadPoseNet(recurrent=True), noise_scale=0)
    conformance.check_batch(head.start, head.sample, rows(1024))
