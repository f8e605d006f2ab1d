"""Real node processes, and a node in the test process that talks to them.

Every test has a namespace of its own. Time-outs are generous: they end a test that would hang, they measure nothing.
"""

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor

from lsp_ros.nodes.qos import AUDIO_QOS

PATIENCE = 120.0
namespaces = (f'/t{number}' for number in itertools.count())


class Process:
    """One node in a process of its own."""

    def __init__(
        self, name: str, namespace: str, log: Path, parameters: dict, environment: dict | None, remappings: dict
    ):
        self.name, self.log = name, log
        command = [sys.executable, '-m', f'lsp_ros.nodes.{name}', '--ros-args', '-r', f'__ns:={namespace}']
        for topic, target in remappings.items():
            command += ['-r', f'{topic}:={target}']
        for key, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ['-p', f'{key}:={text}'] if text else ['-p', f"{key}:=''"]
        with open(log, 'ab') as out:
            self.popen = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)

    def said(self) -> str:
        return self.log.read_text()

    def wait(self) -> int:
        return self.popen.wait(timeout=PATIENCE)

    def kill(self) -> None:
        """Without any chance to clean up."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()

    def end(self, number: int = signal.SIGINT) -> int:
        """As Ctrl-C does; the exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.wait()


class Graph:
    """Starts nodes and listens to them, within one namespace."""

    def __init__(self, folder: Path):
        self.namespace = next(namespaces)
        self.folder = folder
        self.processes: list[Process] = []
        self.node = rclpy.create_node('probe', namespace=self.namespace)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 100)

    def start(
        self, name: str, environment: dict | None = None, remappings: dict | None = None, **parameters
    ) -> Process:
        """A node with these parameters, in the test's own environment unless another one is given."""
        process = Process(name, self.namespace, self.folder / f'{name}.log', parameters, environment, remappings or {})
        self.processes.append(process)
        return process

    def publisher(self, message_type, topic: str, qos=AUDIO_QOS):
        publisher = self.node.create_publisher(message_type, topic, qos)
        self.until(lambda: publisher.get_subscription_count() > 0, f'nobody listens to {topic}')
        return publisher

    def collect(self, message_type, topic: str, qos=AUDIO_QOS) -> list:
        """The list that the topic's messages will be added to."""
        got = []
        self.node.create_subscription(message_type, topic, got.append, qos)
        return got

    def until(self, condition: Callable[[], object], otherwise: str, patience: float = PATIENCE):
        """Spin until the condition is true; what it returned."""
        deadline = time.monotonic() + patience
        while not (result := condition()):
            assert time.monotonic() < deadline, f'{otherwise}\n{self.logs()}'
            for process in self.processes:
                assert process.popen.poll() in (None, 0, -signal.SIGKILL), f'{process.name} ended\n{self.logs()}'
            self.executor.spin_once(timeout_sec=0.05)
        return result

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)

    def until_active(self, node: str) -> None:
        """Before that a node leaves out what it hears."""
        self.until(lambda: self.diagnostics.get(node, {}).get('state') == 'active', f'{node} is not active')

    def counted(self, node: str, counter: str) -> int:
        """What a node's diagnostics count."""
        return int(self.diagnostics.get(node, {}).get(counter, 0))

    def until_counted(self, node: str, counter: str, least: int = 1) -> None:
        self.until(lambda: self.counted(node, counter) >= least, f'{node} did not count {least} {counter}')

    def logs(self) -> str:
        return '\n'.join(f'--- {process.name}\n{process.said()}' for process in self.processes)

    def close(self) -> None:
        for process in self.processes:
            if process.popen.poll() is None:
                process.popen.send_signal(signal.SIGINT)
        statuses = []
        try:
            for process in self.processes:
                statuses.append((process.name, process.wait()))
        finally:
            for process in self.processes:
                process.popen.kill()
            self.executor.shutdown()
            self.node.destroy_node()
        assert 'Traceback' not in self.logs(), self.logs()
        allowed = (0, 1, -signal.SIGKILL)
        assert all(status in allowed for _, status in statuses), f'{statuses}\n{self.logs()}'

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self.namespace.lstrip('/') + '/'):
                self.diagnostics[status.name.rpartition('/')[2]] = {item.key: item.value for item in status.values}


@pytest.fixture
def graph(ros, tmp_path):
    made = Graph(tmp_path)
    yield made
    made.close()
