"""One avatar in one namespace: on one machine that is certain, however busy the machine is.

Looking for another avatar through DDS takes as long as it takes, and on a busy machine longer than anybody waits. So a
graph that speaks holds a name that the kernel gives to one process only, as long as that process lives: a socket of
Linux's abstract namespace. Graphs of other machines and of ROS's own launch are seen through DDS alone (``probe``).
"""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

from lsp_ros.graph.errors import GraphError
from lsp_ros.storage import sha256


@contextlib.contextmanager
def reserved(namespace: str) -> Iterator[None]:
    """Holds a ROS namespace of this machine and ROS domain; GraphError where another graph holds it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as holder:
        try:
            holder.bind(_address(namespace))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise namespace_in_use(namespace, 'on this machine') from None
            # A sandbox without sockets: what DDS shows has to do.
        yield


def is_reserved(namespace: str) -> bool:
    """Whether a graph that was started on this machine holds that namespace: it runs, or is about to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        try:
            client.connect(_address(namespace))
        except OSError:
            return False
        return True


def namespace_in_use(namespace: str, evidence: str) -> GraphError:
    """The error that says that an avatar speaks in that namespace already, and what to do."""
    return GraphError(
        f'An avatar runs in {namespace} already ({evidence}): end it, or give this one '
        "another --namespace; if it is on somebody else's machine, another ROS_DOMAIN_ID."
    )


def _address(namespace: str) -> str:
    domain = os.environ.get('ROS_DOMAIN_ID', '').strip() or '0'
    name = sha256(f'{domain} {namespace}')[:32]  # an address has room for 107 letters
    return f'\0lsp_ros.{name}'
