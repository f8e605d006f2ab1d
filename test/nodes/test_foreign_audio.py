"""Other packages' audio is understood, and what does not fit is refused with a sentence.

Their message types need not be installed, so objects with the same fields stand for them.
"""

import array
from types import SimpleNamespace

import numpy as np
import pytest
from std_msgs.msg import ByteMultiArray, Float32MultiArray, Float64, Header, Int16MultiArray, String, UInt8MultiArray

from lsp_ros.live.pcm import HIGHEST_RATE, LOWEST_RATE, AudioFormat, PcmReader
from lsp_ros.live.stamped import AudioBlock
from lsp_ros.media.resampling import AudioResampler
from lsp_ros.msg import AudioChunk
from lsp_ros.nodes.conversions import audio_to_message
from lsp_ros.nodes.foreign_audio import S16_MONO, foreign_audio_from_message, format_from_info, says_no_format

nan = float('nan')
TONE = np.round(1000 * np.sin(np.arange(320) / 9)).astype(np.int16)
AS_BYTES = array.array('B', TONE.astype('<i2').tobytes())


def decoded(message, assumed=S16_MONO):
    """Mono samples of one message, and their rate."""
    data, audio_format = foreign_audio_from_message(message, assumed)
    return PcmReader(audio_format).push(data)[0], audio_format.rate


def mgonzs13(number, field, values, channels=1):
    data = {name: [] for name in ('float32_data', 'int32_data', 'int16_data', 'int8_data', 'uint8_data')}
    data[field] = values
    info = SimpleNamespace(format=number, channels=channels, rate=48000, chunk=320)
    return SimpleNamespace(header=Header(), audio=SimpleNamespace(audio_data=SimpleNamespace(**data), info=info))


def raw_audio(**changes):
    fields = dict(timestamp=None, data=AS_BYTES, format='pcm-s16', sample_rate=24000, number_of_channels=1)
    return SimpleNamespace(**(fields | changes))


@pytest.mark.parametrize(
    ('message', 'rate'),
    [
        (SimpleNamespace(data=AS_BYTES), 8000),
        (SimpleNamespace(header=Header(), audio=SimpleNamespace(data=AS_BYTES)), 8000),
        (mgonzs13(8, 'int16_data', array.array('h', TONE.tolist())), 48000),
        (mgonzs13(2, 'int32_data', array.array('i', (TONE.astype(np.int32) << 16).tolist())), 48000),
        (mgonzs13(1, 'float32_data', array.array('f', (TONE / 32768).tolist())), 48000),
        (raw_audio(), 24000),
        (audio_to_message(AudioBlock('', 0, 0, (TONE / 32768).astype(np.float32))), 16000),
    ],
    ids=['AudioData', 'AudioDataStamped', 'int16', 'int32', 'float32', 'RawAudio', 'AudioChunk'],
)
def test_audio_of_other_packages(message, rate):
    samples, found = decoded(message, AudioFormat(rate=8000))
    assert found == rate
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, TONE / 32768, atol=1e-6)


