"""The live graph as child processes, for machines without ``ros2 launch``; no ROS in this process.

A node that dies, or that somebody else ended, is started again. Ctrl-C, SIGTERM or SIGHUP to this process, or a node
that says that it has finished its work, ends them all; none outlives this process, even when it is killed.
"""

import contextlib
import fcntl
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lsp_ros.errors import LspError
from lsp_ros.graph import process_lifetime

NODES = ('audio_source', 'speech_features', 'motion', 'renderer', 'player')
SECONDS_TO_END = 15.0  # a player may have a film to finish
SECONDS_TO_RESTART = 1.0
# A node that fails so often in a row, each time so soon, will not be helped by another start.
MOST_QUICK_FAILURES = 3
QUICK_SECONDS = 30.0
ASKED_TO_END = (0, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)  # exit statuses: that is no failure of the node's
SHARED_MEMORY = Path('/dev/shm')
SECONDS_TO_BE_LOCKED = 60.0  # who makes a lock file locks it at once


class GraphError(LspError, RuntimeError):
    """The graph cannot run; one sentence."""


@dataclass
class Child:
    """One node's process."""

    name: str
    command: list[str]
    process: subprocess.Popen | None = None
    started: float = 0.0
    quick_failures: int = 0
    restart_at: float | None = None


@dataclass
class Graph:
    """Nodes of the live graph with their parameters.

    parameters   {node name: {parameter: value}}; the nodes named here are started
    namespace    of all nodes and topics
    params_file  a ROS parameter file that goes before ``parameters``
    remappings   {topic: topic}, for every node
    output       a file that takes what the nodes print; None: this terminal
    tell         called with a sentence when a node is started again
    """

    parameters: Mapping[str, Mapping[str, object]]
    namespace: str = '/avatar'
    params_file: Path | None = None
    remappings: Mapping[str, str] = field(default_factory=dict)
    output: Path | None = None
    tell: Callable[[str], None] = lambda sentence: print(sentence, file=sys.stderr)
    children: list[Child] = field(default_factory=list, init=False)

    @property
    def processes(self) -> dict[str, int]:
        """Process numbers of the nodes that run, by name; for who watches them."""
        running = [child for child in self.children if child.process and child.process.poll() is None]
        return {child.name: child.process.pid for child in running}

    def run(self, watch: Callable[[], None] = lambda: None, look: bool = True) -> None:
        """Starts the nodes and returns when one has finished its work; ends them all in any case.

        ``watch`` is called ten times a second. ``look``: whether an avatar speaks in this namespace already, whose
        face two voices would share; False where the caller has looked. Raises GraphError where it does or a node
        cannot run, KeyboardInterrupt on Ctrl-C, after the nodes have ended.
        """
        check_installed()
        if self.params_file and not self.params_file.is_file():
            raise GraphError(f'{self.params_file}: there is no such parameter file.')
        clear_shared_memory()
        with tempfile.TemporaryDirectory(prefix='lsp_graph_') as folder:
            self._settings = Path(folder) / 'parameters.yaml'
            children = self.children = [Child(name, self._command(name)) for name in self.parameters]
            with open(self.output or os.devnull, 'ab') as log:
                to = log if self.output else None
                try:
                    # Looking takes a second, in which the nodes load: they wait behind it, unseen by anybody.
                    visitor = Visitor(self.namespace) if look and 'audio_source' in self.parameters else None
                    for child in children:
                        self._start(child, to, waiting=visitor is not None)
                    if visitor:
                        check_alone(visitor)
                        for child in children:
                            child.process.stdin.close()
                    while not any(self._finished(child, to) for child in children):
                        watch()
                        time.sleep(0.1)
                finally:
                    end(children)

    def _command(self, name: str) -> list[str]:
        command = [sys.executable, '-m', f'lsp_ros.nodes.{name}', '--ros-args', '-r', f'__ns:={self.namespace}']
        for topic, target in self.remappings.items():
            command += ['-r', f'{topic}:={target}']
        for file in filter(None, (self.params_file, self._settings)):
            command += ['--params-file', str(file)]
        return command

    def _write_settings(self) -> None:
        """The parameters, for each start anew: in weeks, the system may tidy up what it takes for forgotten."""
        nodes = {name: dict(values) for name, values in self.parameters.items() if values}
        self._settings.parent.mkdir(exist_ok=True)
        self._settings.write_text(
            yaml.safe_dump({f'/**/{name}': {'ros__parameters': values} for name, values in nodes.items()})
            if nodes
            else '{}'
        )

    def _start(self, child: Child, output, waiting: bool = False) -> None:
        self._write_settings()
        # A session of its own: Ctrl-C reaches the nodes through us, once, and not through the terminal as well.
        child.process = subprocess.Popen(
            child.command,
            env=environment() | ({process_lifetime.WAITING: '1'} if waiting else {}),
            stdout=output,
            stderr=output,
            stdin=subprocess.PIPE if waiting else subprocess.DEVNULL,
            start_new_session=True,
        )
        child.started = time.monotonic()
        child.restart_at = None

    def _finished(self, child: Child, output) -> bool:
        """Sees after one node; True when it has finished its work."""
        now = time.monotonic()
        if child.restart_at is not None:
            if now >= child.restart_at:
                self._start(child, output)
            return False
        status = child.process.poll()
        if status is None:
            return False
        if status == process_lifetime.FINISHED:
            return True
        how = f'was killed by signal {-status}' if status < 0 else f'ended with status {status}'
        if status in ASKED_TO_END:
            how = 'was asked to end by somebody else'
        else:
            child.quick_failures = child.quick_failures + 1 if now - child.started < QUICK_SECONDS else 1
        if child.quick_failures >= MOST_QUICK_FAILURES:
            raise GraphError(f'The node {child.name} {how}, {child.quick_failures} times in a row.')
        self.tell(f'The node {child.name} {how}; it is started again.')
        child.restart_at = now + SECONDS_TO_RESTART
        return False


