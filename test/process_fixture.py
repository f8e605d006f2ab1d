"""No process outlives the tests: one that does speaks into the next tests, and takes their processor time."""

import os
import time
from collections.abc import Iterator

import psutil
import pytest

MARK = 'LSP_TEST_RUN'
SECONDS_TO_END = 20.0  # what was asked to end last may still be at it


def processes_of(run: str) -> list[psutil.Process]:
    """The processes of lsp_ros that this run started, by what they inherited; not those that are dead."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.pid != os.getpid()
                and process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(MARK) == run
                and any('lsp_ros' in word for word in process.cmdline()[1:])
            ):
                found.append(process)
        except psutil.Error:  # gone meanwhile, or somebody else's
            continue
    return found


def left_over(run: str, seconds: float = SECONDS_TO_END) -> list[str]:
    """What still runs after some seconds, as its command lines; it is ended."""
    deadline = time.monotonic() + seconds
    while (found := processes_of(run)) and time.monotonic() < deadline:
        time.sleep(0.2)
    commands = []
    for process in found:
        try:
            commands.append(' '.join(process.cmdline()))
            process.kill()
        except psutil.Error:
            continue
    return commands


@pytest.fixture(scope='session', autouse=True)
def no_process_outlives_the_tests() -> Iterator[None]:
    yield
    commands = left_over(os.environ[MARK])
    assert not commands, f'tests left processes behind: {commands}'
