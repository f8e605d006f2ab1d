"""Shared memory of any size, and a network or none: the nodes get what fits, and it is said what is missing."""

import os
import re
import struct
from types import SimpleNamespace

import pytest

from lsp_ros.graph import dds_profile as module
from lsp_ros.graph.dds_profile import VARIABLE, dds_profile, has_network
from lsp_ros.graph.environment import environment
from lsp_ros.graph.supervisor import Graph, GraphError
from lsp_ros.nodes.process import use_shipped_profile

MIB = 2**20


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """``machine(size, free)``: shared memory in MiB."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv('LSP_CACHE_DIR', str(tmp_path / 'cache'))

    def give(size, free=None):
        found = SimpleNamespace(f_frsize=MIB, f_blocks=size, f_bavail=size if free is None else free)
        monkeypatch.setattr(module.os, 'statvfs', lambda _: found)

    return give


def written(profile):
    with open(profile.environment[VARIABLE]) as file:
        return file.read()


@pytest.mark.parametrize(
    ('size', 'segment'), [(24_000, 32), (512, 32), (246, 16), (128, 16), (123, 8), (64, 8), (61, 4), (32, 4)]
)
def test_segments_fit_into_what_is_there(machine, size, segment):
    machine(size)
    profile = dds_profile()
    text = written(profile)
    assert int(re.search(r'<segment_size>(\d+)<', text)[1]) == segment * MIB
    assert segment * 7 < size
    used = text.split('<userTransports>')[1].split('</userTransports>')[0]
    assert 'shared_memory' in used and 'network' in used
    if segment == 32:
        assert not profile.finding
    else:
        assert f'has {size} MB: pictures get {segment} MB' in profile.finding and '--shm-size=512m' in profile.finding


def test_where_there_is_too_little_pictures_go_by_the_network_and_it_is_said(machine):
    for size, free in ((16, 16), (0, 0), (512, 1)):  # the last is full
        machine(size, free)
        profile = dds_profile()
        used = written(profile).split('<userTransports>')[1].split('</userTransports>')[0]
        assert 'shared_memory' not in used and 'network' in used
        assert f'has {size} MB, too few for pictures' in profile.finding and profile.possible


def test_a_node_that_is_started_again_finds_as_much_as_the_first(machine):
    machine(512, 512 - 5 * 34)
    assert not dds_profile().finding


def test_without_a_network_a_graph_and_a_node_end_at_once_with_the_cause(machine, monkeypatch):
    machine(512)
    assert has_network()
    down = struct.pack('16sH22x', b'lo', 0x8)  # IFF_LOOPBACK, and not IFF_UP
    monkeypatch.setattr(module.fcntl, 'ioctl', lambda *_: down)
    assert not has_network()
    with pytest.raises(GraphError, match='No network interface is up.* ip link set lo up'):
        Graph({'audio_source': {}}).run()
    with pytest.raises(ValueError, match='No network interface is up'):
        use_shipped_profile()


def test_where_interfaces_cannot_be_asked_for_there_may_be_one(monkeypatch):
    def refused(*_):
        raise PermissionError

    monkeypatch.setattr(module.fcntl, 'ioctl', refused)
    assert has_network()


def test_a_profile_of_the_users_own_stays(machine, monkeypatch):
    machine(16)
    monkeypatch.setenv(VARIABLE, '/their/own.xml')
    assert not dds_profile().environment and not dds_profile().finding
    assert environment()[VARIABLE] == '/their/own.xml'


def test_a_home_that_cannot_be_written_to_is_no_hindrance(machine, tmp_path, monkeypatch):
    machine(64)
    (tmp_path / 'file').touch()
    monkeypatch.setenv('LSP_CACHE_DIR', str(tmp_path / 'file'))
    assert os.path.basename(dds_profile().environment[VARIABLE]) == 'fastdds.xml'


def test_nodes_are_given_what_their_graph_chose(machine):
    machine(64)
    assert environment()[VARIABLE].endswith('segment_8.xml')
