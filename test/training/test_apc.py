"""Training of the speech representation (paper equation 9)."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from lsp_ros.avatar.architecture import MEL_BANDS
from lsp_ros.training.apc import (
    APCTraining,
    APCTrainingConfig,
    Streams,
    audio_files,
    split_hash,
    train_apc,
    validation_files,
)


def test_the_loss_is_the_mean_distance_to_the_frame_three_steps_ahead():
    training = APCTraining(APCTrainingConfig(shift=3))
    torch.nn.init.zeros_(training.predict.weight)
    torch.nn.init.constant_(training.predict.bias, 0.25)
    mel = torch.rand(2, 13, MEL_BANDS)
    loss, repeat, _ = training.losses(mel, None)
    assert loss.item() == pytest.approx((mel[:, 3:] - 0.25).abs().mean().item(), rel=1e-5)
    assert repeat.item() == pytest.approx((mel[:, 3:] - mel[:, :-3]).abs().mean().item(), rel=1e-5)


def test_the_state_is_carried_from_segment_to_segment():
    torch.manual_seed(0)
    training = APCTraining(APCTrainingConfig(shift=3)).eval()
    mel = torch.rand(1, 43, MEL_BANDS)
    with torch.no_grad():
        whole, _, _ = training.losses(mel, None)
        first, _, state = training.losses(mel[:, :23], None)
        second, _, _ = training.losses(mel[:, 20:], state)
    assert whole.item() == pytest.approx((first + second).item() / 2, rel=1e-5)


def test_segments_of_a_stream_overlap_by_the_shift_alone():
    clips = [np.full((100, MEL_BANDS), k / 10, np.float16) for k in range(6)]
    streams = Streams(clips, APCTrainingConfig(segment=20, shift=3), batch=2, shuffle=False)
    assert len(streams) > 2
    for k in range(len(streams) - 1):
        assert streams[k].shape == (2, 23, MEL_BANDS)
        assert torch.equal(streams[k][:, 20:], streams[k + 1][:, :3])


def test_an_epoch_is_laid_anew_but_the_same_when_repeated():
    clips = [np.full((50, MEL_BANDS), k / 20, np.float16) for k in range(20)]
    one, two = (Streams(clips, APCTrainingConfig(segment=20), 2, True) for _ in range(2))
    assert torch.equal(one.mel, two.mel)
    one.lay(1)
    assert not torch.equal(one.mel[:, :200], two.mel[:, :200])


def test_too_small_a_corpus_is_refused():
    with pytest.raises(ValueError, match='too few for 32 streams'):
        Streams([np.zeros((100, MEL_BANDS), np.float16)], APCTrainingConfig(), 32, False)


def test_devices_share_the_streams_among_them():
    clips = [np.random.default_rng(k).random((90, MEL_BANDS)).astype(np.float16) for k in range(20)]
    config = APCTrainingConfig(segment=20)
    whole = Streams(clips, config, 6, True)
    parts = [Streams(clips, config, 2, True, (device, 3)) for device in range(3)]
    assert torch.equal(torch.cat([part.mel for part in parts]), whole.mel)


def test_what_shares_a_name_up_to_the_first_dash_stays_on_one_side_of_the_split(tmp_path):
    files = [tmp_path / f'{speaker}-{k}.wav' for speaker in range(40) for k in range(5)]
    held = validation_files(files, 0.3)
    assert 0 < sum(held) < len(held)
    for first in range(0, len(files), 5):
        assert len(set(held[first : first + 5])) == 1


@pytest.mark.parametrize('names', [[f'anna-{k}' for k in range(50)], ['anna-1', 'anna-2'], ['one', 'two', 'three']])
@pytest.mark.parametrize('share', [0.04, 0.99])
def test_a_small_corpus_has_something_on_either_side_of_the_split(tmp_path, names, share):
    held = validation_files([tmp_path / f'{name}.wav' for name in names], share)
    assert 0 < sum(held) < len(held)
    assert held == validation_files([tmp_path / f'{name}.wav' for name in names], share)


def test_of_few_speakers_the_one_with_least_speech_validates(tmp_path):
    speakers = {'anna': 9, 'bob': 2, 'eve': 5}
    files = [tmp_path / f'{name}-{k}.wav' for name, count in speakers.items() for k in range(count)]
    held = validation_files(files, 1e-9)
    assert [file.stem for file, kept in zip(files, held) if kept] == ['bob-0', 'bob-1']


@pytest.mark.slow
def test_the_same_seed_gives_the_same_first_weights_whatever_happened_before(tmp_path):
    for k in range(4):
        soundfile.write(tmp_path / f'{k}.wav', 0.1 * np.random.default_rng(k).standard_normal(16_000), 16_000)
    still = APCTrainingConfig(
        epochs=1,
        batch=2,
        segment=30,
        validation_share=0.5,
        lr=0.0,
        lr_end=0.0,
        seed=3,
        accelerator='cpu',
        max_batches=1,
    )
    first = train_apc([tmp_path], tmp_path / 'first', still)
    torch.rand(7)
    second = train_apc([tmp_path], tmp_path / 'second', still)
    other = train_apc([tmp_path], tmp_path / 'other', replace(still, seed=4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_a_corpus_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match='nowhere does not exist'):
        audio_files([tmp_path / 'nowhere'])
    with pytest.raises(ValueError, match='no audio files'):
        audio_files([tmp_path])


@pytest.mark.parametrize('seconds', [[0.05, 0.05, 0.05], [2.0, 0.05]])
def test_a_corpus_of_clips_that_are_too_short_is_refused_in_a_sentence(tmp_path, seconds):
    for k, length in enumerate(seconds):
        soundfile.write(tmp_path / f'{k}.wav', np.zeros(round(length * 16_000)), 16_000)
    with pytest.raises(ValueError, match=f'of {len(seconds)} audio files {seconds.count(2.0)} are longer'):
        train_apc([tmp_path], tmp_path / 'run', APCTrainingConfig(accelerator='cpu'))


@pytest.mark.slow
def test_it_learns_from_a_folder_of_speech_of_one_speaker(tmp_path):
    for k in range(4):
        soundfile.write(tmp_path / f'anna-{k}.wav', 0.1 * np.random.default_rng(k).standard_normal(16_000), 16_000)
    config = APCTrainingConfig(epochs=1, batch=2, segment=30, accelerator='cpu', max_batches=1)
    assert train_apc([tmp_path], tmp_path / 'run', config)


@pytest.mark.slow
def test_it_learns_from_a_folder_of_speech(tmp_path):
    rng = np.random.default_rng(0)
    corpus = tmp_path / 'corpus'
    corpus.mkdir()
    stems = [f'{k}-a' for k in range(12)]
    config = APCTrainingConfig(epochs=1, batch=2, segment=30, validation_share=0.3, accelerator='cpu')
    assert 0 < sum(split_hash(stem.split('-')[0]) < 0.3 for stem in stems) < len(stems)
    for stem in stems:
        soundfile.write(corpus / f'{stem}.wav', 0.1 * rng.standard_normal(16_000), 16_000)
    weights = train_apc([corpus], tmp_path / 'run', config)
    assert sum(w.numel() for w in weights.values()) == 4_064_256
