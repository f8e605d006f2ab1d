"""A run folder and a person's dataset become an avatar that loads."""

import json
import shutil
import sys

import numpy as np
import pytest
import soundfile
import torch
from synthetic_dataset import write_synthetic

from lsp_ros.avatar.landmarks import MOUTH_OUTPUT
from lsp_ros.avatar.load import Avatar
from lsp_ros.cli.main import main
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.rendering.generator import build_generator
from lsp_ros.speech.apc import APC
from lsp_ros.timeline import SAMPLE_RATE
from lsp_ros.training import quantize
from lsp_ros.training.assemble import build_avatar, mouth_at_rest, pose_range
from lsp_ros.training.dataset import load_dataset
from lsp_ros.training.mouth import MouthTrainingConfig
from lsp_ros.training.networks import train
from lsp_ros.training.recipes import CONFIGS, changed, config_on_cpu
from lsp_ros.training.run_folder import give, listener, trained, weights_file


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp('data') / 'nobody', seconds=12.0, pictures=20)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """As if four trainings had ended in it."""
    run = tmp_path_factory.mktemp('run')
    networks = {
        'apc': ('apc', APC()),
        'mouth': ('net', MouthNet()),
        'head_pose': ('net', HeadPoseNet()),
        'renderer': ('generator', build_generator('live')),
    }
    for name, (prefix, network) in networks.items():
        (run / name).mkdir()
        state = {f'{prefix}.{key}': value for key, value in network.state_dict().items()}
        torch.save({'state_dict': {**state, 'other.weight': torch.zeros(1)}}, run / name / 'best.ckpt')
    np.save(run / 'manifold.npy', np.random.default_rng(0).normal(0, 0.1, (40, 512)).astype(np.float16))
    np.save(run / 'renderer' / 'candidates.npy', np.zeros((4, 512, 512, 3), np.uint8))
    (run / 'renderer' / 'settings.json').write_text(json.dumps({'size': 'live', 'epochs': 1}))
    return run


@pytest.mark.slow
def test_an_avatar_is_put_together_and_loads(run, folder, tmp_path):
    build_avatar(run, folder, tmp_path / 'nobody')
    avatar = Avatar.load(tmp_path / 'nobody')
    data = load_dataset(folder)
    assert avatar.name == 'nobody'
    np.testing.assert_allclose(avatar.face.mouth_mean, data.mean_points(), atol=1e-5)
    np.testing.assert_allclose(avatar.camera.matrix, data.camera_matrix)
    assert set(avatar.weights('mouth')) == set(MouthNet().state_dict())
    assert avatar.manifold().shape == (40, 512)


@pytest.mark.slow
def test_a_new_avatar_comes_with_its_renderer_in_8_bits(run, folder, tmp_path, monkeypatch, capsys):
    pytest.importorskip('nncf')
    monkeypatch.setattr(quantize, 'CALIBRATION_MAPS', 6)  # as many as it takes to see that it is done
    monkeypatch.setattr(quantize, 'TRIAL_MAPS', 2)
    monkeypatch.setattr(quantize, 'find_sample', lambda: folder / 'audio.wav')
    assert main(['train', 'avatar', str(folder), '--run', str(run), '--size', 'live', '-o', str(tmp_path / 'a')]) == 0
    avatar = Avatar.load(tmp_path / 'a')
    assert avatar.int8_renderer().psnr > 38
    assert 'renderer in 8 bits' in capsys.readouterr().out


