"""The whole avatar: audio source, speech features, motion, renderer and player, each a process of its own.

    ros2 launch lsp_ros avatar.launch.py source:=file file:=speech.wav
    ros2 launch lsp_ros avatar.launch.py --show-args

An argument that is left empty is what the parameter file says (config/avatar.yaml, or your copy of it). Arguments and
the rule by which a node is started again are those of `lsp up` (lsp_ros/graph).
"""

import os
import time
from collections import defaultdict
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.events import Shutdown
from launch.events.process import ProcessExited, ProcessStarted
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from lsp_ros.graph.configuration import NODES, Setting, Value, launch_arguments, parameters, setting
from lsp_ros.graph.policy import SECONDS_TO_RESTART, RestartPolicy, Verdict
from lsp_ros.graph.process_lifetime import VARIABLE as PARENT_VARIABLE

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


def nodes(context: LaunchContext) -> list[Node]:
    values = parameters({row.name: value_of(row, context) for row in launch_arguments() if row.nodes})
    parameter_file = LaunchConfiguration('params_file').perform(context)
    if not Path(parameter_file).is_file():
        raise FileNotFoundError(f'params_file:={parameter_file}: there is no such file')
    with_renderer, respawn = (value_of(setting(name), context) for name in ('renderer', 'respawn'))
    return [
        Node(
            package='lsp_ros',
            executable=node,
            name=node,
            namespace=LaunchConfiguration('namespace'),
            parameters=[parameter_file, values[node]],
            remappings=[('audio_in', LaunchConfiguration('audio_in'))] if node == 'audio_source' else [],
            # At SIGTERM launch leaves what it started running, and killed it cannot do otherwise: so a node that
            # knows its launch ends with it.
            additional_env={PARENT_VARIABLE: str(os.getpid())},
            output='screen',
            respawn=respawn,
            respawn_delay=SECONDS_TO_RESTART,
        )
        for node in NODES
        if with_renderer or node != 'renderer'
    ]


class Supervision:
    """Ends the avatar when a node has finished its work (`duration`), or fails so often that no other start will help.

    Starting again is launch's own (`respawn`).
    """

    def __init__(self) -> None:
        self.policies: defaultdict[Action, RestartPolicy] = defaultdict(RestartPolicy)

    def started(self, event: ProcessStarted, _context: LaunchContext) -> None:
        self.policies[event.action].started(time.monotonic())

    def ended(self, event: ProcessExited, context: LaunchContext) -> list[Action] | None:
        if context.is_shutdown:
            return None
        decision = self.policies[event.action].ended(event.returncode, time.monotonic())
        if decision.verdict is Verdict.FINISH:
            return [EmitEvent(event=Shutdown(reason=f'{event.process_name} has finished'))]
        if decision.verdict is Verdict.GIVE_UP:
            raise RuntimeError(
                f'{event.process_name} failed {decision.failures} times in a row (status {event.returncode})'
            )
        return None


def generate_launch_description() -> LaunchDescription:
    supervision = Supervision()
    return LaunchDescription(
        [
            *map(declared, launch_arguments()),
            RegisterEventHandler(OnProcessStart(on_start=supervision.started)),
            RegisterEventHandler(OnProcessExit(on_exit=supervision.ended)),
            OpaqueFunction(function=nodes),
        ]
    )
