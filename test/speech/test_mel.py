from pathlib import Path

import numpy as np
import pytest

from lsp_ros import timeline
from lsp_ros.avatar.architecture import MEL_BANDS
from lsp_ros.speech.mel import SUPPORT, log_mel, mel_frames

GOLDEN = Path(__file__).parents[1] / 'golden' / 'mel_synthetic.npz'


def test_golden_values_of_the_reference_implementation():
    golden = np.load(GOLDEN)
    np.testing.assert_allclose(log_mel(golden['audio']), golden['mel80'], rtol=0, atol=1e-5)


def test_two_rows_for_each_whole_video_frame():
    for samples in (0, 266, 267, 16000, 183_296):
        assert log_mel(np.zeros(samples, np.float32)).shape == (2 * timeline.frames_in(samples), MEL_BANDS)


def test_silence_is_zero_and_a_full_scale_tone_peaks_in_its_own_band():
    assert not log_mel(np.zeros(4000, np.float32)).any()
    for hz in (150, 1000, 4000, 7000):
        mel = log_mel(np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000).astype(np.float32))
        peak = np.unique(mel[10:-10].argmax(axis=1))
        assert np.ptp(peak) <= 1  # the tone's phase decides between two neighbours at most
        assert 0.5 < mel.max() < 1.2


def test_a_frame_depends_on_its_own_200_samples_alone():
    audio = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    frame, start = 12, timeline.feature_start(12)
    other = np.random.default_rng(1).standard_normal(4000).astype(np.float32)
    other[start : start + SUPPORT] = audio[start : start + SUPPORT]
    np.testing.assert_array_equal(log_mel(audio)[frame], log_mel(other)[frame])
    other[start + SUPPORT - 1] += 1
    assert np.abs(log_mel(audio)[frame] - log_mel(other)[frame]).max() > 0


@pytest.mark.parametrize('first', [0, 1000])
def test_position_in_the_buffer_does_not_matter(first):
    audio = np.random.default_rng(2).standard_normal(2000).astype(np.float32)
    starts = np.array([0, 133, 266, 400])
    padded = np.concatenate([np.ones(first, np.float32), audio])
    np.testing.assert_array_equal(mel_frames(padded, starts + first), mel_frames(audio, starts))