@pytest.mark.slow
def test_one_command_trains_all_networks_and_writes_the_avatar(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'nncf', None)  # quantising has its own test
    data = write_synthetic(tmp_path / 'data', seconds=30.0, pictures=12)
    for name in 'abcd':
        samples = 0.1 * np.random.default_rng(ord(name)).standard_normal(8 * SAMPLE_RATE)
        soundfile.write(tmp_path / f'{name}.wav', samples, SAMPLE_RATE)
    command = ['train', 'all', str(data), '--corpus', *(str(tmp_path / f'{name}.wav') for name in 'abcd')]
    command += ['--run', str(tmp_path / 'run'), '-o', str(tmp_path / 'avatar'), '--size', 'live', '--backbone', 'none']
    command += ['--on-cpu', '10', '--batch', '2']  # minutes enough; batches end it
    few = (
        'max_batches=2',
        'validate_every=1',
        'validation_share=0.5',
        'segment=30',
        'sequence=60',
        'hearings=1',
        'look_ahead=12',
    )
    command += [part for one in few for part in ('--set', one)]
    assert main(command) == 0
    assert f'the avatar is {tmp_path / "avatar"}' in capsys.readouterr().out
    avatar = Avatar.load(tmp_path / 'avatar')
    assert avatar.manifest.name == 'nobody' and avatar.candidates().shape == (4, 512, 512, 3)

    # Put together once more by itself, it is as the run's networks were trained.
    assert main(['train', 'avatar', str(data), '--run', str(tmp_path / 'run'), '-o', str(tmp_path / 'again')]) == 0
    for manifest in (avatar.manifest, Avatar.load(tmp_path / 'again').manifest):
        assert (manifest.mouth.look_ahead, manifest.head_pose.look_ahead, manifest.renderer.size) == (12, 12, 'live')

    written = {file: file.stat().st_mtime_ns for file in (tmp_path / 'run').rglob('best.ckpt')}
    assert len(written) == 4
    assert main(command) == 0
    assert {file: file.stat().st_mtime_ns for file in written} == written  # nothing is learned twice


def test_without_nncf_a_new_avatar_works_and_what_is_missing_is_said(run, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'nncf', None)
    assert main(['train', 'avatar', str(folder), '--run', str(run), '--size', 'live', '-o', str(tmp_path / 'a')]) == 0
    assert Avatar.load(tmp_path / 'a').int8_renderer() is None
    said = capsys.readouterr().out
    assert 'nncf, which is not installed' in said and f'`lsp quantize {tmp_path / "a"}`' in said


def test_an_avatar_needs_all_trainings(tmp_path, folder):
    with pytest.raises(ValueError, match='train apc first'):
        build_avatar(tmp_path, folder, tmp_path / 'nobody')


def test_weights_are_rounded_to_what_is_shipped(run):
    assert all(tensor.dtype == torch.float16 for tensor in trained(run, 'apc').values())


def test_what_a_training_found_comes_before_what_was_given(tmp_path):
    with pytest.raises(ValueError, match='train mouth first'):
        trained(tmp_path, 'mouth')
    give(tmp_path, 'mouth', {'weight': np.ones(3, np.float32), 'count': np.array([3])})
    given = trained(tmp_path, 'mouth')
    assert given['weight'].dtype == torch.float16 and given['count'].dtype == torch.int64
    torch.save({'state_dict': {'net.weight': torch.zeros(3)}}, tmp_path / 'mouth' / 'best.ckpt')
    assert weights_file(tmp_path, 'mouth') == tmp_path / 'mouth' / 'best.ckpt'
    assert not trained(tmp_path, 'mouth')['weight'].any()


def test_the_pose_range_is_that_of_the_training_frames(folder):
    data = load_dataset(folder)
    limits = pose_range(data)
    seen = data.euler[data.training_mask]
    assert np.all(np.array(limits['euler_max']) <= seen.max(axis=0))
    assert np.all(np.array(limits['euler_min']) >= seen.min(axis=0))
    inside = (seen >= limits['euler_min']) & (seen <= limits['euler_max'])
    assert inside.mean() > 0.98
    assert np.array(limits['translation_min']).max() < 0 < np.array(limits['translation_max']).min()


