"""The contract of everything that streams: the stages, the tracks of motion, the filters.

A stream comes in pieces of any size, and however it is cut, the same comes out. Offline work is one push of
everything. ``test/streaming_conformance.py`` checks an implementation against this page.

push        takes what follows the last push and returns what it completes
flush       ends the stream: returns what still waited for its look-ahead; afterwards the object is as new
reset       forgets the stream; afterwards the object is as new
look_ahead  how much of the input, in the unit that the class states, must follow before an output is complete;
            infinite where all comes out with ``flush``

What a stream is remembered by is one value, ``state``, and the states of the ``parts`` that stream, too. So it can be
kept and set back: ``snapshot`` and ``restore``.
"""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

In = TypeVar('In')
Out = TypeVar('Out')
State = TypeVar('State')


@dataclass(frozen=True)
class Snapshot:
    """A stream at one moment: the state of an object and of its parts. Nothing that happens later changes it."""

    state: Any
    parts: tuple['Snapshot', ...]


class Streaming(ABC, Generic[In, Out, State]):
    """Pushed pieces of type ``In``, gives what is complete as ``Out``; remembers a ``State`` between.

    A subclass sets ``parts`` where it is made of others, calls ``reset`` at the end of its ``__init__``, and keeps
    whatever changes with the stream in ``state``, all the rest elsewhere.
    """

    parts: 'tuple[Streaming[Any, Any, Any], ...]' = ()
    state: State

    @property
    @abstractmethod
    def look_ahead(self) -> float:
        """How much of the input must follow before an output is complete."""

    @abstractmethod
    def push(self, piece: In, /) -> Out:
        """What follows the last piece -> what is complete now. Raises ValueError for what does not fit."""

    @abstractmethod
    def flush(self) -> Out:
        """Ends the stream: what was still to come. Afterwards a new stream may begin."""

    @abstractmethod
    def new_state(self) -> State:
        """The state of a stream of which nothing has come in."""

    def reset(self) -> None:
        """Forgets the stream."""
        for part in self.parts:
            part.reset()
        self.state = self.new_state()

    def snapshot(self) -> Snapshot:
        """The stream as it stands, to return to: a copy of all state."""
        return Snapshot(copy.deepcopy(self.state), tuple(part.snapshot() for part in self.parts))

    def restore(self, snapshot: Snapshot) -> None:
        """Goes back to where this object stood; a snapshot may be restored as often as wanted."""
        for part, kept in zip(self.parts, snapshot.parts, strict=True):
            part.restore(kept)
        self.state = copy.deepcopy(snapshot.state)
