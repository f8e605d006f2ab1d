"""From a run folder and a dataset folder to an avatar that speaks."""

import numpy as np
import pytest
import torch
from avatar_fixture import DISTANCE, tiny_candidates, tiny_face, tiny_weights

from lsp_ros.avatar.avatar import Avatar
from lsp_ros.avatar.landmarks import MOUTH_OUTPUT, lip_gap
from lsp_ros.cli.main import main
from lsp_ros.portrait import Portrait
from lsp_ros.training.build import SETTINGS, changed, settings_on_cpu
from lsp_ros.training.dataset import write_dataset

FRAMES = 1200
SPEECH = slice(300, 900)


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    """20 s of a face of ellipses: it speaks from 5 s to 15 s, its mouth open, and is silent otherwise."""
    generator = np.random.default_rng(0)
    face = tiny_face(FRAMES)
    points = np.repeat(face.mean_points[None], FRAMES, axis=0)
    points[SPEECH, 46:64, 1] *= 1.2  # lower: the chin side of the face
    points[SPEECH, 58:61, 1] -= 1.0
    samples = np.zeros(FRAMES * 16000 // 60, np.float32)
    start, end = (frame * 16000 // 60 for frame in (SPEECH.start, SPEECH.stop))
    samples[start:end] = 0.1 * generator.normal(size=end - start)
    swing = np.sin(np.arange(FRAMES) / 50)[:, None]
    tracks = {
        'points': points,
        'euler': swing * [5, 10, 3],
        'translation': [0, 0, DISTANCE] + swing * [1, 0.5, 2],
        'shoulders': np.repeat(face.shoulders[None], FRAMES, axis=0),
    }
    manifest = {
        'name': 'ellipses',
        'licence': 'CC0-1.0',
        'source': 'geometry',
        'person': {'kind': 'synthetic', 'consent': None},
        'camera': {'matrix': [[1536, 0, 256], [0, 1536, 256], [0, 0, 1]], 'metres_per_unit': 0.01},
        'split': {'validation': [[1100, FRAMES]]},
    }
    folder = tmp_path_factory.mktemp('dataset')
    write_dataset(folder, manifest, tracks, samples)
    return folder


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A run folder as the trainings leave it."""
    folder = tmp_path_factory.mktemp('run')
    prefixes = {'apc': 'apc', 'mouth': 'net', 'head_pose': 'net', 'renderer': 'generator'}
    for network, weights in tiny_weights().items():
        (folder / network).mkdir()
        state = {f'{prefixes[network]}.{name}': torch.from_numpy(np.array(value)) for name, value in weights.items()}
        torch.save({'state_dict': state}, folder / network / 'best.ckpt')
    np.save(folder / 'renderer' / 'candidates.npy', tiny_candidates())
    np.save(folder / 'manifold.npy', np.random.default_rng(0).normal(size=(64, 512)).astype(np.float16))
    return folder


def test_a_run_and_a_dataset_become_an_avatar_that_speaks(run, dataset, tmp_path, capsys):
    arguments = ['train', 'avatar', str(dataset), '--run', str(run), '-o', str(tmp_path / 'ellipses'), '--size', 'live']
    assert main(arguments) == 0
    avatar = Avatar.load(tmp_path / 'ellipses')
    assert avatar.name == 'ellipses'
    np.testing.assert_allclose(avatar.pose_range.euler_max, [5, 10, 3], rtol=0.02)
    np.testing.assert_allclose(avatar.pose_range.translation_min, [-1, -0.5, -2], atol=0.3)
    rest = avatar.face.mouth_mean.copy()
    rest[MOUTH_OUTPUT] += avatar.face.mouth_rest
    # At rest the mouth is as in silence, although it is open on average.
    assert lip_gap(rest) == pytest.approx(lip_gap(np.float32(tiny_face().mean_points)), abs=1e-3)
    assert lip_gap(avatar.face.mouth_mean) > lip_gap(rest) + 0.2
    assert len(avatar.face.eyes) == 1100
    portrait = Portrait(avatar, 'torch')
    assert portrait.push(np.zeros(1000, np.float32)) + portrait.flush()


def test_a_network_that_is_not_trained_is_named(run, dataset, tmp_path, capsys):
    assert main(['train', 'avatar', str(dataset), '--run', str(tmp_path), '-o', str(tmp_path / 'out')]) == 2
    assert 'train apc first' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('network', SETTINGS)
def test_settings_are_changed_by_name_and_type(network):
    paper, cpu = SETTINGS[network](), settings_on_cpu(network, 5)
    assert cpu.max_minutes == 5 and paper.max_minutes is None
    assert changed(paper, lr=1, betas=[0.5, 0.9]).betas == (0.5, 0.9)
    assert isinstance(changed(paper, lr=1).lr, float)
    with pytest.raises(ValueError, match='kroplo'):
        changed(paper, kroplo=1)
    with pytest.raises(ValueError, match='batch must be like'):
        changed(paper, batch='many')
