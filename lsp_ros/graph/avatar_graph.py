"""The graph of one avatar from the values of its settings: what ``lsp up``, ``demo``, ``bench`` and others start."""

import re
from collections.abc import Mapping
from pathlib import Path

from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.graph.configuration import NODES, Value, parameters, setting
from lsp_ros.graph.environment import check_installed
from lsp_ros.graph.errors import GraphError
from lsp_ros.graph.probe import GraphProbe
from lsp_ros.graph.reservation import is_reserved
from lsp_ros.graph.supervisor import Graph

LONGEST_LOADING = 600.0
"""Seconds that speech waits for the first picture, so that no word is lost."""
SECONDS_TO_APPEAR = 60.0
"""In which an avatar that was started on this machine is seen through DDS."""

STANDBY = ('motion', 'renderer')

Values = Mapping[str, Value | None]
"""{name of a setting: value}; None is what nobody gave, where a parameter file or the node's default holds."""


def avatar_graph(
    values: Values,
    namespace: str,
    *,
    params_file: Path | None = None,
    renderer: bool = True,
    player: bool = True,
    audio_in: str | None = None,
    standby: bool = False,
) -> Graph:
    """The graph, not started.

    ``renderer``, ``player``: False leaves that node out. ``standby``: nodes without which there is no picture have a
    second process that stands by. ``audio_in``: the topic that source topic listens to. Raises
    ValueError with a sentence where the avatar, the namespace or the folder of a file does not exist.
    """
    home = absolute_namespace(namespace)
    nodes = [node for node in NODES if (node != 'renderer' or renderer) and (node != 'player' or player)]
    default = setting('audio_in').default
    remappings = {str(default): audio_in} if audio_in not in (None, default) else {}
    # A file may name another avatar than the one that would be loaded ahead.
    ahead = tuple(node for node in STANDBY if node in nodes) if standby and not params_file else ()
    return Graph(parameters(checked(values, params_file), nodes), home, params_file, remappings, standby=ahead)


def renderer_graph(values: Values, namespace: str, streams: list[str]) -> Graph:
    """The renderer alone, which draws for the avatars of several namespaces; not started."""
    given = checked(values) | {'streams': streams}
    return Graph(parameters(given, ['renderer']), absolute_namespace(namespace))


def speech_values(speech: Path, **more: Value) -> dict[str, Value]:
    """Settings with which an audio source says a recording, whole, as soon as there is a picture."""
    return {'source': 'file', 'file': str(speech.resolve()), 'wait_for_picture': LONGEST_LOADING, **more}


def speak_to_running(speech: Path, namespace: str) -> bool:
    """Says a recording through the avatar that runs in a namespace; False where none does.

    Raises GraphError where it does not listen to ``audio_in``.
    """
    home = absolute_namespace(namespace)
    check_installed()
    starting = is_reserved(home)
    if not starting and not GraphProbe(home).seen().sources:
        return False
    if not GraphProbe(home, speech, SECONDS_TO_APPEAR if starting else None).seen().heard:
        raise GraphError(
            f'An avatar runs in {home} already, but does not listen to {home}/audio_in: start it with '
            '`lsp up --source topic`, end it, or name another --namespace or ROS_DOMAIN_ID.'
        )
    return True


def checked(values: Values, params_file: Path | None = None) -> dict[str, Value | None]:
    """The values with absolute paths, after a look at the avatar and at the folder of the film that will be written."""
    given = dict(values)
    avatar = given.get('avatar')
    if avatar or not params_file:  # the file may name one: the nodes then check it
        folder = find_avatar(str(avatar or setting('avatar').default)).resolve()
        Avatar.load(folder)
        given['avatar'] = str(folder)
    for name in ('record', 'report'):
        if path := given.get(name):
            given[name] = str(Path(str(path)).resolve())
    if (film := given.get('record')) and not Path(str(film)).parent.is_dir():
        raise ValueError(f'{values["record"]}: the folder {Path(str(values["record"])).parent} does not exist.')
    return given


def absolute_namespace(text: str) -> str:
    """An absolute ROS namespace; ValueError for what is none."""
    name = '/' + text.strip('/')
    if not re.fullmatch(r'(/[A-Za-z][A-Za-z0-9_]*)+', name):
        raise ValueError(f'{text!r} is not a ROS namespace: use letters, digits and _, such as /avatar.')
    return name
