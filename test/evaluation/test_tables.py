"""The paper's tables: variants are options of the one model, rows are trained, measured and found again."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from synthetic_dataset import write_synthetic

from lsp_ros.avatar.load import Avatar
from lsp_ros.cli.main import main
from lsp_ros.evaluation.head_variants import RecurrentSampler, head_motion, judge_head, sampler_of
from lsp_ros.evaluation.paper_report import table
from lsp_ros.evaluation.paper_tables import TABLE1, TABLE2, Row, rows_of, table3
from lsp_ros.evaluation.playback import hear, with_networks, with_settings
from lsp_ros.evaluation.row_figures import Materials
from lsp_ros.evaluation.runs import Evaluation
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.head_pose_live import HeadPoseSampler
from lsp_ros.motion.stage import MotionStage
from lsp_ros.rendering.generator import Generator, build_generator, parameter_count
from lsp_ros.training.dataset import load_dataset
from lsp_ros.training.head_pose import HeadPoseTraining, HeadPoseTrainingConfig
from lsp_ros.training.pictures import read_candidates, training_pictures
from lsp_ros.training.recipes import CONFIGS, changed

pytestmark = pytest.mark.slow

SMALL = ['--on-cpu', '5', '--accelerator', 'cpu', '--set', 'max_batches=1', '--batch', '1']


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp('data') / 'nobody', seconds=29.0, pictures=10)


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    folder = write_synthetic(tmp_path_factory.mktemp('data') / 'clip', seconds=4.0)
    phones = [['pau', 0, 1], ['b', 1, 1.1], ['aa', 1.1, 3], ['m', 3, 3.1], ['pau', 3.1, 4]]
    (folder / 'phones.json').write_text(json.dumps({'phones': phones}))
    return folder


@pytest.fixture(scope='module')
def avatar(tiny_avatar):
    return Avatar.load(tiny_avatar)


def head(**variant) -> HeadPoseNet:
    torch.manual_seed(1)
    network = HeadPoseNet(**variant)
    with torch.no_grad():
        network(torch.randn(2, 40, 12), torch.randn(2, 40, 1024))
    return network.eval()


def responses(network: HeadPoseNet) -> tuple[bool, bool]:
    """Whether the output changes with the history of poses, and with speech."""
    generator = torch.Generator().manual_seed(0)
    poses, other = torch.randn(2, 1, 60, 12, generator=generator)
    heard, unheard = torch.randn(2, 1, 60, 1024, generator=generator)
    with torch.no_grad():
        said = network(poses, heard)[0]
        return not torch.equal(said, network(other, heard)[0]), not torch.equal(said, network(poses, unheard)[0])


@pytest.mark.parametrize('recurrent', [False, True])
def test_a_variant_sees_what_it_is_given_and_nothing_else(recurrent):
    assert responses(head(recurrent=recurrent)) == (True, True)
    assert responses(head(history=False, recurrent=recurrent)) == (False, True)
    assert responses(head(speech=False, recurrent=recurrent)) == (True, False)


@pytest.mark.parametrize('variant', [{'history': False}, {'speech': False}])
def test_what_a_variant_lacks_does_not_come_back_in_training(variant):
    training = HeadPoseTraining(HeadPoseTrainingConfig(sequence=20, **variant)).train()
    optimizer = torch.optim.Adam(training.parameters(), 1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        training.loss((torch.randn(2, 30, 12), torch.randn(2, 30, 1024))).backward()
        optimizer.step()
    assert responses(training.net.eval()) == ('history' not in variant, 'speech' not in variant)


def test_without_probabilities_the_loss_is_the_squared_error_of_the_mean():
    training = HeadPoseTraining(HeadPoseTrainingConfig(sequence=20, probabilistic=False)).eval()
    states, features = torch.randn(2, 30, 12), torch.randn(2, 30, 1024)
    with torch.no_grad():
        mean, _ = training.net(states, features)
        assert float(training.loss((states, features))) == pytest.approx(
            float((mean - states)[:, -20:].square().mean()), rel=1e-5
        )


def test_the_recurrent_variant_steps_as_it_is_trained():
    network = head(recurrent=True)
    rng = np.random.default_rng(0)
    features, noise = rng.normal(0, 1, (40, 1024)).astype(np.float32), rng.normal(0, 1, (40, 1, 12))
    sampler = RecurrentSampler(network, noise_scale=0.3)
    state = sampler.start(features[:1])
    poses = np.concatenate([sampler.sample(state, features[t : t + 1], noise[t]) for t in range(40)])
    # Teacher-forced on these poses; the first frame was heard once more, by a head at rest.
    before = torch.from_numpy(np.concatenate([np.zeros((1, 12)), poses])).float()[None]
    with torch.inference_mode():
        mean, n = network(before, torch.from_numpy(np.concatenate([features[:1], features]))[None])
    expected = mean[0, 1:].numpy() + 0.3 * noise[:, 0] * np.exp(-n[0, 1:].numpy())
    np.testing.assert_allclose(poses, expected, atol=1e-5)


def test_heads_are_judged_as_the_network_moves_them_live(avatar, clip):
    avatar.face = replace(avatar.face, posture=None)  # which is footage, and the same for each variant
    features = hear(avatar, load_dataset(clip).read_audio()[:16000])
    network = HeadPoseNet().eval()
    network.load_state_dict({name: torch.tensor(value) for name, value in avatar.weights('head_pose').items()})
    rows = features.values.reshape(len(features), -1)
    moved = head_motion(sampler_of(network, avatar), avatar, rows, avatar.manifest.head_pose.look_ahead)
    live = MotionStage(avatar, precision='f32').push(features)
    moved = moved[: len(live)]
    np.testing.assert_allclose(moved[:, 0, :3], live.euler, atol=1e-4)
    np.testing.assert_allclose(moved[:, 0, 3:] + avatar.face.translation_mean, live.translation, atol=1e-4)


def test_a_head_that_is_the_truth_is_at_no_distance(avatar, folder):
    dataset = load_dataset(folder)
    sampler = SimpleNamespace(
        condition=lambda features: np.zeros((len(features), 1)),
        start=lambda condition, seed: iter(dataset.euler),
        step=lambda state, condition: None,
        sample=lambda state, condition: np.concatenate([next(state), np.zeros(3)])[None],
    )
    still = avatar.manifest.head_pose
    plain = SimpleNamespace(
        manifest=SimpleNamespace(head_pose=SimpleNamespace(smoothing=(0.0, 0.0), amplitude=still.amplitude)),
        face=SimpleNamespace(translation_mean=np.zeros(3)),
    )
    features = np.zeros((len(dataset), 1024), np.float32)
    found = judge_head(sampler, plain, [(dataset, features, (100, 400))], look_ahead=5, seeds=1)
    assert found['rotation'] == pytest.approx(0, abs=1e-3)
    assert found['position'] > 100  # its head stays at the camera
    assert found['seconds'] == 5


def test_renderers_without_something_are_smaller_and_still_draw():
    whole, plain = Generator(width=4, levels=3), Generator(width=4, levels=3, blocks=0)
    lines_alone = Generator(width=4, levels=3, candidates=False)
    assert parameter_count(whole) - parameter_count(lines_alone) == 12 * 9 * 4
    assert not any('block' in name for name in plain.state_dict())
    assert lines_alone(torch.zeros(1, 1, 64, 64)).shape == plain(torch.zeros(1, 13, 64, 64)).shape == (1, 3, 64, 64)
    with pytest.raises(ValueError, match='candidate images'):
        build_generator('live', candidates=False)


def test_less_footage_is_the_first_minutes_and_has_candidates_of_its_own(folder):
    dataset = load_dataset(folder)
    early = training_pictures(dataset, 0.25)
    assert len(early) >= 4
    assert early == [frame for frame in dataset.training_pictures() if frame < 900]
    assert training_pictures(dataset) == dataset.training_pictures()
    assert read_candidates(dataset, 0.25).max() < read_candidates(dataset).max()  # pictures brighten with time


def test_every_row_is_a_setting_of_its_training():
    for rows, network in ((TABLE1, 'mouth'), (TABLE2, 'head_pose'), (table3('large'), 'renderer')):
        assert len({row.key for row in rows}) == len(rows)
        for row in rows:
            changed(CONFIGS[network](), **(row.changes or {}))
    assert {row.changes['look_ahead'] for row in TABLE1} == {0, 3, 6, 9, 12, 18, 24, 30}
    assert all(row.paper for row in table3('large') if row.key not in ('live', 'shipped'))
    assert 'live_without_candidates' not in {row.key for row in table3('live')}


def test_other_weights_are_those_of_the_copy_alone(avatar):
    other = with_networks(avatar, mouth={'none': np.zeros(1)})
    assert list(other.weights('mouth')) == ['none']
    assert other.weights('head_pose').keys() == avatar.weights('head_pose').keys()
    assert 'none' not in avatar.weights('mouth')


def evaluate(kind, avatar, folder, run, *more) -> tuple[str, dict]:
    data = ['--data', str(folder)]
    assert main(['evaluate', kind, str(avatar.path), *data, '--run', str(run), *more]) == 0
    return (run / 'evaluation.md').read_text(), json.loads((run / 'evaluation.json').read_text())


def test_table_1_trains_measures_and_says_what_did_not_run(avatar, clip, tmp_path):
    arguments = [*SMALL, '--set', 'hearings=1', '--set', 'sequence=20', '--rows', '100ms', '--held-out', str(clip)]
    text, found = evaluate('table1', avatar, clip, tmp_path, *arguments)
    [row] = found['table1']['rows']
    assert row['settings']['look_ahead'] == 6
    assert row['figures']['error_mm'] > 0 and row['figures']['held_out']['bilabials'] == 2
    assert row['protocol'] in text and row['trained']['epochs'] == 1
    assert '5.117' in text and 'not run here' in text and '--rows 0ms 50ms' in text
    # Again, nothing is trained: the weights are not even there.
    (tmp_path / 'table1' / '100ms' / 'best.ckpt').unlink()
    [again] = evaluate('table1', avatar, clip, tmp_path, *arguments)[1]['table1']['rows']
    assert json.dumps(again) == json.dumps(row)  # a share of no phones is no number, and equals none


def test_a_row_is_of_its_data_and_a_training_goes_on_with_its_own_alone(avatar, clip, folder, tmp_path):
    run, other = tmp_path / 'run', tmp_path / 'other'
    shutil.copytree(clip, other)
    manifest = other / 'dataset.yaml'
    manifest.write_text(manifest.read_text().replace('split: {}', '') + 'split: {validation: [[0, 60]]}\n')
    small = [*SMALL, '--set', 'hearings=1', '--set', 'sequence=20']
    arguments = [*small, '--rows', '100ms']

    def row(data, *more) -> dict:
        [found] = evaluate('table1', avatar, data, run, *more)[1]['table1']['rows']
        return found

    trained = run / 'table1' / '100ms'
    first = row(clip, *arguments)
    learned = (trained / 'best.ckpt').read_bytes()
    # Another recording judges: measured again, and not trained again.
    second = row(clip, *arguments, '--held-out', str(clip))
    assert 'held_out' in second['figures'] and 'held_out' not in first['figures']
    assert (trained / 'best.ckpt').read_bytes() == learned
    # Other data to learn from: trained from the start, and what was there stays beside it.
    third = row(other, *arguments)
    assert third['figures'] != first['figures'] and third['trained']['steps'] == first['trained']['steps']
    aside = run / 'table1' / '100ms.1'
    assert (aside / 'best.ckpt').read_bytes() == learned
    # Other settings as well.
    row(other, *arguments, '--set', 'max_batches=2', '--epochs', '5')
    assert (run / 'table1' / '100ms.2' / 'best.ckpt').is_file()
    assert row(other, *arguments, '--set', 'max_batches=2', '--epochs', '5')['trained']['steps'] == 2


def test_rows_that_were_measured_otherwise_are_marked(avatar, clip, tmp_path):
    small = [*SMALL, '--set', 'hearings=1', '--set', 'sequence=20']
    evaluate('table1', avatar, clip, tmp_path, *small, '--rows', '100ms')
    text, found = evaluate('table1', avatar, clip, tmp_path, *small, '--rows')  # only printed
    assert found['table1']['otherwise'] == {} and '100 ms *' not in text and '| 100 ms |' in text
    text, found = evaluate('table1', avatar, clip, tmp_path, *small, '--set', 'lr=0.5', '--rows')
    assert found['table1']['otherwise'] == {'100ms': 'lr 0.001 instead of 0.5'}
    assert '| 100 ms * |' in text and '100ms (lr 0.001 instead of 0.5)' in text
    text, found = evaluate('table1', avatar, clip, tmp_path, *small, '--held-out', str(clip), '--rows')
    assert found['table1']['otherwise'] == {'100ms': 'other held-out recording'}
    # Figures that do not say what they are of, as earlier versions wrote them, are shown and not believed.
    file = tmp_path / 'table1' / '100ms' / 'figures.json'
    known = json.loads(file.read_text())
    del known['data']
    file.write_text(json.dumps(known))
    text, found = evaluate('table1', avatar, clip, tmp_path, *small, '--rows')
    assert '100ms (data unknown)' in text and found['table1']['rows'] == [known]
    assert 'data' in evaluate('table1', avatar, clip, tmp_path, *small, '--rows', '100ms')[1]['table1']['rows'][0]


def test_a_row_knows_what_it_was_measured_with(avatar, clip, tmp_path):
    def digests(table, key, **more) -> dict:
        values = {'avatar': avatar, 'datasets': [clip], 'held_out': None, **more}
        return Evaluation(Materials(**values, run=tmp_path), configs={}).data(table, Row(key, key))

    other = write_synthetic(tmp_path / 'other', seconds=4.0, seed=1, pictures=2)
    weights = tmp_path / 'weights.npz'
    weights.write_bytes(b'weights')
    files = {**avatar.manifest.files, 'head_pose.safetensors': 64 * '0', 'renderer_live.safetensors': 64 * '0'}
    elsewhere = with_settings(avatar, files=files)
    hears = with_settings(avatar, speech=replace(avatar.manifest.speech, projection=0.0))
    for kind, key, change, what in (
        ('table1', '0ms', {'datasets': [other]}, {'person'}),
        ('table1', '0ms', {'datasets': [clip, other]}, {'further datasets'}),
        ('table1', '0ms', {'held_out': other}, {'held-out recording'}),
        ('table1', '0ms', {'avatar': hears}, {'hearing'}),
        ('table1', '0ms', {'avatar': elsewhere}, set()),
        ('table2', 'full', {'avatar': elsewhere}, set()),
        ('table2', 'shipped', {'avatar': elsewhere}, {'head network'}),
        ('table2', 'full', {'datasets': [clip, other]}, set()),
        ('table3', 'live', {'datasets': [other]}, {'person', 'pictures'}),
        ('table3', 'live', {'backbone': str(weights)}, {'backbone'}),
        ('table3', 'shipped', {'avatar': elsewhere}, {'renderer'}),
        ('table3', 'live', {'avatar': hears, 'held_out': other}, set()),
    ):
        before, now = digests(kind, key), digests(kind, key, **change)
        assert {name for name in before if before[name] != now[name]} == what, (kind, key, change)


def test_the_papers_third_table_has_its_deviations():
    rows = {row.key: row.paper for row in table3('large')}
    assert rows['large']['psnr'] == pytest.approx((26.006 + 27.576 + 28.044) / 3)
    assert rows['large_1_minute']['psnr'] == pytest.approx((23.939 + 24.873 + 25.875) / 3)
    assert rows['large']['l1_deviation'] == pytest.approx((1.671 + 0.732 + 1.234) / 3)
    text = table('table3', table3('large'), {}, 'lsp')
    assert '5.08 ± 1.21' in text


def test_table_2_judges_variants_the_avatar_and_a_still_head(avatar, folder, tmp_path):
    more = [*SMALL, '--set', 'sequence=60', '--set', 'hearings=1', '--rows', 'lstm_l2', 'shipped', 'still']
    text, found = evaluate('table2', avatar, folder, tmp_path, *more)
    rows = {row['row']: row for row in found['table2']['rows']}
    assert set(rows) == {'lstm_l2', 'shipped', 'still'}
    assert rows['lstm_l2']['settings']['recurrent'] and rows['shipped']['trained'] is None
    assert all(row['figures']['rotation'] > 0 for row in rows.values())
    assert 'not built' in text and 'zhou_2020' not in found['table2']['not_run']


def test_table_3_varies_the_renderer_of_the_size_that_is_asked_for(avatar, folder, tmp_path):
    more = [*SMALL, '--backbone', 'none', '--set', 'validation_pictures=1', '--rows', 'live_without_upper_body']
    text, found = evaluate('table3', avatar, folder, tmp_path, *more)
    [row] = found['table3']['rows']
    assert row['settings']['upper_body'] is False
    assert row['figures']['l1'] > 0 and row['figures']['l1_deviation'] >= 0
    assert 'input (on live)' in text and 'not measured' in text
    assert '--size live --rows unet' in text  # what would measure the rest
    assert [row.key for row in rows_of('table3', 'live')][1:4] == ['unet', 'normal', 'large']


def test_lips_and_figures_train_nothing(avatar, clip, tmp_path):
    sound = ['--held-out', str(clip), '--sound', str(clip / 'audio.wav')]
    text, found = evaluate('lips', avatar, clip, tmp_path, *sound)
    rows = found['lips']['rows']
    assert rows['clip']['closures']['B']['total'] == 1 and rows['clip']['true_closed'] >= 0
    assert rows['audio.wav']['offset_to_sound_ms'] == pytest.approx(rows['clip']['offset_to_sound_ms'], abs=0.1)
    text, found = evaluate('figures', avatar, clip, tmp_path, '--other', str(avatar.path), str(clip))
    assert (tmp_path / 'figure8.png').stat().st_size and (tmp_path / 'figure9.png').stat().st_size
    assert found['figures']['figure8']['reconstructed_to_target'] > 0
    assert '![figure 9]' in text


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['table2', 'AVATAR', '--data', 'nowhere'], 'nowhere'),
        (['table2', 'AVATAR', '--data', 'DATA', '--rows', 'kroplo'], 'kroplo'),
        (['all', 'AVATAR', '--data', 'DATA', '--set', 'kroplo=1'], 'kroplo'),
        (['lips', 'AVATAR'], '--held-out'),
        (['lips', 'AVATAR', '--film', 'missing.mp4'], 'missing.mp4'),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(arguments, words, avatar, folder, tmp_path, capsys):
    places = {'AVATAR': str(avatar.path), 'DATA': str(folder)}
    assert main(['evaluate', *(places.get(word, word) for word in arguments), '--run', str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_the_sampler_of_the_full_model_is_the_live_one(avatar):
    assert type(sampler_of(head(), avatar)) is HeadPoseSampler
