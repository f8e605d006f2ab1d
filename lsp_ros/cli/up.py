"""``lsp up``: the live graph, until Ctrl-C. The same graph as ``launch/avatar.launch.py``.

``lsp serve`` is the renderer alone, for many of them (``lsp up --no-renderer``).
"""

import argparse
import re
from pathlib import Path

from lsp_ros.cli.arguments import add_avatar_arguments, command, position, whole_number

SECONDS_AFTER_SPEECH = 1.0
SECONDS_TO_APPEAR = 60.0  # in which an avatar that was started on this machine is seen through DDS
LONGEST_LOADING = 600.0  # seconds that speech waits for the first picture, so that no word is lost


def add_commands(commands) -> None:
    parser = command(commands, 'up', run_up, 'start the live ROS 2 graph: audio source, models, player')
    parser.add_argument(
        '--source',
        choices=('microphone', 'file', 'topic', 'silence'),
        default=None,
        help='where the speech comes from; default: the microphone, or the file if one is given',
    )
    parser.add_argument('--file', type=Path, default=None, metavar='FILE', help='speech to play; implies --source file')
    parser.add_argument('--loop', action='store_true', default=None, help='begin the file again at its end')
    parser.add_argument('--topic', default='audio_in', help='--source topic: the topic to listen to')
    add_avatar_arguments(parser, frame_rate=30, left_to_nodes=True)
    parser.add_argument('--namespace', default='/avatar', help='of all nodes and topics')
    parser.add_argument(
        '--params-file',
        type=Path,
        default=None,
        metavar='FILE',
        help='ROS parameters that this command line does not give',
    )
    parser.add_argument(
        '--no-renderer',
        dest='renderer',
        action='store_false',
        default=True,
        help='the pictures come from another machine (lsp serve), compressed',
    )
    parser.add_argument(
        '--no-player', dest='player', action='store_false', default=True, help='neither show nor play: others subscribe'
    )
    parser.add_argument('--no-window', dest='window', action='store_false', default=None, help='play sound only')
    parser.add_argument('--full-screen', action='store_true', default=None, help='the picture fills the screen')
    parser.add_argument(
        '--window-position',
        type=position,
        default=None,
        metavar='X,Y',
        help='where the window opens, in pixels of the desktop: on which screen',
    )
    parser.add_argument(
        '--not-closable',
        dest='closable',
        action='store_false',
        default=None,
        help='q, Escape and closing the window do not end the avatar',
    )
    parser.add_argument('--no-sound', dest='sound', action='store_false', default=None, help='show pictures only')
    parser.add_argument(
        '--sound',
        dest='sound',
        action='store_true',
        default=None,
        help='play the microphone, too, which is silent otherwise: the room would hear itself',
    )
    parser.add_argument('--record', type=Path, default=None, metavar='FILE', help='an mp4 to record to')
    parser.add_argument(
        '--report',
        type=Path,
        default=None,
        metavar='FILE',
        help='a JSON file of rates, gaps and latencies, written at the end',
    )
    parser.add_argument(
        '--duration', type=whole_number, default=None, metavar='SECONDS', help='end by itself; 0: never'
    )

    parser = command(commands, 'serve', run_serve, 'draw for many robots: one renderer for several namespaces')
    parser.add_argument(
        'streams',
        nargs='+',
        metavar='NAMESPACE[:AVATAR]',
        help='a namespace to draw for, such as /robot1/avatar, and its avatar if it is not --avatar',
    )
    add_avatar_arguments(parser, frame_rate=30, left_to_nodes=True)
    parser.add_argument('--namespace', default='/server', help='of the renderer itself')


def run_serve(options: argparse.Namespace) -> int:
    from lsp_ros.graph.supervisor import Graph

    parameters = {'renderer': model_parameters(options)['renderer'] | {'streams': options.streams}}
    Graph(parameters, namespace(options.namespace)).run()
    return 0


