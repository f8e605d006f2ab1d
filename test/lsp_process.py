"""The `lsp` command as a process of its own, and the processes of the nodes that it starts."""

import importlib.util
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

PATIENCE = 90  # seconds that a busy machine may take; nothing here is timed
started: list[subprocess.Popen] = []

with_ros = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ('rclpy', 'lsp_ros.msg'))), reason='ROS 2 or the built messages are absent'
)


def start(*arguments, **more) -> subprocess.Popen:
    """The command as a process of its own, in a session of its own as a shell would give it."""
    started.append(
        subprocess.Popen(
            [sys.executable, '-m', 'lsp_ros.cli.main', *map(str, arguments)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **more,
        )
    )
    return started[-1]


def until(condition, what: str):
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value


def children(pid: int) -> dict[str, int]:
    """The node processes of a graph by name; only those whose interpreter is up."""
    found = {}
    for entry in Path('/proc').glob('[0-9]*'):
        try:
            parent = int((entry / 'stat').read_text().rpartition(')')[2].split()[1])
            words = (entry / 'cmdline').read_bytes().decode().split('\0')
        except (OSError, ValueError):
            continue
        names = [word.rpartition('.')[2] for word in words if word.startswith('lsp_ros.nodes.')]
        if parent == pid and names and names[0] != 'graph_probe':  # who only looks, at the start
            found[names[0]] = int(entry.name)
    return found


def alive(pid: int) -> bool:
    try:
        return (Path('/proc') / str(pid) / 'stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def another(process: subprocess.Popen, name: str, before: dict[str, int]) -> dict[str, int]:
    """The nodes, once the one of that name is another process than before."""
    return until(
        lambda: (nodes := children(process.pid)).get(name) not in (None, before[name]) and nodes,
        f'{name} is not started again',
    )


def obeys(pid: int, number: int) -> bool:
    """Whether the process has a handler for that signal by now."""
    caught = next(line for line in Path(f'/proc/{pid}/status').read_text().splitlines() if line.startswith('SigCgt'))
    return bool(int(caught.split()[1], 16) >> number - 1 & 1)


def start_silence(avatar: Path) -> tuple[subprocess.Popen, dict[str, int]]:
    """A graph, and its nodes as soon as they are there: most will be loading still."""
    process = start('up', '--source', 'silence', '--avatar', avatar, '--no-player')
    return process, until(lambda: len(nodes := children(process.pid)) == 4 and nodes, 'the nodes do not start')


def wait_for_speech_features(process: subprocess.Popen) -> None:
    impatience = threading.Timer(PATIENCE, process.kill)
    impatience.start()
    said = any('listening to stream' in line for line in process.stdout)
    impatience.cancel()
    assert said, 'the graph does not run'


def end_all() -> None:
    """Ends whatever was started and still runs, with its nodes."""
    commands = [process for process in started if process.poll() is None]
    nodes = [pid for process in commands for pid in children(process.pid).values()]
    for process in commands:
        process.kill()
        process.communicate()
    started.clear()
    until(lambda: not any(map(alive, nodes)), 'nodes outlive their graph')
