"""A captured dataset becomes an avatar with what the built-in one knows; nothing is learned or made twice."""

import numpy as np
import pytest
import yaml
from synthetic_dataset import write_synthetic

from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.training import fine_tune, quantize
from lsp_ros.training.run_folder import trained


def test_a_network_of_the_built_in_avatar_takes_the_place_of_a_trained_one(tmp_path):
    teacher = Avatar.load(find_avatar(fine_tune.TEACHER), ('speech', 'motion'))
    for network in ('apc', 'head_pose'):
        fine_tune.give_once(teacher, network, tmp_path)
        weights = trained(tmp_path, network)
        assert set(weights) == set(teacher.weights(network))
        for name, value in teacher.weights(network).items():
            np.testing.assert_array_equal(weights[name].numpy(), value.astype(weights[name].numpy().dtype))


@pytest.mark.slow
def test_eight_seconds_become_an_avatar(tmp_path, monkeypatch):
    pytest.importorskip('nncf')
    monkeypatch.setattr(quantize, 'CALIBRATION_MAPS', 4)
    monkeypatch.setattr(quantize, 'TRIAL_MAPS', 2)
    data = write_synthetic(tmp_path / 'nobody', seconds=8.0, pictures=10)
    monkeypatch.setattr(quantize, 'find_sample', lambda: data / 'audio.wav')
    told = []
    fine_tune.learn(data, tmp_path / 'runs', tmp_path / 'avatar', minutes=1e-3, tell=told.append)
    avatar, teacher = Avatar.load(tmp_path / 'avatar'), Avatar.load(find_avatar(fine_tune.TEACHER))
    weight = 'lstm.weight_hh_l0'
    assert not np.array_equal(avatar.weights('mouth')[weight], teacher.weights('mouth')[weight])
    np.testing.assert_allclose(avatar.weights('mouth')[weight], teacher.weights('mouth')[weight], atol=0.02)
    assert 'it moves as presenter does' in told[0] and 'renderer in 8 bits' in told[-1]
    assert avatar.int8_renderer() is not None

    # Nothing is trained, put together or quantised again as long as nothing has changed.
    made = {file: file.stat().st_mtime_ns for file in sorted((tmp_path / 'avatar').rglob('*')) if file.is_file()}
    fine_tune.learn(data, tmp_path / 'runs', tmp_path / 'avatar', minutes=1e-3, tell=told.append)
    assert {file: file.stat().st_mtime_ns for file in made} == made

    manifest = yaml.safe_load((data / 'dataset.yaml').read_text())
    (data / 'dataset.yaml').write_text(yaml.safe_dump({**manifest, 'split': {'held_out': [[0, 60]]}}))
    with pytest.raises(ValueError, match='has begun to learn from other footage'):
        fine_tune.learn(data, tmp_path / 'runs', tmp_path / 'avatar', minutes=1e-3)
