"""The film."""

import av
import numpy as np
from stream_pieces import SECOND, START_NS, chunks

from lsp_ros.live.recorder import Recorder
from lsp_ros.media.sound import read_audio


def test_the_film_shows_every_picture_at_its_stamp_and_repeats_where_one_is_missing(tmp_path):
    rate, levels = 30, [20, 60, None, None, 140, 180, None, 220]
    recorder = Recorder(str(tmp_path / 'film.mp4'), rate)
    beep = np.zeros(16_000, np.float32)
    beep[4 * 16_000 // rate :][:800] = np.sin(np.arange(800) * 0.5)  # with the picture of level 140
    for chunk in chunks(beep[1600:], [160] * 90, 1600) + chunks(beep, [160] * 10):  # in any order, 100 ms ahead
        recorder.sound(chunk)
    for number, level in enumerate(levels):
        if level is not None:
            stamp = START_NS + number * SECOND // rate + 2_000_000 * (number % 2)
            recorder.picture(stamp, np.full((512, 512, 3), level, np.uint8))
    recorder.close()

    with av.open(str(tmp_path / 'film.mp4')) as film:
        shown = [frame.to_ndarray(format='gray').mean() for frame in film.decode(video=0)]
    expected = [20, 60, 60, 60, 140, 180, 180, 220]
    np.testing.assert_allclose(shown, expected, atol=20)
    assert recorder.repeated == 3
    assert recorder.offsets.summary()['max'] < 3
    sound = read_audio(tmp_path / 'film.mp4')
    assert abs(len(sound) - 8 * 16_000 / rate) < 1100
    loud = np.flatnonzero(np.abs(sound) > 0.3)
    assert abs(loud[0] - 4 * 16_000 // rate) < 80


def test_no_picture_no_film(tmp_path):
    recorder = Recorder(str(tmp_path / 'film.mp4'), 30)
    recorder.close()
    assert not (tmp_path / 'film.mp4').exists()
