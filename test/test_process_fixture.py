"""The tests' own look at what they leave behind."""

import os
import subprocess
import sys

import pytest
from process_fixture import MARK, left_over, processes_of

SLEEPS = 'import time; print(flush=True); time.sleep(600)'


@pytest.mark.slow
def test_a_process_that_outlives_its_test_is_named_and_ended():
    run = 'a run of its own'
    command = [sys.executable, '-c', SLEEPS, 'lsp_ros']
    ours, another = (
        subprocess.Popen(command, env={**os.environ, MARK: mark}, stdout=subprocess.PIPE, start_new_session=True)
        for mark in (run, 'another')
    )
    try:
        for process in (ours, another):
            process.stdout.readline()
        assert [process.pid for process in processes_of(run)] == [ours.pid]
        (said,) = left_over(run, seconds=0)
        assert 'lsp_ros' in said and ours.wait(60) and another.poll() is None
    finally:
        for process in (ours, another):
            process.kill()
            process.wait()
            process.stdout.close()
    assert not left_over(run, seconds=0)
