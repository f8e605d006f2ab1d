"""The house rules of docs/architecture.md, as far as a machine can check them by reading the code."""

import ast
import functools
import re
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'lsp_ros'
FILES = sorted(PACKAGE.rglob('*.py'))

# The rooms, from the top down: a room imports from those below it alone. Rooms on one line do not know each other.
FLOORS = [
    {'cli'},
    {'commands'},
    {'nodes'},
    {'graph'},
    {'capture', 'evaluation', 'benchmark'},
    {'training'},
    {'portrait', 'official_release'},
    {'live'},
    {'speech', 'motion', 'rendering'},
    {'avatar'},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Single modules that every room may use. They may use one another, but not in a circle.
FOUNDATION = {
    'architecture',  # the table of tensors, avatar/architecture.py
    'blas',
    'errors',
    'geometry',
    'machine',
    'markdown',
    'media',
    'openvino_graph',
    'openvino_import',
    'picture_metrics',
    'resources',
    'signals',
    'storage',
    'streaming',
    'text_to_speech',
    'timeline',
    'validation',
}
LIVE_ROOMS = {'nodes', 'graph', 'portrait', 'live', 'speech', 'motion', 'rendering', 'avatar', *FOUNDATION}
LEARNING_ROOMS = {'training', 'capture', 'evaluation', 'benchmark'}

# Imports that the floors forbid, and why they stand: (importing file, imported room).
ALLOWED_IMPORTS: dict[tuple[str, str], str] = {}
LONGEST = 350
# Files over the limit, and why they are in one piece.
LONG_FILES: dict[str, str] = {}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    """The folder under lsp_ros, or the module's own name where it lies in none."""
    return room(path.relative_to(PACKAGE).with_suffix('').parts)


def room(parts: Sequence[str]) -> str:
    return 'architecture' if list(parts[:2]) == ['avatar', 'architecture'] else parts[0]


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path, only_when_loaded: bool = False, for_types: bool = False) -> Iterator[str]:
    """Full names of all modules that a file imports, at its top or later.

    ``only_when_loaded`` leaves out what functions import when they are called, ``for_types`` adds what is imported for
    type checking alone.
    """
    waiting: list[ast.AST] = [parse(path)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{name_of(path)}:{node.lineno} imports relatively'
            yield from (f'{node.module}.{alias.name}' for alias in node.names)
        elif isinstance(node, ast.If) and not for_types and 'TYPE_CHECKING' in ast.unparse(node.test):
            waiting += node.orelse
        elif not (only_when_loaded and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            waiting += ast.iter_child_nodes(node)


def rooms_imported(path: Path) -> set[str]:
    if not path.exists():
        return set()
    names = (name.split('.') for name in imports(path))
    rooms = {room(parts[1:]) for parts in names if parts[0] == 'lsp_ros' and len(parts) > 1}
    return rooms - {room_of(path), 'msg', '__version__'}


def is_ros(module: str) -> bool:
    """Whether it is rclpy or a package of messages (ament_index_python only finds folders)."""
    first = module.split('.')[0]
    return (
        first in ('rclpy', 'cv_bridge') or first.endswith(('_msgs', '_interfaces')) or module.startswith('lsp_ros.msg')
    )


def test_every_module_has_its_place():
    assert {room_of(path) for path in FILES} - {'__init__'} <= FLOOR.keys() | FOUNDATION


def imported_from_above(path: Path) -> set[str]:
    """The rooms that a file imports from and that are not below its own."""
    floor = FLOOR.get(room_of(path), len(FLOORS))
    return {room for room in rooms_imported(path) - FOUNDATION if FLOOR.get(room, len(FLOORS)) <= floor}


def test_imports_point_down():
    wrong = {}
    for path in FILES:
        up = imported_from_above(path) - {room for name, room in ALLOWED_IMPORTS if name == name_of(path)}
        if up:
            wrong[name_of(path)] = up
    assert wrong == {}


def test_the_page_draws_the_rooms_from_the_top_down():
    page = (PACKAGE.parent / 'docs' / 'architecture.md').read_text()
    drawn = [name for name in re.findall(r'^      (\w+)', page, re.MULTILINE) if name in FLOOR]
    assert drawn == sorted(drawn, key=FLOOR.__getitem__) and set(drawn) == FLOOR.keys()


def test_nothing_that_runs_live_imports_what_learns():
    assert {
        name_of(path): rooms_imported(path) & LEARNING_ROOMS
        for path in FILES
        if room_of(path) in LIVE_ROOMS and rooms_imported(path) & LEARNING_ROOMS
    } == {}


def test_rooms_do_not_import_in_a_circle():
    rooms: dict[str, set[str]] = {}
    for path in FILES:
        allowed = {room for name, room in ALLOWED_IMPORTS if name == name_of(path)}
        rooms.setdefault(room_of(path), set()).update(rooms_imported(path) - allowed)
    try:
        TopologicalSorter(rooms).prepare()
    except CycleError as error:
        pytest.fail(f'these rooms import one another: {" -> ".join(error.args[1])}')


def test_files_do_not_import_in_a_circle():
    modules = {'.'.join(path.relative_to(PACKAGE.parent).with_suffix('').parts): path for path in FILES}
    modules = {name.removesuffix('.__init__'): path for name, path in modules.items()}
    graph = {}
    for module, path in modules.items():
        names = set(imports(path, only_when_loaded=True))
        names |= {name.rpartition('.')[0] for name in names}
        graph[module] = names & modules.keys() - {module, 'lsp_ros'}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f'these files import one another: {" -> ".join(error.args[1])}')


def test_ros_is_known_to_the_nodes_alone():
    assert {
        name_of(path)
        for path in FILES
        if room_of(path) != 'nodes' and any(is_ros(name) for name in imports(path, for_types=True))
    } == set()


def test_no_file_is_a_drawer():
    assert [name_of(path) for path in FILES if path.stem in ('utils', 'util', 'helpers', 'misc', 'common')] == []


def test_files_are_short_or_say_why_not():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST and name not in LONG_FILES} == {}


@pytest.mark.parametrize('page', ['README.md', 'CONTRIBUTING.md', 'docs/architecture.md'])
def test_a_page_names_files_that_are_there(page):
    named = re.findall(r'`([\w./-]+(?:\.py|/))`', (ROOT / page).read_text())
    assert named and [name for name in named if not ((ROOT / name).exists() or (PACKAGE / name).exists())] == []


def test_no_exception_outlives_its_reason():
    paths = {name_of(path): path for path in FILES}
    short = {name for name in LONG_FILES if name not in paths or len(paths[name].read_text().splitlines()) <= LONGEST}
    unused = {
        (name, room)
        for name, room in ALLOWED_IMPORTS
        if name not in paths or room not in imported_from_above(paths[name])
    }
    assert (short, unused) == (set(), set())