def run_up(options: argparse.Namespace) -> int:
    from lsp_ros.graph.supervisor import Graph

    source = options.source or ('file' if options.file else None)
    if source == 'file' and not options.file:
        raise ValueError('--source file needs --file FILE.')
    if options.file and source != 'file':
        raise ValueError(f'--file is for --source file, not for --source {source}.')
    if not options.player and (options.record or options.report or options.duration):
        raise ValueError('--record, --report and --duration need the player: leave out --no-player.')
    home = namespace(options.namespace)
    parameters = model_parameters(options)
    file = str(readable(options.file)) if options.file else None
    parameters['audio_source'] = given(source=source, file=file, loop=options.loop)
    if options.player:
        parameters['player'] = player_parameters(options, record=options.record, report=options.report) | given(
            duration=None if options.duration is None else float(options.duration),
            window=options.window,
            full_screen=options.full_screen,
            window_position=options.window_position,
            closable=options.closable,
            sound=options.sound,
            play_microphone=options.sound or None,
            compressed=None if options.renderer else True,
        )
    if not options.renderer:
        del parameters['renderer']
    remappings = {'audio_in': options.topic} if options.topic != 'audio_in' else {}
    Graph(parameters, home, options.params_file, remappings).run()
    return 0


def speak_live(speech: Path, options: argparse.Namespace) -> int:
    """One recording through the graph that runs, if it listens, or one of its own (``lsp say --live``)."""
    from lsp_ros.graph.environment import check_installed
    from lsp_ros.graph.errors import GraphError
    from lsp_ros.graph.probe import GraphProbe
    from lsp_ros.graph.reservation import is_reserved
    from lsp_ros.graph.supervisor import Graph

    home = namespace(options.namespace)
    check_installed()
    starting = is_reserved(home)
    if starting or GraphProbe(home).seen().sources:
        if not GraphProbe(home, speech, SECONDS_TO_APPEAR if starting else None).seen().heard:
            raise GraphError(
                f'An avatar runs in {home} already, but does not listen to {home}/audio_in: start it with '
                '`lsp up --source topic`, end it, or name another --namespace or ROS_DOMAIN_ID.'
            )
        return 0
    parameters = model_parameters(options)
    parameters['audio_source'] = {
        'source': 'file',
        'file': str(speech),
        'wait_for_picture': LONGEST_LOADING,
        'end_after': SECONDS_AFTER_SPEECH,
    }
    parameters['player'] = player_parameters(options)
    Graph(parameters, home).run(look=False)
    return 0


def given(**values) -> dict:
    """Those that are not None: for the others, a parameter file or the node knows better."""
    return {name: value for name, value in values.items() if value is not None}


def model_parameters(options: argparse.Namespace) -> dict[str, dict]:
    """Parameters of the three model nodes from the shared arguments; checks the avatar before anything starts."""
    from lsp_ros.avatar.avatar import Avatar, find_avatar

    avatar = {}
    if options.avatar or not getattr(options, 'params_file', None):  # the file may name one: the nodes then check it
        folder = find_avatar(options.avatar or 'presenter').resolve()
        Avatar.load(folder)
        avatar['avatar'] = str(folder)
    return {
        'audio_source': {},  # first to start, filled in by the caller
        'speech_features': dict(avatar),
        'motion': avatar | given(seed=options.seed, idle_amplitude=options.idle_amplitude),
        'renderer': avatar
        | given(engine=options.engine, frame_rate=options.frame_rate, threads=options.threads, mark=options.mark),
    }


def player_parameters(options: argparse.Namespace, record: Path | None = None, report: Path | None = None) -> dict:
    if record and not record.resolve().parent.is_dir():
        raise ValueError(f'{record}: the folder {record.parent} does not exist.')
    return given(
        frame_rate=options.frame_rate,
        record=str(record.resolve()) if record else None,
        report=str(report.resolve()) if report else None,
    )


def readable(path: Path) -> Path:
    """The absolute path of a sound file, after a look at whether it is one."""
    from lsp_ros.media import read_audio

    read_audio(path)
    return path.resolve()


def namespace(text: str) -> str:
    """An absolute ROS namespace; ValueError for what is none."""
    name = '/' + text.strip('/')
    if not re.fullmatch(r'(/[A-Za-z][A-Za-z0-9_]*)+', name):
        raise ValueError(f'{text!r} is not a ROS namespace: use letters, digits and _, such as /avatar.')
    return name
