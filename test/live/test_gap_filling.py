"""What follows what: the arithmetic of pieces that are lost, late or doubled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_pieces import START_NS, numbered

from lsp_ros import timeline
from lsp_ros.live.gap_filling import StreamPosition, filled, first_whole_block


@given(st.integers(0, 2**45), st.integers(-10_000, 10_000))
def test_a_gap_is_what_is_missing_unless_it_is_a_jump(next_sample, gap):
    position = StreamPosition(timeline.SAMPLE_RATE)
    assert position.gap('a', next_sample) is None  # nothing was there before
    position.begin('a', next_sample, START_NS)
    assert position.gap('b', next_sample) is None
    joins = -2 * 16_000 <= gap <= 4000
    assert position.gap('a', next_sample + gap) == (gap if joins else None)


@pytest.mark.parametrize('jitter, followed', [(-49, False), (49, False), (-51, True), (51, True)])
def test_a_clock_that_was_set_is_followed_and_jitter_is_not(jitter, followed):
    position = StreamPosition(timeline.FRAME_RATE)
    position.begin('a', 0, START_NS)
    position.follow_clock(START_NS + jitter * 1_000_000)
    assert (position.start_ns != START_NS) == followed


@given(st.integers(-20, 20))
def test_gaps_are_filled_with_silence_and_what_is_known_is_cut_off(gap):
    expected = [0] * gap + list(numbered(10)) if gap > 0 else list(numbered(10))[-gap:]
    np.testing.assert_array_equal(filled(numbered(10), gap), np.float32(expected))


@given(st.integers(0, 2**45))
def test_a_stage_joins_at_the_first_frame_whose_number_and_sample_are_both_whole(first):
    frame = first_whole_block(first, 3)
    assert frame % 3 == 0 and 0 <= timeline.frame_start(frame) - first < 800
