"""Speech in, pictures out, the same in any chunking."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.manifest import AvatarError
from lsp_ros.portrait import Portrait
from lsp_ros.rendering.engines.factory import make_engine
from lsp_ros.signals import FaceMotion, HeadPoseCommand, PoseMode

pytestmark = pytest.mark.slow

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


class Maps:
    """In the place of a renderer: the picture is the feature map."""

    def render(self, feature_map):
        return np.repeat(feature_map[..., None], 3, axis=2)


class Talkative(Avatar):
    """Random weights hardly move a mouth: this one's moves some tenths of a millimetre a frame."""

    def weights(self, name):
        weights = super().weights(name)
        return {**weights, 'decoder.6.weight': 200 * weights['decoder.6.weight']} if name == 'mouth' else weights


class Watched(Portrait):
    """Keeps the motion that it draws."""

    def _render(self, motion):
        self.motion += [motion] if motion is not None else []
        return super()._render(motion)

    def watch(self, speech, cuts, command, frame):
        """Motion and feature maps of a clip that comes in pieces, with a command from a frame on."""
        self.motion = []
        self.command(command, frame)
        frames = [drawn for chunk in np.split(speech, cuts) for drawn in self.push(chunk)] + self.flush()
        assert [drawn.frame for drawn in frames] == list(range(timeline.frames_in(len(speech))))
        return FaceMotion.join(self.motion), np.stack([drawn.image[..., 0] for drawn in frames]).astype(int)


@pytest.fixture(scope='module')
def watched(tiny_avatar):
    return Watched(Talkative.load(tiny_avatar), Maps(), mark=False)


@given(
    cuts=st.lists(st.integers(0, SAMPLES), max_size=12).map(sorted),
    mode=st.sampled_from([PoseMode.ABSOLUTE, PoseMode.OFFSET]),
    frame=st.integers(0, 25),
    timeout=st.sampled_from([0.0, 0.1]),
)
@example(cuts=[*range(160, SAMPLES, 160)], mode=PoseMode.ABSOLUTE, frame=7, timeout=0.1)
@example(cuts=[1, 2, 3, 6000], mode=PoseMode.OFFSET, frame=7, timeout=0.1)
@settings(max_examples=10)
def test_any_chunking_gives_what_one_push_gives(watched, speech, cuts, mode, frame, timeout):
    turned = np.array([0, 0, np.sin(0.1), np.cos(0.1)])
    command = HeadPoseCommand(mode, turned, np.zeros(3), transition=0.1, timeout=timeout)
    expected, whole_maps = watched.watch(speech, [], command, frame)
    motion, maps = watched.watch(speech, cuts, command, frame)
    for name in ('speaking', 'source', 'clamped'):
        np.testing.assert_array_equal(getattr(motion, name), getattr(expected, name), err_msg=name)
    for name in ('points', 'euler', 'translation', 'shoulders'):
        here, there = getattr(motion, name), getattr(expected, name)
        one_late = np.abs(np.diff(there, axis=0)).max()
        # Far finer than what a frame too early or too late would change: no more than rounding.
        assert np.abs(here - there).max() < 2e-5 < one_late / 100, name
    # A line that lies on the edge of two pixels may be drawn on either side of it.
    assert (maps != whole_maps).mean(axis=(1, 2)).max() < 1e-4 < (np.diff(whole_maps, axis=0) != 0).mean() / 100


def test_chunks_give_the_pictures_of_one_push(avatar, engine, speech, whole):
    portrait = Portrait(avatar, engine)
    frames = [frame for chunk in np.split(speech, [267, 533, 5001]) for frame in portrait.push(chunk)]
    frames += portrait.flush()
    assert [frame.frame for frame in frames] == [frame.frame for frame in whole]
    late = np.mean([np.abs(a.image.astype(int) - b.image).mean() for a, b in pairwise(whole)])
    for streamed, expected in zip(frames, whole, strict=True):
        assert np.abs(streamed.image.astype(int) - expected.image).mean() < late / 100


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
