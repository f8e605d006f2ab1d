"""What keeps a stream whole between two processes; no ROS in it.

AudioJoin     audio chunks as they arrive  -> an unbroken run of samples for the speech stage
FrameJoin     feature frames as they arrive -> an unbroken run of frames for the motion stage
OneSource     chunks or frames of several sources -> those of one of them
PacedBuffer   samples that come at their own pace -> as many as the ROS clock asks for
Mailbox       the newest item only, for a worker that may be slower than its input
Turns         items of several streams for such workers, in fair order
InOrder       what several workers made, in the order in which they took the work
"""

import contextlib
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from lsp_ros import timeline
from lsp_ros.nodes.conversions import Audio, Place

LONGEST_HEAL_SECONDS = 0.25  # what is missing for longer is no lost chunk, and computing it would cost more time still
LATEST_SECONDS = 2  # what comes later is no late chunk: somebody began to count anew
LONGEST_LEAD_NS = 10 * timeline.NANOSECONDS_PER_SECOND  # no source publishes further ahead of its stamps
JOIN_FRAMES = 3  # every third frame starts at a whole sample number, so a stage that joins there keeps the timeline
PATIENCE_SECONDS = 0.3  # a stream of which nothing came for so long has stopped
CLOCK_TOLERANCE_NS = 50_000_000
SINC_REACH = 16  # samples on either side


@dataclass(frozen=True)
class Piece:
    """Samples for the speech stage. ``restart``: forget what came before. ``healed``: silent samples filled in."""

    samples: np.ndarray
    restart: bool = False
    healed: int = 0


