"""Protocols run a whole avatar as it runs live, and the card says what came out."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from synthetic_dataset import tracks, write_synthetic

from lsp_ros.avatar.landmarks import lip_gap
from lsp_ros.avatar.load import Avatar
from lsp_ros.evaluation import head_protocols, mouth_protocols, playback
from lsp_ros.evaluation.apc_figures import apc_figures
from lsp_ros.evaluation.card import write_card
from lsp_ros.evaluation.head_protocols import compare_heads, evaluate_head_pose
from lsp_ros.evaluation.mouth_protocols import evaluate_film, evaluate_lips, evaluate_mouth, film_opening
from lsp_ros.evaluation.picture_protocols import evaluate_renderer
from lsp_ros.evaluation.playback import move, with_projection
from lsp_ros.signals import SpeechFeatures
from lsp_ros.training.dataset import load_dataset

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    folder = write_synthetic(tmp_path_factory.mktemp('data') / 'nobody', seconds=6.0, pictures=10)
    phones = [['pau', 0, 1], ['b', 1, 1.1], ['aa', 1.1, 3], ['m', 3, 3.1], ['pau', 3.1, 6]]
    (folder / 'phones.json').write_text(json.dumps({'phones': phones}))
    return load_dataset(folder)


@pytest.fixture(scope='module')
def avatar(tiny_avatar):
    return Avatar.load(tiny_avatar)


@pytest.fixture(scope='module', autouse=True)
def heard_once():
    """Each recording is heard once with each share of projection: the outcome is the same every time, and nothing
    takes longer."""
    known: dict[tuple, SpeechFeatures] = {}

    def hear(avatar: Avatar, samples: np.ndarray) -> SpeechFeatures:
        key = avatar.path, avatar.manifest.speech, samples.tobytes()
        if key not in known:
            known[key] = playback.hear(avatar, samples)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (mouth_protocols, head_protocols):
            patch.setattr(module, 'hear', hear)
        yield


def test_the_mouth_is_judged_on_what_the_live_stages_show(avatar, dataset):
    figures = evaluate_mouth(avatar, dataset)
    assert figures['bilabials'] == 2
    assert figures['closed_by_hard_lips'] <= figures['closed']
    assert figures['seconds'] == pytest.approx(6.0, abs=0.05)
    motion = move(avatar, mouth_protocols.hear(avatar, dataset.read_audio()))
    # A recording whose truth is what the avatar does has no error.
    arrays = tracks(len(motion)) | {'points': motion.points}
    same = replace(dataset, **{name: np.asarray(value, np.float32) for name, value in arrays.items()})
    assert evaluate_mouth(avatar, same)['error_mm'] == pytest.approx(0, abs=1e-4)
    assert figures['error_mm'] > 1


def test_projection_can_be_left_out_without_touching_the_avatar(avatar, dataset):
    samples = dataset.read_audio()
    projected, raw = (mouth_protocols.hear(each, samples) for each in (avatar, with_projection(avatar, 0.0)))
    assert np.abs(projected.values - raw.values).max() > 0.01
    assert avatar.manifest.speech.projection == 1.0


UNKNOWN = (170, 200)  # holds the m


def partly_known(dataset, wrong: float):
    """The recording with frames of which nothing is known: ``wrong`` stands there instead of the truth."""
    values = {}
    for name in ('points', 'euler', 'translation'):
        values[name] = getattr(dataset, name).copy()
        values[name][slice(*UNKNOWN)] = wrong * (1 + np.arange(values[name][slice(*UNKNOWN)].size)).reshape(
            values[name][slice(*UNKNOWN)].shape
        )
    return replace(dataset, unknown=(UNKNOWN,), validation=((60, 360),), **values)


@pytest.mark.parametrize(
    'judge',
    [
        evaluate_mouth,
        lambda avatar, dataset: evaluate_lips(avatar, dataset.read_audio(), dataset),
        lambda avatar, dataset: evaluate_head_pose(avatar, dataset, seeds=[0]),
        lambda avatar, dataset: compare_heads(
            [(dataset, slice(0, len(dataset)), [(np.zeros((len(dataset), 3)), np.zeros((len(dataset), 3)))])]
        ),
    ],
)
def test_what_is_not_known_is_not_taken_for_the_truth(avatar, dataset, judge):
    figures = [judge(avatar, partly_known(dataset, wrong)) for wrong in (0.0, -50.0)]
    assert figures[0] == figures[1]
    assert figures[0] != judge(avatar, replace(dataset, validation=((60, 360),)))


def test_phones_of_which_the_mouth_is_not_known_do_not_count(avatar, dataset):
    partly = partly_known(dataset, 1.0)
    found = evaluate_mouth(avatar, partly)
    assert found['bilabials'] == 1 and found['seconds'] == pytest.approx(5.5, abs=0.05)
    lips = evaluate_lips(avatar, dataset.read_audio(), partly)
    assert lips['closures']['B']['total'] == 1 and lips['closures']['M']['total'] == 0
    with pytest.raises(ValueError, match='no speech whose true mouth is known'):
        evaluate_mouth(avatar, replace(dataset, unknown=((0, 360),)))


@pytest.mark.parametrize('late', [0, 4])
def test_a_film_whose_picture_is_late_is_found_out(avatar, dataset, late):
    """Without landmarks and whatever else is to be seen: the film's mouth is dark inside, as far as it is open."""
    samples = dataset.read_audio()
    gap = lip_gap(move(avatar, mouth_protocols.hear(avatar, samples)).points)
    opening = (gap - gap.min()) / np.ptp(gap)

    def film():
        for frame in range(0, len(gap), 2):  # 30 pictures a second
            picture = np.full((512, 512, 3), 100, np.uint8)
            picture[::2] += np.uint8(100 * opening[max(0, frame - late)])
            yield frame / 60, picture

    found = evaluate_film(avatar, film_opening(film(), avatar), samples)
    assert found['offset_to_motion_ms'] == pytest.approx(1000 * late / 60, abs=4)
    assert found['correlation_with_motion'] > 0.9
    with pytest.raises(ValueError, match='640x512'):
        film_opening([(0.0, np.zeros((512, 640, 3), np.uint8))], avatar)


