"""The arithmetic of a stream that arrives in pieces: what is next, what is missing, what came late or twice.

No stage and no clock in it: :mod:`lsp_ros.live.speech_stream` and :mod:`lsp_ros.live.motion_stream` decide with it
what they give to their stages.
"""

import numpy as np

from lsp_ros import timeline

LONGEST_FILL_SECONDS = 0.25  # what is missing for longer is no lost chunk, and computing it would cost more time still
LATEST_SECONDS = 2  # what comes later is no late chunk: somebody began to count anew
CLOCK_TOLERANCE_NS = 50_000_000


def continues(gap_seconds: float) -> bool:
    """Whether a piece that begins so long after the end of the last one (negative: before it) still follows it."""
    return -LATEST_SECONDS <= gap_seconds <= LONGEST_FILL_SECONDS


class StreamPosition:
    """How far a stream has come that is counted in units of ``rate`` a second, and when it began.

    stream_id  its name; None before the first
    next       the unit that is next
    start_ns   the moment of unit 0 on the ROS clock
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.stream_id: str | None = None
        self.next = 0
        self.start_ns = 0

    def gap(self, stream_id: str, first: int) -> int | None:
        """Units that are missing before a piece that begins with unit `first`, negative where it begins too early.

        None: the piece does not follow the last one. It belongs to another stream, or this one has jumped.
        """
        gap = first - self.next
        return gap if stream_id == self.stream_id and continues(gap / self.rate) else None

    def begin(self, stream_id: str, first: int, start_ns: int) -> None:
        """Go on with unit `first` of a stream that began at `start_ns`."""
        self.stream_id, self.next, self.start_ns = stream_id, first, start_ns

    def follow_clock(self, start_ns: int) -> None:
        """Take over when the stream began by its last piece, unless that is the old value but for some jitter."""
        if abs(start_ns - self.start_ns) > CLOCK_TOLERANCE_NS:
            self.start_ns = start_ns


class Patience:
    """What cannot be right is let pass for so many seconds of the steady clock; then it is what has come to stay."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None

    def is_over(self, steady: float) -> bool:
        """It happened again, or for the first time: whether it has gone on for too long."""
        if self._since is None:
            self._since = steady
        return steady - self._since >= self._seconds

    def renew(self) -> None:
        """All is as it should be."""
        self._since = None


def filled(samples: np.ndarray, gap: int) -> np.ndarray:
    """Samples (n,) as they follow the last ones: after `gap` silent ones, or less the first `-gap`, which are known."""
    if gap > 0:
        return np.concatenate([np.zeros(gap, dtype=np.float32), samples])
    return samples[-gap:]


def first_whole_block(first_sample: int, frames: int) -> int:
    """The first frame number from which on all samples will be there, of those that `frames` divides."""
    return -(-first_sample // timeline.frame_start(frames)) * frames
