"""What goes wrong and for how long: when it is told, and whether all is well. Seconds are of the steady clock.

What happens again and again is told at growing intervals; a state that lasts, such as an absent loudspeaker, once and
then hourly. Whether all is well does not flap: a trouble counts for a while after it was last seen.
"""

import math
import threading
from dataclasses import dataclass, field

SHORTEST_INTERVAL = 5.0
LONGEST_INTERVAL = 3600.0
SECONDS_TO_FORGET = 60.0
"""What has not happened for so long is told at once when it happens again."""
SECONDS_TO_RECOVER = 10.0
"""Somebody who looks once a second, or every few, sees the same of what happens every few seconds."""


@dataclass
class _Event:
    """Something that happened: when last, when it was told, and how long not to tell it again."""

    last: float
    told: float = -math.inf
    interval: float = SHORTEST_INTERVAL


@dataclass
class _State:
    """Something that lasts: what is said of it now, and when each of its sentences was told."""

    sentence: str = ''
    told: dict[str, float] = field(default_factory=dict)


class Troubles:
    """The troubles of one process; any thread may tell it of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, _Event] = {}
        self._states: dict[str, _State] = {}

    def happened(self, event: str, now: float) -> bool:
        """Whether to tell it."""
        with self._lock:
            found = self._events.get(event)
            if found is None or now - found.last >= SECONDS_TO_FORGET:
                found = self._events[event] = _Event(now)
            found.last = now
            if now - found.told < found.interval:
                return False
            if found.told > -math.inf:
                found.interval = min(2 * found.interval, LONGEST_INTERVAL)
            found.told = now
            return True

    def lasts(self, state: str, sentence: str, now: float) -> bool:
        """A state that begins or goes on: whether to tell it."""
        with self._lock:
            found = self._states.setdefault(state, _State())
            found.sentence = sentence
            if now - found.told.get(sentence, -math.inf) < LONGEST_INTERVAL:
                return False
            found.told[sentence] = now
            return True

    def ended(self, state: str) -> None:
        """It does not last any more, if it did."""
        with self._lock:
            self._states.pop(state, None)

    def sentence(self, now: float) -> str | None:
        """What is wrong, or was a moment ago; None where all is well."""
        with self._lock:
            states = [state.sentence for state in self._states.values()]
            events = [name for name, event in self._events.items() if now - event.last < SECONDS_TO_RECOVER]
        lately = [f'lately: {", ".join(events)}'] if events else []
        return '; '.join(states + lately) or None
