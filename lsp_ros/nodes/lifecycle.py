"""What every node of the graph has in common: parameters, life cycle, counters, warnings.

A node is a table of parameters, members that are declared in its __init__, and four short methods:

    open()   unconfigured -> inactive    load, create publishers and subscriptions
    start()  inactive -> active
    stop()   active -> inactive
    close()  inactive -> unconfigured    let go of what open() took (publishers, subscriptions, timers go by themselves)

A ValueError or OSError raised by open() or start() carries a sentence for the user. The node logs it and, where
`autostart` is set, ends with status 1.
"""

import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from lsp_ros.live.counters import Counters
from lsp_ros.live.troubles import Troubles
from lsp_ros.nodes.diagnostics import diagnostic_status
from lsp_ros.nodes.parameters import AUTOSTART, Parameter

DIAGNOSTICS_PERIOD = 1.0
SHORTEST_TIMER_NS = 1000

Value = TypeVar('Value')


class Finished(Exception):
    """Raised in what a subscription or a timer calls back: the node's work is done, and so the process ends."""


class OneShotTimer:
    """Calls back once, some seconds of the steady clock after `start`, if the node is active then.

    A clock that ticks at its own pace would be wrong by a tick.
    """

    def __init__(self, timer: Timer) -> None:
        self._timer = timer

    def start(self, seconds: float) -> None:
        """Starting it again puts the old time out of force."""
        self._timer.timer_period_ns = max(round(seconds * 1e9), SHORTEST_TIMER_NS)
        self._timer.reset()


