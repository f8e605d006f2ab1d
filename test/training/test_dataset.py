"""Dataset folders: what is written is read, split by time, and what is wrong is named."""

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from synthetic_dataset import tracks, write_synthetic

from lsp_ros.training.dataset import DatasetError, in_ranges, load_dataset, runs


@pytest.fixture
def folder(tmp_path):
    return write_synthetic(tmp_path / 'nobody', pictures=10)


def change(folder, **changes):
    file = folder / 'dataset.yaml'
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))


def test_what_was_written_is_read(folder):
    dataset = load_dataset(folder)
    for name, values in tracks(480).items():
        np.testing.assert_array_equal(getattr(dataset, name), values.astype(np.float32))
    assert dataset.name == 'nobody'
    assert len(dataset) == 480
    assert len(dataset.read_audio()) == 128_000
    assert dataset.phones() == [('pau', 0.0, 8.0)]
    assert dataset.camera_matrix[0, 0] == 1536


def test_the_last_fifth_validates_unless_it_says_otherwise(folder):
    dataset = load_dataset(folder)
    assert runs(dataset.training_mask) == [(0, 384)]
    assert runs(dataset.validation_mask) == [(384, 480)]
    assert all(frame < 384 for frame in dataset.training_pictures())
    assert all(frame >= 384 for frame in dataset.validation_pictures())
    assert len(dataset.training_pictures()) + len(dataset.validation_pictures()) == 10


def test_nothing_learns_from_held_out_frames(folder):
    change(folder, split={'validation': [[400, 480]], 'held_out': [[100, 220], [390, 410]], 'pictures': [[150, 200]]})
    dataset = load_dataset(folder)
    assert not (dataset.training_mask & dataset.held_out_mask).any()
    assert not (dataset.validation_mask & dataset.held_out_mask).any()
    assert not set(dataset.training_pictures()) & set(range(100, 220))
    assert set(dataset.validation_pictures()) <= set(range(150, 200))
    assert max(dataset.training_pictures()) > 410  # validation pictures are chosen by a range of their own


def test_held_out_pictures_choose_no_renderer_unless_they_are_named(folder):
    change(folder, split={'validation': [[400, 480]], 'held_out': [[100, 220], [420, 450]]})
    dataset = load_dataset(folder)
    chosen, learned = dataset.validation_pictures(), dataset.training_pictures()
    assert chosen and learned
    assert not set(chosen + learned) & {*range(100, 220), *range(420, 450)}
    assert min(chosen) >= 400 > max(learned)


def test_unknown_frames_are_heard_but_judge_nothing(folder):
    change(folder, split={'validation': [[400, 480]], 'unknown': [[50, 60], [390, 410]]})
    dataset = load_dataset(folder)
    assert runs(dataset.training_mask) == [(0, 50), (60, 390)]
    assert runs(dataset.validation_mask) == [(410, 480)]
    assert runs(dataset.training_time) == [(0, 400)]
    assert len(dataset.training_audio()) == 1
    assert not set(dataset.training_pictures()) & set(range(50, 60))


def test_the_sound_to_learn_from_is_that_of_the_training_frames(folder):
    change(folder, split={'validation': [[400, 480]], 'held_out': [[100, 220]]})
    dataset = load_dataset(folder)
    samples, (first, second) = dataset.read_audio(), dataset.training_audio()
    np.testing.assert_array_equal(first, samples[: 100 * 16_000 // 60])
    np.testing.assert_array_equal(second, samples[220 * 16_000 // 60 : 400 * 16_000 // 60])


def test_the_mean_face_comes_from_training_frames_alone(folder):
    dataset = load_dataset(folder)
    np.testing.assert_allclose(dataset.mean_points(), dataset.points[:384].mean(axis=0), atol=1e-5)
    displacement = dataset.mouth_displacement(dataset.mean_points())
    assert displacement.shape == (480, 25, 3)
    np.testing.assert_allclose(displacement[:384].mean(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'format': 2}, 'format 1'),
        ({'frame_rate': 30}, 'frame_rate is 30'),
        ({'landmarks': 'dlib68'}, 'dlib68'),
        ({'camera': {'matrix': [[1, 2], [3, 4]], 'metres_per_unit': 1}}, 'camera.matrix'),
        ({'split': {'held_out': [[10, 481]]}}, r'held_out has \[10, 481\]'),
        ({'split': {'validation': [5, 10]}}, 'split.validation'),
        ({'camera': None}, 'camera must be a table of keys and values, not None'),
        ({'camera': 5}, 'camera must be a table of keys and values, not 5'),
        ({'split': [5, 10]}, 'split must be a table'),
    ],
)
def test_a_wrong_manifest_is_named(folder, changes, named):
    change(folder, **changes)
    with pytest.raises(DatasetError, match=named):
        load_dataset(folder)


@pytest.mark.parametrize('text', [b'name: [', b'name: \xff'])
def test_a_manifest_that_is_no_yaml_is_one_sentence(folder, text):
    (folder / 'dataset.yaml').write_bytes(text)
    with pytest.raises(DatasetError, match='dataset.yaml: is not valid YAML'):
        load_dataset(folder)


def test_a_missing_key_is_named(folder):
    file = folder / 'dataset.yaml'
    file.write_text(yaml.safe_dump({k: v for k, v in yaml.safe_load(file.read_text()).items() if k != 'person'}))
    with pytest.raises(DatasetError, match='person is missing'):
        load_dataset(folder)


@pytest.mark.parametrize(
    ('damage', 'named'),
    [
        (lambda t: t.pop('euler'), 'euler is missing'),
        (lambda t: t.update(shoulders=t['shoulders'][:-1]), r'shoulders has shape \(479, 18, 3\)'),
        (lambda t: t['points'].__setitem__((7, 3, 1), np.nan), 'points has values that are not finite'),
    ],
)
def test_wrong_tracks_are_named(folder, damage, named):
    with np.load(folder / 'tracks.npz') as stored:
        arrays = {name: stored[name] for name in stored}
    damage(arrays)
    np.savez(folder / 'tracks.npz', **arrays)
    with pytest.raises(DatasetError, match=named):
        load_dataset(folder)


def test_sound_of_another_length_or_rate_is_named(folder):
    import soundfile

    soundfile.write(folder / 'audio.wav', np.zeros(16_000), 16_000)
    with pytest.raises(DatasetError, match='60 frames of sound for 480 frames of motion'):
        load_dataset(folder).read_audio()
    soundfile.write(folder / 'audio.wav', np.zeros(8 * 22_050), 22_050)
    with pytest.raises(DatasetError, match='22050 Hz'):
        load_dataset(folder).read_audio()


def test_a_picture_behind_the_end_is_named(folder):
    (folder / 'frames' / '000480.png').write_bytes(b'')
    with pytest.raises(DatasetError, match='480'):
        assert load_dataset(folder).pictures


def test_another_folder_is_not_a_dataset(tmp_path):
    with pytest.raises(DatasetError, match='not a dataset folder'):
        load_dataset(tmp_path)


@given(st.lists(st.booleans(), max_size=40))
def test_runs_and_ranges_are_each_others_inverse(mask):
    mask = np.array(mask, bool)
    np.testing.assert_array_equal(in_ranges(len(mask), runs(mask)), mask)
