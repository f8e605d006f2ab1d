"""The stream that an audio source publishes: which chunk is due when, and its place and time.

Sample i of a stream is heard at stream start + i / 16000 s, exactly, so stamps neither drift nor jitter. A chunk ends
where a video frame of speech features can be computed, so that frames come out one by one and none waits for the rest
of a chunk.
"""

import uuid

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.clock_watch import CLOCK_JUMP_SECONDS
from lsp_ros.live.counters import Observer
from lsp_ros.live.stamped import AudioBlock

SECOND = timeline.NANOSECONDS_PER_SECOND
SHORTEST_CHUNK = 160
LONGEST_HOLD_UP_SECONDS = 5.0


def chunk_end(position: int, look_ahead: int) -> int:
    """Where the chunk ends that begins at that sample: 160 to 320 samples later.

    ``look_ahead`` samples after its end complete a video frame of speech features.
    """
    frames = timeline.frames_in(position - look_ahead) + 1  # whole ones, with their look-ahead, at the chunk's end
    whole = -(-frames * timeline.SAMPLE_RATE // timeline.FRAME_RATE)
    return max(whole + look_ahead, position + SHORTEST_CHUNK)


class SourceTimeline:
    """Position and clocks of a source. `now_ns` is the ROS clock, `steady` seconds on the steady clock.

    name        how stream names begin
    lead        seconds by which a chunk is published before its stamp; negative: after it
    look_ahead  samples after a video frame that the speech stage waits for
    """

    def __init__(self, name: str, lead: float, look_ahead: int, observer: Observer, now_ns: int, steady: float) -> None:
        self._name, self._lead, self._look_ahead = name, lead, look_ahead
        self._observer = observer
        self.begin(now_ns, steady)

    def begin(self, now_ns: int, steady: float) -> None:
        """A new stream, from now on."""
        self.stream_id = f'{self._name}-{uuid.uuid4().hex}'
        self._position = 0  # samples published
        self._end = chunk_end(0, self._look_ahead)
        self._began_ns = self._checked_ns = now_ns
        self._checked = steady
        self._start_ns = now_ns + round(self._lead * SECOND)

    def check_clocks(self, now_ns: int, steady: float) -> None:
        """A set clock or a long sleep of the machine begins a new stream; a short hold-up is made up for."""
        hold_up = steady - self._checked
        jump = (now_ns - self._checked_ns) / SECOND - hold_up
        self._checked_ns, self._checked = now_ns, steady
        if abs(jump) > CLOCK_JUMP_SECONDS:
            self._observer.report_problem('clock jumps', f'the ROS clock jumped by {jump:.1f} s: a new stream begins')
        elif hold_up > LONGEST_HOLD_UP_SECONDS:
            self._observer.report_problem(
                'hold-ups', f'the process was held up for {hold_up:.1f} s: a new stream begins'
            )
        else:
            return
        self.begin(now_ns, steady)

    @property
    def next_count(self) -> int:
        """Samples of the next chunk."""
        return self._end - self._position

    def ns_to_next(self, now_ns: int) -> int:
        """Nanoseconds until the next chunk is due; negative: since it was."""
        return self._began_ns + timeline.samples_to_ns(self._end) - now_ns

    def next_block(self, samples: np.ndarray) -> AudioBlock:
        """The next chunk, made of `next_count` samples."""
        stamp_ns = self._start_ns + timeline.samples_to_ns(self._position)
        block = AudioBlock(self.stream_id, self._position, stamp_ns, samples)
        self._position, self._end = self._end, chunk_end(self._end, self._look_ahead)
        return block
