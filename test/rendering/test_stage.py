"""Face motion goes in, marked pictures come out, whatever the block length."""

import dataclasses

import numpy as np
import pytest

from lsp_ros.avatar.load import Avatar
from lsp_ros.rendering.mark import Mark
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.signals import FaceMotion


@pytest.fixture(scope='module')
def avatar(tiny_avatar):
    return Avatar.load(tiny_avatar)


@pytest.fixture(scope='module')
def stage(avatar):
    return RenderStage(avatar, engine='torch')


def motion(avatar, count=2, first_frame=40):
    """The face turns while the upper body stands still."""
    face = avatar.face
    turn = np.zeros((count, 3), np.float32)
    turn[:, 1] = np.linspace(0, 8, count)
    return FaceMotion(
        first_frame=first_frame,
        points=np.tile(face.mean_points, (count, 1, 1)),
        euler=turn,
        translation=np.tile(face.translation_mean, (count, 1)),
        shoulders=np.tile(face.shoulders, (count, 1, 1)),
        speaking=np.zeros(count, bool),
        source=np.zeros(count, np.uint8),
        clamped=np.zeros(count, bool),
    )


def frame_of(block, index):
    rows = slice(index, index + 1)
    arrays = {field.name: getattr(block, field.name)[rows] for field in dataclasses.fields(block)[1:]}
    return FaceMotion(first_frame=block.first_frame + index, **arrays)


def test_one_block_or_frame_by_frame_gives_the_same_pictures(avatar, stage):
    block = motion(avatar)
    together = stage.render(block)
    assert [frame.frame for frame in together] == [40, 41]
    assert not np.array_equal(together[0].image, together[1].image)
    for index, frame in enumerate(together):
        (alone,) = stage.render(frame_of(block, index))
        assert alone.frame == frame.frame
        np.testing.assert_array_equal(alone.image, frame.image)


def test_an_empty_block_gives_no_picture(avatar, stage):
    assert stage.render(motion(avatar, count=0)) == []


def test_pictures_are_marked_unless_it_is_turned_off(avatar, stage):
    block = motion(avatar, count=1)
    (marked,) = stage.render(block)
    (plain,) = RenderStage(avatar, engine=stage.engine, mark=False).render(block)
    changed = (marked.image != plain.image).any(axis=-1)
    region = np.zeros((512, 512), bool)
    region[Mark().region] = True
    assert changed[region].mean() > 0.9
    assert not changed[~region].any()


@pytest.mark.parametrize('grey', [0, 90, 255])
def test_the_mark_can_be_read_on_any_ground(grey):
    picture = np.full((512, 512, 3), grey, np.uint8)
    mark = Mark()
    mark.draw(picture)
    patch = picture[mark.region].astype(int)
    assert patch.max() - patch.min() > 60


@pytest.mark.parametrize(
    ('name', 'value', 'said'),
    [
        ('points', np.zeros((2, 68, 3)), r'points has the shape \(2, 68, 3\)'),
        ('euler', np.full((2, 3), np.nan), 'euler holds values that are not finite'),
        ('translation', np.full((2, 3), -100.0), 'in front of the camera'),
        ('shoulders', np.full((2, 18, 3), np.inf), 'shoulders holds values that are not finite'),
        ('shoulders', np.zeros((1, 18, 3)), r'shoulders has the shape \(1, 18, 3\)'),
    ],
)
def test_motion_that_cannot_be_drawn_is_refused(avatar, stage, name, value, said):
    with pytest.raises(ValueError, match=said):
        stage.render(dataclasses.replace(motion(avatar), **{name: value}))
