"""Every setting of the live graph, once: name, type, default, range, and who takes it. No ROS in it.

From ``SETTINGS`` come the parameters that the nodes declare, ``config/avatar.yaml``, the arguments of
``launch/avatar.launch.py``, the flags of ``lsp up`` and the tables of ``docs/topics.md``. After a change:

    python -m lsp_ros.graph.configuration_files --write

writes the parameter file and the tables anew, which are checked in.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lsp_ros.rendering.engines import ENGINES

NODES = ('audio_source', 'speech_features', 'motion', 'renderer', 'player')
"""The nodes of an avatar, in the order in which they are started."""
MONITOR = 'monitor'
"""The node that ``lsp bench --live`` starts beside them."""
MODEL_NODES = ('speech_features', 'motion', 'renderer')

Value = bool | int | float | str | list[str] | list[int]


@dataclass(frozen=True)
class Flag:
    """A flag of ``lsp up`` that sets a setting.

    name     as the user writes it
    switch   what a flag without a value sets; None: the flag takes a value
    help     where the setting's description does not say what the flag does
    metavar  how ``--help`` calls the value
    path     the value is a path of a file
    """

    name: str
    switch: bool | None = None
    help: str = ''
    metavar: str | None = None
    path: bool = False


@dataclass(frozen=True)
class Setting:
    """One setting of the graph.

    default   its type is the setting's type
    nodes     that have a parameter of this name; none: a setting of the graph as a whole
    low, high range of a number, both ends allowed; None: any
    unit      of a number, where the description does not say it
    choices   the values that are allowed; empty: any
    live      may change while the node runs; else only while the node is not configured
    launch    the launch file has an argument of this name
    flags     of ``lsp up``
    shared    commands that draw without the graph (``lsp render``) have the flags, too
    """

    name: str
    default: Value
    description: str
    nodes: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    unit: str = ''
    choices: tuple[str, ...] | tuple[int, ...] = ()
    live: bool = False
    launch: bool = False
    flags: tuple[Flag, ...] = ()
    shared: bool = False

    @property
    def kind(self) -> type:
        return type(self.default)

    def check(self, value: object) -> None:
        """Raises ValueError for what a ROS descriptor's range does not catch."""
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f'parameter {self.name} is {value}: a finite number is needed')
        if self.choices and value not in self.choices:
            raise ValueError(f'parameter {self.name} is {value!r}: {", ".join(map(str, self.choices))} are allowed')

    def parse(self, text: str) -> Value:
        """The value of a launch argument; ValueError with a sentence where it is of another type."""
        if self.kind is bool:
            if text.lower() not in ('true', 'false'):
                raise ValueError(f'{self.name}:={text}: true or false is needed')
            return text.lower() == 'true'
        if self.kind is list:
            numbers = text.strip('[] ').split(',')
            if not all(number.strip().lstrip('-').isdecimal() for number in numbers):
                raise ValueError(f'{self.name}:={text}: whole numbers are needed, such as 1920,0')
            return [int(number) for number in numbers]
        if self.kind is str:
            return text
        try:
            return int(text) if self.kind is int else float(text)
        except ValueError:
            needed = 'a whole number' if self.kind is int else 'a number'
            raise ValueError(f'{self.name}:={text}: {needed} is needed') from None


