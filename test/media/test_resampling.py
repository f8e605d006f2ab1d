import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import tone

from lsp_ros.media.resampling import AudioResampler

RATES = [8000, 11025, 16000, 22050, 44100, 48000, 96000]


def in_chunks(resampler: AudioResampler, samples: np.ndarray, cuts: list[int]) -> np.ndarray:
    parts = np.split(samples, sorted(cuts))
    return np.concatenate([resampler.push(part) for part in parts] + [resampler.flush()])


@pytest.mark.parametrize('rate', RATES)
def test_resampling_keeps_a_tone_a_tone(rate):
    resampler = AudioResampler(rate)
    heard = np.concatenate([resampler.push(tone(rate, 1.0)), resampler.flush()])
    assert len(heard) == 16000
    assert np.abs(heard - tone(16000, 1.0))[100:-100].max() < 1e-4


@given(st.sampled_from(RATES), st.integers(0, 20000), st.data())
@settings(deadline=None, max_examples=60)
def test_resampling_in_any_chunks_is_resampling_at_once_and_the_count_is_exact(rate, length, data):
    samples = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    cuts = data.draw(st.lists(st.integers(0, length), max_size=20))
    whole = in_chunks(AudioResampler(rate), samples, [])
    assert len(whole) == -(-length * 16000 // rate)
    np.testing.assert_array_equal(in_chunks(AudioResampler(rate), samples, cuts), whole)


@pytest.mark.slow
def test_resampling_ten_minutes_in_odd_chunks_does_not_drift():
    resampler = AudioResampler(44100)
    chunk = np.zeros(4410 - 1, np.float32)
    rest = np.zeros(6000, np.float32)
    count = sum(len(resampler.push(chunk)) for _ in range(6000)) + len(resampler.push(rest)) + len(resampler.flush())
    assert count == 600 * 16000


def test_a_flushed_resampler_starts_again():
    resampler = AudioResampler(48000)
    first = in_chunks(resampler, tone(48000, 0.3), [])
    np.testing.assert_array_equal(in_chunks(resampler, tone(48000, 0.3), [5, 999]), first)


def test_channels_are_averaged():
    both = np.stack([tone(48000, 0.2), np.zeros(9600, np.float32)], axis=1)
    stereo = in_chunks(AudioResampler(48000, channels=2), both, [77])
    np.testing.assert_allclose(stereo, 0.5 * in_chunks(AudioResampler(48000), tone(48000, 0.2), []), atol=1e-6)


@pytest.mark.parametrize('samples', [np.zeros((10, 3)), np.zeros(10), np.zeros((1, 2, 2))])
def test_samples_of_the_wrong_shape_are_refused(samples):
    with pytest.raises(ValueError, match='shape'):
        AudioResampler(48000, channels=2).push(samples)


@pytest.mark.parametrize('rate, channels', [(0, 1), (-16000, 1), (10**7, 1), (16000, 0)])
def test_a_stream_that_cannot_be_is_refused(rate, channels):
    with pytest.raises(ValueError):
        AudioResampler(rate, channels)
