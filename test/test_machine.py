"""Figures can be quoted with the machine that they were measured on."""

import subprocess
import sys

import pytest

from lsp_ros.machine import QUICK_INSTRUCTIONS, instructions, processor


def test_the_processor_has_a_name_that_fits_into_a_heading():
    name = processor()
    assert name and name == name.strip() and len(name.splitlines()) == 1


def test_the_instructions_are_those_that_the_system_names():
    with open('/proc/cpuinfo') as told:
        flags = set(told.read().split())
    assert set(instructions()) == flags & set(QUICK_INSTRUCTIONS)


@pytest.mark.slow
def test_naming_the_machine_loads_nothing_that_would_disturb_a_measurement():
    """A benchmark sets the number of threads before NumPy is first imported."""
    code = 'import sys, lsp_ros.machine; sys.exit(any(name in sys.modules for name in ("numpy", "torch", "rclpy")))'
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 0
