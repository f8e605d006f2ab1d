import numpy as np

from lsp_ros.speech.activity import SILENCE_DB, SpeechActivity, level_db


def activity(levels):
    follower = SpeechActivity()
    return np.array([follower.push(level) for level in levels])


def speech(rng, frames, level=-20.0):
    """Syllables: 200 ms up, 60 ms stop gaps near the floor."""
    return np.where(np.arange(frames) % 16 < 12, level + rng.uniform(-6, 0, frames), -58.0)


def test_level_of_known_signals():
    assert level_db(np.zeros(266)) == SILENCE_DB
    assert level_db(np.zeros(0)) == SILENCE_DB
    assert abs(level_db(np.ones(266))) < 1e-9
    assert abs(level_db(np.full(100, 0.1)) + 20) < 1e-9


def test_digital_silence_and_soft_noise_are_not_speech():
    rng = np.random.default_rng(0)
    assert not activity(np.full(600, SILENCE_DB)).any()
    assert not activity(-62 + rng.uniform(-2, 2, 600)).any()


def test_speech_is_heard_in_silence_and_over_the_noise_of_a_hall():
    rng = np.random.default_rng(1)
    for floor in (SILENCE_DB, -70.0, -50.0, -42.0):
        quiet = floor + rng.uniform(-1.5, 1.5, 600)
        talk = np.maximum(speech(rng, 600), quiet)
        active = activity(np.concatenate([quiet, talk, quiet]))
        syllables = np.arange(600) % 16 < 12
        assert active[600:1200][syllables].mean() > 0.95
        assert active[1210:].mean() < 0.02


def test_long_speech_does_not_raise_the_floor_until_it_is_taken_for_noise():
    rng = np.random.default_rng(2)
    active = activity(np.concatenate([np.full(60, -70.0), speech(rng, 60 * 60, level=-26)]))
    syllables = np.arange(60 * 60) % 16 < 12
    assert active[60:][syllables][-600:].mean() > 0.95


def test_a_fan_that_is_switched_on_is_taken_for_speech_for_a_while_only():
    active = activity(np.concatenate([np.full(120, -70.0), np.full(60 * 30, -48.0)]))
    assert not active[-60:].any()


def test_reset_forgets_the_room():
    follower = SpeechActivity()
    levels = [-70.0] * 60 + [-45.0] * 600 + [-38.0] * 5
    first = [follower.push(level) for level in levels]
    follower.reset()
    assert [follower.push(level) for level in levels] == first
