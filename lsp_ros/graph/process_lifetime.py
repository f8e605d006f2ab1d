"""A node ends with the program that started it, however that one ends; no ROS in it.

`lsp up` and the launch file put their process number into a node's environment. Where they end in good order they end
their nodes themselves; killed, or ended by a launch that does not look after its processes, they cannot.

`lsp up` starts its nodes while it still looks whether they may run: they load, then `wait_for_start`. Later it starts
some of them once more, to stand by: these load what they will need, and wait until the first ones have ended.

To them a node that has done its work says so with a status of its own: a node that somebody else asked to end, by
whatever signal, has to be started again.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

VARIABLE = 'LSP_ROS_PARENT'
WAITING = 'LSP_ROS_WAITING'
PREPARE = 'LSP_ROS_PREPARE'  # the parameters with which a node that stands by will run, as JSON
RESTARTS = 'LSP_ROS_RESTARTS'
LAST_END = 'LSP_ROS_LAST_END'
FINISHED = 10  # exit status of a node whose work is done, for the program that started it
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """From now on this process gets SIGTERM when its parent dies; at once if the one that started it has died already.

    To be called by the main thread. Does nothing in a process that was started by hand. ValueError where the variable
    holds no process number.
    """
    text = os.environ.get(VARIABLE, '')
    if not text:
        return
    if not text.isdecimal():
        raise ValueError(f'{VARIABLE} is {text!r}: a process number is needed')
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # Asked after the request, so that no moment is left in which its death goes unnoticed. Another program may stand
    # between the two, a shell or a debugger.
    if os.getppid() != int(text) and not _runs(int(text)):
        os.kill(os.getpid(), signal.SIGTERM)


def wait_for_start() -> None:
    """Returns when the program that started this one closes its standard input, if it said that it will.

    What came there are environment variables, NAME=VALUE in a line each.
    """
    if os.environ.get(WAITING):
        for line in sys.stdin.read().splitlines():
            name, _, value = line.partition('=')
            os.environ[name] = value


def parameters_to_prepare() -> dict[str, Any] | None:
    """The parameters with which this node will run, where it is to stand by first; None where it is not."""
    text = os.environ.get(PREPARE)
    return json.loads(text) if text else None


def restart_variables(restarts: int, how: str) -> dict[str, str]:
    """For the environment of a node that is started again: how often it was, and how the process before it ended."""
    return {RESTARTS: str(restarts), LAST_END: how}


def restarts() -> tuple[int, str]:
    """How often this node was started again, and how the process before this one ended."""
    text = os.environ.get(RESTARTS, '')
    return int(text) if text.isdecimal() else 0, os.environ.get(LAST_END, '')


def finished_status() -> int:
    """The exit status of a node whose work is done: 0 where it was started by hand."""
    return FINISHED if os.environ.get(VARIABLE) else 0


def _runs(process: int) -> bool:
    try:
        state = Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state not in 'ZX'  # dead, and not yet collected
