"""The drawing is the official one to the last pixel, and no input that cannot be drawn gets through."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lsp_ros.rendering.feature_map import draw

GOLDEN = Path(__file__).parents[1] / 'golden'


def example(shift=(0.0, 0.0)):
    with np.load(GOLDEN / 'feature_maps.npz') as golden:
        return golden['landmarks'][0] + np.float64(shift), golden['shoulders'][0] + np.float64(shift)


def test_maps_equal_the_official_ones():
    with np.load(GOLDEN / 'feature_maps.npz') as golden:
        rows = zip(golden['landmarks'], golden['shoulders'], golden['packed'], strict=True)
        for landmarks, shoulders, packed in rows:
            np.testing.assert_array_equal(np.packbits(draw(landmarks, shoulders) == 255, axis=-1), packed)


def test_maps_with_shifted_shoulders_equal_the_official_ones():
    with np.load(GOLDEN / 'feature_maps_offset.npz') as golden:
        for offset, packed in zip(golden['offsets'], golden['packed'], strict=True):
            map_ = draw(golden['landmarks'], golden['shoulders'] + offset)
            np.testing.assert_array_equal(np.packbits(map_ == 255, axis=-1), packed)


def test_the_plain_map_is_black_and_white_and_steps_by_whole_pixels():
    landmarks, shoulders = (np.floor(points) for points in example())
    map_ = draw(landmarks, shoulders)
    assert set(np.unique(map_)) == {0, 255}
    np.testing.assert_array_equal(draw(landmarks + 0.9, shoulders + 0.9), map_)


def centre(map_):
    rows, columns = np.indices(map_.shape)
    return np.array([(columns * (map_ / map_.sum())).sum(), (rows * (map_ / map_.sum())).sum()])


@pytest.mark.parametrize('axis', [0, 1])
def test_the_subpixel_map_follows_motion_smaller_than_a_pixel(axis):
    landmarks, shoulders = example()
    shoulders[:] = -100  # they touch the picture's edge, where a shift changes what is visible
    places = []
    for step in range(17):
        shift = np.eye(2)[axis] * step / 16
        places.append(centre(draw(landmarks + shift, shoulders, subpixel=True))[axis])
    steps = np.diff(places)
    assert (steps > 0).all()
    assert places[-1] - places[0] == pytest.approx(1, abs=0.02)


def test_the_subpixel_map_lies_where_the_points_are():
    """A closed square from 100 to 200 has its centre at 150 in pictures that span 0..512: pixel 149.5."""
    landmarks = np.full((73, 2), -100.0)
    landmarks[[46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57]] = np.repeat(
        [[100, 100], [200, 100], [200, 200], [100, 200]], 3, axis=0
    )
    landmarks[[58, 59, 60, 61, 62, 63]] = 100
    map_ = draw(landmarks, np.full((18, 2), -100.0), subpixel=True)
    rows, columns = np.nonzero(map_)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(149.5, abs=0.51)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(149.5, abs=0.51)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('which', [0, 1])
def test_values_that_are_not_finite_are_refused(bad, which):
    points = example()
    points[which][3, 1] = bad
    with pytest.raises(ValueError, match='not finite'):
        draw(*points)


def test_wrong_shapes_are_refused():
    landmarks, shoulders = example()
    with pytest.raises(ValueError, match=r'landmarks have the shape \(68, 2\)'):
        draw(landmarks[:68], shoulders)
    with pytest.raises(ValueError, match='shoulders have the shape'):
        draw(landmarks, shoulders[:, :1])


@given(arrays(np.float64, (73, 2), elements=st.floats(-1e300, 1e300)), st.booleans())
def test_any_finite_coordinates_can_be_drawn(landmarks, subpixel):
    map_ = draw(landmarks, np.zeros((18, 2)), subpixel)
    assert map_.shape == (512, 512) and map_.dtype == np.uint8
