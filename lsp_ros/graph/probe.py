"""A look from outside at what runs in a namespace, and a word to it; no ROS in this process."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lsp_ros.graph.environment import environment
from lsp_ros.graph.errors import GraphError
from lsp_ros.graph.reservation import namespace_in_use


@dataclass(frozen=True)
class NamespaceState:
    """What a probe saw of a namespace.

    sources  how many publish the namespace's ``audio``
    heard    an audio source took the sound file from its ``audio_in``
    """

    sources: int
    heard: bool


class GraphProbe:
    """A look at a namespace, begun at once in a process of its own (``lsp_ros.nodes.graph_probe``).

    speech   a sound file to speak to the namespace's ``audio_in``; None: only look
    seconds  to look for a source; None: as long as it usually takes
    """

    def __init__(self, namespace: str, speech: Path | None = None, seconds: float | None = None) -> None:
        self.namespace = namespace
        command = [sys.executable, '-m', 'lsp_ros.nodes.graph_probe', namespace]
        command += ['--speech', str(speech)] if speech else []
        command += ['--seconds', str(seconds)] if seconds is not None else []
        self._process = subprocess.Popen(
            command,
            env=environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def seen(self) -> NamespaceState:
        """Waits for the answer. GraphError where ROS 2 does not work."""
        try:
            answer, errors = self._process.communicate()
        finally:
            self.end()
        if self._process.returncode:
            raise GraphError(
                f'ROS 2 does not work here: {" ".join(errors.split()[-30:])} (status {self._process.returncode})'
            )
        return NamespaceState(**json.loads(answer.splitlines()[-1]))

    def end(self) -> None:
        """Ends the look, answered or not."""
        self._process.kill()
        self._process.wait()

    def check_alone(self) -> None:
        """Waits for the answer. GraphError where an avatar speaks in the namespace."""
        if self.seen().sources:
            raise namespace_in_use(self.namespace, f'{self.namespace}/audio has a publisher')
