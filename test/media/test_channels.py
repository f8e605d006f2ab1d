"""A voice is heard at its level, in whatever channels it is."""

import numpy as np
import pytest

from lsp_ros.media.channels import to_mono, without_offset
from lsp_ros.timeline import SAMPLE_RATE

RNG = np.random.default_rng(0)
SECONDS = 4


def voice(seed: int = 0, active: slice = slice(None)) -> np.ndarray:
    """Noise that comes and goes."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.random(SECONDS * 4) > 0.3, SAMPLE_RATE // 4)
    sound = (0.1 * loud * rng.standard_normal(SECONDS * SAMPLE_RATE)).astype(np.float32)
    quiet = np.zeros_like(sound)
    quiet[active] = sound[active]
    return quiet


SPEECH = voice()
SILENCE = np.zeros_like(SPEECH)
STEREO, SURROUND = ('FL', 'FR'), ('FL', 'FR', 'FC', 'LFE', 'BL', 'BR')


@pytest.mark.parametrize(
    'channels, names',
    [
        ([SPEECH], ('FC',)),
        ([SPEECH, SPEECH], STEREO),
        ([SPEECH, SILENCE], STEREO),
        ([SILENCE, SPEECH], STEREO),
        ([SPEECH, -SPEECH], STEREO),
        ([SPEECH, 0.3 * SPEECH], STEREO),
        ([SILENCE, SILENCE, SPEECH, SILENCE, SILENCE, SILENCE], SURROUND),
        ([SILENCE, SILENCE, SPEECH, voice(5), SILENCE, SILENCE], SURROUND),
        ([SPEECH] * 6, SURROUND),
    ],
)
def test_a_voice_is_heard_as_it_is(channels, names):
    np.testing.assert_allclose(to_mono(np.stack(channels), names), SPEECH, atol=1e-6)


def test_the_loudest_channel_counts_for_the_sign():
    np.testing.assert_allclose(np.abs(to_mono(np.stack([-0.2 * SPEECH, SPEECH]), STEREO)), np.abs(SPEECH), atol=1e-6)


def test_two_speakers_left_and_right_are_heard_at_their_levels():
    half = SECONDS * SAMPLE_RATE // 2
    first, second = voice(1, slice(0, half)), voice(2, slice(half, None))
    np.testing.assert_allclose(to_mono(np.stack([first, second]), STEREO), first + second, rtol=0.1, atol=1e-6)


def test_channels_that_differ_are_as_loud_together_as_one():
    mixed = to_mono(np.stack([SPEECH + 0.05 * voice(3), 0.9 * SPEECH + 0.05 * voice(4)]), STEREO)
    assert 0.9 < mixed.std() / SPEECH.std() < 1.1


def test_silence_stays_silence():
    assert not to_mono(np.stack([SILENCE, SILENCE]), STEREO).any()


@pytest.mark.parametrize('offset', [-0.3, 0.02])
def test_direct_current_is_taken_away(offset):
    heard = without_offset(SPEECH + np.float32(offset))
    assert np.abs(heard - SPEECH).max() < 0.003


def test_digital_silence_beside_direct_current_stays_silent():
    sound = SPEECH + np.float32(0.2)
    sound[:SAMPLE_RATE] = 0
    heard = without_offset(sound)
    assert not heard[: SAMPLE_RATE - 800].any() and abs(float(heard[SAMPLE_RATE:].mean())) < 0.003


def test_a_sound_without_direct_current_stays_as_it_is_to_the_bit():
    for sound in (SPEECH, voice(7)[:3000], RNG.uniform(-1, 1, 12345).astype(np.float32)):
        np.testing.assert_array_equal(without_offset(sound), sound)
