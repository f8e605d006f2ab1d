"""OpenVINO is imported without reporting to its makers, and the program around finds its modules as they were."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

FAKE = """
class Telemetry:
    def __init__(self, **options):
        print('reports')

    def send_event(self, *values, **options):
        print('reports')
"""
GRAPH = """
import numpy as np
from lsp_ros.openvino_graph import Compiled

def build(streams):
    import openvino
    import openvino.opset13 as op

    x = op.parameter([streams, 4], np.float32)
    return openvino.Model([op.result(op.relu(x))], [x], 'small')

Compiled(build)(1, np.zeros((1, 4), np.float32))
"""
NNCF = """
from lsp_ros.openvino_import import without_reports
with without_reports():
    import nncf
from nncf.telemetry import telemetry
telemetry.send_event('import', 'import')
"""


@pytest.fixture
def environment(tmp_path):
    """One in which the reporting package is there and prints what it is asked to send."""
    package = tmp_path / 'openvino_telemetry'
    (package / 'backend').mkdir(parents=True)
    (package / '__init__.py').write_text(FAKE)
    (package / 'backend' / '__init__.py').write_text('')
    (package / 'backend' / 'backend_ga4.py').write_text('')
    return {**os.environ, 'PYTHONPATH': os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}


def ran(program: str, environment: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, '-c', program], env=environment, check=True, text=True, capture_output=True
    ).stdout


def test_left_alone_openvino_reports(environment):
    assert 'reports' in ran('import openvino', environment)


@pytest.mark.parametrize(
    'program', ['import lsp_ros.rendering.engines.openvino', 'from lsp_ros.openvino_graph import core; core()', GRAPH]
)
def test_by_us_it_does_not(environment, program):
    assert 'reports' not in ran(program, environment)


def test_nor_does_nncf(environment):
    pytest.importorskip('nncf')
    assert 'reports' not in ran(NNCF, environment)


@pytest.mark.parametrize('before', ['', 'import openvino_telemetry, openvino_telemetry.backend\n'])
def test_the_modules_of_the_program_around_stay(environment, before):
    program = (
        f'import sys\n{before}'
        'named = lambda: {name: part for name, part in sys.modules.items() if name.startswith("openvino_telemetry")}\n'
        'there = named()\n'
        'import lsp_ros, lsp_ros.openvino_import\n'
        'assert named() == there, named()\n'
        'import openvino_telemetry.backend.backend_ga4\n'
        'print("found")\n'
    )
    assert ran(program, environment) == 'found\n'
