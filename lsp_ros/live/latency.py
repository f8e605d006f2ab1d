"""How long each frame took from topic to topic of a running graph."""

from collections import OrderedDict
from typing import Any

from lsp_ros import timeline
from lsp_ros.live.statistics import Durations

SECOND = timeline.NANOSECONDS_PER_SECOND
TOPICS = ('speech_features', 'face_motion', 'image')
KEPT_FRAMES = 600  # of which arrivals are remembered: ten seconds


class LatencyMeasurement:
    """The time from each topic that a frame passes to the next; its stamp says which frame it is.

    Times are nanoseconds on the ROS clock.
    """

    def __init__(self) -> None:
        self.steps = {step: Durations() for step in zip(('audio', *TOPICS), TOPICS)}
        self._arrivals: OrderedDict[int, dict[str, int]] = OrderedDict()  # by the frame's stamp
        self._heard: OrderedDict[int, int] = OrderedDict()  # chunk stamp -> arrival

    def heard(self, stamp_ns: int, arrival_ns: int) -> None:
        """A chunk of audio has arrived."""
        self._heard[stamp_ns] = arrival_ns
        if len(self._heard) > KEPT_FRAMES:
            self._heard.popitem(last=False)

    def passed(self, topic: str, stamp_ns: int, arrival_ns: int) -> None:
        """A frame has arrived on one of TOPICS; with its picture, its way is complete and counted."""
        arrivals = self._arrivals.setdefault(stamp_ns, {})
        if topic == TOPICS[0]:
            chunk = next((stamp for stamp in reversed(self._heard) if stamp <= stamp_ns), None)
            if chunk is not None:
                arrivals['audio'] = self._heard[chunk]
        arrivals[topic] = arrival_ns
        if len(self._arrivals) > KEPT_FRAMES:
            self._arrivals.popitem(last=False)
        if topic == TOPICS[-1]:
            for (before, after), durations in self.steps.items():
                if before in arrivals and after in arrivals:
                    durations.append((arrivals[after] - arrivals[before]) / SECOND)

    def begin(self) -> None:
        """Counts from now on; what is on its way stays known."""
        self.steps = {step: Durations() for step in self.steps}

    def report(self) -> list[dict[str, Any]]:
        return [
            {'from': before, 'to': after, 'ms': durations.summary()}
            for (before, after), durations in self.steps.items()
        ]
