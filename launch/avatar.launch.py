"""The whole avatar: audio source, speech features, motion, renderer and player, each a process of its own.

    ros2 launch lsp_ros avatar.launch.py source:=file file:=speech.wav
    ros2 launch lsp_ros avatar.launch.py --show-args

An argument that is left empty is what the parameter file says (config/avatar.yaml, or your copy of it). Arguments and
the rule by which a node is started again are those of `lsp up` (lsp_ros/graph), but for one thing: a node that
a signal killed is started again however often. Included in another launch, the avatar acts on its own nodes alone,
which are LifecycleNode actions.
"""

import os
import time
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.events import Shutdown
from launch.events.process import ProcessExited, ProcessStarted, ShutdownProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from lsp_ros.graph.configuration import NODES, Setting, Value, launch_arguments, parameters, setting
from lsp_ros.graph.policy import RestartPolicy, Verdict
from lsp_ros.graph.process_lifetime import VARIABLE as PARENT_VARIABLE
from lsp_ros.graph.process_lifetime import restart_variables

SHARE = Path(get_package_share_directory('lsp_ros'))


def declared(row: Setting) -> DeclareLaunchArgument:
    """The argument of one setting: empty where the parameter file decides, else the default of the graph."""
    default = '' if row.nodes else str(row.default).lower()
    if row.name == 'params_file':
        default = str(SHARE / 'config' / 'avatar.yaml')
    choices = f' ({", ".join(map(str, row.choices))})' if row.choices else ''
    return DeclareLaunchArgument(row.name, default_value=default, description=row.description + choices)


def value_of(row: Setting, context: LaunchContext) -> Value | None:
    """The value of an argument, None where it is left to the parameter file; ValueError where it has another type."""
    text = LaunchConfiguration(row.name).perform(context)
    return row.parse(text) if text or not row.nodes else None


class Watched:
    """What is known of one node, whichever action runs it: each start has its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.policy = RestartPolicy(gives_up_when_killed=False)
        self.restarts = 0


class Supervision:
    """Starts the avatar's own nodes again, and ends them when one has finished its work (`duration`) or cannot run.

    What other processes of the launch do is their business, and the launch goes on without the avatar; where there are
    no others, it ends with it. Launch's own `respawn` is not used: its delay does not grow, it tells a node nothing.
    """

    def __init__(self) -> None:
        self.respawn = True
        self._watched: dict[Action, Watched] = {}
        self._alone = True
        self._ending = False

    def watch(self, actions: dict[str, Action]) -> None:
        """The avatar's own nodes by name."""
        self._watched = {action: Watched(name) for name, action in actions.items()}

    def started(self, event: ProcessStarted, _context: LaunchContext) -> None:
        if event.action in self._watched:
            self._watched[event.action].policy.started(time.monotonic())
        else:
            self._alone = False

    def ended(self, event: ProcessExited, context: LaunchContext) -> list[Action] | None:
        watched = self._watched.get(event.action)
        if watched is None or context.is_shutdown or self._ending:
            return None
        decision = watched.policy.ended(event.returncode, time.monotonic())
        if decision.verdict is Verdict.FINISH:
            return self._end(f'{event.process_name} has finished')
        if decision.verdict is Verdict.GIVE_UP:
            sentence = f'{event.process_name} failed {decision.failures} times in a row (status {event.returncode})'
            if self._alone:
                raise RuntimeError(sentence)
            return [LogInfo(msg=f'{sentence}: the avatar ends'), *self._end(sentence)]
        if not self.respawn:
            return None
        watched.restarts += 1
        # The first start's own command and parameter files. No other LifecycleNode: the first one goes on to translate
        # between the life cycle and the events of launch, whichever process runs the node.
        again = ExecuteProcess(
            cmd=event.cmd,
            cwd=event.cwd,
            env={**(event.env or {}), **restart_variables(watched.restarts, decision.how)},
            name=watched.name,
            output='screen',
        )
        del self._watched[event.action]
        self._watched[again] = watched
        when = f' in {decision.seconds:g} s' if decision.seconds else ''
        told = LogInfo(msg=f'{watched.name} {decision.how}; it is started again{when}')
        start = OpaqueFunction(function=lambda context: None if self._ending else [again])
        return [told, TimerAction(period=decision.seconds, actions=[start]) if decision.seconds else start]

    def _end(self, reason: str) -> list[Action]:
        self._ending = True
        if self._alone:
            return [EmitEvent(event=Shutdown(reason=reason))]
        own = set(self._watched)
        return [EmitEvent(event=ShutdownProcess(process_matcher=lambda action: action in own))]


def nodes(context: LaunchContext, supervision: Supervision) -> list[Action]:
    values = parameters({row.name: value_of(row, context) for row in launch_arguments() if row.nodes})
    parameter_file = LaunchConfiguration('params_file').perform(context)
    if not Path(parameter_file).is_file():
        raise FileNotFoundError(f'params_file:={parameter_file}: there is no such file')
    with_renderer, respawn, sim_time, log_level = (
        value_of(setting(name), context) for name in ('renderer', 'respawn', 'use_sim_time', 'log_level')
    )
    log_level = str(log_level).lower() or setting('log_level').default  # an including launch may have its own spelling
    setting('log_level').check(log_level)
    clock: dict[str, Value] = {'use_sim_time': True} if sim_time else {}
    supervision.respawn = bool(respawn)
    actions = {
        node: LifecycleNode(
            package='lsp_ros',
            executable=node,
            name=node,
            namespace=LaunchConfiguration('namespace'),
            parameters=[parameter_file, values[node] | clock],
            remappings=[('audio_in', LaunchConfiguration('audio_in'))] if node == 'audio_source' else [],
            ros_arguments=['--log-level', str(log_level)],
            # At SIGTERM launch leaves what it started running, and killed it cannot do otherwise: so a node that
            # knows its launch ends with it.
            additional_env={PARENT_VARIABLE: str(os.getpid())},
            output='screen',
        )
        for node in NODES
        if with_renderer or node != 'renderer'
    }
    supervision.watch(actions)
    return list(actions.values())


def generate_launch_description() -> LaunchDescription:
    supervision = Supervision()
    return LaunchDescription(
        [
            *map(declared, launch_arguments()),
            RegisterEventHandler(OnProcessStart(on_start=supervision.started)),
            RegisterEventHandler(OnProcessExit(on_exit=supervision.ended)),
            OpaqueFunction(function=lambda context: nodes(context, supervision)),
        ]
    )
