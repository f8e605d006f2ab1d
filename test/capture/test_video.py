"""Sound and pictures of a file stay together, and the crop's camera is the source's."""

from fractions import Fraction

import av
import numpy as np
import pytest
import synthetic_face as synthetic
from hypothesis import given
from hypothesis import strategies as st

from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.capture.take import DARK, NO_SOUND, ClipDetections, Take, first_states, too_dark, without_sound
from lsp_ros.capture.video import (
    Clip,
    Crop,
    change,
    check_sound,
    choose_crop,
    find_cuts,
    pictures,
    read_sound,
    room_tone,
    thumbnail,
)
from lsp_ros.media.files import MediaError
from lsp_ros.media.resampling import resample
from lsp_ros.timeline import SAMPLE_RATE

RATES = {
    '25': np.arange(50) / 25,
    '30': np.round(np.arange(60) / 30, 3),
    '29.97': np.round(np.arange(60) * 1.001 / 30, 3),
    '60': np.round(np.arange(120) / 60, 3),
    'variable': np.cumsum(np.tile([0.033, 0.05, 0.021], 20)),
}


@pytest.mark.parametrize('codec,file_name', [('pcm_s16le', 'film.mkv'), ('aac', 'film.mp4')])
@pytest.mark.parametrize('begins', [0.0, 0.25])
@pytest.mark.parametrize('name', RATES)
def test_a_click_is_heard_when_its_flash_is_seen(tmp_path, name, begins, codec, file_name):
    times = RATES[name]
    flash = len(times) // 2
    images = [np.full((64, 64, 3), 240 if k == flash else 20, np.uint8) for k in range(len(times))]
    sound = np.zeros(round((times[-1] - begins) * SAMPLE_RATE))
    at = round((times[flash] - begins) * SAMPLE_RATE)
    sound[at : at + 40] = 0.9
    file = synthetic.write_film(tmp_path / file_name, times, images, sound, begins, codec=codec)
    seen = [(seconds, image.mean()) for _, seconds, image in pictures(file)]
    np.testing.assert_allclose([seconds for seconds, _ in seen], times - times[0], atol=1e-6)
    flashed = max(seen, key=lambda pair: pair[1])[0]
    heard = read_sound(file, times[-1])
    assert len(heard) == round(times[-1] * SAMPLE_RATE)
    click = np.flatnonzero(np.abs(heard) > 0.3)[0]
    assert abs(click / SAMPLE_RATE - flashed) < 0.001


def changes(images: list[np.ndarray]) -> np.ndarray:
    small = [thumbnail(image) for image in images]
    return np.array([change(before, after) for before, after in zip(small[:-1], small[1:])])


