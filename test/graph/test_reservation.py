"""One avatar in one namespace of one machine, certain at once."""

import signal
import subprocess
import sys

import pytest

from lsp_ros.graph.errors import GraphError
from lsp_ros.graph.reservation import is_reserved, reserved

HOLD = """
import subprocess, sys, time
from lsp_ros.graph.reservation import reserved
with reserved('/held'):
    child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)
    print('held', flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def domain_of_its_own(monkeypatch, request):
    monkeypatch.setenv('ROS_DOMAIN_ID', f'test {request.node.name}')


def test_a_namespace_is_held_once():
    assert not is_reserved('/a')
    with reserved('/a'):
        assert is_reserved('/a') and not is_reserved('/b')
        with pytest.raises(GraphError, match='An avatar runs in /a already .*--namespace.*ROS_DOMAIN_ID'):
            with reserved('/a'):
                pass
        with reserved('/b'):
            assert is_reserved('/b')
    assert not is_reserved('/a') and not is_reserved('/b')
    with reserved('/a'):
        pass


def test_another_domain_is_another_network(monkeypatch):
    with reserved('/a'):
        monkeypatch.setenv('ROS_DOMAIN_ID', 'another')
        assert not is_reserved('/a')
        with reserved('/a'):
            pass


def test_no_domain_is_domain_0(monkeypatch):
    monkeypatch.delenv('ROS_DOMAIN_ID')
    with reserved('/no_domain_is_domain_0'):
        monkeypatch.setenv('ROS_DOMAIN_ID', '0')
        assert is_reserved('/no_domain_is_domain_0')


@pytest.mark.slow
def test_a_killed_holder_holds_nothing_nor_do_the_processes_that_it_started():
    holder = subprocess.Popen([sys.executable, '-c', HOLD], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == 'held\n'
        assert is_reserved('/held')
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert not is_reserved('/held')
