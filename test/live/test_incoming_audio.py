"""Sound from outside becomes one stream: nothing lost, nothing read as what it is not, whatever the pieces are."""

import numpy as np
import pytest
from encoded_sound import coded, encoded, pieces, tone
from hypothesis import given
from hypothesis import strategies as st
from stream_pieces import Observed

from lsp_ros.live.incoming_audio import IncomingAudio
from lsp_ros.live.jitter_buffer import JitterBuffer
from lsp_ros.live.pcm import AudioFormat


class Incoming:
    def __init__(self):
        self.observed = Observed()
        self.audio = IncomingAudio(self.observed)

    def hear(self, parts, audio_format, steady=0.0):
        return np.concatenate([self.audio.push(part, audio_format, steady) for part in parts])


MP3 = coded('mp3', 'mp3')


@pytest.mark.parametrize('sizes', [[4801, 4799] * 6, [4801, 4800, 4800, 4799] * 3], ids=['all odd', 'some odd'])
def test_a_stream_that_is_cut_within_samples_is_heard_whole_and_at_its_level(sizes):
    stream = encoded(tone(24_000), 'S16LE')
    cuts = np.cumsum(sizes)
    incoming = Incoming()
    heard = incoming.hear(pieces(stream, cuts), AudioFormat(24_000))
    heard = np.concatenate([heard, incoming.audio.finish()])
    assert len(heard) == 16_000 and not incoming.observed.problems
    assert np.abs(heard).max() == pytest.approx(0.2, abs=0.005)
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.1414, abs=0.002)


@given(st.lists(st.integers(0, 48_000), max_size=20), st.sampled_from(['S16LE', 'S24BE', 'F32LE']))
def test_any_cutting_gives_the_same_sound_at_our_rate(cuts, encoding):
    stream = encoded(tone(2000), encoding)
    cuts = [min(cut, len(stream)) for cut in cuts]
    heard = Incoming().hear(pieces(stream, cuts), AudioFormat(44_100, 1, encoding))
    np.testing.assert_array_equal(heard, Incoming().hear([stream], AudioFormat(44_100, 1, encoding)))


@given(st.lists(st.integers(0, len(MP3)), max_size=40))
def test_any_cutting_of_coded_sound_gives_the_same_sound(cuts):
    incoming = Incoming()
    heard = incoming.hear(pieces(MP3, cuts), AudioFormat(encoding='MP3'))
    np.testing.assert_array_equal(heard, Incoming().hear([MP3], AudioFormat(encoding='MP3')))
    assert not incoming.observed.problems


@pytest.mark.parametrize(('container', 'codec', 'name'), [('mp3', 'mp3', 'MP3'), ('adts', 'aac', 'AAC')])
@pytest.mark.parametrize('rate', [16_000, 44_100])
def test_coded_sound_is_decoded_by_its_own_rate(container, codec, name, rate):
    data = coded(container, codec, count=rate, rate=rate)
    incoming = Incoming()
    heard = incoming.hear(np.array_split(data, 37), AudioFormat(8000, 2, name))  # it knows better
    assert 16_000 <= len(heard) <= 16_000 + 4000  # the coder pads
    assert np.sqrt(np.mean(heard[3000:-4000] ** 2)) == pytest.approx(0.1414, abs=0.01)  # coders ring at the ends
    assert not incoming.observed.problems