@pytest.mark.parametrize('rate', [LOWEST_RATE, HIGHEST_RATE])
def test_every_rate_that_is_let_in_can_be_resampled(rate):
    samples, found = decoded(raw_audio(sample_rate=rate))
    resampler = AudioResampler(found)
    assert len(resampler.push(samples)) + len(resampler.flush()) == -(-len(samples) * 16_000 // rate)


def test_it_is_known_which_messages_do_not_say_how_they_are_to_be_read():
    plain = SimpleNamespace(data=AS_BYTES)
    for message in (plain, SimpleNamespace(header=Header(), audio=plain)):
        assert says_no_format(message)
    for message in (mgonzs13(8, 'int16_data', []), raw_audio(), AudioChunk()):
        assert not says_no_format(message)


@pytest.mark.parametrize('number, field, kind, middle', [(16, 'int8_data', 'b', 0), (32, 'uint8_data', 'B', 128)])
def test_eight_bit_audio(number, field, kind, middle):
    values = array.array(kind, [middle - 64, middle, middle + 64])
    samples, _ = decoded(mgonzs13(number, field, values))
    np.testing.assert_allclose(samples, [-0.5, 0, 0.5])


def test_channels_are_averaged():
    both = np.stack([TONE, -TONE], axis=1).reshape(-1).astype(np.int16)
    message = mgonzs13(8, 'int16_data', array.array('h', both.tolist()), channels=2)
    samples, _ = decoded(message)
    np.testing.assert_array_equal(samples, np.zeros(320))


def test_the_info_topic_says_how_bytes_are_read():
    info = SimpleNamespace(channels=2, sample_rate=44100, sample_format='F32LE', bitrate=0, coding_format='WAVE')
    assert format_from_info(info) == AudioFormat(44100, 2, 'F32LE')
    info.coding_format = 'mp3'
    assert format_from_info(info) == AudioFormat(44100, 2, 'MP3')


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'coding_format': 'opus'}, "audio coded as 'opus': wave, mp3, aac are allowed as coding_format"),
        ({'sample_format': 'S20LE'}, "audio sample format 'S20LE': U8, S8, S16LE"),
        ({'sample_rate': 0}, '0 Hz: 1000 to 384000'),
        ({'channels': 0}, '0 channels'),
    ],
)
def test_an_info_of_a_format_that_cannot_be_read_is_refused(changes, sentence):
    info = dict(channels=1, sample_rate=16000, sample_format='S16LE', bitrate=0, coding_format='wave')
    with pytest.raises(ValueError, match=sentence):
        format_from_info(SimpleNamespace(**(info | changes)))


@pytest.mark.parametrize(
    'message',
    [
        UInt8MultiArray(data=AS_BYTES),
        ByteMultiArray(data=[bytes([value]) for value in AS_BYTES]),
        Int16MultiArray(data=TONE.tolist()),
        Float32MultiArray(data=(TONE / 32768).astype(np.float32).tolist()),
    ],
)
def test_plain_arrays_are_read_by_the_type_of_their_numbers(message):
    samples, rate = decoded(message, AudioFormat(rate=8000))
    assert rate == 8000
    np.testing.assert_allclose(samples, TONE / 32768, atol=1e-6)


@pytest.mark.parametrize('kind', ['AudioData', 'AudioDataStamped', 'RawAudio', 'mgonzs13'])
def test_a_message_that_ends_within_a_sample_or_a_frame_of_channels_is_completed_by_the_next(kind):
    both = np.repeat(TONE, 2).astype('<i2')
    made = []
    for part in np.split(both if kind == 'mgonzs13' else both.view(np.uint8), [3, 101, 102, 501]):
        data = array.array('h' if kind == 'mgonzs13' else 'B', part.tolist())
        plain = SimpleNamespace(data=data)
        made.append(
            {
                'AudioData': plain,
                'AudioDataStamped': SimpleNamespace(header=Header(), audio=plain),
                'RawAudio': raw_audio(data=data, sample_rate=16_000, number_of_channels=2),
                'mgonzs13': mgonzs13(8, 'int16_data', data, channels=2),
            }[kind]
        )
    read = [foreign_audio_from_message(message, AudioFormat(16_000, 2)) for message in made]
    reader = PcmReader(read[0][1])
    samples = np.concatenate([reader.push(data)[0] for data, _ in read])
    np.testing.assert_array_equal(samples, np.float32(TONE / 32768))
    assert len({audio_format for _, audio_format in read}) == 1


@pytest.mark.parametrize(
    ('message', 'sentence'),
    [
        (String(data='hello'), 'array of bytes is needed'),
        (Float64(data=1.0), 'array of bytes is needed'),
        (raw_audio(format='opus'), 'opus'),
        (raw_audio(sample_rate=0), '0 Hz'),
        (raw_audio(sample_rate=999), '999 Hz: 1000 to 384000'),
        (raw_audio(sample_rate=384_001), '384001 Hz'),
        (raw_audio(number_of_channels=0), '0 channels'),
        (raw_audio(number_of_channels=65), '65 channels'),
        (mgonzs13(4, 'int32_data', []), 'format 4'),
        (mgonzs13(1, 'float32_data', array.array('f', [nan])), 'NaN'),
        (SimpleNamespace(text='hello'), 'not an audio message'),
    ],
)
def test_bad_audio_of_other_packages_is_refused(message, sentence):
    with pytest.raises(ValueError, match=sentence):
        decoded(message)
