"""What every node of the graph has in common: parameters, life cycle, diagnostics, warnings, shutdown.

A node is a table of parameters and four short methods:

    open()   unconfigured -> inactive    load, create publishers and subscriptions
    start()  inactive -> active
    stop()   active -> inactive
    close()  inactive -> unconfigured    let go of what open() took (publishers, subscriptions, timers go by themselves)

A ValueError or OSError raised by open() or start() carries a sentence for the user. The node logs it and, where
`autostart` is set, ends with status 1.
"""

import contextlib
import ctypes
import gc
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from lsp_ros.graph.process_lifetime import end_with_parent, finished_status, wait_for_start
from lsp_ros.nodes.parameters import AUTOSTART, Parameter
from lsp_ros.resources import shipped_file

# Reliable: a lost chunk is a hole in a sentence. The depths are 2 to 4 seconds of audio and one of frames, so that
# a machine that was busy for a moment catches up without a loss.
AUDIO_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.RELIABLE)
FRAME_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=60, reliability=ReliabilityPolicy.RELIABLE)
# For a foreign publisher that offers no more.
LOSSY_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
# Reliable publisher and a small depth (REP-2003); a subscriber that wants only the newest picture asks for best effort.
IMAGE_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.RELIABLE)
# A viewer that records wants every picture, also after a moment's hold-up.
VIEWER_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=30, reliability=ReliabilityPolicy.RELIABLE)
# Whoever comes late still learns the last value.
STATE_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)

SECONDS_BETWEEN_WARNINGS = 5.0
DIAGNOSTICS_PERIOD = 1.0
SHORTEST_ALARM_NS = 1000
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 32 * 2**20
PRIORITY_AT_START = os.getpriority(os.PRIO_PROCESS, 0)


