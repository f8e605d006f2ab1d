"""Training of the speech representation (paper equation 9)."""

import numpy as np
import pytest
import soundfile
import torch

from lsp_ros.speech.mel import BANDS
from lsp_ros.training.apc import APCSettings, APCTraining, Streams, audio_files, split_hash, train_apc


def test_the_loss_is_the_mean_distance_to_the_frame_three_steps_ahead():
    training = APCTraining(APCSettings(shift=3))
    torch.nn.init.zeros_(training.predict.weight)
    torch.nn.init.constant_(training.predict.bias, 0.25)
    mel = torch.rand(2, 13, BANDS)
    loss, repeat, _ = training.losses(mel, None)
    assert loss.item() == pytest.approx((mel[:, 3:] - 0.25).abs().mean().item(), rel=1e-5)
    assert repeat.item() == pytest.approx((mel[:, 3:] - mel[:, :-3]).abs().mean().item(), rel=1e-5)


def test_the_state_is_carried_from_segment_to_segment():
    torch.manual_seed(0)
    training = APCTraining(APCSettings(shift=3)).eval()
    mel = torch.rand(1, 43, BANDS)
    with torch.no_grad():
        whole, _, _ = training.losses(mel, None)
        first, _, state = training.losses(mel[:, :23], None)
        second, _, _ = training.losses(mel[:, 20:], state)
    assert whole.item() == pytest.approx((first + second).item() / 2, rel=1e-5)


def test_segments_of_a_stream_overlap_by_the_shift_alone():
    clips = [np.full((100, BANDS), k / 10, np.float16) for k in range(6)]
    streams = Streams(clips, APCSettings(segment=20, shift=3), batch=2, shuffle=False)
    assert len(streams) > 2
    for k in range(len(streams) - 1):
        assert streams[k].shape == (2, 23, BANDS)
        assert torch.equal(streams[k][:, 20:], streams[k + 1][:, :3])


def test_an_epoch_is_laid_anew_but_the_same_when_repeated():
    clips = [np.full((50, BANDS), k / 20, np.float16) for k in range(20)]
    one, two = (Streams(clips, APCSettings(segment=20), 2, True) for _ in range(2))
    assert torch.equal(one.mel, two.mel)
    one.lay(1)
    assert not torch.equal(one.mel[:, :200], two.mel[:, :200])


def test_too_small_a_corpus_is_refused():
    with pytest.raises(ValueError, match='too few for 32 streams'):
        Streams([np.zeros((100, BANDS), np.float16)], APCSettings(), 32, False)


def test_a_speaker_stays_on_one_side_of_the_split(tmp_path):
    assert split_hash(tmp_path / '84-121123-0001.wav') == split_hash(tmp_path / '84-999-0007.ogg')
    assert 0 <= split_hash(tmp_path / '85-1.wav') < 1


def test_a_corpus_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match='nowhere does not exist'):
        audio_files([tmp_path / 'nowhere'])
    with pytest.raises(ValueError, match='no audio files'):
        audio_files([tmp_path])


def test_it_learns_from_a_folder_of_speech(tmp_path):
    rng = np.random.default_rng(0)
    corpus = tmp_path / 'corpus'
    corpus.mkdir()
    stems = [f'{k}-a' for k in range(12)]
    settings = APCSettings(epochs=1, batch=2, segment=30, validation_share=0.3, accelerator='cpu')
    assert 0 < sum(split_hash(corpus / stem) < 0.3 for stem in stems) < len(stems)
    for stem in stems:
        soundfile.write(corpus / f'{stem}.wav', 0.1 * rng.standard_normal(16_000), 16_000)
    weights = train_apc([corpus], tmp_path / 'run', settings)
    assert sum(w.numel() for w in weights.values()) == 4_064_256
