"""A node as a process of its own: signals, executor, shared memory, and all that is set for a whole process.

None of it happens to a program that builds one of our nodes into its own process.
"""

import contextlib
import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from lsp_ros.graph.dds_profile import dds_profile
from lsp_ros.graph.process_lifetime import (
    end_with_parent,
    finished_status,
    parameters_to_prepare,
    restarts,
    wait_for_start,
)
from lsp_ros.nodes.lifecycle import StreamNode

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 32 * 2**20
SECONDS_TO_ANSWER = 0.3
PRIORITY_AT_START = os.getpriority(os.PRIO_PROCESS, 0)


def run(
    node_class: Callable[[], StreamNode],
    arguments: list[str] | None = None,
    prepare: Callable[[dict[str, Any]], None] = lambda parameters: None,
) -> int:
    """Run one node until SIGINT, SIGTERM, SIGHUP, its parent's death or its end; the process's exit status.

    ``prepare``: loads what the node will need with these parameters, where it stands by for another process first.
    """
    end_with_parent()
    if (parameters := parameters_to_prepare()) is not None:
        prepare(parameters)
    wait_for_start()
    try:
        finding = use_shipped_profile()
    except ValueError as error:
        print(f'{getattr(node_class, "__name__", node_class)}: {error}', file=sys.stderr)
        return 1
    # rclpy's own handlers pull the ground from under a callback that is about to publish.
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    stop = StopSignal()
    executor = make_executor()
    node = None
    try:
        node = node_class()
        node.lower_priority = lower_priority
        number, how = restarts()
        if number:
            node.report_problem('restarts', f'started again: the process before {how}', number)
        if finding:
            node.get_logger().warning(finding)
        autostart = node.value('autostart')
        if autostart and not _succeeded(node.trigger_configure):
            return 1
        # What is started half would not be stopped: its threads would keep the process for ever.
        stop.gently = True
        if autostart and not stop.came and not _succeeded(node.trigger_activate):
            return 1
        executor.add_node(node)
        tuned = False
        while rclpy.ok() and not stop.came and not node.finished and not node.shut_down:
            if node.active != tuned:
                tuned = node.active
                tune_memory() if tuned else gc.unfreeze()
            executor.spin_once(timeout_sec=0.1)
        if node.shut_down:
            _answer(executor)
    except KeyboardInterrupt:
        stop.gently = True
    except (ValueError, InvalidParameterTypeException, InvalidParameterValueException) as error:
        if node is not None:
            raise
        print(f'{getattr(node_class, "__name__", node_class)}: {error}', file=sys.stderr)
        return 1
    finally:
        if node is not None:
            node.finish()
        executor.shutdown()
        rclpy.try_shutdown()
    if node is not None and node.failure:
        return 1
    return finished_status() if node is not None and node.finished else 0


def _answer(executor: Executor) -> None:
    """A little longer, so that who asked the node to shut down gets to hear that it did."""
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while rclpy.ok() and (left := deadline - time.monotonic()) > 0:
        executor.spin_once(timeout_sec=left)


def make_executor() -> Executor:
    """The events executor, which takes a third of the other's time for every message, where rclpy has it."""
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:  # before ROS 2 Kilted
        return SingleThreadedExecutor()
    return EventsExecutor()


class StopSignal:
    """SIGINT, SIGTERM or SIGHUP: interrupts what is loading; a running node finishes its callback, closes its files."""

    def __init__(self) -> None:
        self.came = False
        self.gently = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self._receive)

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        if not self.gently:
            raise KeyboardInterrupt


def tune_memory() -> None:
    """To be called when everything is loaded: makes the work that comes again and again cheap.

    Python no longer looks through what is loaded for garbage. And glibc keeps memory that is let go: a picture asks for
    its own 60 times a second, and having the kernel clear it each time costs more than all else that is done with it.
    """
    gc.collect()
    gc.freeze()
    with contextlib.suppress(AttributeError):  # another C library
        library = ctypes.CDLL(None)
        library.malloc_trim(0)
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            library.mallopt(option, KEPT_BYTES)


def lower_priority(threads: Iterable[int]) -> None:
    """Lower the priority of these threads, by the system's numbers, and of all that they will start.

    Where the cores are too few, pictures are what can be left out: never the speech and the motion behind them.
    """
    for thread in threads:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, PRIORITY_AT_START + 5)


def use_shipped_profile() -> str:
    """Let Fast DDS carry pictures through shared memory, unless the user has a profile of their own.

    Every node does so itself, whoever starts it. The default segment is smaller than one picture: 12.6 ms instead of
    2.5 ms, and losses under best effort. Returns what the machine lacks and what that costs; ValueError where nodes
    cannot reach one another at all.
    """
    profile = dds_profile()
    if not profile.possible:
        raise ValueError(profile.finding)
    os.environ.update(profile.environment)
    return profile.finding


def _succeeded(transition: Callable[[], TransitionCallbackReturn]) -> bool:
    return transition() == TransitionCallbackReturn.SUCCESS
