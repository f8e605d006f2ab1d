"""The live graph as child processes, for machines without ``ros2 launch``; no ROS in this process.

A node that dies, or that somebody else ended, is started again. Ctrl-C, SIGTERM or SIGHUP to this process, or a node
that says that it has finished its work, ends them all; none outlives this process, even when it is killed.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import yaml

from lsp_ros.graph import process_lifetime
from lsp_ros.graph.configuration import Value
from lsp_ros.graph.dds_profile import dds_profile
from lsp_ros.graph.environment import check_installed, environment
from lsp_ros.graph.errors import GraphError
from lsp_ros.graph.policy import RestartPolicy, Verdict
from lsp_ros.graph.probe import GraphProbe
from lsp_ros.graph.reservation import reserved
from lsp_ros.graph.shared_memory import clear_shared_memory

SECONDS_TO_STAND_BY = 20.0
"""After a node's start: the start of the graph, or of a node in trouble, has the cores to itself."""
SECONDS_TO_END = 15.0  # a player may have a film to finish


@dataclass
class Child:
    """One node's process."""

    name: str
    command: list[str]
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    process: subprocess.Popen[bytes] | None = None
    restart_at: float | None = None
    restarts: int = 0
    last_end: str = ''
    standby: subprocess.Popen[bytes] | None = None
    standby_at: float = 0.0

    def let_begin(self) -> None:
        """To a node that was started waiting: it need not wait any longer."""
        if self.process and self.process.stdin:
            self.process.stdin.close()


@dataclass
class Graph:
    """Nodes of the live graph with their parameters.

    parameters   {node name: {parameter: value}}; the nodes named here are started
    namespace    of all nodes and topics
    params_file  a ROS parameter file that goes before ``parameters``
    remappings   {topic: topic}, for every node
    standby      nodes for each of which a second process has everything loaded, to take over from one that died
    output       a file that takes what the nodes print; None: this terminal
    tell         called with a sentence when a node is started again
    """

    parameters: dict[str, dict[str, Value]]
    namespace: str = '/avatar'
    params_file: Path | None = None
    remappings: Mapping[str, str] = field(default_factory=dict)
    standby: tuple[str, ...] = ()
    output: Path | None = None
    tell: Callable[[str], None] = lambda sentence: print(sentence, file=sys.stderr)
    children: list[Child] = field(default_factory=list, init=False)

    @property
    def processes(self) -> dict[str, int]:
        """Process numbers of the nodes that run, by name; for who watches them."""
        return {
            child.name: child.process.pid for child in self.children if child.process and child.process.poll() is None
        }

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
        profile = dds_profile()
        if not profile.possible:
            raise GraphError(profile.finding)
        if profile.finding:
            self.tell(profile.finding)
        speaks = 'audio_source' in self.parameters
        with contextlib.ExitStack() as stack:
            if speaks:
                stack.enter_context(reserved(self.namespace))
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='lsp_graph_'))
            self._settings = Path(folder) / 'parameters.yaml'
            output = stack.enter_context(open(self.output, 'ab')) if self.output else None
            children = self.children = [Child(name, self._command(name)) for name in self.parameters]
            probe = None
            try:
                # Looking takes a second, in which the nodes load: they wait behind it, unseen by anybody.
                probe = GraphProbe(self.namespace) if look and speaks else None
                for child in children:
                    self._start(child, output, waiting=probe is not None)
                if probe:
                    probe.check_alone()
                    for child in children:
                        child.let_begin()
                while not any(self._finished(child, output) for child in children):
                    watch()
                    time.sleep(0.1)
            finally:
                if probe:
                    probe.end()
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

    def _start(self, child: Child, output: IO[bytes] | None, waiting: bool = False) -> None:
        self._write_settings()
        now = time.monotonic()
        variables = process_lifetime.restart_variables(child.restarts, child.last_end) if child.restarts else {}
        if not self._take_over(child, variables):
            child.process = self._popen(child, output, waiting, variables)
        child.policy.started(now)
        child.restart_at = None
        child.standby_at = now + SECONDS_TO_STAND_BY

    def _popen(
        self, child: Child, output: IO[bytes] | None, waiting: bool, variables: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        variables = variables | ({process_lifetime.WAITING: '1'} if waiting else {})
        # A session of its own: Ctrl-C reaches the nodes through us, once, and not through the terminal as well.
        return subprocess.Popen(
            child.command,
            env=environment() | variables,
            stdout=output,
            stderr=output,
            stdin=subprocess.PIPE if waiting else subprocess.DEVNULL,
            start_new_session=True,
        )

    def _take_over(self, child: Child, variables: dict[str, str]) -> bool:
        """Whether a process that stood by is the node from now on."""
        standby, child.standby = child.standby, None
        if standby is None or standby.stdin is None or standby.poll() is not None:
            return False
        try:
            standby.stdin.write(''.join(f'{name}={value}\n' for name, value in variables.items()).encode())
            standby.stdin.close()
        except OSError:  # it died this moment
            return False
        child.process = standby
        return True

    def _stand_by(self, child: Child, output: IO[bytes] | None, now: float) -> None:
        """See that a node which is needed at once has a process that stands by."""
        if child.name not in self.standby or now < child.standby_at:
            return
        if child.standby is None or child.standby.poll() is not None:
            child.standby_at = now + SECONDS_TO_STAND_BY
            values = {process_lifetime.PREPARE: json.dumps(self.parameters[child.name])}
            child.standby = self._popen(child, output, True, values)

    def _finished(self, child: Child, output: IO[bytes] | None) -> bool:
        """Sees after one node; True when it has finished its work."""
        now = time.monotonic()
        if child.restart_at is not None:
            if now >= child.restart_at:
                self._start(child, output)
            return False
        status = child.process.poll() if child.process else None
        if status is None:
            self._stand_by(child, output, now)
            return False
        decision = child.policy.ended(status, now)
        if decision.verdict is Verdict.GIVE_UP:
            raise GraphError(f'The node {child.name} {decision.how}, {decision.failures} times in a row.')
        if decision.verdict is Verdict.RESTART:
            when = f' in {decision.seconds:g} s' if decision.seconds else ''
            self.tell(f'The node {child.name} {decision.how}; it is started again{when}.')
            child.restarts += 1
            child.last_end = decision.how
            if not decision.seconds:
                self._start(child, output)
            else:
                child.restart_at = now + decision.seconds
        return decision.verdict is Verdict.FINISH


def end(children: list[Child], seconds: float = SECONDS_TO_END) -> None:
    """Asks the nodes to end, waits, and kills what does not; at a second Ctrl-C at once."""
    started = [process for child in children for process in (child.process, child.standby) if process]
    running = [process for process in started if process.poll() is None]
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
