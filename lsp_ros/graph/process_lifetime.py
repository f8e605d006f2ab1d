"""A node ends with the program that started it, however that one ends; no ROS in it.

`lsp up` and the launch file put their process number into a node's environment. Where they end in good order they end
their nodes themselves; killed, or ended by a launch that does not look after its processes, they cannot.

`lsp up` starts its nodes while it still looks whether they may run: they load, then `wait_for_start`.

To them a node that has done its work says so with a status of its own: a node that somebody else asked to end, by
whatever signal, has to be started again.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

VARIABLE = 'LSP_ROS_PARENT'
WAITING = 'LSP_ROS_WAITING'
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
    """Returns when the program that started this one closes its standard input, if it said that it will."""
    if os.environ.get(WAITING):
        sys.stdin.read()


def finished_status() -> int:
    """The exit status of a node whose work is done: 0 where it was started by hand."""
    return FINISHED if os.environ.get(VARIABLE) else 0


def _runs(process: int) -> bool:
    try:
        state = Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state not in 'ZX'  # dead, and not yet collected
