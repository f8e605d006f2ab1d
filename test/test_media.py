import os
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_ros.media import DIGITAL_SOURCE_TYPE, AudioResampler, MediaError, Mp4Writer, digital_source_type, read_audio

RATES = [8000, 11025, 16000, 22050, 44100, 48000, 96000]


def tone(rate: int, seconds: float, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


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


@pytest.mark.parametrize(
    'name, rate, channels, subtype, tolerance',
    [
        ('float.wav', 16000, 1, 'FLOAT', 1e-6),
        ('phone.wav', 8000, 1, 'PCM_16', 1e-3),
        ('studio.wav', 96000, 2, 'PCM_24', 1e-3),
        ('surround.flac', 48000, 6, 'PCM_16', 1e-3),
        ('small.ogg', 44100, 2, 'VORBIS', 0.05),
        ('small.mp3', 44100, 1, None, 0.05),
    ],
)
def test_sound_of_any_rate_channels_and_container_is_read_complete(tmp_path, name, rate, channels, subtype, tolerance):
    samples = np.repeat(tone(rate, 1.737)[:, None], channels, axis=1)
    soundfile.write(tmp_path / name, samples, rate, subtype=subtype)
    heard = read_audio(tmp_path / name)
    assert heard.dtype == np.float32
    assert len(heard) == -(-len(samples) * 16000 // rate)
    assert np.abs(heard - tone(16000, 2)[: len(heard)])[200:-200].max() < tolerance


def test_a_16_khz_file_is_read_sample_by_sample(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, 12345).astype(np.float32)
    soundfile.write(tmp_path / 'a.wav', samples, 16000, subtype='FLOAT')
    np.testing.assert_array_equal(read_audio(tmp_path / 'a.wav'), samples)


def test_files_without_sound_are_refused_in_a_sentence(tmp_path):
    (tmp_path / 'notes.wav').write_text('this is not sound')
    (tmp_path / 'empty.wav').touch()
    soundfile.write(tmp_path / 'short.wav', np.zeros(0), 16000)
    soundfile.write(tmp_path / 'nan.wav', np.array([0, np.nan, 0]), 16000, subtype='FLOAT')
    with Mp4Writer(tmp_path / 'whole.mp4', 30) as film:
        film.write_frame(np.zeros((512, 512, 3), np.uint8))
        film.write_audio(tone(16000, 1.0))
    (tmp_path / 'cut.mp4').write_bytes((tmp_path / 'whole.mp4').read_bytes()[:3000])
    expected = {
        'missing.wav': 'no such file',
        'notes.wav': 'cannot be read',
        'empty.wav': 'cannot be read',
        'short.wav': 'empty',
        'nan.wav': 'not finite',
        'cut.mp4': 'sound',
        '': 'is a folder',
    }
    for name, reason in expected.items():
        with pytest.raises(MediaError, match=reason):
            read_audio(tmp_path / name)


def test_a_film_without_a_sound_track_is_refused(tmp_path):
    with av.open(str(tmp_path / 'mute.mp4'), 'w') as container:
        stream = container.add_stream('libx264', rate=30)
        stream.width = stream.height = 64
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match='no sound track'):
        read_audio(tmp_path / 'mute.mp4')


def test_damage_within_a_file_becomes_silence_and_what_follows_stays_in_its_place(tmp_path):
    sound = np.zeros(48000, np.float32)
    sound[40000:40040] = 0.9
    with Mp4Writer(tmp_path / 'a.mp4', 30) as writer:
        writer.write_frame(np.zeros((512, 512, 3), np.uint8))
        writer.write_audio(sound + np.random.default_rng(0).normal(0, 0.05, 48000).astype(np.float32))
    data = bytearray((tmp_path / 'a.mp4').read_bytes())
    middle = data.find(b'mdat') + 8000
    data[middle : middle + 2000] = np.random.default_rng(1).bytes(2000)
    (tmp_path / 'a.mp4').write_bytes(data)
    with pytest.warns(UserWarning, match='damaged'):
        heard = read_audio(tmp_path / 'a.mp4')
    assert abs(int(np.argmax(heard > 0.6)) - 40000) <= 16


def film(path, frame_rate=60, seconds=2):
    """One second of black and silence, then orange with a click: picture and sound change at the same moment."""
    sound = np.zeros(16000 * seconds, np.float32)
    sound[16000:16040] = 0.9
    with Mp4Writer(path, frame_rate, title='A test') as writer:
        for frame in range(frame_rate * seconds):
            writer.write_frame(np.full((512, 512, 3), (200, 60, 30) if frame >= frame_rate else (0, 0, 0), np.uint8))
            start, end = (16000 * index // frame_rate for index in (frame, frame + 1))
            writer.write_audio(sound[start:end])
    return path


@pytest.mark.slow
@pytest.mark.parametrize('frame_rate', [30, 60])
def test_picture_and_sound_of_a_film_change_at_the_same_moment(tmp_path, frame_rate):
    path = film(tmp_path / 'film.mp4', frame_rate)
    with av.open(str(path)) as container:
        frames = [
            (frame.pts * frame.time_base, frame.to_ndarray(format='rgb24')) for frame in container.decode(video=0)
        ]
    assert [time for time, _ in frames] == [Fraction(index, frame_rate) for index in range(2 * frame_rate)]
    bright = [time for time, picture in frames if picture.mean() > 50]
    assert bright[0] == 1
    np.testing.assert_allclose(frames[-1][1][256, 256], (200, 60, 30), atol=4)
    heard = read_audio(path)
    assert abs(int(np.argmax(np.abs(heard) > 0.3)) - 16000) <= 16
    assert 0 <= len(heard) - 32000 < 1024 + 16


def test_a_film_says_that_it_is_generated(tmp_path):
    path = film(tmp_path / 'film.mp4', seconds=1)
    assert digital_source_type(path) == DIGITAL_SOURCE_TYPE
    assert DIGITAL_SOURCE_TYPE.endswith('/trainedAlgorithmicMedia')
    with av.open(str(path)) as container:
        assert 'AI-generated' in container.metadata['comment']
        assert 'AI-generated' in container.metadata['description']
        assert container.metadata['title'] == 'A test'


def test_other_files_say_nothing_about_their_source(tmp_path):
    soundfile.write(tmp_path / 'a.wav', np.zeros(100), 16000)
    assert digital_source_type(tmp_path / 'a.wav') is None


def test_a_film_shows_the_last_picture_where_places_are_left_out(tmp_path):
    with Mp4Writer(tmp_path / 'gaps.mp4', 60) as writer:
        for index in (0, 1, 5, 9):
            writer.write_frame(np.full((512, 512, 3), 20 * index, np.uint8), index)
        with pytest.raises(ValueError, match='increase'):
            writer.write_frame(np.zeros((512, 512, 3), np.uint8), 3)
    with av.open(str(tmp_path / 'gaps.mp4')) as container:
        assert [round(frame.time * 60) for frame in container.decode(video=0)] == [0, 1, 5, 9]


def test_an_interrupted_film_can_be_played_to_where_it_got(tmp_path):
    with pytest.raises(KeyboardInterrupt), Mp4Writer(tmp_path / 'half.mp4', 60) as writer:
        for _ in range(30):
            writer.write_frame(np.zeros((512, 512, 3), np.uint8))
            writer.write_audio(np.zeros(266, np.float32))
        raise KeyboardInterrupt
    with av.open(str(tmp_path / 'half.mp4')) as container:
        assert sum(1 for _ in container.decode(video=0)) == 30
    assert digital_source_type(tmp_path / 'half.mp4') == DIGITAL_SOURCE_TYPE


def test_a_film_without_pictures_is_not_kept(tmp_path):
    with Mp4Writer(tmp_path / 'none.mp4', 60) as writer:
        writer.write_audio(np.zeros(16000, np.float32))
    assert os.listdir(tmp_path) == []


def test_a_film_that_cannot_be_written_is_an_error_at_once(tmp_path):
    with pytest.raises(MediaError, match='does not exist'):
        Mp4Writer(tmp_path / 'nowhere' / 'a.mp4', 60)
    with pytest.raises(MediaError, match='cannot be written'):
        Mp4Writer(tmp_path, 60)


@pytest.mark.parametrize(
    'picture', [np.zeros((512, 512), np.uint8), np.zeros((512, 512, 3)), np.zeros((256, 512, 3), np.uint8)]
)
def test_a_picture_of_the_wrong_kind_is_refused(tmp_path, picture):
    with Mp4Writer(tmp_path / 'a.mp4', 60) as writer, pytest.raises(ValueError, match='picture'):
        writer.write_frame(picture)


@pytest.mark.parametrize('fragments', [False, True])
def test_sound_stands_at_its_own_sample_in_the_film(tmp_path, fragments):
    click = np.zeros(48000, np.float32)
    click[20000] = 1
    with Mp4Writer(tmp_path / 'film.mp4', 30, fragments=fragments) as film:
        for frame in range(90):
            film.write_frame(np.full((512, 512, 3), frame, np.uint8))
            film.write_audio(click[film.samples : (frame + 1) * 16000 // 30])
    heard = read_audio(tmp_path / 'film.mp4')
    assert np.abs(heard).argmax() == 20000
    assert 48000 <= len(heard) <= 48000 + 1024


def test_a_film_on_a_full_disk_is_one_error_and_closes(tmp_path):
    (tmp_path / 'film.mp4').symlink_to('/dev/full')
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    with pytest.raises(MediaError, match='No space left'), Mp4Writer(tmp_path / 'film.mp4', 30) as film:
        for _ in range(100):
            film.write_frame(noise)
            film.write_audio(np.zeros(533, np.float32))