class AudioJoin:
    """Joins chunks by their sample index: fills gaps with silence, drops what came before, follows a new stream.

    A receiver may join a stream that has been running for weeks: its stage then starts counting at ``first_frame``.
    """

    def __init__(self):
        self.stream_id: str | None = None
        self.first_frame = 0
        self.start_ns = 0
        self._next = self._joined = 0

    def push(self, audio: Audio) -> Piece | None:
        """What to give to the stage; None for a chunk that is late or a duplicate."""
        restart = False
        first, samples = audio.first_sample, audio.samples
        gap = first - self._next
        if audio.stream_id != self.stream_id or not _joins(gap / timeline.SAMPLE_RATE):
            restart = True
            step = timeline.frame_start(JOIN_FRAMES)
            block = -(-first // step)
            self.stream_id = audio.stream_id
            self.first_frame = block * JOIN_FRAMES
            self._next = self._joined = block * step
            gap = first - self._next
        start_ns = audio.stamp_ns - timeline.samples_to_ns(first)
        if restart or abs(start_ns - self.start_ns) > CLOCK_TOLERANCE_NS:
            self.start_ns = start_ns
        healed = max(gap, 0)
        if gap < 0:
            samples = samples[-gap:]
        elif gap > 0:
            samples = np.concatenate([np.zeros(gap, dtype=np.float32), samples])
        if not len(samples) and first >= self._joined:
            return None
        self._next += len(samples)
        return Piece(samples, restart, healed)

    def place(self, stage_frame: int) -> Place:
        """Where the stage's frame stands in the stream: stream start + the frame's time on the timeline."""
        frame = self.first_frame + stage_frame
        return Place(self.stream_id or '', frame, self.start_ns + timeline.frame_start_ns(frame))


class FrameJoin:
    """Gives a stage with a look-ahead one unbroken run of frames, and knows the place of each that comes out.

    The stage is never reset by a gap or by a new stream: the face goes on from where it is.
    """

    def __init__(self):
        self.stream_id: str | None = None
        self.start_ns = 0
        self.next_frame = 0
        self.pushed = 0
        self._places: deque[Place] = deque()
        self._shown_ns: int | None = None

    def missing(self, place: Place) -> int | None:
        """How many frames of rest to push before this one; None for a frame that is late or a duplicate."""
        gap = place.frame - self.next_frame
        if place.stream_id != self.stream_id or not _joins(gap / timeline.FRAME_RATE):
            self.stream_id = place.stream_id
            self.next_frame = place.frame
            self.start_ns = place.stamp_ns - timeline.frame_start_ns(place.frame)
            return 0
        start_ns = place.stamp_ns - timeline.frame_start_ns(place.frame)
        if abs(start_ns - self.start_ns) > CLOCK_TOLERANCE_NS:
            self.start_ns = start_ns
        return gap if gap >= 0 else None

    def begin(self, stream_id: str, start_ns: int) -> None:
        """A stream of our own, for as long as nobody sends one."""
        self.stream_id, self.start_ns, self.next_frame = stream_id, start_ns, 0

    def push(self) -> int:
        """One frame goes into the stage: its number on the stage's own count."""
        stamp = self.start_ns + timeline.frame_start_ns(self.next_frame)
        self._places.append(Place(self.stream_id or '', self.next_frame, stamp))
        self.next_frame += 1
        self.pushed += 1
        return self.pushed - 1

    def pop(self, now_ns: int) -> Place | None:
        """The place of the next frame that comes out; None where a later moment was already shown.

        Two streams may overlap where one takes over from the other. Only what was shown with a stamp that is now far
        in the future does not count: the clock was set back.
        """
        place = self._places.popleft()
        shown = self._shown_ns
        if shown is not None and place.stamp_ns <= shown <= now_ns + LONGEST_LEAD_NS:
            return None
        self._shown_ns = place.stamp_ns
        return place


def _joins(gap_seconds: float) -> bool:
    return -LATEST_SECONDS <= gap_seconds <= LONGEST_HEAL_SECONDS


class OneSource:
    """Two sources on one topic are a mistake: followed is who began last, for as long as something comes of it."""

    def __init__(self):
        self.stream_id: str | None = None
        self._heard_at = -math.inf
        self._left: deque[str | None] = deque(maxlen=16)

    def takes(self, stream_id: str, now: float) -> bool:
        """Whether to listen to what comes of that stream at `now` seconds on the steady clock."""
        if stream_id != self.stream_id:
            if stream_id in self._left and now - self._heard_at <= PATIENCE_SECONDS:
                return False
            self._left.append(self.stream_id)
            self.stream_id = stream_id
        self._heard_at = now
        return True


class PacedBuffer:
    """Samples arrive at the pace of their own clock and leave at the pace of ours, for weeks.

    What comes whole sentences at once leaves as it came. But where samples come at about the pace of the clock, two
    clocks differ by some parts per million: then the buffer keeps about ``target`` samples in hand and stretches what
    it hands out by at most one sample in a call, 0.6 % of the pitch, with the spectrum as it was. When it runs dry it
    hands out silence until it holds ``target`` samples again, or until nothing more came for a while.
    """

    WINDOW_SECONDS = 2.0
    PATIENCE_SECONDS = 0.1
    # Of a live source; a word takes longer to say.
    LONGEST_PIECE_SECONDS = 0.25
    LONGEST_PAUSE_SECONDS = 0.4
    SHORTEST_PROOF_SECONDS = 0.5

    def __init__(self, target: int, limit: int):
        self.target, self.limit = target, limit
        self.slewed = 0  # samples inserted or left out to follow the other clock
        self.dropped = 0
        self._lock = threading.Lock()
        self._pieces: deque[np.ndarray] = deque()
        self._arrivals: deque[tuple[float, int]] = deque()  # of one run without a pause: when, how many samples
        self.clear()

    def push(self, samples: np.ndarray, now: float) -> None:
        """Add samples (n,) float32 at `now` seconds on the steady clock; beyond `limit` the oldest go."""
        if not len(samples):
            return
        with self._lock:
            if now - self._pushed_at > self.LONGEST_PAUSE_SECONDS:
                self._arrivals.clear()
                self._run_began = now
            while self._arrivals and now - self._arrivals[0][0] > self.WINDOW_SECONDS:
                self._arrivals.popleft()
            self._arrivals.append((now, len(samples)))
            self._pieces.append(samples)
            self._level += len(samples)
            self._pushed_at = now
            while self._level > self.limit:
                oldest = self._pieces.popleft()
                self._level -= len(oldest)
                self.dropped += len(oldest)

    def clear(self) -> None:
        """Forget all samples, and what was known of the other clock."""
        with self._lock:
            self._pieces.clear()
            self._arrivals.clear()
            self._level, self._filling = 0, True
            self._pushed_at = self._run_began = -math.inf
            self._lowest, self._window_end, self._slew, self._live = 0, 0.0, 0, False
            self._before = np.zeros(SINC_REACH, dtype=np.float32)  # handed out last

    def catch_up(self, now: float) -> None:
        """Of a live source only what it says now is of use: leave out what waits beyond `target`."""
        with self._lock:
            if self._is_live(now):
                self._take(max(0, self._level - self.target))

    def read(self, count: int, now: float) -> np.ndarray:
        """(count,) float32 samples."""
        with self._lock:
            if self._filling:
                tail = self._level > 0 and now - self._pushed_at > self.PATIENCE_SECONDS
                if self._level < self.target and not tail:
                    return self._hand_out(np.zeros(count, dtype=np.float32))
                self._filling, self._lowest, self._slew = False, self._level, 0
                self._window_end = now + self.WINDOW_SECONDS
            self._watch(now, count)
            wanted = count + self._slew
            if self._slew and self._level >= wanted + SINC_REACH and self._is_live(now):
                self.slewed += 1
                samples = self._take(wanted)
                stretched = stretch(np.concatenate([self._before, samples, self._peek(SINC_REACH)]), count)
                self._hand_out(samples)
                return stretched
            samples = self._take(min(count, self._level))
            if len(samples) < count:
                self._filling = True
                samples = np.concatenate([samples, np.zeros(count - len(samples), dtype=np.float32)])
            return self._hand_out(samples)

    def _watch(self, now: float, count: int) -> None:
        """Decide once a window, from the lowest level in it, whether to hand out faster or slower."""
        self._lowest = min(self._lowest, self._level - count)
        if now < self._window_end:
            return
        was_live, self._live = self._live, self._is_live(now)
        self._slew = 0
        if was_live and self._live:
            self._slew = 1 if self._lowest > 2 * self.target else -1 if self._lowest < self.target // 2 else 0
        self._lowest, self._window_end = self._level, now + self.WINDOW_SECONDS

    def _is_live(self, now: float) -> bool:
        """Whether samples come at about the pace of the clock: as a microphone's do, not as sentences do."""
        seconds = min(self.WINDOW_SECONDS, now - self._run_began)
        if now - self._pushed_at > self.LONGEST_PAUSE_SECONDS or seconds < self.SHORTEST_PROOF_SECONDS:
            return False
        recent = [count for pushed_at, count in self._arrivals if pushed_at > now - seconds]
        longest, expected = max(recent, default=0), seconds * timeline.SAMPLE_RATE
        if longest > self.LONGEST_PIECE_SECONDS * timeline.SAMPLE_RATE:
            return False
        return abs(sum(recent) - expected) <= 0.05 * expected + 2 * longest

    def _hand_out(self, samples: np.ndarray) -> np.ndarray:
        self._before = np.concatenate([self._before, samples])[-SINC_REACH:]
        return samples

    def _peek(self, count: int) -> np.ndarray:
        samples = self._take(count)
        self._pieces.appendleft(samples)
        self._level += len(samples)
        return samples

    def _take(self, count: int) -> np.ndarray:
        taken = []
        self._level -= count
        while count > 0:
            piece = self._pieces.popleft()
            if len(piece) > count:
                self._pieces.appendleft(piece[count:])
                piece = piece[:count]
            taken.append(piece)
            count -= len(piece)
        return np.concatenate(taken) if taken else np.zeros(0, dtype=np.float32)


def stretch(samples: np.ndarray, count: int) -> np.ndarray:
    """(SINC_REACH + n + SINC_REACH,) -> (count,) samples that last as long as the n in the middle, from the first of
    them to just before what follows: a sinc at each place, under a Hann window, flat up to 7 kHz of 8.
    """
    places = SINC_REACH + np.arange(count) * ((len(samples) - 2 * SINC_REACH) / count)
    whole = places.astype(int)
    index = whole[:, None] + np.arange(1 - SINC_REACH, SINC_REACH + 1)
    distance = places[:, None] - index
    weights = np.sinc(distance) * np.cos(0.5 * np.pi * distance / SINC_REACH) ** 2
    return (weights * samples[index]).sum(axis=1).astype(np.float32)


class Mailbox:
    """Holds one item: putting a new one in throws the old one away, so a slow reader never falls behind."""

    def __init__(self):
        self._condition = threading.Condition()
        self._item = None
        self._closed = False

    def put(self, item) -> bool:
        """True if an item that nobody had taken was thrown away."""
        with self._condition:
            replaced, self._item = self._item is not None, item
            self._condition.notify()
            return replaced

    def take(self):
        """Wait for the next item; None once the mailbox is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()


class Turns:
    """Items of several streams wait for workers, which may be slower than they come.

    The stream that was not served for the longest is next, however fast another one sends. A stream's items leave in
    order; one that has waited for more than ``patience`` seconds is thrown away where a newer one is there, be it when
    that comes or when a worker is free at last: a slow reader never falls behind, and two items that come at once are
    not one too many. ``clock`` tells the seconds by which items are put.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.perf_counter):
        self.patience = patience
        self._clock = clock
        self._condition = threading.Condition()
        self._waiting: dict[Hashable, deque[tuple[float, object]]] = defaultdict(deque)
        self._left_out: dict[Hashable, int] = defaultdict(int)  # and not told of yet
        self._served: dict[Hashable, int] = defaultdict(int)  # the turn in which a stream was served last
        self._turn = 0
        self._closed = False

    def put(self, stream: Hashable, item, now: float) -> int:
        """How many older items of that stream were thrown away and not told of yet; `now` in seconds."""
        with self._condition:
            self._waiting[stream].append((now, item))
            self._leave_out(stream, now)
            self._condition.notify()
            return self._left_out.pop(stream, 0)

    def left_out(self, stream: Hashable) -> int:
        """The same, when no item comes: some are thrown away when they are taken."""
        with self._condition:
            return self._left_out.pop(stream, 0)

    def _leave_out(self, stream: Hashable, now: float) -> None:
        """Throws away what has waited for too long, but never the newest."""
        waiting = self._waiting[stream]
        while len(waiting) > 1 and now - waiting[0][0] > self.patience:
            waiting.popleft()
            self._left_out[stream] += 1

    def take(self, group: Callable = lambda stream: None, most: Callable = lambda group: 1) -> list[tuple]:
        """Wait, then [(stream, item)] of whose turn it is: streams of one group, one item each; [] once closed.

        ``group(stream)`` are handled together, at most ``most(group)`` of them at a time.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._closed or any(self._waiting.values()))
            if self._closed:
                return []
            queue = [stream for stream, waiting in self._waiting.items() if waiting]
            queue.sort(key=lambda stream: self._served[stream])
            together = [stream for stream in queue if group(stream) is group(queue[0])]
            self._turn += 1
            now, taken = self._clock(), []
            for stream in together[: most(group(queue[0]))]:
                self._served[stream] = self._turn
                self._leave_out(stream, now)
                taken.append((stream, self._waiting[stream].popleft()[1]))
            return taken

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()


class InOrder:
    """Several workers, each with its own piece of work, hand out what they made in the order of the work."""

    def __init__(self):
        self._taking = threading.Lock()
        self._done = threading.Condition()
        self._next_taken = self._next_done = 0

    def take(self, work: Callable) -> tuple[int, object]:
        """A number, and what ``work()`` returns, which may wait for it: one worker at a time."""
        with self._taking:
            item = work()
            number, self._next_taken = self._next_taken, self._next_taken + 1
            return number, item

    @contextlib.contextmanager
    def turn(self, number: int) -> Iterator[None]:
        """Waits until all with smaller numbers have had their turn. Who took one must come, whatever happened."""
        with self._done:
            self._done.wait_for(lambda: self._next_done == number)
            try:
                yield
            finally:
                self._next_done += 1
                self._done.notify_all()
