import os
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from lsp_ros.media.files import MediaError
from lsp_ros.media.film import DIGITAL_SOURCE_TYPE, Mp4Writer, digital_source_type
from lsp_ros.media.sound import read_audio


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


# A film that is there already, and names that FFmpeg or UTF-8 does not know.


def write_some(writer, pictures=10):
    for k in range(pictures):
        writer.write_frame(np.full((512, 512, 3), 20 * k, np.uint8))
        writer.write_audio(np.zeros(533, np.float32))


def pictures_in(path):
    with av.open(f'file:{path}') as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize('fragments', [False, True])
def test_an_older_film_stays_until_the_new_one_is_whole(tmp_path, fragments):
    path = tmp_path / 'film.mp4'
    path.write_bytes(b'a film of yesterday')
    with Mp4Writer(path, 30, fragments=fragments) as writer:
        write_some(writer)
        assert path.read_bytes() == b'a film of yesterday'
        beside = [name for name in os.listdir(tmp_path) if name != 'film.mp4']
        assert [name.startswith('film.unfinished-') for name in beside] == [fragments]
    assert pictures_in(path) == 10 and os.listdir(tmp_path) == ['film.mp4']
    assert digital_source_type(path) == DIGITAL_SOURCE_TYPE


@pytest.mark.parametrize('error, kept', [(RuntimeError, True), (KeyboardInterrupt, False)])
def test_an_older_film_outlives_an_error_but_not_ctrl_c(tmp_path, error, kept):
    path = tmp_path / 'film.mp4'
    path.write_bytes(b'a film of yesterday')
    with pytest.raises(error), Mp4Writer(path, 30) as writer:
        write_some(writer)
        raise error
    assert os.listdir(tmp_path) == ['film.mp4']
    assert path.read_bytes() == b'a film of yesterday' if kept else pictures_in(path) == 10


def test_a_film_without_pictures_does_not_take_the_place_of_another(tmp_path):
    path = tmp_path / 'film.mp4'
    path.write_bytes(b'a film of yesterday')
    Mp4Writer(path, 30).close()
    assert path.read_bytes() == b'a film of yesterday' and os.listdir(tmp_path) == ['film.mp4']


def test_a_link_to_an_older_film_stays_a_link(tmp_path):
    (tmp_path / 'real.mp4').write_bytes(b'a film of yesterday')
    (tmp_path / 'link.mp4').symlink_to('real.mp4')
    with Mp4Writer(tmp_path / 'link.mp4', 30) as writer:
        write_some(writer)
    assert (tmp_path / 'link.mp4').is_symlink() and pictures_in(tmp_path / 'real.mp4') == 10


@pytest.mark.parametrize('name', ['take:1.mp4', 'concat:a|b.mp4', 'latin-\udce9.mp4', 'a [red] %03d.mp4'])
@pytest.mark.parametrize('fragments', [False, True])
def test_a_film_of_any_name_is_written(tmp_path, monkeypatch, name, fragments):
    monkeypatch.chdir(tmp_path)
    with Mp4Writer(name, 30, title=name, fragments=fragments) as writer:
        write_some(writer)
    assert os.listdir(tmp_path) == [name]
    with av.open(f'file:{name}') as container:
        assert container.metadata['title'] == name.replace('\udce9', '')
