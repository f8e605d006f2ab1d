"""Two clocks that differ, and whole sentences that come at once."""

import numpy as np
import pytest
from stream_pieces import numbered

from lsp_ros.live.jitter_buffer import JitterBuffer


def live(buffer, sound, drift, seconds, block=160):
    """What a buffer hands out of a source that pushes blocks by a clock of its own; ``sound(index)``."""
    sent, heard = 0, []
    for tick in range(int(seconds * 100)):
        now = tick * 0.01
        while sent < int(now * 16_000 * (1 + drift)) // block * block:
            buffer.push(sound(np.arange(sent, sent + block)).astype(np.float32), now)
            sent += block
        heard.append(buffer.read(160, now))
    return np.concatenate(heard), sent


@pytest.mark.parametrize('drift', [-300e-6, 0.0, 300e-6])
def test_a_sound_card_with_its_own_clock_is_followed(drift):
    """Five minutes of a tone, in blocks of 10 ms: no drop-out, no growing delay, no audible step."""
    buffer = JitterBuffer(target=480, limit=4000)
    # Never zero: silence would show.
    heard, sent = live(buffer, lambda index: 2 + np.sin(index * (2 * np.pi * 200 / 16_000)), drift, 300)
    begin = np.flatnonzero(heard)[0]
    assert begin < 1600
    assert heard[begin:].all(), 'a drop-out'
    assert np.abs(np.diff(heard[begin:])).max() < 0.2
    assert sent - len(heard) < 480 + 1600
    assert buffer.dropped == 0
    assert abs(drift) * len(heard) - 800 < buffer.slewed < 800 + 2 * abs(drift) * len(heard)  # not for ever to and fro


@pytest.mark.parametrize('drift', [-1000e-6, 1000e-6])
def test_following_another_clock_keeps_the_spectrum(drift):
    """A tone of 6 kHz: as loud as before at every moment, and nothing beside it."""
    buffer = JitterBuffer(target=800, limit=160_000)
    heard, _ = live(buffer, lambda index: 0.5 * np.sin(index * (2 * np.pi * 6000 / 16_000)), drift, 180, block=320)
    heard = heard[np.flatnonzero(heard)[0] + 100 :]
    assert buffer.slewed > 1000
    levels = np.sqrt(np.mean(np.square(heard[: len(heard) // 160 * 160].reshape(-1, 160)), axis=1))
    np.testing.assert_allclose(20 * np.log10(levels / (0.5 / np.sqrt(2))), 0, atol=0.1)
    piece = heard[-(2**18) :] * np.blackman(2**18)
    power = np.square(np.abs(np.fft.rfft(piece)))
    hertz = np.fft.rfftfreq(2**18, 1 / 16_000)
    beside = power[np.abs(hertz - 6000) > 100].sum() / power.sum()
    assert 10 * np.log10(beside) < -45


@pytest.mark.parametrize('piece', [160_000, 1024, 160])
@pytest.mark.parametrize('faster', [1.5, 4.0, np.inf])
def test_whole_sentences_leave_as_they_came(piece, faster):
    """A TTS engine hands over ten seconds at once, or as fast as it makes them."""
    sentence = np.random.default_rng(0).normal(0, 0.1, 160_000).astype(np.float32)
    buffer = JitterBuffer(target=800, limit=16_000 * 600)
    sent, heard = 0, []
    for tick in range(1100):
        now = 5.0 + tick / 60
        while sent < min(len(sentence), 1 + (tick / 60) * 16_000 * faster if faster < np.inf else np.inf):
            buffer.push(sentence[sent : sent + piece], now)
            sent += piece
        heard.append(buffer.read(266 + tick % 2, now))
    heard = np.concatenate(heard)
    begin = np.flatnonzero(heard)[0]
    np.testing.assert_array_equal(heard[begin : begin + len(sentence)], sentence)
    assert not heard[begin + len(sentence) :].any()


def test_a_word_after_a_word_is_not_taken_for_another_clock():
    """Words of half a second, one every half second: the pace of the clock, but each comes at once."""
    buffer, said = JitterBuffer(target=800, limit=160_000), np.random.default_rng(0).normal(0, 0.1, 160_000)
    buffer.push(said[:16_000], 0.0)
    heard = []
    for tick in range(1000):
        if tick % 50 == 0 and tick < 900:
            buffer.push(said[16_000 + tick * 160 :][:8000], tick * 0.01)
        heard.append(buffer.read(160, tick * 0.01))
    np.testing.assert_array_equal(np.concatenate(heard), said)


def test_what_a_live_source_said_while_it_was_not_listened_to_is_left_out_and_a_sentence_is_not():
    for pieces, waits in ((300, 480), (1, 48_000)):
        buffer = JitterBuffer(target=480, limit=160_000)
        for number in range(pieces):
            buffer.push(numbered(48_000)[number * (48_000 // pieces) :][: 48_000 // pieces], 3 * number / pieces)
        buffer.catch_up(3.0)
        heard = buffer.read(48_000, 3.0)
        np.testing.assert_array_equal(heard[:waits], numbered(48_000)[-waits:])
        assert not heard[waits:].any()


def test_nothing_sent_takes_no_room_and_cleared_is_silent():
    buffer = JitterBuffer(target=160, limit=1600)
    for _ in range(1000):
        buffer.push(np.zeros(0, np.float32), 0.0)
    assert not buffer._pieces
    buffer.push(numbered(800), 0.0)
    assert buffer.read(160, 0.0).all()
    buffer.clear()
    assert not buffer.read(160, 0.2).any()


def test_silence_while_nothing_comes_and_the_end_of_a_short_word_is_not_kept_back():
    buffer = JitterBuffer(target=480, limit=16_000)
    assert not buffer.read(160, 0.0).any()
    buffer.push(np.ones(100, np.float32), 0.0)
    assert not buffer.read(160, 0.05).any()
    said = np.concatenate([buffer.read(160, 0.2), buffer.read(160, 0.21)])
    assert said.sum() == 100 and len(said) == 320


def test_too_much_audio_loses_its_oldest_part():
    buffer = JitterBuffer(target=160, limit=1600)
    for number in range(20):
        buffer.push(np.full(160, number, np.float32), 0.0)
    assert buffer.dropped == 10 * 160
    assert buffer.read(160, 0.0)[0] == 10