def test_the_head_is_compared_with_a_still_one_and_with_other_times(avatar, dataset):
    figures = evaluate_head_pose(avatar, dataset, seeds=range(2))
    assert figures['seeds'] == 2
    assert figures['seconds'] == pytest.approx(1.2, abs=0.05)
    for line in ('ours', 'still_head', 'true_motion_of_another_time'):
        assert all(value > 0 for value in figures[line].values())


def test_pictures_are_compared_whole_and_around_mouth_and_eyes(avatar, dataset):
    figures = evaluate_renderer(avatar, dataset, backbone=None)
    assert figures['pictures'] == len(dataset.validation_pictures())
    assert figures['backbone'] is None
    assert 0 < figures['psnr'] < 60
    assert -1 <= figures['ssim_mouth'] <= 1


def test_apc_figures_are_those_of_the_best_validation(tmp_path):
    for start, losses in enumerate(((0.3, 0.2), (0.25,))):
        folder = tmp_path / 'csv' / f'version_{start}'
        folder.mkdir(parents=True)
        with (folder / 'metrics.csv').open('w', newline='') as file:
            writer = csv.writer(file)
            writer.writerow(['epoch', 'val_loss', 'val_repeat_last'])
            writer.writerows([[0, '', ''], *([0, loss, loss + 0.1] for loss in losses)])
    assert apc_figures(tmp_path) == pytest.approx({'val_loss': 0.2, 'predict_last_frame': 0.3})
    with pytest.raises(ValueError, match='no validation loss'):
        apc_figures(tmp_path / 'nothing')


def test_the_card_holds_every_figure_and_stays_when_the_avatar_is_loaded(tiny_avatar_copy, dataset):
    avatar = Avatar.load(tiny_avatar_copy)
    figures = {
        'apc': {'val_loss': 0.0523, 'predict_last_frame': 0.0612},
        'mouth': {'projected': evaluate_mouth(avatar, dataset), 'raw': evaluate_mouth(avatar, dataset, projection=0.0)},
        'head_pose': evaluate_head_pose(avatar, dataset, seeds=[0]),
        'renderer': evaluate_renderer(avatar, dataset, backbone=None),
    }
    card = write_card(avatar, figures, {'Limits': 'It is made of random numbers.'}).read_text()
    for text in ('# Model card: tiny', 'CC0-1.0', 'random numbers', '0.0523', '0.0612', '| projected |', '| raw |'):
        assert text in card
    assert f'{figures["renderer"]["psnr"]:.2f}' in card
    assert f'{100 * figures["mouth"]["raw"]["closed"]:.1f} % of 2' in card
    assert json.loads((avatar.path / 'figures.json').read_text())['apc']['val_loss'] == 0.0523
    Avatar.load(avatar.path)
    shutil.rmtree(avatar.path)
