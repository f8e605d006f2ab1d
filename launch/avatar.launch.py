"""The whole avatar: audio source, speech features, motion, renderer and player, each a process of its own.

    ros2 launch lsp_ros avatar.launch.py source:=file file:=speech.wav
    ros2 launch lsp_ros avatar.launch.py --show-args

An argument that is left empty is what the parameter file says (config/avatar.yaml, or your copy of it).
"""

import os
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
MODEL_NODES = ('speech_features', 'motion', 'renderer')

# Launch argument: type, the nodes that it is for, description. It sets their parameter of the same name.
PARAMETERS = {
    'avatar': (str, MODEL_NODES, 'the avatar: a folder, or the name of a built-in one'),
    'source': (str, ('audio_source',), 'where the speech comes from: microphone, file, topic or silence'),
    'file': (str, ('audio_source',), 'source:=file: anything with sound that FFmpeg reads'),
    'loop': (bool, ('audio_source',), 'source:=file: begin again at its end'),
    'idle_amplitude': (float, ('motion',), 'size of the head motion while nobody speaks; 0: still'),
    'engine': (str, ('renderer',), 'what computes the picture: auto, torch or openvino'),
    'frame_rate': (int, ('renderer', 'player'), 'pictures a second: 30 or 60'),
    'mark': (bool, ('renderer',), 'the small visible mark that says that the picture is generated'),
    'window': (bool, ('player',), 'show the pictures, where there is a display'),
    'compressed': (bool, ('player',), 'take image/compressed in place of image: for a renderer on another machine'),
    'sound': (bool, ('player',), 'play the sound, where there is a sound device'),
    'record': (str, ('player',), 'mp4 file to record to'),
    'report': (str, ('player',), 'JSON file of rates, gaps and latencies, written at the end'),
    'duration': (float, ('player',), 'seconds of stream after which everything ends; 0: never'),
    'autostart': (bool, NODES, 'false: a lifecycle manager configures and activates the nodes'),
}


def typed(name: str, kind: type, text: str) -> bool | int | float | str:
    """The value of an argument; ValueError with a sentence where it has another type."""
    if kind is bool:
        if text.lower() not in ('true', 'false'):
            raise ValueError(f'{name}:={text}: true or false is needed')
        return text.lower() == 'true'
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


def on_exit(event, context) -> list | None:
    """A process that ends by itself with status 0 has done its work (`duration`): so has the avatar."""
    if event.returncode == 0 and not context.is_shutdown:
        return [EmitEvent(event=Shutdown(reason=f'{event.process_name} has finished'))]
    return None


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
            RegisterEventHandler(OnProcessExit(on_exit=on_exit)),
            OpaqueFunction(function=nodes),
        ]
    )
