"""Processes that stand by, with a program in place of a node."""

import os
import signal
import sys
import time

import pytest

from lsp_ros.graph import supervisor
from lsp_ros.graph.supervisor import Graph

NODE = """
import os, signal, sys
from pathlib import Path
from lsp_ros.graph.process_lifetime import end_with_parent, parameters_to_prepare, restarts, wait_for_start
end_with_parent()
folder = Path(sys.argv[1])
if (parameters := parameters_to_prepare()) is not None:
    (folder / f'standby_{os.getpid()}').write_text(str(parameters['seed']))
wait_for_start()
(folder / 'running').write_text(f'{os.getpid()} {restarts()}')
signal.pause()
"""
PATIENCE = 120.0


def test_who_stands_by_takes_over_at_once_and_nobody_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, 'check_installed', lambda: None)
    monkeypatch.setattr(supervisor, 'SECONDS_TO_STAND_BY', 0.0)
    told = []
    graph = Graph({'motion': {'seed': 5}}, standby=('motion',), tell=told.append)
    monkeypatch.setattr(graph, '_command', lambda name: [sys.executable, '-c', NODE, str(tmp_path)])
    running, killed = tmp_path / 'running', []
    deadline = time.monotonic() + PATIENCE

    def watch():
        assert time.monotonic() < deadline
        standing_by = {int(path.name.rpartition('_')[2]) for path in tmp_path.glob('standby_*')} - set(killed)
        if not running.exists() or not standing_by:
            return
        text = running.read_text()
        if not text:
            return
        number, _, how = text.partition(' ')
        if not killed:
            assert not {int(number)} & standing_by and how == "(0, '')"
            assert all(path.read_text() in ('', '5') for path in tmp_path.glob('standby_*'))
            killed.extend([int(number), *standing_by])
            os.kill(int(number), signal.SIGKILL)
        elif int(number) != killed[0]:
            assert int(number) in killed and how == "(1, 'was killed by signal 9')"
            killed.extend(standing_by)  # another one stands by now
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        graph.run(watch, look=False)
    assert told == ['The node motion was killed by signal 9; it is started again.']
    for number in killed:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_a_graph_that_wants_none_has_nobody_standing_by(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, 'check_installed', lambda: None)
    monkeypatch.setattr(supervisor, 'SECONDS_TO_STAND_BY', 0.0)
    graph = Graph({'motion': {'seed': 5}})
    monkeypatch.setattr(graph, '_command', lambda name: [sys.executable, '-c', NODE, str(tmp_path)])
    looks = []

    def watch():
        looks.append((tmp_path / 'running').exists())
        if looks.count(True) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        graph.run(watch, look=False)
    assert not list(tmp_path.glob('standby_*'))