class StreamNode(LifecycleNode):
    """Base of all nodes that take part in the graph or watch it."""

    PARAMETERS: tuple[Parameter, ...] = ()

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.table = {parameter.name: parameter for parameter in (AUTOSTART, *self.PARAMETERS)}
        for row in self.table.values():
            self.declare_parameter(row.name, row.default, row.descriptor())
            row.check(self.get_parameter(row.name).value)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._tell_parameters)
        self.configured = False
        self.active = False
        self.failure: str | None = None
        self.finished = False
        self.shut_down = False  # by the life cycle: a process that runs this node has nothing left to do
        # What is done to threads that may wait for others: nothing, where the node is a part of somebody's program.
        self.lower_priority: Callable[[Iterable[int]], None] = lambda threads: None
        self._entities: list[tuple[Callable[[Any], object], Any]] = []
        self._troubles = Troubles()
        self._counters = Counters(time.monotonic())
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics, clock=self.steady)

    # For the nodes to fill

    def open(self) -> None:
        """Load, create publishers and subscriptions."""

    def start(self) -> None:
        """Begin with the work."""

    def stop(self) -> None:
        """End the work; whatever `start` began."""

    def close(self) -> None:
        """Let go of what `open` took, but for publishers, subscriptions and timers."""

    def parameter_changed(self, name: str) -> None:
        """A live parameter has a new value, in whatever state the node is."""

    # For the nodes to use

    def value(self, name: str) -> Any:
        """The current value of one of the node's parameters."""
        return self.get_parameter(name).value

    def now_ns(self) -> int:
        """The ROS clock (simulated where use_sim_time is set) in nanoseconds."""
        return self.get_clock().now().nanoseconds

    def add_publisher(self, message_type: type, topic: str, qos: QoSProfile) -> LifecyclePublisher[Any]:
        """A publisher until the node is closed, which only publishes while it is active."""
        publisher: LifecyclePublisher[Any] = self.create_lifecycle_publisher(message_type, topic, qos)
        self._entities.append((self.destroy_lifecycle_publisher, publisher))
        return publisher

    def transport_topic(self, topic: str, transport: str) -> str:
        """The name of a topic's other form, as image_transport gives it: `image/compressed` goes along with `image`.

        A remapping of that name itself goes before one of the topic.
        """
        name = f'{topic}/{transport}'
        if self.resolve_topic_name(name) != self.resolve_topic_name(name, only_expand=True):
            return name
        return f'{self.resolve_topic_name(topic)}/{transport}'

    def subscribe(
        self,
        message_type: type,
        topic: str,
        qos: QoSProfile,
        decode: Callable[[Any], Value],
        receive: Callable[[Value], None],
        raw: bool = False,
    ) -> Subscription[Any]:
        """``receive(decode(message))`` while active; what `decode` refuses is counted and told.

        ``raw``: the message is bytes, as they came over the wire.
        """

        def arrived(message: Any) -> None:
            if not self.active:
                return
            try:
                value = decode(message)
            except ValueError as error:
                self.report_problem(f'invalid {topic} messages', f'{error}: dropped')
                return
            self._call(receive, value)

        subscription = self.create_subscription(message_type, topic, arrived, qos, raw=raw)
        self._entities.append((self.destroy_subscription, subscription))
        return subscription

    def unsubscribe(self, subscription: Subscription[Any]) -> None:
        """End what `subscribe` began."""
        self._entities.remove((self.destroy_subscription, subscription))
        self.destroy_subscription(subscription)

    def call_every(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back while active, paced by the steady clock."""
        timer = self.create_timer(seconds, lambda: self._call(callback), clock=self.steady)
        self._entities.append((self.destroy_timer, timer))

    def one_shot_timer(self, callback: Callable[[], None]) -> OneShotTimer:
        """A timer that stands still until it is started."""

        def elapsed() -> None:
            if not self.configured:  # released, while this call was on its way
                return
            timer.cancel()
            self._call(callback)

        timer = self.create_timer(DIAGNOSTICS_PERIOD, elapsed, clock=self.steady, autostart=False)
        self._entities.append((self.destroy_timer, timer))
        return OneShotTimer(timer)

    def _call(self, callback: Callable[..., None], *values: Any) -> None:
        if not self.active:
            return
        try:
            callback(*values)
        except Finished:
            self.finished = True

    def report_problem(self, counter: str, sentence: str, count: int = 1) -> None:
        """Count something that went wrong and say so, for each counter at growing intervals, 5 s at least."""
        total = self._counters.count_problem(counter, count)
        if self._troubles.happened(counter, time.monotonic()):
            self.get_logger().warning(f'{sentence} ({total} {counter} so far)')

    def report_state(self, state: str, sentence: str) -> None:
        """Something is wrong and lasts, until `end_state`: told once and then hourly; each look at it is counted."""
        self._counters.count_problem(state)
        if self._troubles.lasts(state, sentence, time.monotonic()):
            self.get_logger().warning(sentence)

    def end_state(self, state: str) -> None:
        """What `report_state` told of is over, if it was told."""
        self._troubles.ended(state)

    def count(self, counter: str, amount: int = 1) -> None:
        """Count something that is no problem."""
        self._counters.count(counter, amount)

    def count_event(self, event: str) -> None:
        """One more of a regular event; diagnostics tell its rate."""
        self._counters.count_event(event)

    def record_duration(self, what: str, seconds: float) -> None:
        """A duration; diagnostics tell its median and its longest."""
        self._counters.record_duration(what, seconds)

    def tell(self, sentence: str) -> None:
        """Something that a user may want to know."""
        self.get_logger().info(sentence)

    def guard(self, work: Callable[[], None]) -> Callable[[], None]:
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

    def _check_parameters(self, parameters: list[RosParameter[Any]]) -> SetParametersResult:
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

    def _tell_parameters(self, parameters: list[RosParameter[Any]]) -> None:
        for parameter in parameters:
            row = self.table.get(parameter.name)
            if row is not None and row.live:
                self.parameter_changed(row.name)

    def _attempt(self, action: Callable[[], None]) -> bool:
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

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        if not self._attempt(self.open):
            self._release()
            return TransitionCallbackReturn.FAILURE
        self.configured = True
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        if not self._attempt(self.start):
            return TransitionCallbackReturn.FAILURE
        self.active = True
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.active = False
        self.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.finish()
        self.shut_down = True
        return TransitionCallbackReturn.SUCCESS

    def finish(self) -> None:
        """Stop and close from whatever state the node is in; needs no ROS."""
        if self.active:
            self.active = False
            self.stop()
        self._release()

    def destroy_node(self) -> None:
        """Take the node out of the graph, at once: what rclpy leaves is the state machine, which holds on to it.

        Left to the garbage collector it would go at any moment, in any thread.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _release(self) -> None:
        if self.configured:
            self.close()
        self.configured = False
        for destroy, entity in self._entities:
            destroy(entity)
        self._entities.clear()

    def _publish_diagnostics(self) -> None:
        state = 'active' if self.active else 'inactive' if self.configured else 'unconfigured'
        now = time.monotonic()
        status = diagnostic_status(
            self.get_fully_qualified_name(), state, self._counters.report(now), self._troubles.sentence(now)
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _interrupted(error: BaseException | None) -> bool:
    """Whether a signal is behind an error: a native module that is loading turns it into one of its own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