class StreamNode(LifecycleNode):
    """Base of the five nodes."""

    PARAMETERS: tuple[Parameter, ...] = ()

    def __init__(self, name: str):
        super().__init__(name)
        self.table = {parameter.name: parameter for parameter in (AUTOSTART, *self.PARAMETERS)}
        for row in self.table.values():
            self.declare_parameter(row.name, row.default, row.descriptor())
            row.check(self.get_parameter(row.name).value)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.configured = False
        self.active = False
        self.failure: str | None = None
        self.finished = False
        self._lock = threading.Lock()  # the counts below: worker threads count too
        self._entities: list[tuple[Callable, object]] = []
        self._totals: dict[str, int] = defaultdict(int)
        self._warned: dict[str, float] = {}
        self._events: dict[str, int] = defaultdict(int)
        self._durations: dict[str, list[float]] = defaultdict(list)
        self._troubles = 0
        self._reported = time.monotonic()
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics, clock=self.steady)

    # For the nodes to fill

    def open(self) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...

    # For the nodes to use

    def value(self, name: str):
        """The current value of one of the node's parameters."""
        return self.get_parameter(name).value

    def now_ns(self) -> int:
        """The ROS clock (simulated where use_sim_time is set) in nanoseconds."""
        return self.get_clock().now().nanoseconds

    def publish_on(self, message_type, topic: str, qos: QoSProfile):
        publisher = self.create_lifecycle_publisher(message_type, topic, qos)
        self._entities.append((self.destroy_lifecycle_publisher, publisher))
        return publisher

    def listen(self, message_type, topic: str, qos: QoSProfile, decode: Callable, receive: Callable):
        """Subscribe: ``receive(decode(message))`` while active; what `decode` refuses is counted and told."""

        def arrived(message) -> None:
            if not self.active:
                return
            try:
                value = decode(message)
            except ValueError as error:
                self.trouble(f'invalid {topic} messages', f'{error}: dropped')
                return
            self._call(receive, value)

        subscription = self.create_subscription(message_type, topic, arrived, qos)
        self._entities.append((self.destroy_subscription, subscription))
        return subscription

    def unlisten(self, subscription) -> None:
        """Listen no longer to what `listen` returned."""
        self._entities.remove((self.destroy_subscription, subscription))
        self.destroy_subscription(subscription)

    def every(self, seconds: float, callback: Callable) -> None:
        """Call back while active, paced by the steady clock."""
        timer = self.create_timer(seconds, lambda: self._call(callback), clock=self.steady)
        self._entities.append((self.destroy_timer, timer))

    def alarm(self, callback: Callable) -> Callable[[float], None]:
        """What sets an alarm: in that many seconds of the steady clock it calls back once, if the node is active then.

        Setting it again puts the old time out of force. A clock that ticks at its own pace would be wrong by a tick.
        """

        def ring() -> None:
            timer.cancel()
            self._call(callback)

        def set_alarm(seconds: float) -> None:
            timer.timer_period_ns = max(round(seconds * 1e9), SHORTEST_ALARM_NS)
            timer.reset()

        timer = self.create_timer(DIAGNOSTICS_PERIOD, ring, clock=self.steady, autostart=False)
        self._entities.append((self.destroy_timer, timer))
        return set_alarm

    def _call(self, callback: Callable, *values) -> None:
        if not self.active:
            return
        try:
            callback(*values)
        except Finished:
            self.finished = True

    def trouble(self, counter: str, sentence: str, count: int = 1) -> None:
        """Count something that went wrong and say so, at most every few seconds for each counter."""
        with self._lock:
            self._totals[counter] += count
            self._troubles += count
        now = time.monotonic()
        if now - self._warned.get(counter, -math.inf) >= SECONDS_BETWEEN_WARNINGS:
            self._warned[counter] = now
            self.get_logger().warning(f'{sentence} ({self._totals[counter]} {counter} so far)')

    def count(self, counter: str, amount: int = 1) -> None:
        """Count something that is no trouble."""
        with self._lock:
            self._totals[counter] += amount

    def happened(self, event: str) -> None:
        """One more of a regular event; diagnostics tell its rate."""
        with self._lock:
            self._events[event] += 1

    def took(self, what: str, seconds: float) -> None:
        """A duration; diagnostics tell its median and its longest."""
        with self._lock:
            self._durations[what].append(seconds)

    def guard(self, work: Callable) -> Callable:
        """For a thread's target: a mistake of ours in it ends the process, as it would in the main thread."""

        def guarded() -> None:
            try:
                work()
            except Exception as error:
                self.failure = f'{type(error).__name__}: {error}'
                self.get_logger().fatal(traceback.format_exc())
                rclpy.try_shutdown()

        return guarded

    # The machinery

    def _check_parameters(self, parameters) -> SetParametersResult:
        for parameter in parameters:
            row = self.table.get(parameter.name)
            if row is None:  # use_sim_time and the like
                continue
            if self.configured and not row.live:
                reason = f'parameter {row.name} can only change while the node is not configured'
                return SetParametersResult(successful=False, reason=reason)
            try:
                row.check(parameter.value)
            except ValueError as error:
                return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _attempt(self, action: Callable) -> bool:
        try:
            action()
        except Exception as error:
            if _interrupted(error):
                raise KeyboardInterrupt from error
            ours = not isinstance(error, (ValueError, OSError))  # a mistake of ours, which rclpy would not tell
            self.failure = f'{type(error).__name__}: {error}' if ours else str(error)
            self.get_logger().fatal(traceback.format_exc() if ours else self.failure)
            return False
        self.failure = None
        return True

    def on_configure(self, state) -> TransitionCallbackReturn:
        if not self._attempt(self.open):
            self._release()
            return TransitionCallbackReturn.FAILURE
        self.configured = True
        return super().on_configure(state)

    def on_activate(self, state) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        if not self._attempt(self.start):
            return TransitionCallbackReturn.FAILURE
        self.active = True
        settle()
        return result

    def on_deactivate(self, state) -> TransitionCallbackReturn:
        self.active = False
        self.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state) -> TransitionCallbackReturn:
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state) -> TransitionCallbackReturn:
        self.finish()
        return TransitionCallbackReturn.SUCCESS

    def finish(self) -> None:
        """Stop and close from whatever state the node is in; needs no ROS."""
        if self.active:
            self.active = False
            self.stop()
        self._release()

    def _release(self) -> None:
        if self.configured:
            self.close()
        self.configured = False
        for destroy, entity in self._entities:
            destroy(entity)
        self._entities.clear()
        gc.unfreeze()

    def _publish_diagnostics(self) -> None:
        now = time.monotonic()
        elapsed, self._reported = now - self._reported, now
        with self._lock:
            events, self._events = self._events, defaultdict(int, dict.fromkeys(self._events, 0))
            durations, self._durations = self._durations, defaultdict(list)
            totals, troubles = dict(self._totals), self._troubles
            self._troubles = 0
        state = 'active' if self.active else 'inactive' if self.configured else 'unconfigured'
        values = [('state', state)]
        values += [(f'{event} per second', f'{number / elapsed:.1f}') for event, number in events.items()]
        for what, seconds in durations.items():
            values.append((f'{what} median ms', f'{1000 * float(np.median(seconds)):.1f}'))
            values.append((f'{what} maximum ms', f'{1000 * max(seconds):.1f}'))
        values += [(counter, str(total)) for counter, total in totals.items()]
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if troubles else DiagnosticStatus.OK,
            name=self.get_fully_qualified_name().lstrip('/'),
            message=f'{troubles} troubles in the last second' if troubles else 'running' if self.active else state,
            hardware_id='lsp_ros',
            values=[KeyValue(key=key, value=value) for key, value in values],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def settle() -> None:
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


