"""Speech in, pictures out, the same in any chunking."""

from itertools import pairwise

import numpy as np
import pytest

from lsp_ros import timeline
from lsp_ros.avatar.avatar import Avatar, AvatarError
from lsp_ros.portrait import Portrait
from lsp_ros.rendering.engines import make_engine
from lsp_ros.signals import HeadPoseCommand, PoseMode

SAMPLES = 8_111  # 30 frames and a part of one


@pytest.fixture(scope='module')
def avatar(tiny_avatar):
    return Avatar.load(tiny_avatar)


@pytest.fixture(scope='module')
def engine(avatar):
    return make_engine('auto', avatar, threads=1)


@pytest.fixture(scope='module')
def speech():
    generator = np.random.default_rng(3)
    syllables = 0.5 + 0.5 * np.sin(np.arange(SAMPLES) * 2 * np.pi * 4 / 16000)
    return (0.2 * syllables * generator.normal(size=SAMPLES)).clip(-1, 1).astype(np.float32)


@pytest.fixture(scope='module')
def whole(avatar, engine, speech):
    portrait = Portrait(avatar, engine)
    return portrait.push(speech) + portrait.flush()


def test_every_frame_of_the_clip_is_drawn_once_and_in_order(whole):
    assert [frame.frame for frame in whole] == list(range(timeline.frames_in(SAMPLES)))
    for frame in whole:
        assert frame.image.shape == (512, 512, 3) and frame.image.dtype == np.uint8
    assert any(not np.array_equal(a.image, b.image) for a, b in pairwise(whole))


@pytest.mark.parametrize('cuts', [range(0, SAMPLES, 160), [1, 2, 3, 6000], [267, 533, 5000, 5001]])
def test_any_chunking_gives_the_pictures_of_one_push(avatar, engine, speech, whole, cuts):
    portrait = Portrait(avatar, engine)
    frames = [frame for chunk in np.split(speech, list(cuts)) for frame in portrait.push(chunk)] + portrait.flush()
    assert [frame.frame for frame in frames] == [frame.frame for frame in whole]
    for streamed, expected in zip(frames, whole, strict=True):
        # Float rounding may move an edge of the feature map by a hair, nothing that can be seen.
        difference = np.abs(streamed.image.astype(int) - expected.image)
        assert np.percentile(difference, 99) <= 2


def test_a_frame_comes_out_when_its_look_ahead_is_in(avatar, engine, speech, whole):
    portrait = Portrait(avatar, engine)
    look_ahead = portrait.look_ahead_seconds
    assert 0 < look_ahead < 0.5
    count, pushed = 0, 0
    for chunk in np.split(speech, range(0, SAMPLES, 400)):
        count += len(portrait.push(chunk))
        pushed += len(chunk)
        assert count == max(0, int(60 * (pushed / 16000 - look_ahead) + 1e-6))


def test_30_frames_a_second_are_every_second_one_of_60(avatar, engine, speech, whole):
    portrait = Portrait(avatar, engine, frame_rate=30)
    frames = [frame for chunk in np.split(speech, [777, 7000]) for frame in portrait.push(chunk)] + portrait.flush()
    assert [frame.frame for frame in frames] == [frame.frame for frame in whole[::2]]
    np.testing.assert_array_equal(frames[-1].image, whole[::2][-1].image)


def test_after_flush_and_after_reset_a_new_clip_begins(avatar, engine, speech, whole):
    portrait = Portrait(avatar, engine)
    portrait.push(speech[:6000])
    portrait.reset()
    for _ in range(2):
        again = portrait.push(speech) + portrait.flush()
        assert [frame.frame for frame in again] == [frame.frame for frame in whole]
        np.testing.assert_array_equal(again[20].image, whole[20].image)


def test_a_clip_shorter_than_the_look_ahead_is_complete(avatar, engine, speech):
    portrait = Portrait(avatar, engine)
    assert portrait.push(speech[:1000]) == []
    assert [frame.frame for frame in portrait.flush()] == [0, 1, 2]
    assert portrait.flush() == []


def test_a_command_turns_the_head(avatar, engine, speech, whole):
    portrait = Portrait(avatar, engine)
    turned = np.array([0, 0, np.sin(0.1), np.cos(0.1)])
    portrait.command(HeadPoseCommand(PoseMode.ABSOLUTE, turned, np.zeros(3), transition=0.0, timeout=0.0))
    frame = (portrait.push(speech) + portrait.flush())[20]
    assert np.abs(frame.image.astype(int) - whole[20].image).mean() > 0.1


def test_the_mark_is_small_and_can_be_left_out(avatar, engine, speech, whole):
    plain = Portrait(avatar, engine, mark=False)
    plain = plain.push(speech[:6000]) + plain.flush()
    changed = np.argwhere((plain[0].image != whole[0].image).any(axis=2))
    assert len(changed)
    height, width = np.ptp(changed, axis=0) + 1
    assert height <= 64 and width <= 128


def test_wrong_arguments_are_refused(avatar, engine, tmp_path):
    with pytest.raises(ValueError, match='30 or 60'):
        Portrait(avatar, engine, frame_rate=25)
    with pytest.raises(AvatarError, match='nobody'):
        Portrait('nobody')
    portrait = Portrait(avatar, engine)
    with pytest.raises(ValueError, match='finite'):
        portrait.push(np.array([np.nan], np.float32))
