"""What every test may use. Fixtures live in plug-in files beside this one."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

# Read when NumPy and torch are first imported: more threads only spin, on cores that other tests need.
os.environ['OPENBLAS_NUM_THREADS'] = os.environ['OMP_NUM_THREADS'] = '1'

# nohup has SIGHUP ignored, which the processes whose answer to it is tested would inherit.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# ROS reads these when rclpy starts, and processes that tests start inherit them.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 101)  # test runs side by side do not hear one another
os.environ['ROS_PYTHON_CHECK_FIELDS'] = '1'  # rclpy then refuses arrays of a wrong length
os.environ.setdefault('ROS_LOG_DIR', tempfile.mkdtemp(prefix='lsp_ros_test_log_'))
if Path(sys.prefix, 'share', 'ament_index').is_dir():  # the ROS wheels do not set this, an apt install does
    prefixes = [sys.prefix, *os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)]
    os.environ['AMENT_PREFIX_PATH'] = os.pathsep.join(dict.fromkeys(filter(None, prefixes)))

# No test depends on the clock, and in CI a run is the same as the last.
settings.register_profile(
    'lsp_ros', deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize='CI' in os.environ
)
settings.load_profile('lsp_ros')

# What a test starts, and what that starts, inherits this: so a process that outlives its test is known by it.
os.environ['LSP_TEST_RUN'] = f'{os.getpid()}-{time.monotonic_ns()}'

pytest_plugins = ['avatar_fixture', 'ros_fixture', 'process_fixture']

TESTS = Path(__file__).parent
# Whole graphs of processes: one at a time, also where two workers run the tests (pytest -n 2 --dist loadgroup).
GRAPHS = ('ros', 'cli/test_live_graph.py', 'benchmark/test_bench_command.py')


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Markers by place; and which tests stay together in one worker: those of a file, and all that run a graph."""
    graphs, others = [], []
    for item in items:
        path = item.path.relative_to(TESTS)
        if path.parts[0] == 'ros':
            item.add_marker('ros')
        if path.name == 'test_gpu.py':
            item.add_marker('gpu')
        runs_a_graph = path.as_posix().startswith(GRAPHS)
        item.add_marker(pytest.mark.xdist_group('graph' if runs_a_graph else path.as_posix()))
        (graphs if runs_a_graph else others).append(item)
    if hasattr(config, 'workerinput'):
        items[:] = graphs + others  # the longest group must not begin last
