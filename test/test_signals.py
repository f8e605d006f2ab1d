import numpy as np
import pytest

from lsp_ros.signals import SpeechFeatures


def block(first, frames):
    values = np.arange(first, first + frames, dtype=np.float32)
    return SpeechFeatures(first, np.tile(values[:, None, None], (1, 2, 512)), values, values > 3)


def test_cutting_and_joining_give_the_block_back():
    whole = block(5, 9)
    joined = SpeechFeatures.join([whole[:2], None, whole[2:3], whole[3:]])
    assert (whole[2:].first_frame, len(whole[2:]), whole[-2:].first_frame) == (7, 7, 12)
    assert joined.first_frame == 5
    for name in ('values', 'level_db', 'active'):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))


def test_nothing_joined_is_nothing_and_frames_are_not_skipped():
    assert SpeechFeatures.join([None, None]) is None
    with pytest.raises(ValueError, match='no frames of SpeechFeatures'):
        SpeechFeatures.whole([None, None])
    assert len(SpeechFeatures.whole([None, block(0, 2), block(2, 1)])) == 3
    with pytest.raises(ValueError, match='steps of 1, not 2'):
        block(0, 4)[::2]
