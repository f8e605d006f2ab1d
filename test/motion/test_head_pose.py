"""The head pose: paper section 3.3, live and offline."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lsp_ros.avatar.architecture import HEAD_POSE, POSE_RECEPTIVE_FIELD
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.head_pose_live import HeadPoseSampler
from lsp_ros.motion.pose_limits import PoseLimits
from lsp_ros.openvino_graph import PRECISIONS

LIMITS = PoseLimits(np.array([-12.0, -15, -8, -1.5, -1, -2]), np.array([10.0, 15, 8, 1.5, 1, 3]))


@pytest.fixture(scope='module')
def network() -> HeadPoseNet:
    torch.manual_seed(4)
    network = HeadPoseNet()
    with torch.no_grad():
        network(torch.randn(2, 40, 12), torch.randn(2, 40, 1024))
    return network.eval()


def weights(network: HeadPoseNet) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}


def wild(network: HeadPoseNet) -> dict[str, np.ndarray]:
    """A network that wants far away, with much noise."""
    spoiled = weights(network)
    spoiled['end2.weight'] = spoiled['end2.weight'] * 300
    spoiled['end2.bias'] = np.linspace(-40, 40, 25, dtype=np.float32)
    spoiled['end2.bias'][13:] = -3
    return spoiled


def test_network_has_the_size_of_the_paper():
    assert sum(p.numel() for p in HeadPoseNet().parameters()) == 4_266_915


def test_live_form_reads_the_tensors_that_the_network_has():
    own = {name: tuple(t.shape) for name, t in HeadPoseNet().state_dict().items() if 'num_batches' not in name}
    assert own == HEAD_POSE


def test_output_depends_on_255_states_before_it_and_not_on_its_own(network):
    poses = torch.randn(1, POSE_RECEPTIVE_FIELD + 20, 12, requires_grad=True)
    mean, _ = network(poses, torch.randn(1, POSE_RECEPTIVE_FIELD + 20, 1024))
    at = POSE_RECEPTIVE_FIELD + 10
    mean[0, at].sum().backward()
    seen = np.flatnonzero(poses.grad[0].abs().sum(dim=1).numpy())
    assert (seen[0], seen[-1]) == (at - POSE_RECEPTIVE_FIELD, at - 1)


@pytest.mark.slow
def test_cached_steps_equal_the_recomputation_of_255_frames(network):
    """Section 3.3 live: what was said before a frame and the poses shown give the same distribution."""
    B, T, before = 2, 150, POSE_RECEPTIVE_FIELD - 1
    generator = np.random.default_rng(0)
    features = generator.normal(0, 1, (B, T, 1024)).astype(np.float32)
    noise = generator.normal(0, 1, (T, B, 12))
    sampler = HeadPoseSampler(weights(network))
    state = sampler.start(features[:, 0])
    poses = np.stack([sampler.sample(state, features[:, t], noise[t]) for t in range(T)], axis=1)
    # All at once, teacher-forced on these poses: a still head and the first frame's features come before.
    poses, features = torch.from_numpy(poses).float(), torch.from_numpy(features)
    with torch.inference_mode():
        mean, n = network(
            F.pad(poses, (0, 0, before, 0)), torch.cat([features[:, :1].expand(-1, before, -1), features], dim=1)
        )
    mean, n = mean[:, before:].numpy(), n[:, before:].numpy()
    expected = mean + noise.transpose(1, 0, 2) * np.exp(-n) * 0.3
    assert np.abs(poses.numpy() - expected).max() < 1e-5


@pytest.mark.slow
def test_streams_in_a_batch_do_not_touch_one_another(network):
    features = np.random.default_rng(1).normal(0, 1, (30, 3, 1024)).astype(np.float32)
    noise = np.random.default_rng(2).normal(0, 1, (30, 3, 12))
    sampler = HeadPoseSampler(weights(network), limits=LIMITS)

    def run(streams):
        state = sampler.start(features[0][streams])
        return [sampler.sample(state, f[streams], e[streams]) for f, e in zip(features, noise)]

    np.testing.assert_allclose(np.array(run([0, 1, 2]))[:, [1]], np.array(run([1])), atol=1e-5)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_motion(network):
    sampler = HeadPoseSampler(weights(network))
    silence = np.zeros((1, 1024), np.float32)

    def run(seed):
        state = sampler.start(silence, seed)
        return np.array([sampler.sample(state, silence) for _ in range(10)])

    np.testing.assert_array_equal(run(5), run(5))
    assert np.abs(run(5) - run(6)).max() > 1e-3


@pytest.mark.slow
def test_noise_scale_zero_gives_the_mean(network):
    sampler = HeadPoseSampler(weights(network), noise_scale=0)
    features = np.ones((1, 1024), np.float32)
    state, twin = sampler.start(features), sampler.start(features)
    np.testing.assert_allclose(sampler.sample(state, features), sampler.step(twin, features)[0], atol=1e-7)


@pytest.mark.slow
def test_an_adversarial_network_cannot_leave_the_trained_range(network):
    """32 streams x 10 s of arbitrary features: five minutes of a head that is told to leave."""
    sampler = HeadPoseSampler(wild(network), noise_scale=1.0, limits=LIMITS)
    generator = np.random.default_rng(3)
    state = sampler.start(np.zeros((32, 1024), np.float32))
    last, clamped = np.zeros((32, 6)), 0
    for _ in range(600):
        pose = sampler.sample(state, generator.normal(0, 3, (32, 1024)).astype(np.float32))
        assert np.isfinite(pose).all()
        assert (pose[:, :6] >= LIMITS.low).all() and (pose[:, :6] <= LIMITS.high).all()
        assert (np.abs(pose[:, :6] - last) <= LIMITS.speed + 1e-9).all()
        last = pose[:, :6]
        clamped += int(state.clamped.sum())
    assert clamped > 32


@pytest.mark.slow
@pytest.mark.parametrize('precision', PRECISIONS)
def test_numbers_that_are_not_finite_hold_the_last_pose_and_are_counted(network, precision):
    sampler = HeadPoseSampler(weights(network), limits=LIMITS, precision=precision)
    features = np.ones((2, 1024), np.float32)
    state = sampler.start(features)
    for _ in range(5):
        good = sampler.sample(state, features)
    state.rings[:, :, 1] = np.nan
    held = sampler.sample(state, features)
    np.testing.assert_array_equal(held[1, :6], good[1, :6])
    assert state.held == 1
    # Once its finite memory is over, the stream is well again.
    for _ in range(POSE_RECEPTIVE_FIELD):
        sampler.sample(state, features)
    count = state.held
    sampler.sample(state, features)
    assert state.held == count and count < POSE_RECEPTIVE_FIELD + 1
