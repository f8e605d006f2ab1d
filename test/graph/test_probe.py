"""A look at graphs that nobody has reserved a namespace for: those of ROS's own launch, or of other machines."""

import contextlib
import os
import subprocess
import sys

import psutil
import pytest
from lsp_process import PATIENCE, with_ros

from lsp_ros.graph import supervisor
from lsp_ros.graph.environment import environment
from lsp_ros.graph.errors import GraphError
from lsp_ros.graph.probe import GraphProbe, NamespaceState
from lsp_ros.graph.reservation import reserved
from lsp_ros.graph.supervisor import Graph

NAMESPACE = f'/probed_{os.getpid()}'
SILENCE = {'audio_source': {'source': 'silence'}}


@pytest.fixture
def audio_source():
    """One that no graph of ours has started."""
    command = [sys.executable, '-m', 'lsp_ros.nodes.audio_source', '--ros-args', '-r', f'__ns:={NAMESPACE}']
    process = subprocess.Popen([*command, '-p', 'source:=silence'], env=environment())
    yield process
    process.terminate()
    process.wait(timeout=PATIENCE)


@pytest.mark.slow
@with_ros
def test_an_avatar_that_runs_is_seen_and_no_other_is_started_beside_it(audio_source, tmp_path, monkeypatch):
    assert GraphProbe(NAMESPACE, seconds=PATIENCE).seen() == NamespaceState(sources=1, heard=False)
    with pytest.raises(GraphError, match=f'An avatar runs in {NAMESPACE} already .*has a publisher'):
        GraphProbe(NAMESPACE, seconds=PATIENCE).check_alone()
    # A busy machine may take longer to see it than a graph that starts looks for it.
    monkeypatch.setattr(supervisor, 'GraphProbe', lambda namespace: GraphProbe(namespace, seconds=PATIENCE))
    graph = Graph(SILENCE, NAMESPACE, output=tmp_path / 'log')
    with pytest.raises(GraphError, match='has a publisher'):
        graph.run()
    assert not graph.processes
    assert '[INFO]' not in (tmp_path / 'log').read_text()  # it loads meanwhile, but does not come into the graph


@pytest.mark.slow
@with_ros
def test_where_nobody_speaks_nobody_is_seen():
    assert GraphProbe('/nobody').seen() == NamespaceState(sources=0, heard=False)


@with_ros
def test_where_a_graph_of_this_machine_runs_no_node_is_started(tmp_path):
    with reserved(NAMESPACE):
        graph = Graph(SILENCE, NAMESPACE, output=tmp_path / 'log')
        with pytest.raises(GraphError, match=f'An avatar runs in {NAMESPACE} already .*on this machine'):
            graph.run()
    assert not graph.children and not (tmp_path / 'log').exists()


@pytest.mark.slow
@with_ros
def test_a_look_ends_with_who_asked():
    program = (
        'import os, signal; from lsp_ros.graph.probe import GraphProbe; '
        f'print(GraphProbe({NAMESPACE!r}, seconds=600)._process.pid, flush=True); signal.pause()'
    )
    with subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout
        probe = psutil.Process(int(asking.stdout.readline()))
        asking.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        probe.wait(timeout=PATIENCE)
