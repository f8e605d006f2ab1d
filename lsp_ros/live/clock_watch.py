"""Two clocks beside each other: what ROS's does, which may be set, stand still or never begin, by the steady one."""

from lsp_ros import timeline
from lsp_ros.live.gap_filling import CLOCK_TOLERANCE_NS, continues

SECOND = timeline.NANOSECONDS_PER_SECOND
CLOCK_JUMP_SECONDS = 0.5  # between the two clocks; less is made up for
SECONDS_TO_STAND = 2.0  # a simulation may step its clock in long strides


class ClockWatch:
    """Whether the ROS clock keeps the pace of the steady one. `now_ns` is the ROS clock, `steady` seconds."""

    def __init__(self) -> None:
        self._now_ns: int | None = None
        self._offset_ns = 0
        self._moved_at = 0.0
        self._told = False

    def jump(self, now_ns: int, steady: float) -> float:
        """Seconds by which the ROS clock has left the steady one since that was last told; 0.0 for less than half.

        Of a clock that stands still, it is told when it moves again.
        """
        offset = now_ns - round(steady * SECOND)
        if self._now_ns is None:
            self._offset_ns = offset
        moved, self._now_ns = now_ns != self._now_ns, now_ns
        jump = (offset - self._offset_ns) / SECOND
        if not moved or abs(jump) <= CLOCK_JUMP_SECONDS:
            return 0.0
        self._offset_ns = offset
        return jump

    def stands(self, now_ns: int, steady: float) -> bool:
        """Whether the ROS clock has stood still for two seconds; true once for each time that it does."""
        if now_ns != self._now_ns:
            self._now_ns, self._moved_at, self._told = now_ns, steady, False
        if self._told or steady - self._moved_at < SECONDS_TO_STAND:
            return False
        self._told = True
        return True


class ArrivalStamps:
    """Gives pieces of a stream that come without a stamp (0) the time of their arrival.

    What comes faster than its own pace, a sentence at once, is stamped at its pace from the arrival of its beginning.
    """

    def __init__(self) -> None:
        self._clock = ClockWatch()
        self._stream_id: str | None = None
        self._start_ns = self._end_ns = 0

    def stamp(self, stream_id: str, stamp_ns: int, begin_ns: int, end_ns: int, now_ns: int, steady: float) -> int:
        """The stamp of a piece that has arrived now, which begins and ends so long after its stream began."""
        jumped = self._clock.jump(now_ns, steady) != 0
        if stamp_ns:
            return stamp_ns
        by_arrival = now_ns - begin_ns
        follows = stream_id == self._stream_id and continues((begin_ns - self._end_ns) / SECOND)
        if jumped or not follows or self._start_ns < by_arrival - CLOCK_TOLERANCE_NS:
            self._start_ns = by_arrival
        self._stream_id, self._end_ns = stream_id, end_ns
        return self._start_ns + begin_ns
