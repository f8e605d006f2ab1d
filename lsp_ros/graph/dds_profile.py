"""The Fast DDS profile for this machine: pictures go through shared memory, as much of it as there is.

Fast DDS takes a segment of one size for each process, and where it does not get it, goes by the network
without a word. And it finds nobody through a network that is not there. So both are looked at before
a node starts.
"""

import fcntl
import os
import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from lsp_ros.graph.shared_memory import SHARED_MEMORY
from lsp_ros.rendering.engines.cache import cache_folder
from lsp_ros.resources import shipped_file
from lsp_ros.storage import write_file

VARIABLE = 'FASTDDS_DEFAULT_PROFILES_FILE'
SIOCGIFFLAGS, IFF_UP = 0x8913, 1  # sockios.h, if.h
MIB = 2**20
SEGMENTS = (32, 16, 8, 4)
"""MiB; the shipped profile has the first. The last holds five pictures: a smaller one is no longer of use."""
PROCESSES = 7
"""That share the memory: five nodes, one that is being restarted, and one that watches."""
BESIDE = 1.1
"""Of a segment: what Fast DDS keeps beside it (ports, locks, its tables)."""


@dataclass(frozen=True)
class DdsProfile:
    """How the nodes of this machine reach one another.

    environment  variables that a node's process needs, read when its first ROS node is made
    finding      a sentence on what is missing and what that costs; empty where nothing is
    possible     False: no node will find another
    """

    environment: dict[str, str]
    finding: str = ''
    possible: bool = True


def dds_profile(shared_memory: Path = SHARED_MEMORY) -> DdsProfile:
    """What suits this machine now; nothing where the user has a profile of their own, or ours was not installed."""
    if os.environ.get(VARIABLE):
        return DdsProfile({})
    try:
        shipped = shipped_file('config', 'fastdds.xml')
    except FileNotFoundError:
        return DdsProfile({})
    if not has_network():
        return DdsProfile(
            {},
            'No network interface is up, not even lo, through which the nodes find one another: no picture would come. '
            'Bring it up: ip link set lo up',
            possible=False,
        )
    room, segment = _room(shared_memory)
    if segment == SEGMENTS[0]:
        return DdsProfile({VARIABLE: str(shipped)})
    more = f'give at least {round(SEGMENTS[0] * BESIDE * PROCESSES)} MB (docker run --shm-size=512m)'
    if not segment:
        return DdsProfile(
            {VARIABLE: str(_written(shipped, 0))},
            f'{shared_memory} has {room} MB, too few for pictures: they go through the network stack, which takes '
            f'several times as long and loses some; {more}.',
        )
    return DdsProfile(
        {VARIABLE: str(_written(shipped, segment))},
        f'{shared_memory} has {room} MB: pictures get {segment} MB of it for each node instead of {SEGMENTS[0]}, and a '
        f'subscriber that falls behind by {segment * MIB // (3 * 512 * 512) // 2} pictures loses some; {more}.',
    )


def has_network() -> bool:
    """Whether an interface is up, be it lo; True where that cannot be asked.

    Asked of the kernel and not read from /sys, which may show those of another network namespace.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            for _, name in socket.if_nameindex():
                answer = fcntl.ioctl(asked, SIOCGIFFLAGS, struct.pack('40s', name.encode()[:15]))
                if struct.unpack_from('H', answer, 16)[0] & IFF_UP:
                    return True
    except OSError:
        return True
    return False


def _room(folder: Path) -> tuple[int, int]:
    """MiB of shared memory, and the segment in MiB that each process can have; 0 for none.

    By the whole, not by what is free: a node that is started again must not find less because the others run.
    """
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0, 0
    whole, free = (blocks * found.f_frsize / MIB for blocks in (found.f_blocks, found.f_bavail))
    fitting = [size for size in SEGMENTS if size * BESIDE * PROCESSES <= whole and size * BESIDE <= free]
    return round(whole), fitting[0] if fitting else 0


def _written(shipped: Path, segment: int) -> Path:
    """The shipped profile with a segment of another size (MiB), or without shared memory at all; kept in the cache."""
    text = shipped.read_text()
    if segment:
        text = re.sub(r'<segment_size>\d+<', f'<segment_size>{segment * MIB}<', text)
    else:
        used = text.split('<userTransports>')[1].split('</userTransports>')[0]
        text = text.replace(used, re.sub(r'\s*<transport_id>shared_memory</transport_id>', '', used))
    path = cache_folder() / 'fastdds' / f'segment_{segment}.xml'
    try:
        if not path.is_file() or path.read_text() != text:
            write_file(path, text)
    except OSError:  # a home that cannot be written to
        return shipped
    return path
