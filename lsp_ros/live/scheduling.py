"""Work for threads that may be slower than it comes.

LatestValue    the newest item only, for one reader
FairQueue      items of several streams for several workers, in fair order
ReorderBuffer  what several workers made, in the order in which they took the work
"""

import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, TypeVar

Item = TypeVar('Item')
Stream = TypeVar('Stream', bound=Hashable)
Work = TypeVar('Work')


class LatestValue(Generic[Item]):
    """Holds one item: putting a new one in throws the old one away, so a slow reader never falls behind."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._closed = False

    def put(self, item: Item) -> bool:
        """True if an item that nobody had taken was thrown away."""
        with self._condition:
            replaced, self._item = self._item is not None, item
            self._condition.notify()
            return replaced

    def take(self) -> Item | None:
        """Wait for the next item; None once it is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()


class FairQueue(Generic[Stream, Item]):
    """Items of several streams wait for workers, which may be slower than they come.

    The stream that was not served for the longest is next, however fast another one sends. A stream's items leave in
    order; one that has waited for more than ``longest_wait`` seconds is thrown away where a newer one is there, be it
    when that comes or when a worker is free at last: a slow reader never falls behind, and two items that come at once
    are not one too many. ``clock`` tells the seconds by which items are put.
    """

    def __init__(self, longest_wait: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self.longest_wait = longest_wait
        self._clock = clock
        self._condition = threading.Condition()
        self._waiting: dict[Stream, deque[tuple[float, Item]]] = defaultdict(deque)
        self._left_out: dict[Stream, int] = defaultdict(int)  # and not told of yet
        self._served: dict[Stream, int] = defaultdict(int)  # the turn in which a stream was served last
        self._turn = 0
        self._closed = False

    def put(self, stream: Stream, item: Item, now: float) -> int:
        """How many older items of that stream were thrown away and not told of yet; `now` in seconds."""
        with self._condition:
            self._waiting[stream].append((now, item))
            self._leave_out(stream, now)
            self._condition.notify()
            return self._left_out.pop(stream, 0)

    def left_out(self, stream: Stream) -> int:
        """The same, when no item comes: some are thrown away when they are taken."""
        with self._condition:
            return self._left_out.pop(stream, 0)

    def _leave_out(self, stream: Stream, now: float) -> None:
        """Throws away what has waited for too long, but never the newest."""
        waiting = self._waiting[stream]
        while len(waiting) > 1 and now - waiting[0][0] > self.longest_wait:
            waiting.popleft()
            self._left_out[stream] += 1

    def take(
        self,
        group: Callable[[Stream], Any] = lambda stream: None,
        most: Callable[[Any], int] = lambda group: 1,
    ) -> list[tuple[Stream, Item]]:
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


class ReorderBuffer:
    """Several workers, each with its own piece of work, hand out what they made in the order of the work."""

    def __init__(self) -> None:
        self._taking = threading.Lock()
        self._done = threading.Condition()
        self._next_taken = self._next_done = 0

    def take(self, work: Callable[[], Work]) -> tuple[int, Work]:
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
