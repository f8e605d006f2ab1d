"""What is slow to load, loaded ahead: by a node that stands by for one that runs, before it takes that one's place.

ROS sees nothing of a node that stands by. Whoever started it says with which parameters it will run
(``process_lifetime.PREPARE``); where it then runs with others, what it prepared is dropped and it loads as ever.
"""

import contextlib
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Thing = TypeVar('Thing')


class Prepared(Generic[Thing]):
    """Makes things by their key, or hands over the one that was made ahead; each is handed over once."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Thing] = {}

    def prepare(self, key: Hashable, make: Callable[[], Thing]) -> None:
        """Make it ahead. What cannot be made is told when it is asked for."""
        with contextlib.suppress(Exception):
            self._made[key] = make()

    def take(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """The thing of that key; all others that were made ahead are dropped."""
        made, self._made = self._made, {}
        return made[key] if key in made else make()