@given(st.binary(max_size=400), st.integers(0, len(MP3)))
def test_damaged_coded_sound_is_left_out_and_the_rest_is_heard(noise, place):
    data = np.concatenate([MP3[:place], np.frombuffer(noise, np.uint8), MP3[place:]])
    heard = Incoming().hear(np.array_split(data, len(data) // 200), AudioFormat(encoding='MP3'))
    assert len(heard) > 11_000 and np.isfinite(heard).all()  # of 17,280


@pytest.mark.parametrize(
    ('then', 'data'),
    [
        (AudioFormat(16_000, 1, 'S24LE'), encoded(tone(300), 'S24LE')),
        (AudioFormat(16_000, 2, 'S16LE'), encoded(np.repeat(tone(300), 2), 'S16LE')),
        (AudioFormat(8_000, 1, 'S16LE'), encoded(tone(150), 'S16LE')),
    ],
)
def test_when_the_format_changes_what_is_left_is_dropped_and_counted(then, data):
    incoming = Incoming()
    incoming.hear([encoded(tone(300), 'S16LE')[:-1]], AudioFormat())
    heard = np.concatenate([incoming.hear([data], then), incoming.audio.finish()])
    assert len(heard) == 300 and np.abs(heard).max() <= 0.25  # and no noise
    assert incoming.observed.problems == {'dropped bytes': 1}
    assert incoming.observed.said == ['audio_in ended within a sample: its last 1 bytes are dropped']


@pytest.mark.parametrize('how', ['pause', 'cancel', 'another publisher'])
def test_a_sentence_that_ended_within_a_sample_does_not_spoil_the_next_one(how):
    incoming, sentence = Incoming(), encoded(tone(3000), 'S16LE')
    incoming.hear([sentence[:4001]], AudioFormat(), steady=1.0)
    if how == 'cancel':
        incoming.audio.cancel()
    if how == 'another publisher':
        incoming.audio.interrupt()
    heard = incoming.hear([sentence[:1001], sentence[1001:]], AudioFormat(), steady=2.0 if how == 'pause' else 1.01)
    np.testing.assert_array_equal(heard, Incoming().hear([sentence], AudioFormat()))
    assert incoming.observed.problems == {'dropped bytes': 1}


def test_a_stream_that_stalls_within_a_sample_goes_on_with_it():
    incoming, sentence = Incoming(), encoded(tone(3000), 'S16LE')
    before = incoming.hear([sentence[:2001]], AudioFormat(), steady=1.0)
    after = incoming.hear([sentence[2001:]], AudioFormat(), steady=5.0)
    np.testing.assert_array_equal(np.concatenate([before, after]), Incoming().hear([sentence], AudioFormat()))
    assert not incoming.observed.problems


def test_a_refused_format_leaves_the_stream_before_it_alone():
    incoming, sentence = Incoming(), encoded(tone(300), 'S16LE')
    incoming.hear([sentence[:3]], AudioFormat())
    with pytest.raises(ValueError, match='999 Hz'):
        incoming.hear([sentence], AudioFormat(999))
    assert len(incoming.hear([sentence[3:]], AudioFormat())) == 299


@given(st.integers(1, 5000), st.sampled_from([8000, 22_050, 24_000, 44_100, 48_000]), st.integers(160, 320))
def test_the_last_millisecond_of_a_sentence_comes_with_it_and_not_before_the_next(count, rate, block):
    """As a source reads it: whole, then silence, then the next one alike."""
    incoming, buffer, now = Incoming(), JitterBuffer(800, 10**6), 10.0
    sentence = encoded(np.full(count, 0.5, np.float32), 'F32LE')
    whole = Incoming()
    expected = whole.hear([sentence], AudioFormat(rate, 1, 'F32LE'))
    expected = np.concatenate([expected, whole.audio.finish()])
    for _ in range(2):
        buffer.push(incoming.hear([sentence], AudioFormat(rate, 1, 'F32LE'), now), now)
        heard = []
        for _ in range(len(expected) // block + 30):
            if buffer.runs_dry(block, now):
                buffer.add_rest(incoming.audio.finish())
            heard.append(buffer.read(block, now))
            now += block / 16_000
        heard = np.concatenate(heard)
        first = np.flatnonzero(heard)[0] if heard.any() else 0
        first -= np.flatnonzero(expected)[0] if heard.any() else 0
        np.testing.assert_array_equal(heard[first : first + len(expected)], expected)
        assert not heard[:first].any() and not heard[first + len(expected) :].any()