def test_a_cut_is_found_and_motion_is_none():
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 255, (2, 90, 160, 3), np.uint8)
    moving = [np.roll(scene[0], k, axis=1) for k in range(20)]
    assert find_cuts(changes(moving)) == []
    assert find_cuts(changes(moving[:1] * 10 + [255 - scene[1] // 3] * 10)) == [10]


@pytest.mark.parametrize('twice', [False, True])
def test_a_cut_within_one_scene_is_found(twice):
    """The built-in avatar in two poses before the same background, as after a sentence was taken out."""
    first, _, _, second = Avatar.load(find_avatar('presenter'), ('rendering',)).candidates()
    noise = np.random.default_rng(0).normal(0, 12, (40, 512, 512, 1)).astype(np.float32)

    def shot(image, numbers):
        """It sways as a head does; ``twice`` as at 30 pictures a second in a file of 60."""
        for number in numbers:
            sway = np.roll(image, round(8 * np.sin((number // 2 if twice else number) / 8)), axis=1)
            yield (sway + noise[number // 2 if twice else number]).clip(0, 255).astype(np.uint8)

    found = changes([*shot(first, range(20)), *shot(second, range(20, 40))])
    assert 2 < found[19] < 14 and find_cuts(found) == [20]


@given(
    st.integers(0, 400),
    st.integers(0, 200),
    st.integers(100, 500),
    st.floats(400, 3000),
    st.tuples(st.floats(-30, 30), st.floats(-20, 20), st.floats(60, 200)),
)
def test_the_crops_camera_shows_what_the_source_camera_shows(left, top, side, focal, point):
    crop = Crop(left, top, side)
    x, y, z = point
    source = np.array([focal * x / z + 1280 / 2, focal * y / z + 720 / 2])
    centre = np.array(crop.camera_centre(1280, 720))
    inside = focal * crop.scale * np.array([x, y]) / z + centre
    np.testing.assert_allclose(inside, (source - [left, top]) * crop.scale, atol=1e-6)


def test_the_crop_holds_the_face_wherever_it_goes():
    middles = np.linspace([400, 300], [700, 330], 50)
    boxes = np.concatenate([middles - [80, 100], middles + [80, 100]], axis=1)
    crop = choose_crop(boxes, 1280, 720)
    assert crop.left <= boxes[:, 0].min() and crop.left + crop.side >= boxes[:, 2].max()
    assert crop.top <= boxes[:, 1].min() and crop.top + crop.side >= boxes[:, 3].max()
    assert 0 <= crop.left and crop.left + crop.side <= 1280 and 0 <= crop.top and crop.top + crop.side <= 720


def test_the_crop_is_at_the_right_place():
    image = np.zeros((120, 200, 3), np.uint8)
    image[40:60, 90:110] = 255
    shown = Crop(50, 10, 100).apply(image)
    rows, columns = np.nonzero(shown[..., 0] > 127)
    assert (columns.min(), columns.max() + 1) == pytest.approx((40 * 5.12, 60 * 5.12), abs=2)
    assert (rows.min(), rows.max() + 1) == pytest.approx((30 * 5.12, 50 * 5.12), abs=2)


def test_the_room_sounds_on_as_loud_as_in_its_quietest_moment():
    rng = np.random.default_rng(0)
    sound = 0.01 * rng.standard_normal(3 * SAMPLE_RATE).astype(np.float32)
    sound[SAMPLE_RATE:] *= 20
    tone = room_tone(sound, SAMPLE_RATE)
    assert len(tone) == SAMPLE_RATE
    assert 0.007 < tone.std() < 0.013
    assert not room_tone(np.zeros(SAMPLE_RATE, np.float32), 100).any()


def test_a_picture_is_turned_as_the_phone_says(tmp_path):
    image = np.zeros((48, 96, 3), np.uint8)
    image[:16, :16] = 255
    file = synthetic.write_film(tmp_path / 'film.mp4', np.arange(5) / 25, [image] * 5, np.zeros(3200), codec='aac')
    upright = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], '>i4').tobytes()
    clockwise = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30], '>i4').tobytes()
    data = file.read_bytes()
    place = data.index(upright, data.index(b'tkhd'))  # the first track is the pictures'
    file.write_bytes(data[:place] + clockwise + data[place + len(upright) :])
    _, _, shown = next(pictures(file))
    assert shown.shape == (96, 48, 3)
    assert shown[:12, -12:].min() > 200 and shown[:12, :12].max() < 60


def test_a_file_that_is_no_video_is_refused_in_one_sentence(tmp_path):
    file = tmp_path / 'x.mp4'
    file.write_bytes(b'no video')
    with pytest.raises(MediaError, match='x.mp4: cannot be read as video'):
        list(pictures(file))


@given(st.floats(0.995, 1.005), st.floats(0, 40))
def test_sound_of_another_pace_is_the_same_sound(pace, shift):
    def tone(samples):
        return np.sin(2 * np.pi * 0.21 * samples) * np.exp(-(((samples - 400) / 150) ** 2))

    at = np.arange(760) * pace + shift
    np.testing.assert_allclose(resample(tone(np.arange(800)), at), tone(at), atol=0.005)


def test_damaged_packets_at_the_beginning_are_a_gap_and_not_the_end(tmp_path):
    """A transport stream whose first packets of sound and pictures were damaged on the way."""
    rng = np.random.default_rng(0)
    file = tmp_path / 'film.ts'
    with av.open(str(file), 'w') as container:
        video, audio = container.add_stream('libx264', rate=25), container.add_stream('aac', rate=48_000)
        video.width = video.height = 64
        video.pix_fmt, video.options, audio.layout = 'yuv420p', {'preset': 'ultrafast', 'g': '10'}, 'mono'
        for k in range(60):
            picture = av.VideoFrame.from_ndarray(rng.integers(0, 255, (64, 64, 3), np.uint8), format='rgb24')
            picture.pts, picture.time_base = k, Fraction(1, 25)
            container.mux(video.encode(picture))
            sound = av.AudioFrame.from_ndarray(
                rng.normal(0, 0.1, (1, 1920)).astype(np.float32), format='fltp', layout='mono'
            )
            sound.sample_rate, sound.pts, sound.time_base = 48_000, 1920 * k, Fraction(1, 48_000)
            container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    with av.open(str(file)) as container:
        first = next(packet for packet in container.demux(audio=0) if packet.size)
        payload = bytes(first)
    data = bytearray(file.read_bytes())
    place = data.index(payload[:40])
    data[place + 8 : place + 40] = bytes(32)  # the header of the frame stays
    file.write_bytes(data)
    with av.open(str(file)) as container, pytest.raises(av.error.InvalidDataError):
        next(container.decode(audio=0))
    with pytest.warns(UserWarning, match='damaged'):
        heard = read_sound(file, 2.0)
    assert len(heard) == 2 * SAMPLE_RATE and heard[SAMPLE_RATE:].std() > 0.02
    assert len(list(pictures(file))) == 60


@pytest.mark.parametrize('begins, seconds, heard_from, heard_to', [(0.0, 1.0, 0.0, 1.0), (1.0, 2.0, 1.0, 3.0)])
def test_pictures_without_sound_are_unknown(tmp_path, begins, seconds, heard_from, heard_to):
    times = np.arange(75) / 25
    sound = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE))
    file = synthetic.write_film(tmp_path / 'film.mkv', times, [np.full((64, 64, 3), 90, np.uint8)] * 75, sound, begins)
    heard = check_sound(file)
    assert heard.damage is None
    there = heard.at(times)
    assert there[(times > heard_from + 0.01) & (times < heard_to - 0.01)].all()
    assert not there[(times < heard_from - 0.01) | (times > heard_to + 0.15)].any()
    clip = Clip(file, 64, 64, times, ())
    faces = np.random.default_rng(1).uniform(200, 210, (1, 478, 3)).repeat(75, axis=0)
    seen = ClipDetections(faces, np.zeros(75, bool), np.ones(75), np.zeros((0, 256, 256), np.uint8), np.zeros(0, int))
    np.testing.assert_array_equal(first_states(clip, seen, (), heard) == NO_SOUND, ~there)
    take = Take('', clip, np.zeros((0, 4)), heard=heard)
    first = times[~there][0]
    assert without_sound(take) == [
        f'has no sound for {int((~there).sum())} of its 75 pictures, from {first:.1f} s on; they are left out.'
    ]


def test_a_film_whose_sound_is_as_long_as_its_pictures_is_known(tmp_path):
    times = np.arange(50) / 25
    images = [np.full((64, 64, 3), 90, np.uint8)] * 50
    for codec, name in (('pcm_s16le', 'film.mkv'), ('aac', 'film.mp4')):
        file = synthetic.write_film(tmp_path / name, times, images, np.zeros(2 * SAMPLE_RATE - 500), codec=codec)
        assert check_sound(file).at(times).all()
        assert without_sound(Take('', Clip(file, 64, 64, times, ()), np.zeros((0, 4)), heard=check_sound(file))) == []


def test_very_dark_footage_says_that_it_is_dark():
    clip = Clip('film.mp4', 64, 64, np.arange(3) / 25, ())
    assert 'very dark (mean grey level 9 of 255)' in too_dark(Take('', clip, np.zeros((0, 4)), light=9.2))
    assert too_dark(Take('', clip, np.zeros((0, 4)), light=DARK)) == ''
