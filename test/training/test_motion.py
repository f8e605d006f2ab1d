"""Training of mouth and head pose: what is compared with what, carried state, resuming."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from synthetic_dataset import write_synthetic

from lsp_ros.avatar.architecture import POSE_RECEPTIVE_FIELD
from lsp_ros.avatar.landmarks import LOWER_LIP_INNER, MOUTH_OUTPUT, UPPER_LIP_INNER, lip_gap
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.speech.apc import APC
from lsp_ros.speech.manifold import Manifold
from lsp_ros.training.dataset import DatasetError, load_dataset
from lsp_ros.training.features import FRAME_FEATURES, Listener, hear_elsewhere
from lsp_ros.training.head_pose import (
    Draw,
    HeadPoseData,
    HeadPoseTraining,
    HeadPoseTrainingConfig,
    PoseWindows,
    mean_translation,
    pose_states,
    smallest_sigma,
    train_head_pose,
)
from lsp_ros.training.losses import SMALLEST_SIGMA, head_pose_nll
from lsp_ros.training.mouth import MouthData, MouthStreams, MouthTraining, MouthTrainingConfig, lip_gaps, train_mouth


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp('data') / 'nobody', seconds=32.0)


@pytest.fixture(scope='module')
def listener(tmp_path_factory):
    """Shared, so that each recording is heard once for all tests."""
    torch.manual_seed(0)
    rows = np.random.default_rng(0).normal(0, 0.1, (32, 512)).astype(np.float32)
    return Listener(APC().eval(), Manifold(rows), tmp_path_factory.mktemp('features'))


@pytest.fixture(scope='module')
def mouth(folder, listener, tmp_path_factory):
    """A mouth that has learned from the folder: its configuration, its run folder and its weights."""
    config = MouthTrainingConfig(epochs=1, batch=2, sequence=60, hearings=2, accelerator='cpu')
    run = tmp_path_factory.mktemp('mouth')
    return config, run, train_mouth([folder], run, listener, config)


def test_lip_gaps_are_those_of_the_landmark_scheme():
    displacement = torch.zeros(2, 25, 3)
    points = np.zeros((2, 73, 3))
    for row, (index, height) in enumerate(zip((*UPPER_LIP_INNER, *LOWER_LIP_INNER), (1, 2, 3, 0.5, 0.5, 0.5))):
        displacement[:, list(MOUTH_OUTPUT).index(index), 1] = height
        points[:, index, 1] = height
        assert row < 6
    np.testing.assert_allclose(lip_gaps(displacement.flatten(1)).mean(-1).numpy(), lip_gap(points))


def test_the_mouth_of_a_frame_is_said_a_look_ahead_later():
    d, sequence = 3, 20
    config = MouthTrainingConfig(look_ahead=d, sequence=sequence)
    time = np.arange(60, dtype=np.float32)
    heard = {'raw': np.repeat(time[:, None], 8, axis=1)}
    truth = np.repeat(time[:, None], 75, axis=1)
    known = np.ones(60, bool)
    known[20:25] = False
    streams = MouthStreams([(heard, truth, known)], config, batch=1, shuffle=False)
    assert len(streams) == 3
    features, targets, known = (torch.cat([streams[k][part] for k in range(3)], dim=1) for part in range(3))
    seen = [False] * d + [True] * 20 + [False] * 5 + [True] * (35 - d)  # unknown frames are as late as the truth
    assert known[0].tolist() == seen
    torch.testing.assert_close(targets[0, d:, 0], features[0, d:, 0] - d)


def test_sequences_follow_one_another_in_every_stream():
    config = MouthTrainingConfig(look_ahead=0, sequence=10)
    runs = [
        (
            {'raw': np.full((40, 4), k, np.float32) + np.arange(40)[:, None] / 100},
            np.zeros((40, 75), np.float32),
            np.ones(40, bool),
        )
        for k in range(3)
    ]
    streams = MouthStreams(runs, config, batch=2, shuffle=False)
    first = torch.cat([streams[k][0] for k in range(len(streams))], dim=1)[:, :, 0]
    assert first.shape == (2, 60)
    steps = first.diff(dim=1)
    assert ((steps > 0) & (steps < 1.0)).all()


def test_every_epoch_is_laid_anew_but_the_same_when_repeated():
    config = MouthTrainingConfig(look_ahead=0, sequence=10)
    still, known = np.zeros((25, 75), np.float32), np.ones(25, bool)
    runs = [({'raw': np.full((25, 4), k, np.float32)}, still, known) for k in range(8)]
    streams = MouthStreams(runs, config, batch=2, shuffle=True)

    def laid(epoch):
        streams.lay(epoch)
        return streams.features.clone()

    assert torch.equal(laid(1), laid(1))
    assert not torch.equal(laid(1), laid(2))


def test_devices_share_the_streams_among_them():
    config = MouthTrainingConfig(look_ahead=2, sequence=10)
    rng = np.random.default_rng(0)
    known = np.ones(45, bool)
    runs = [({'raw': rng.random((45, 4), np.float32)}, rng.random((45, 75)), known) for _ in range(8)]
    whole = MouthStreams(runs, config, 6, True)
    parts = [MouthStreams(runs, config, 2, True, (device, 3)) for device in range(3)]
    for name in ('features', 'truth', 'known'):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


@pytest.mark.parametrize(('share', 'heard'), [(0.0, 0.0), (0.7, 1.0), (1.0, 1.0)])
def test_mouth_and_head_are_validated_with_what_they_learn_from(share, heard):
    """0 for what hears raw features, 1 for projected ones."""
    features = {'raw': np.zeros((600, 4), np.float32), 'projected': np.ones((600, 4), np.float32)}
    config = MouthTrainingConfig(look_ahead=0, sequence=10, projected_share=share)
    run = (features, np.zeros((600, 75), np.float32), np.ones(600, bool))
    assert MouthStreams([run], config, 2, False).features.mean() == heard
    head = HeadPoseTrainingConfig(sequence=10, projected_share=share)
    windows = PoseWindows([(np.zeros((600, 12), np.float32), [features])], head, 50, False)
    assert {windows[k][1].mean().item() for k in range(len(windows))} == {heard}


@pytest.mark.slow
def test_the_largest_opening_is_that_of_the_frames_that_are_learned_from(tmp_path, listener):
    """Half of this footage opens its mouth by 50 units and may not be learned from."""
    split = {'validation': [[960, 1200]], 'held_out': [[1200, 1500]], 'unknown': [[1500, 1920]]}
    folder = write_synthetic(tmp_path / 'nobody', seconds=32.0, split=split)
    dataset = load_dataset(folder)
    expected = np.quantile(lip_gap(dataset.points[:960]), 0.999)
    dataset.points[960:, UPPER_LIP_INNER, 1] += 50
    config = MouthTrainingConfig(batch=2, sequence=60, hearings=1)
    data = MouthData([dataset], dataset.mean_points(), listener, config)
    data.setup()
    assert data.opening == pytest.approx(expected)


def test_too_little_speech_is_refused():
    runs = [({'raw': np.zeros((25, 4), np.float32)}, np.zeros((25, 75), np.float32), np.ones(25, bool))]
    with pytest.raises(ValueError, match='too few for 4 streams'):
        MouthStreams(runs, MouthTrainingConfig(), batch=4, shuffle=False)


def test_training_steps_lower_the_mouth_loss_on_their_batch():
    torch.manual_seed(0)
    training = MouthTraining(MouthTrainingConfig(look_ahead=0)).train()
    optimizer = torch.optim.Adam(training.parameters(), 1e-3)
    batch = torch.randn(2, 30, FRAME_FEATURES), torch.randn(2, 30, 75), torch.ones(2, 30, dtype=torch.bool)
    losses = []
    for _ in range(8):
        points, lips, _ = training.losses(*batch, None)
        losses.append(float(points))
        optimizer.zero_grad()
        (points + lips).backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]


def test_closed_lips_that_stand_open_count_more():
    config = MouthTrainingConfig(closed_weight=4.0, closed_share=0.05)
    training = MouthTraining(config)
    training.mean_gaps.fill_(0.5)
    training.opening.fill_(2.0)

    def lips(gap: float, true: float) -> float:
        made = []
        for height in (gap, true):
            displacement = torch.zeros(1, 25, 3)
            displacement[:, [list(MOUTH_OUTPUT).index(k) for k in UPPER_LIP_INNER], 1] = height - 0.5
            made.append(displacement.flatten(1))
        return training.lip_loss(*made).item()

    assert lips(0.1, 0.0) == pytest.approx(5 * 0.01, rel=1e-4)  # too wide a closure
    assert lips(-0.1, 0.0) == pytest.approx(0.01, rel=1e-4)  # pressed: no harm done
    assert lips(1.1, 1.0) == pytest.approx(0.01, rel=1e-4)  # open lips: the plain error


def test_frames_that_are_not_known_do_not_teach():
    torch.manual_seed(0)
    training = MouthTraining(MouthTrainingConfig()).eval()
    features, truth = torch.randn(1, 10, FRAME_FEATURES), torch.randn(1, 10, 75)
    known = torch.arange(10)[None] >= 4
    with torch.no_grad():
        loss = training.losses(features, truth, known, None)[:2]
        truth[:, :4] = 1e6
        assert training.losses(features, truth, known, None)[:2] == loss
        assert training.losses(features, truth, torch.zeros_like(known), None)[:2] == (0, 0)


@pytest.mark.slow
def test_the_mouth_learns_from_a_folder_and_goes_on(folder, listener, mouth):
    config, run, weights = mouth
    assert sum(w.numel() for name, w in weights.items() if 'running' not in name and 'num_' not in name) == 3_064_395
    again = train_mouth([folder], run, listener, config)
    assert all(torch.equal(again[name], weights[name]) for name in weights)


@pytest.mark.slow
def test_a_mouth_begins_with_another_ones_weights_and_keeps_their_average(folder, listener, mouth, tmp_path):
    config, _, first = mouth
    save_file({name: tensor.contiguous() for name, tensor in first.items()}, tmp_path / 'mouth.safetensors')
    still = replace(config, start=str(tmp_path / 'mouth.safetensors'), lr=0.0, lr_end=0.0, average_decay=0.5)
    weights = train_mouth([folder], tmp_path / 'second', listener, still)
    for name, _ in MouthNet().named_parameters():
        torch.testing.assert_close(weights[name], first[name])


def test_a_mouth_does_not_begin_with_something_else(tmp_path):
    nothing, other = tmp_path / 'nothing.safetensors', tmp_path / 'other.safetensors'
    nothing.write_bytes(b'none')
    save_file({'encoder.0.weight': torch.zeros(512, 3)}, other)
    absent = tmp_path / 'absent'
    for file, said in ((nothing, 'cannot be read'), (absent, 'cannot be read'), (other, 'encoder.0.weight')):
        with pytest.raises(ValueError, match=said) as caught:
            MouthTraining(MouthTrainingConfig(start=str(file)))
        assert str(file) in str(caught.value)


def test_pose_states_are_poses_around_the_mean_and_their_changes(folder):
    dataset = load_dataset(folder)
    states, mean = pose_states(dataset), mean_translation(dataset)
    np.testing.assert_allclose(states[:, :3], dataset.euler, atol=1e-5)
    np.testing.assert_allclose(states[dataset.training_mask, 3:6].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(states[:, 3:6] + mean, dataset.translation, atol=1e-4)
    np.testing.assert_allclose(pose_states(dataset, mean + 1)[:, 3:6], states[:, 3:6] - 1, atol=1e-4)
    np.testing.assert_allclose(states[1:, 6:], np.diff(states[:, :6], axis=0), atol=1e-5)


def test_a_head_hears_what_is_said_a_look_ahead_later():
    config = HeadPoseTrainingConfig(sequence=10, look_ahead=15)
    length = POSE_RECEPTIVE_FIELD + 10
    time = np.arange(length + 40, dtype=np.float32)
    windows = PoseWindows([(time[:, None], [{'raw': time[:, None]}])], config, stride=5, augment=False)
    for k in range(len(windows)):
        states, features = windows[k]
        assert len(states) == len(features) == length
        torch.testing.assert_close(features, states + 15)


def test_head_pose_windows_need_a_long_run():
    config = HeadPoseTrainingConfig(sequence=10)
    with pytest.raises(ValueError, match='no run of frames is as long'):
        PoseWindows([(np.zeros((100, 12)), [{'raw': np.zeros((100, 4))}])], config, 4, False)


def test_a_window_is_heard_anew_each_epoch_but_the_same_when_repeated():
    config = HeadPoseTrainingConfig(sequence=10, look_ahead=0, projected_share=0.5)
    hearings = [{'raw': np.full((900, 4), k), 'projected': np.full((900, 4), -k)} for k in (1, 2)]
    windows = PoseWindows([(np.zeros((900, 12), np.float32), hearings)], config, 10, True)

    def heard(epoch):
        windows.epoch = epoch
        return [windows[k][1][0, 0].item() for k in range(len(windows))]

    assert heard(3) == heard(3) != heard(4)
    assert set(heard(3)) == {-2, -1, 1, 2}


def test_devices_share_the_windows_of_an_epoch():
    windows = range(100)
    shares = [list(Draw(windows, 41, device, 2, seed=0)) for device in range(2)]
    assert [len(share) for share in shares] == [20, 20]
    assert not set(shares[0]) & set(shares[1])
    sampler = Draw(windows, 41, 0, 1, seed=0)
    first = list(sampler)
    assert len(first) == len(sampler) == 41
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_the_loss_of_the_head_knows_the_unit_of_length():
    """What a network says of centimetres and of metres costs the same, but for the constant of the density."""
    torch.manual_seed(0)
    mean, truth, n = torch.randn(3, 40, 12)
    n += 4  # some are surer than the smallest sigma
    metres = torch.tensor(([1.0] * 3 + [0.01] * 3) * 2)
    assert (n > -np.log(SMALLEST_SIGMA)).any()
    inside = head_pose_nll(mean, n, truth, smallest_sigma(0.01))
    outside = head_pose_nll(mean * metres, n - metres.log(), truth * metres, smallest_sigma(1.0))
    assert outside - metres.log().mean() == pytest.approx(inside.item(), rel=1e-5)


def test_a_head_of_two_units_of_length_is_refused(folder, listener, tmp_path):
    camera = {'matrix': [[1536.0, 0, 256], [0, 1536.0, 256], [0, 0, 1]], 'metres_per_unit': 1.0}
    other = write_synthetic(tmp_path / 'metres', camera=camera)
    data = HeadPoseData([load_dataset(folder), load_dataset(other)], listener, HeadPoseTrainingConfig())
    with pytest.raises(DatasetError, match='metres: another unit of length'):
        data.setup()


def test_only_the_last_frames_of_a_window_count():
    torch.manual_seed(0)
    training = HeadPoseTraining(HeadPoseTrainingConfig(sequence=5, dropout=0.0)).eval()
    states, features = torch.zeros(1, 40, 12), torch.randn(1, 40, FRAME_FEATURES)
    mean, n = training.net(states, features)
    expected = head_pose_nll(mean[:, -5:], n[:, -5:], states[:, -5:])
    assert training.loss((states, features)) == expected


@pytest.mark.slow
def test_the_head_learns_from_a_folder(folder, listener, tmp_path):
    config = HeadPoseTrainingConfig(epochs=1, batch=4, sequence=20, windows=8, accelerator='cpu')
    weights = train_head_pose([folder, folder], tmp_path / 'head', listener, config)
    assert sum(w.numel() for name, w in weights.items() if 'running' not in name and 'num_' not in name) == 4_266_915


@pytest.mark.slow
def test_features_are_heard_once_and_kept(folder, listener, tmp_path):
    listener = replace(listener, cache=tmp_path)
    samples = load_dataset(folder).read_audio()
    first, short = listener.features([samples, samples[:16_000]])
    assert set(first) == {'raw', 'projected'}
    assert first['raw'].shape == (1920, FRAME_FEATURES)
    # Clips are heard side by side; each hears itself alone.
    np.testing.assert_allclose(short['raw'][:55], first['raw'][:55], atol=2e-3)
    files = sorted(listener.cache.iterdir())
    again = listener.features([samples])[0]
    assert sorted(listener.cache.iterdir()) == files
    np.testing.assert_array_equal(again['projected'], first['projected'])
    other = Listener(listener.apc, None, listener.cache)
    assert set(other.features([samples])[0]) == {'raw'}


def test_another_room_changes_the_sound_but_not_its_time():
    rng = np.random.default_rng(3)
    click = np.zeros(16_000, np.float32)
    click[8_000] = 0.9
    heard = hear_elsewhere(click, rng)
    assert heard.shape == click.shape
    assert np.abs(heard).max() <= 1
    assert np.abs(heard).argmax() == 8_000
    one, two = (hear_elsewhere(click, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)


def test_the_head_learns_from_a_past_with_slips_and_is_judged_by_the_truth():
    torch.manual_seed(0)
    still = torch.zeros(2, 300, 12)
    moving = torch.cumsum(torch.ones(2, 300, 12), dim=1)
    training = HeadPoseTraining(HeadPoseTrainingConfig(history_noise=1.0, dropout=0.0, sequence=40)).eval()
    assert torch.equal(training.slips(still), still)  # a head that never moves makes no slips
    moving[..., 6:] = torch.randn(2, 300, 6)
    off = (training.slips(moving) - moving).std()
    assert 0 < off < 1.5
    features = torch.randn(2, 300, FRAME_FEATURES)
    with torch.no_grad():
        assert training.loss((moving, features)) == training.loss((moving, features), moving)
        assert training.loss((moving, features)) != training.loss((moving, features), training.slips(moving))
