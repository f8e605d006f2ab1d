"""A source's chunks: when they are due, where they end, and what becomes of them when a clock is set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_pieces import SECOND, START_NS, Observed

from lsp_ros import timeline
from lsp_ros.live.source_timeline import SourceTimeline, chunk_end
from lsp_ros.speech.stage import SpeechStage


def frames_after(samples):
    return timeline.frames_in(max(0, samples - SpeechStage.look_ahead))


@given(st.integers(0, 10**9))
def test_a_chunk_ends_with_the_features_of_the_next_frame_and_is_10_to_20_ms_long(block):
    for start in (0, 800 * block + SpeechStage.look_ahead):  # a stream's begin, and where a chunk ends later on
        ends = [start]
        for _ in range(8):
            ends.append(chunk_end(ends[-1], SpeechStage.look_ahead))
        assert all(160 <= length <= 320 for length in np.diff(ends))
        frames = frames_after(start)
        for end in ends[2:] if start == 0 else ends[1:]:
            frames += 1
            assert frames_after(end) == frames and frames_after(end - 1) == frames - 1


class Source:
    """A timeline, and two clocks that are read at every tick."""

    def __init__(self, lead=0.35):
        self.observed = Observed()
        self.now_ns, self.steady = START_NS, 5.0
        self.line = SourceTimeline('file', lead, SpeechStage.look_ahead, self.observed, self.now_ns, self.steady)

    def tick(self, seconds, ros_seconds=None):
        """The blocks that are due after so many seconds, by the steady clock and by ROS's."""
        self.steady += seconds
        self.now_ns += round((seconds if ros_seconds is None else ros_seconds) * SECOND)
        self.line.check_clocks(self.now_ns, self.steady)
        blocks = []
        while self.line.ns_to_next(self.now_ns) <= 0:
            blocks.append(self.line.next_block(np.zeros(self.line.next_count, np.float32)))
        return blocks


@given(st.lists(st.floats(0, 4), min_size=1, max_size=30))
def test_chunks_are_due_by_the_clock_whenever_it_is_looked_at_and_stamped_without_drift(pauses):
    source = Source()
    blocks = [block for pause in pauses for block in source.tick(pause)]
    position = 0
    for block in blocks:
        assert block.first_sample == position and block.stream_id == source.line.stream_id
        assert block.stamp_ns == START_NS + 350_000_000 + timeline.samples_to_ns(position)
        position += len(block.samples)
    elapsed = timeline.ns_to_samples(source.now_ns - START_NS)
    assert position <= elapsed < position + 320
    assert 0 < source.line.ns_to_next(source.now_ns) <= timeline.samples_to_ns(320)
    assert not source.observed.problems


@pytest.mark.parametrize(
    ('seconds', 'ros_seconds', 'problem'),
    [
        (0.02, 1.0, {'clock jumps': 1}),
        (0.02, -3600.0, {'clock jumps': 1}),
        (5.5, 5.5, {'hold-ups': 1}),
        (4.5, 4.5, {}),
        (0.5, 0.9, {}),
    ],
)
def test_a_set_clock_or_a_long_sleep_begins_a_new_stream(seconds, ros_seconds, problem):
    source = Source(lead=-0.03)
    source.tick(1.0)
    old = source.line.stream_id
    source.tick(seconds, ros_seconds)
    assert source.observed.problems == problem
    assert (source.line.stream_id != old) == bool(problem)
    assert old.startswith('file-') and source.line.stream_id.startswith('file-')
    block = source.tick(0.1)[0]
    if problem:
        assert (block.first_sample, block.stamp_ns) == (0, source.now_ns - 100_000_000 - 30_000_000)
