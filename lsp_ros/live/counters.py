"""What is counted and timed while a stream runs, and who is told of it."""

import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Protocol


class Observer(Protocol):
    """Who is told what happens to a stream. A node tells its user and its diagnostics."""

    def report_problem(self, counter: str, sentence: str, count: int = 1) -> None:
        """Something went wrong, so many times."""
        ...

    def count(self, counter: str, amount: int = 1) -> None:
        """Something happened that is no problem."""
        ...

    def tell(self, sentence: str) -> None:
        """Something that a user may want to know."""
        ...


@dataclass(frozen=True)
class CountersReport:
    """What happened between two reports, but for ``totals``, which are from the beginning.

    ``seconds`` in between, ``problems`` in all, ``events`` by name, ``durations`` in seconds by name.
    """

    seconds: float
    problems: int
    events: dict[str, int]
    durations: dict[str, list[float]]
    totals: dict[str, int]


class Counters:
    """Counts, events and durations of a process; any thread may add to them."""

    def __init__(self, now: float) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, int] = defaultdict(int)
        self._events: dict[str, int] = defaultdict(int)
        self._durations: dict[str, list[float]] = defaultdict(list)
        self._problems = 0
        self._reported_at = now

    def count(self, counter: str, amount: int = 1) -> None:
        """Something that is told as a total."""
        with self._lock:
            self._totals[counter] += amount

    def count_problem(self, counter: str, amount: int = 1) -> int:
        """Something that went wrong; the new total."""
        with self._lock:
            self._problems += amount
            self._totals[counter] += amount
            return self._totals[counter]

    def count_event(self, event: str) -> None:
        """One more of a regular event, which is told as a rate."""
        with self._lock:
            self._events[event] += 1

    def record_duration(self, what: str, seconds: float) -> None:
        """A duration, of which the median and the longest are told."""
        with self._lock:
            self._durations[what].append(seconds)

    def report(self, now: float) -> CountersReport:
        """Everything since the last report; `now` in seconds, by the clock that was given at the beginning."""
        with self._lock:
            events, self._events = self._events, defaultdict(int, dict.fromkeys(self._events, 0))
            durations, self._durations = self._durations, defaultdict(list)
            problems, self._problems = self._problems, 0
            seconds, self._reported_at = now - self._reported_at, now
            return CountersReport(seconds, problems, dict(events), dict(durations), dict(self._totals))
