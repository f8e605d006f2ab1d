import av
import numpy as np
import pytest
import soundfile
from media_files import pitch, tone, write_tracks

from lsp_ros.media.files import MediaError
from lsp_ros.media.film import Mp4Writer
from lsp_ros.media.sound import read_audio


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


# Names, tracks and channels as strangers have them.


@pytest.mark.parametrize(
    'name',
    ['2024-08-20T13:28:35Z.wav', 'http:x.wav', 'latin-\udce9.wav', 'a\nb [red] %03d.wav', '-o.wav', 'ß 日本.wav'],
)
def test_a_file_of_any_name_is_read(tmp_path, monkeypatch, name):
    soundfile.write(tmp_path / 'plain.wav', tone(16000, 0.2), 16000)
    (tmp_path / 'plain.wav').rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(read_audio(name)) == 3200


def test_the_track_that_players_take_is_read(tmp_path):
    film = write_tracks(tmp_path / 'two.mkv', (1000, 440), default=1)
    assert pitch(read_audio(film)) == 440


@pytest.mark.parametrize('unknown', [{0}, {1}, {0, 1}])
def test_a_track_that_nobody_can_decode_is_passed_over(tmp_path, unknown):
    film = write_tracks(tmp_path / 'spatial.mp4', (440, 440))
    content = film.read_bytes()
    for name, other in ((b'mp4a', b'apac'), (b'esds', b'dapa')):
        first, second, third = content.split(name)
        kept = [other if k in unknown else name for k in range(2)]
        content = first + kept[0] + second + kept[1] + third
    film.write_bytes(content)
    if len(unknown) < 2:
        assert pitch(read_audio(film)) == 440
        return
    with pytest.raises(MediaError, match=r'spatial.mp4: its sound is in a format that cannot be decoded here'):
        read_audio(film)


@pytest.mark.parametrize('other', [-1.0, 0.0, 1.0])
def test_stereo_of_one_voice_is_that_voice(tmp_path, other):
    voice = tone(16000, 1.0)
    soundfile.write(tmp_path / 'a.wav', np.stack([voice, other * voice], axis=1), 16000, subtype='FLOAT')
    np.testing.assert_allclose(read_audio(tmp_path / 'a.wav'), voice, atol=1e-5)


@pytest.mark.parametrize('bits', [16, 24, 32])
def test_floats_in_the_scale_of_integers_are_scaled(tmp_path, bits):
    scale = 2.0 ** (bits - 1)
    samples = np.round(tone(16000, 1.0).astype(np.float64) * 1.9 * scale)
    soundfile.write(tmp_path / 'a.wav', samples, 16000, subtype='DOUBLE')
    np.testing.assert_allclose(read_audio(tmp_path / 'a.wav'), 1.9 * tone(16000, 1.0), atol=1e-3)


def test_floats_of_a_scale_that_cannot_be_known_are_refused(tmp_path):
    soundfile.write(tmp_path / 'a.wav', 1000 * tone(16000, 1.0), 16000, subtype='FLOAT')
    with pytest.raises(MediaError, match=r'a.wav: its samples are floats up to 500, where full scale is 1: divide'):
        read_audio(tmp_path / 'a.wav')