def give_way(threads: Iterable[int]) -> None:
    """Lower the priority of these threads, by the system's numbers, and of all that they will start.

    Where the cores are too few, pictures are what can be left out: never the speech and the motion behind them.
    """
    for thread in threads:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, PRIORITY_AT_START + 5)


class Finished(Exception):
    """Raised in what `listen`, `every` or `alarm` calls back: the node's work is done, and so the process ends."""


def run(node_class: type[StreamNode], arguments: list[str] | None = None) -> int:
    """Run one node until SIGINT, SIGTERM, SIGHUP, its parent's death or its end; the process's exit status."""
    end_with_parent()
    wait_for_start()
    use_shipped_profile()
    # rclpy's own handlers pull the ground from under a callback that is about to publish.
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    stop = StopSignal()
    executor = make_executor()
    node = None
    try:
        node = node_class()
        autostart = node.value('autostart')
        if autostart and not _succeeded(node.trigger_configure):
            return 1
        # What is started half would not be stopped: its threads would keep the process for ever.
        stop.gently = True
        if autostart and not stop.came and not _succeeded(node.trigger_activate):
            return 1
        executor.add_node(node)
        while rclpy.ok() and not stop.came and not node.finished:
            executor.spin_once(timeout_sec=0.1)
    except KeyboardInterrupt:
        stop.gently = True
    except (ValueError, InvalidParameterTypeException, InvalidParameterValueException) as error:
        if node is not None:
            raise
        print(f'{node_class.__name__}: {error}', file=sys.stderr)
        return 1
    finally:
        if node is not None:
            node.finish()
        executor.shutdown()
        rclpy.try_shutdown()
    if node is not None and node.failure:
        return 1
    return finished_status() if node is not None and node.finished else 0


def make_executor() -> Executor:
    """The events executor, which takes a third of the other's time for every message, where rclpy has it."""
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:  # before ROS 2 Kilted
        return SingleThreadedExecutor()
    return EventsExecutor()


def _interrupted(error: BaseException | None) -> bool:
    """Whether a signal is behind an error: a native module that is loading turns it into one of its own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


class StopSignal:
    """SIGINT, SIGTERM or SIGHUP: interrupts what is loading; a running node finishes its callback, closes its files."""

    def __init__(self):
        self.came = False
        self.gently = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self._receive)

    def _receive(self, _number, _frame) -> None:
        self.came = True
        if not self.gently:
            raise KeyboardInterrupt


def _succeeded(transition: Callable) -> bool:
    return transition() == TransitionCallbackReturn.SUCCESS


def use_shipped_profile() -> None:
    """Let Fast DDS carry pictures through shared memory, unless the user has a profile of their own.

    Every node does so itself, whoever starts it. The default segment is smaller than one picture: 12.6 ms instead of
    2.5 ms, and losses under best effort.
    """
    with contextlib.suppress(FileNotFoundError):
        os.environ.setdefault('FASTDDS_DEFAULT_PROFILES_FILE', str(shipped_file('config', 'fastdds.xml')))
