"""The whole avatar: audio source, speech features, motion, renderer and player, each a process of its own.

    ros2 launch lsp_ros avatar.launch.py source:=file file:=speech.wav
    ros2 launch lsp_ros avatar.launch.py --show-args

An argument that is left empty is what the parameter file says (config/avatar.yaml, or your copy of it).
"""

import os
import signal
import time
from collections import defaultdict
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory('lsp_ros'))
NODES = ('audio_source', 'speech_features', 'motion', 'renderer', 'player')
FINISHED = 10  # exit status of a node that has done its work (lsp_ros/graph/process_lifetime.py)
ASKED_TO_END = (0, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)
# A node that fails so often in a row, each time so soon, will not be helped by another start; as in `lsp up`.
MOST_QUICK_FAILURES = 3
QUICK_SECONDS = 30.0
MODEL_NODES = ('speech_features', 'motion', 'renderer')

# Launch argument: type, the nodes that it is for, description. It sets their parameter of the same name.
PARAMETERS = {
    'avatar': (str, MODEL_NODES, 'the avatar: a folder, or the name of a built-in one'),
    'source': (str, ('audio_source',), 'where the speech comes from: microphone, file, topic or silence'),
    'file': (str, ('audio_source',), 'source:=file: anything with sound that FFmpeg reads'),
    'loop': (bool, ('audio_source',), 'source:=file: begin again at its end'),
    'idle_amplitude': (float, ('motion',), 'size of the head motion while nobody speaks; 0: still'),
    'engine': (str, ('renderer',), 'what computes the picture: auto, torch, openvino or tensorrt'),
    'frame_rate': (int, ('renderer', 'player'), 'pictures a second: 30 or 60'),
    'mark': (bool, ('renderer',), 'the small visible mark that says that the picture is generated'),
    'window': (bool, ('player',), 'show the pictures, where there is a display'),
    'full_screen': (bool, ('player',), 'the picture fills the screen'),
    'window_position': (list, ('player',), 'x,y in pixels of the desktop, which says on which screen the window opens'),
    'closable': (bool, ('player',), 'false: q, Escape and closing the window do nothing'),
    'compressed': (bool, ('player',), 'take image/compressed in place of image: for a renderer on another machine'),
    'sound': (bool, ('player',), 'play the sound, where there is a sound device'),
    'play_microphone': (bool, ('player',), 'play what a microphone hears, too, which a room that hears itself cannot'),
    'record': (str, ('player',), 'mp4 file to record to'),
    'report': (str, ('player',), 'JSON file of rates, gaps and latencies, written at the end'),
    'duration': (float, ('player',), 'seconds of stream after which everything ends; 0: never'),
    'autostart': (bool, NODES, 'false: a lifecycle manager configures and activates the nodes'),
}


def typed(name: str, kind: type, text: str) -> bool | int | float | str | list[int]:
    """The value of an argument; ValueError with a sentence where it has another type."""
    if kind is bool:
        if text.lower() not in ('true', 'false'):
            raise ValueError(f'{name}:={text}: true or false is needed')
        return text.lower() == 'true'
    if kind is list:
        numbers = text.strip('[] ').split(',')
        if not all(number.strip().lstrip('-').isdecimal() for number in numbers):
            raise ValueError(f'{name}:={text}: whole numbers are needed, such as 1920,0')
        return [int(number) for number in numbers]
    try:
        return kind(text)
    except ValueError:
        needed = 'a whole number' if kind is int else 'a number'
        raise ValueError(f'{name}:={text}: {needed} is needed') from None


def nodes(context) -> list:
    given = {node: {} for node in NODES}
    for name, (kind, names, _) in PARAMETERS.items():
        text = LaunchConfiguration(name).perform(context)
        for node in names if text else ():
            given[node][name] = typed(name, kind, text)
    parameter_file = LaunchConfiguration('params_file').perform(context)
    if not Path(parameter_file).is_file():
        raise FileNotFoundError(f'params_file:={parameter_file}: there is no such file')
    with_renderer = typed('renderer', bool, LaunchConfiguration('renderer').perform(context))
    respawn = typed('respawn', bool, LaunchConfiguration('respawn').perform(context))
    return [
        Node(
            package='lsp_ros',
            executable=node,
            name=node,
            namespace=LaunchConfiguration('namespace'),
            parameters=[parameter_file, given[node]],
            remappings=[('audio_in', LaunchConfiguration('audio_in'))] if node == 'audio_source' else [],
            # At SIGTERM launch leaves what it started running, and killed it cannot do otherwise: so a node that
            # knows its launch ends with it.
            additional_env={'LSP_ROS_PARENT': str(os.getpid())},
            output='screen',
            respawn=respawn,
            respawn_delay=1.0,
        )
        for node in NODES
        if with_renderer or node != 'renderer'
    ]


class OnExit:
    """Ends the avatar when a node has finished its work (`duration`), or fails so often that no other start will help.

    A node that somebody else asked to end (status 0, or the signal) is started again, however often.
    """

    def __init__(self):
        self.failures = defaultdict(list)  # the moments of a node's last failures in a row

    def __call__(self, event, context) -> list | None:
        if context.is_shutdown:
            return None
        if event.returncode == FINISHED:
            return [EmitEvent(event=Shutdown(reason=f'{event.process_name} has finished'))]
        if event.returncode in ASKED_TO_END:
            return None
        now, moments = time.monotonic(), self.failures[event.action]
        if moments and now - moments[-1] > QUICK_SECONDS:
            moments.clear()
        moments.append(now)
        if len(moments) < MOST_QUICK_FAILURES:
            return None
        raise RuntimeError(f'{event.process_name} failed {len(moments)} times in a row (status {event.returncode})')


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument('namespace', default_value='avatar', description='namespace of all nodes and topics'),
            DeclareLaunchArgument(
                'params_file',
                default_value=str(SHARE / 'config' / 'avatar.yaml'),
                description='parameters of all nodes',
            ),
            *[
                DeclareLaunchArgument(name, default_value='', description=description)
                for name, (_, _, description) in PARAMETERS.items()
            ],
            DeclareLaunchArgument('audio_in', default_value='audio_in', description='source:=topic: the topic'),
            DeclareLaunchArgument(
                'renderer', default_value='true', description='false: another machine draws for this namespace'
            ),
            DeclareLaunchArgument(
                'respawn', default_value='true', description='start a node again a second after it died'
            ),
            RegisterEventHandler(OnProcessExit(on_exit=OnExit())),
            OpaqueFunction(function=nodes),
        ]
    )
