"""Training on several devices: two real processes on the CPU stand for two GPUs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic_dataset import write_synthetic

pytestmark = pytest.mark.slow

NETWORKS = ('renderer', 'apc', 'mouth', 'head_pose')


@pytest.fixture(scope='module')
def ends(tmp_path_factory):
    """Of each network, what each of two processes was given and has in the end."""
    folder = tmp_path_factory.mktemp('devices')
    write_synthetic(folder / 'nobody', seconds=32.0)
    (folder / 'corpus').mkdir()
    for k in range(12):
        samples = 0.1 * np.random.default_rng(k).standard_normal(16_000)
        soundfile.write(folder / 'corpus' / f'{k}-a.wav', samples, 16_000)
    command = [sys.executable, str(Path(__file__).parent / 'two_processes.py'), str(folder)]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return {name: [np.load(folder / f'{name}_{rank}.npz') for rank in range(2)] for name in NETWORKS}


@pytest.mark.parametrize('network', NETWORKS)
def test_two_devices_learn_from_different_batches_and_hold_the_same_weights(ends, network):
    one, other = ends[network]
    assert one['given'].shape == other['given'].shape and len(one['given']) > 1
    assert not np.array_equal(one['given'], other['given'])
    assert one['weights'] == other['weights']


@pytest.mark.parametrize('network', NETWORKS)
def test_all_devices_choose_the_model_by_the_same_loss(ends, network):
    one, other = ends[network]
    assert one['val_loss'] == other['val_loss'] and np.isfinite(one['val_loss'])


@pytest.mark.parametrize(('network', 'overlap'), [('apc', 3), ('mouth', 0)])
def test_the_segments_of_every_device_follow_one_another(ends, network, overlap):
    for end in ends[network]:
        segments = [segment[:, overlap:] for segment in end['given']]
        laid = np.concatenate([end['given'][0][:, :overlap], *segments], axis=1)
        np.testing.assert_array_equal(laid, end['stream'])