def environment() -> dict[str, str]:
    """For a node: this process's whole environment, what the ROS wheels need, and whom to end with."""
    variables = dict(os.environ)
    if Path(sys.prefix, 'share', 'ament_index').is_dir():  # the ROS wheels do not set this, an apt install does
        prefixes = [sys.prefix, *variables.get('AMENT_PREFIX_PATH', '').split(os.pathsep)]
        variables['AMENT_PREFIX_PATH'] = os.pathsep.join(dict.fromkeys(filter(None, prefixes)))
    variables['PYTHONUNBUFFERED'] = '1'
    variables[process_lifetime.VARIABLE] = str(os.getpid())
    return variables


def check_installed() -> None:
    """Raises GraphError where ROS 2 or the package's messages are absent."""
    for module, remedy in (
        ('rclpy', 'install lsp_ros with pip, or source your ROS 2 (source /opt/ros/<distribution>/setup.bash)'),
        ('lsp_ros.msg', 'the messages are built by `pip install .` or `colcon build`'),
    ):
        if importlib.util.find_spec(module) is None:
            raise GraphError(f'The live graph needs {module}, which is not installed: {remedy}.')


class Visitor:
    """A look at what runs in a namespace, in a process of its own, since there is no ROS in this one."""

    def __init__(self, namespace: str, *speech: str):
        self.namespace = namespace
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'lsp_ros.nodes.graph_probe', namespace, *speech],
            env=environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def seen(self) -> dict:
        """'sources': how many publish the namespace's audio; 'heard': its audio_in took the sound file `speech`."""
        try:
            said, trouble = self.process.communicate()
        finally:
            self.process.kill()
        if self.process.returncode:
            raise GraphError(
                f'ROS 2 does not work here: {" ".join(trouble.split()[-30:])} (status {self.process.returncode})'
            )
        return json.loads(said.splitlines()[-1])


def check_alone(visitor: Visitor) -> None:
    """Raises GraphError where an avatar speaks in that namespace already."""
    if visitor.seen()['sources']:
        home = visitor.namespace
        raise GraphError(
            f'An avatar runs in {home} already ({home}/audio has a publisher): end it, or give this one '
            "another --namespace; if it is on somebody else's machine, another ROS_DOMAIN_ID."
        )


def clear_shared_memory(folder: Path = SHARED_MEMORY) -> None:
    """Removes the segments of Fast DDS, 34 MB each, whose processes are dead.

    As long as one node lives, it does so itself for the others; of nodes that were all killed, everything stays. Each
    process holds a lock on a file beside its segment, which goes with it.
    """
    for lock in folder.glob('fast*_el'):
        segment = lock.with_name(lock.name.removesuffix('_el'))
        with contextlib.suppress(OSError), open(lock, 'rb') as file:
            if '_port' in lock.name or time.time() - lock.stat().st_mtime < SECONDS_TO_BE_LOCKED:
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where its process lives
            segment.unlink(missing_ok=True)
            lock.unlink()


def end(children: list[Child], seconds: float = SECONDS_TO_END) -> None:
    """Asks the nodes to end, waits, and kills what does not; at a second Ctrl-C at once."""
    running = [child.process for child in children if child.process and child.process.poll() is None]
    try:
        for process in running:
            process.terminate()  # not SIGINT: a Python that is still importing would answer with a traceback
        deadline = time.monotonic() + seconds
        while running and time.monotonic() < deadline:
            time.sleep(0.02)
            running = [process for process in running if process.poll() is None]
    finally:
        for process in running:
            process.kill()
            process.wait()
