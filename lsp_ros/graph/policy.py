"""What becomes of a node whose process has ended: one rule for ``lsp up`` and the launch file.

No processes in it: whoever starts them tells the rule what happened to each.
"""

import signal
from dataclasses import dataclass
from enum import Enum

from lsp_ros.graph.process_lifetime import FINISHED

SECONDS_TO_RESTART = 1.0
"""Before the second start in a row. The first is at once, each further one waits twice as long as the one before."""
LONGEST_SECONDS_TO_RESTART = 60.0
MOST_QUICK_FAILURES = 3
"""A node that fails so often in a row, each time so soon, will not be helped by another start."""
QUICK_SECONDS = 30.0
ASKED_TO_END = (0, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)
"""Exit statuses (negative: the signal that killed it) that are no failure of the node's: somebody else ended it."""


class Verdict(Enum):
    RESTART = 'restart'
    """The node is started again after ``Decision.seconds``."""
    FINISH = 'finish'
    """The node has done its work: the whole graph ends."""
    GIVE_UP = 'give up'
    """The whole graph ends with an error."""


@dataclass(frozen=True)
class Decision:
    """What is to be done, and how the node ended, as the rest of a sentence that begins with its name.

    failures  in a row, each soon after the start
    seconds   to wait before the next start
    """

    verdict: Verdict
    how: str
    failures: int
    seconds: float = 0.0


class RestartPolicy:
    """The rule for one node, which is told when it starts and ends, in seconds of a clock that never goes back.

    ``gives_up_when_killed``: a node that a signal killed has failed; else it is started again however often, as the
    avatar is a part of somebody's program, who may have reasons.
    """

    def __init__(self, gives_up_when_killed: bool = True) -> None:
        self._gives_up_when_killed = gives_up_when_killed
        self._started_at: float | None = None
        self._quick_failures = 0
        self._quick_ends = 0

    def started(self, now: float) -> None:
        self._started_at = now

    def ended(self, status: int, now: float) -> Decision:
        """``status`` as ``subprocess`` gives it: of a process that a signal killed, the signal with a minus."""
        if status == FINISHED:
            return Decision(Verdict.FINISH, 'has finished', self._quick_failures)
        quick = self._started_at is not None and now - self._started_at < QUICK_SECONDS
        self._quick_ends = self._quick_ends + 1 if quick else 0
        seconds = self._seconds_to_restart()
        if status in ASKED_TO_END:
            return Decision(Verdict.RESTART, 'was asked to end by somebody else', self._quick_failures, seconds)
        how = f'was killed by signal {-status}' if status < 0 else f'ended with status {status}'
        if status < 0 and not self._gives_up_when_killed:
            return Decision(Verdict.RESTART, how, self._quick_failures, seconds)
        self._quick_failures = self._quick_failures + 1 if quick else 1
        verdict = Verdict.GIVE_UP if self._quick_failures >= MOST_QUICK_FAILURES else Verdict.RESTART
        return Decision(verdict, how, self._quick_failures, seconds)

    def _seconds_to_restart(self) -> float:
        if self._quick_ends < 2:
            return 0.0
        doublings = min(self._quick_ends - 2, 10)
        return min(SECONDS_TO_RESTART * 2.0**doublings, LONGEST_SECONDS_TO_RESTART)