# fmt: off
SETTINGS = (
    # Of the graph as a whole.
    Setting('namespace', 'avatar', 'namespace of all nodes and topics', launch=True, flags=(Flag('--namespace'),)),
    Setting('params_file', '', 'ROS parameters that are not given here', launch=True,
            flags=(Flag('--params-file', metavar='FILE', path=True),)),
    Setting('audio_in', 'audio_in', 'source topic: the topic to listen to', launch=True,
            flags=(Flag('--topic', metavar='TOPIC'),)),
    Setting('renderer', True, 'false: another machine draws for this namespace', launch=True,
            flags=(Flag('--no-renderer', False, 'the pictures come from another machine (lsp serve), compressed'),)),
    Setting('player', True, 'false: nothing is shown or played here',
            flags=(Flag('--no-player', False, 'neither show nor play: others subscribe'),)),
    Setting('respawn', True, 'start a node again when it died: at once, then after growing delays', launch=True),
    Setting('standby', False, 'a second process of motion and renderer has everything loaded, for when the first one '
            'dies; it takes 0.5 GB of memory',
            flags=(Flag('--standby', True, 'a second process of motion and renderer has everything loaded and takes '
                        'over when the first one dies; it takes 0.5 GB of memory'),)),
    Setting('use_sim_time', False, 'the time is that of /clock; false: as the parameter file says', launch=True),
    Setting('log_level', 'info', 'what the nodes log', choices=('debug', 'info', 'warn', 'error', 'fatal'),
            launch=True),

    # Of several nodes.
    Setting('autostart', True, 'configure and activate by itself; false leaves that to a lifecycle manager',
            (*NODES, MONITOR), launch=True),
    Setting('avatar', 'presenter', 'the avatar: a folder, or the name of a built-in one', MODEL_NODES, launch=True,
            flags=(Flag('--avatar', metavar='NAME'),), shared=True),

    # Of the audio source.
    Setting('source', 'microphone', 'where the speech comes from', ('audio_source',),
            choices=('microphone', 'file', 'topic', 'silence'), launch=True,
            flags=(Flag('--source', help='where the speech comes from; default: the microphone, or the file if one '
                        'is given'),)),
    Setting('lead', 0.35, 'seconds that file and topic audio is published ahead of its stamp, the look-ahead of the '
            'models', ('audio_source',), 0.0, 5.0, 's'),
    Setting('device', '', 'microphone: number or part of the name of the sound device; empty: the default one',
            ('audio_source',)),
    Setting('file', '', 'file: anything with sound that FFmpeg reads', ('audio_source',), launch=True,
            flags=(Flag('--file', help='speech to play; implies --source file', metavar='FILE', path=True),)),
    Setting('loop', False, 'file: begin again at its end', ('audio_source',), launch=True,
            flags=(Flag('--loop', True, 'begin the file again at its end'),)),
    Setting('start_delay', 0.5, 'file: seconds of silence before it begins', ('audio_source',), 0.0, 3600.0, 's'),
    Setting('wait_for_picture', 10.0, 'file, topic: hold speech back for at most so many seconds until the first '
            'picture (camera_info)', ('audio_source',), 0.0, 3600.0, 's'),
    Setting('end_after', -1.0, 'file: seconds after its end at which the node ends; negative: never',
            ('audio_source',), -1.0, 3600.0, 's'),
    Setting('topic_type', '', 'topic: message type of audio_in, such as audio_common_msgs/msg/AudioData; empty: ask '
            'the graph', ('audio_source',)),
    Setting('topic_rate', 16000, 'topic: Hz, for messages that do not say it (AudioData)', ('audio_source',),
            1000, 384_000, 'Hz'),
    Setting('topic_channels', 1, 'topic: channels, for messages that do not say it', ('audio_source',), 1, 64),
    Setting('topic_encoding', 'S16LE', 'topic: sample format, for messages that do not say it', ('audio_source',),
            choices=('U8', 'S8', 'S16LE', 'S16BE', 'U16LE', 'U16BE', 'S24LE', 'S24BE', 'S24_32LE', 'S24_32BE', 'S32LE',
                     'S32BE', 'F32LE', 'F32BE', 'F64LE', 'F64BE', 'MP3', 'AAC')),

    # Of the motion node.
    Setting('seed', 0, 'seed of the head motion; the same speech and seed give the same motion', ('motion',),
            0, 2**31 - 1, flags=(Flag('--seed', metavar='N'),), shared=True),
    Setting('idle_amplitude', 1.0, 'size of the head motion while nobody speaks; 0: still', ('motion',), 0.0, 2.0,
            live=True, launch=True, flags=(Flag('--idle-amplitude', metavar='X'),), shared=True),
    Setting('camera_frame', '', 'frame_id of face_motion, image and camera_info; empty: the namespace and '
            '_camera_optical_frame, such as avatar_camera_optical_frame', ('motion',)),

    # Of the renderer.
    Setting('streams', [''], 'namespaces to draw for, each with its own face_motion and image, as NAMESPACE or '
            'NAMESPACE:AVATAR; empty: the namespace of the node', ('renderer',)),
    Setting('engine', 'auto', 'what computes the picture; auto: PyTorch on an NVIDIA GPU that draws, else OpenVINO',
            ('renderer',), choices=ENGINES, launch=True, flags=(Flag('--engine'),), shared=True),
    Setting('threads', 0, 'CPU threads of the engine; 0: as many as there are cores', ('renderer',), 0, 256,
            flags=(Flag('--threads', metavar='N'),), shared=True),
    Setting('frame_rate', 30, 'pictures a second', ('renderer',), choices=(30, 60), launch=True,
            flags=(Flag('--frame-rate'),), shared=True),
    Setting('mark', True, 'the small visible mark that says that the picture is generated', ('renderer',), launch=True,
            flags=(Flag('--no-mark', False, 'leave out the small visible mark that says that the picture is '
                        'generated'),), shared=True),
    Setting('jpeg_quality', 90, 'quality of image/compressed', ('renderer',), 1, 100, live=True),

    # Of the player.
    Setting('presentation_delay', -1.0, 'seconds from a stamp to its showing; negative: so that 0.5 s pass from the '
            'publishing of a sound to its showing', ('player',), -1.0, 10.0, 's'),
    Setting('compressed', False, 'take image/compressed in place of image, a twentieth of the data: for a renderer on '
            'another machine', ('player',), launch=True),
    Setting('window', True, 'show the pictures, where there is a display', ('player',), launch=True,
            flags=(Flag('--no-window', False, 'play sound only'),)),
    Setting('full_screen', False, 'the picture fills the screen', ('player',), launch=True,
            flags=(Flag('--full-screen', True),)),
    Setting('window_position', [-1, -1], 'x and y of the window in pixels of the desktop, which says on which screen; '
            'negative: the desktop decides', ('player',), launch=True,
            flags=(Flag('--window-position', help='where the window opens, in pixels of the desktop: on which screen',
                        metavar='X,Y'),)),
    Setting('closable', True, 'q, Escape or closing the window ends the player; false: they do nothing', ('player',),
            launch=True, flags=(Flag('--not-closable', False, 'q, Escape and closing the window do not end the '
                                     'avatar'),)),
    Setting('sound', True, 'play the sound, where there is a sound device', ('player',), launch=True,
            flags=(Flag('--no-sound', False, 'show pictures only'),
                   Flag('--sound', True, 'play the microphone, too, which is silent otherwise: the room would hear '
                        'itself'))),
    Setting('play_microphone', False, 'play what a microphone hears, too: for headphones or another room, as a room '
            'that hears itself howls', ('player',), launch=True),
    Setting('device', '', 'number or part of the name of the sound device; empty: the default one', ('player',)),
    Setting('record', '', 'mp4 file to record to; empty: none', ('player',), launch=True,
            flags=(Flag('--record', help='an mp4 to record to', metavar='FILE', path=True),)),
    Setting('report', '', 'JSON file of rates, gaps and latencies, written at the end; empty: none', ('player',),
            launch=True, flags=(Flag('--report', help='a JSON file of rates, gaps and latencies, written at the end',
                                     metavar='FILE', path=True),)),
    Setting('frame_rate', 30, 'pictures a second in the recording; the rate of the renderer', ('player',),
            choices=(30, 60)),
    Setting('duration', 0.0, 'seconds of stream after which the player ends; 0: never', ('player',), 0.0, 1e9, 's',
            launch=True, flags=(Flag('--duration', help='end by itself; 0: never', metavar='SECONDS'),)),

    # Of the monitor.
    Setting('report', '', 'JSON file to write the figures to, every second', (MONITOR,)),
    Setting('frame_rate', 30, 'pictures a second that the renderer is asked for', (MONITOR,), choices=(30, 60)),
    Setting('warm_up', 5.0, 'seconds from the first picture that are not measured', (MONITOR,), 0.0, 3600.0, 's'),
    Setting('duration', 60.0, 'seconds to measure after that; the node then ends', (MONITOR,), 0.1, 1e9, 's'),
    Setting('interval', 60.0, 'seconds of each row of the course over time', (MONITOR,), 0.1, 3600.0, 's'),
)
# fmt: on


def settings_of(node: str) -> tuple[Setting, ...]:
    """The parameters of one node, in the order of the table."""
    return tuple(setting for setting in SETTINGS if node in setting.nodes)


def setting(name: str, node: str | None = None) -> Setting:
    """The first of that name, or the one of that node. KeyError where there is none."""
    for row in SETTINGS:
        if row.name == name and (node is None or node in row.nodes):
            return row
    raise KeyError(name)


def launch_arguments() -> tuple[Setting, ...]:
    return tuple(setting for setting in SETTINGS if setting.launch)


def flagged() -> tuple[Setting, ...]:
    """The settings that have flags of ``lsp up``."""
    return tuple(setting for setting in SETTINGS if setting.flags)


def parameters(values: Mapping[str, Value | None], nodes: Iterable[str] = NODES) -> dict[str, dict[str, Value]]:
    """{node: {parameter: value}}: each value for every node that has a parameter of that name.

    None is what nobody gave: there, a parameter file or the node's default holds. Names of no node are settings of the
    graph as a whole and are left out.
    """
    return {
        node: {row.name: value for row in settings_of(node) if (value := values.get(row.name)) is not None}
        for node in nodes
    }