def test_the_mouth_at_rest_is_the_closed_mouth_of_silence(tmp_path):
    folder = write_synthetic(tmp_path / 'nobody', seconds=12.0)
    data = load_dataset(folder)
    samples = data.read_audio()
    samples[: 6 * 16_000] = 0
    soundfile.write(folder / 'audio.wav', samples, 16_000)
    points = data.points
    points[:180] = points[0]  # lips closed in the first three silent seconds, open in the next three
    points[:180, [58, 59, 60], 1] = points[:180, [63, 62, 61], 1]
    points[180:360] = points[0]
    points[180:360, [63, 62, 61], 1] += 2.0
    mean = data.mean_points()
    np.testing.assert_allclose(mouth_at_rest(data, mean), points[0, MOUTH_OUTPUT] - mean[MOUTH_OUTPUT], atol=1e-5)


def test_a_person_who_is_never_silent_is_named(folder):
    with pytest.raises(ValueError, match='nobody is ever silent'):
        data = load_dataset(folder)
        data.validation_mask  # noqa: B018  (cached)
        data.__dict__['training_mask'] = np.zeros(len(data), bool)
        mouth_at_rest(data, data.points.mean(axis=0))


def test_settings_for_a_cpu_keep_to_the_minutes():
    for network, kind in CONFIGS.items():
        config = config_on_cpu(network, 7.0)
        assert type(config) is kind
        assert config.max_minutes == 7.0


def test_settings_are_changed_by_name_and_kind():
    config = changed(MouthTrainingConfig(), epochs=3, lip_weight=1, betas=[0.5, 0.9])
    assert (config.epochs, config.lip_weight, config.betas) == (3, 1.0, (0.5, 0.9))
    with pytest.raises(ValueError, match='speed is not a setting of MouthTrainingConfig'):
        changed(MouthTrainingConfig(), speed=3)
    with pytest.raises(ValueError, match='epochs must be like 200'):
        changed(MouthTrainingConfig(), epochs='many')


@pytest.mark.slow
def test_the_manifold_is_made_again_for_another_apc_or_other_datasets(run, folder, tmp_path, caplog):
    copy = shutil.copytree(run, tmp_path / 'run')
    other = write_synthetic(tmp_path / 'other', seconds=12.0, seed=1)
    stale = (copy / 'manifold.npy').read_bytes()  # nothing says what it was made of

    def made(*datasets):
        caplog.clear()
        rows = listener(copy, list(datasets)).manifold.rows
        assert np.array_equal(rows, np.load(copy / 'manifold.npy').astype(np.float32))
        return (copy / 'manifold.npy').read_bytes(), (copy / 'manifold.npy').stat().st_mtime_ns

    first = made(folder)
    assert first[0] != stale
    assert made(folder) == first and not caplog.messages  # made once
    assert made(folder, other)[0] != first[0]
    assert 'mouth learned with the old one' in caplog.text
    assert made(folder)[0] == first[0]

    checkpoint = torch.load(copy / 'apc' / 'best.ckpt', weights_only=True)
    checkpoint['state_dict'] = {name: value * 1.1 for name, value in checkpoint['state_dict'].items()}
    torch.save(checkpoint, copy / 'apc' / 'best.ckpt')
    assert made(folder)[0] != first[0]


@pytest.mark.slow
def test_the_head_is_trained_through_the_run_folder(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / 'run')
    (copy / 'manifold.npy').unlink()
    folder = write_synthetic(tmp_path / 'nobody', seconds=32.0)
    config = changed(CONFIGS['head_pose'](), epochs=1, batch=4, sequence=20, windows=4, hearings=1, accelerator='cpu')
    before = (copy / 'head_pose' / 'best.ckpt').read_bytes()
    train('head_pose', copy, [folder], config)
    assert (copy / 'head_pose' / 'best.ckpt').read_bytes() != before
    # The person's database is made when it is first needed, of the frames that may be learned from.
    assert 0 < len(np.load(copy / 'manifold.npy')) <= 8192
