"""When something is shown and heard: its stamp and the presentation delay."""

import math
from collections import deque

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.counters import Observer
from lsp_ros.live.stamped import AudioBlock

SECOND = timeline.NANOSECONDS_PER_SECOND
# Automatic delay: sound is shown and heard so long after it was published. The models' look-ahead is 0.3 s of it.
SECONDS_FROM_SOURCE = 0.5
SHORTEST_DELAY = 0.05
CHUNKS_TO_JUDGE = 50
PICTURES_TO_JUDGE = 100  # of which more than a tenth come late before anybody is told: a hiccup is no trouble
FAR_SECONDS = 1  # between two chunks of a stream: it goes on elsewhere, as a recording that is played again does
FAR_AHEAD_SECONDS = 10  # no source publishes so far ahead of its stamps: somebody's clock was set


def seconds_to_ns(seconds: float) -> int:
    """The nearest whole nanosecond."""
    return round(seconds * SECOND)


class PresentationDelay:
    """How long after its stamp something is shown and heard, and whether that is long enough for the pictures.

    ``seconds`` from a stamp to its showing; negative: chosen for each stream, so that half a second passes from the
    publishing of a sound to its showing. All times are nanoseconds on the ROS clock.
    """

    def __init__(self, seconds: float, observer: Observer) -> None:
        self.ns = seconds_to_ns(max(seconds, SHORTEST_DELAY))
        self._chosen = seconds < 0
        self._observer = observer
        self._stream_id: str | None = None
        self._chunks_to_judge = 0
        self._heard_until_ns: int | None = None
        self._lateness: deque[int] = deque(maxlen=PICTURES_TO_JUDGE)

    def hear(self, block: AudioBlock, now_ns: int) -> None:
        """A block of audio has arrived."""
        if self._chosen:
            self._choose(block, now_ns)
        self._heard_until_ns = block.stamp_ns + timeline.samples_to_ns(len(block.samples))

    def _choose(self, block: AudioBlock, now_ns: int) -> None:
        """From the first chunks of a stream: the promptest of them tells how far ahead the source publishes."""
        gone = self._heard_until_ns is None or abs(block.stamp_ns - self._heard_until_ns) > seconds_to_ns(FAR_SECONDS)
        known = block.stream_id == self._stream_id and not gone
        if not known:
            self._stream_id, self._chunks_to_judge = block.stream_id, CHUNKS_TO_JUDGE
        if self._chunks_to_judge == 0:
            return
        self._chunks_to_judge -= 1
        needed = seconds_to_ns(SECONDS_FROM_SOURCE) - (block.stamp_ns - now_ns)
        needed = max(needed, seconds_to_ns(SHORTEST_DELAY))
        self.ns = min(self.ns, needed) if known else needed
        if self._chunks_to_judge == 0:
            self._observer.tell(f'presentation delay {self.ns / SECOND:.3f} s')

    def due_ns(self, stamp_ns: int, now_ns: int) -> int:
        """When to show a picture with that stamp."""
        ahead = (stamp_ns - now_ns) / SECOND
        if ahead < FAR_AHEAD_SECONDS:
            return stamp_ns + self.ns
        self._observer.report_problem(
            'pictures of another clock', f'a picture is stamped {ahead:.0f} s ahead of the ROS clock: shown at once'
        )
        return now_ns

    def judge(self, stamp_ns: int, now_ns: int) -> None:
        """A picture has arrived: tell which delay would do where they come too late again and again.

        Only of pictures whose sound is there: what goes by the clock, while no sound comes, is late for nothing.
        """
        if self._heard_until_ns is None or stamp_ns >= self._heard_until_ns or self._chunks_to_judge:
            return
        late = now_ns - stamp_ns - self.ns
        self._lateness.append(late)
        if late <= 0:
            return
        self._observer.count('late pictures')
        usual = float(np.quantile(self._lateness, 0.9))
        if usual > 0 and len(self._lateness) == PICTURES_TO_JUDGE:
            enough = math.ceil(20 * (self.ns + float(np.quantile(self._lateness, 0.98))) / SECOND) / 20
            self._observer.report_problem(
                'warnings of late pictures',
                f'pictures come {late / 1e6:.0f} ms late; set presentation_delay to {enough:.2f}',
            )


class PresentationQueue:
    """Pictures that wait for their moment, by a clock that may be set at any time."""

    def __init__(self, most: int) -> None:
        self._pictures: deque[tuple[int, np.ndarray]] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def next_due_ns(self) -> int | None:
        return self._pictures[0][0] if self._pictures else None

    def put(self, due_ns: int, picture: np.ndarray) -> None:
        """Add a picture (height, width, 3) uint8.

        What came before and was to be shown then or later is of a clock that no longer holds: it goes.
        """
        while self._pictures and self._pictures[-1][0] >= due_ns:
            self._pictures.pop()
        self._pictures.append((due_ns, picture))

    def clear(self) -> None:
        self._pictures.clear()

    def take(self, now_ns: int) -> tuple[int, np.ndarray] | None:
        """The newest that is due, and when it was; older ones go."""
        due = None
        while self._pictures and self._pictures[0][0] <= now_ns:
            due = self._pictures.popleft()
        return due
