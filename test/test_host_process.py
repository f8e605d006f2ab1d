"""A Portrait is a guest in somebody else's program: it leaves the process as it found it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / 'host_program.py'


def changes(avatar: Path, what: str) -> dict[str, list]:
    """{what of the process has changed: [before, after]} by using the avatar, in a program of its own."""
    # Two threads wherever there is a choice, so that a limit shows on any machine.
    threads = dict.fromkeys(('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'), '2')
    ran = subprocess.run(
        [sys.executable, PROGRAM, avatar, what], env={**os.environ, **threads}, text=True, capture_output=True
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize('what', ['stages', 'openvino', 'torch'])
def test_the_process_stays_as_it_was(tiny_avatar, what):
    assert changes(tiny_avatar, what) == {}
