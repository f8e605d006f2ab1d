"""Plain bytes are read alike wherever they are cut, in every encoding and with any number of channels."""

import numpy as np
import pytest
from encoded_sound import encoded, pieces, tone
from hypothesis import given
from hypothesis import strategies as st

from lsp_ros.live.pcm import ENCODINGS, FORMATS, AudioFormat, PcmReader, check_samples, from_bytes, to_bytes

nan = float('nan')


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_every_encoding_says_the_samples(encoding):
    samples = np.float32([0.0, 0.5, -0.5, -1.0, 0.25, -0.25, 0.9])
    read = from_bytes(encoded(samples, encoding).copy(), encoding)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, samples, atol=2.0 ** -min(ENCODINGS[encoding].bits - 1, 20))


@pytest.mark.parametrize('encoding', ['S24_32LE', 'S24_32BE'])
def test_what_the_unused_byte_of_24_bits_in_32_holds_does_not_matter(encoding):
    data = encoded(np.float32([0.5, -0.5]), encoding).copy()
    data[3 if encoding.endswith('LE') else 0 :: 4] = 0x5A
    np.testing.assert_allclose(from_bytes(data, encoding), [0.5, -0.5], atol=1e-6)


@pytest.mark.parametrize('encoding', [name for name in ENCODINGS if ENCODINGS[name].width != 3])
def test_numbers_become_the_bytes_of_their_encoding(encoding):
    values = [0, 1, 77, 100]
    expected = np.array(values, ENCODINGS[encoding].dtype).tobytes()
    assert to_bytes(values, encoding).tobytes() == expected


@pytest.mark.parametrize('encoding', ENCODINGS)
@given(channels=st.integers(1, 8), data=st.data())
def test_any_cutting_of_the_bytes_gives_the_same_samples(encoding, channels, data):
    frames = np.random.default_rng(channels).uniform(-0.9, 0.9, (40, channels)).astype(np.float32)
    stream = encoded(frames.reshape(-1), encoding)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=30))
    reader = PcmReader(AudioFormat(24_000, channels, encoding))
    read = [reader.push(piece) for piece in pieces(stream, cuts)]
    samples = np.concatenate([samples for samples, _ in read])
    np.testing.assert_array_equal(samples, PcmReader(reader.format).push(stream)[0])
    np.testing.assert_allclose(samples, frames.mean(axis=1), atol=0.01)
    assert not reader.pending and not any(dropped for _, dropped in read)


@pytest.mark.parametrize('channels', [1, 2])
@pytest.mark.parametrize('encoding', [name for name in ENCODINGS if ENCODINGS[name].width > 1])
def test_after_an_interruption_a_piece_that_goes_on_and_one_that_begins_anew_are_told_apart(encoding, channels):
    stream = encoded(np.repeat(tone(2000), channels), encoding)
    middle = len(stream) // 2 + 1
    for second, expected in ((stream[middle:], 2000), (stream, 1000 + 2000)):
        reader = PcmReader(AudioFormat(24_000, channels, encoding))
        first, _ = reader.push(stream[:middle])
        reader.interrupt()
        rest, dropped = reader.push(second)
        assert len(first) + len(rest) == expected
        assert dropped == (1 if expected == 3000 else 0)
        assert np.abs(np.concatenate([first, rest])).max() == pytest.approx(0.2, abs=0.01)


def test_samples_that_cannot_be_are_refused_and_the_stream_goes_on_behind_them():
    reader = PcmReader(AudioFormat(24_000, 1, 'F32LE'))
    stream = np.frombuffer(np.float32([0.1, nan, 0.2, 0.3]).tobytes(), np.uint8)
    assert reader.push(stream[:5])[0].tolist() == [np.float32(0.1)]
    with pytest.raises(ValueError, match='NaN'):
        reader.push(stream[5:11])
    assert reader.push(stream[11:])[0].tolist() == [np.float32(0.2), np.float32(0.3)]
    huge = np.frombuffer(np.float64([1e300]).tobytes(), np.uint8)
    with pytest.raises(ValueError, match='infinite'):
        PcmReader(AudioFormat(24_000, 1, 'F64LE')).push(huge)
    with pytest.raises(ValueError, match='sample of 30: full scale is -1 to 1'):
        check_samples(np.float32([30]))


@pytest.mark.parametrize(
    ('audio_format', 'sentence'),
    [
        (AudioFormat(999), '999 Hz: 1000 to 384000'),
        (AudioFormat(384_001), '384001 Hz'),
        (AudioFormat(channels=0), '0 channels: 1 to 64'),
        (AudioFormat(channels=65), '65 channels'),
    ],
)
def test_what_no_sound_card_gives_is_refused(audio_format, sentence):
    with pytest.raises(ValueError, match=sentence):
        PcmReader(audio_format)


def test_no_format_has_two_meanings():
    assert len(set(FORMATS)) == len(FORMATS) == 18
