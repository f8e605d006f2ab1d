"""The launch file under ROS's own launch, where that is installed."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip('launch_ros', reason='launch_ros is not installed: it comes with ROS from apt, not from PyPI')

LAUNCH_FILE = Path(__file__).resolve().parents[2] / 'launch' / 'avatar.launch.py'
# What `ros2 launch` does, without needing ros2cli.
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
service = LaunchService(argv=sys.argv[2:])
arguments = [argument.split(':=', 1) for argument in sys.argv[2:]]
service.include_launch_description(LaunchDescription([
    IncludeLaunchDescription(sys.argv[1], launch_arguments=arguments)
]))
sys.exit(service.run())
"""


# A launch of somebody else's, of which the avatar is a part.
INCLUDING = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import ExecuteProcess, IncludeLaunchDescription, LogInfo, RegisterEventHandler
from launch_ros.event_handlers import OnStateTransition
service = LaunchService()
arguments = [argument.split(':=', 1) for argument in sys.argv[2:]]
service.include_launch_description(LaunchDescription([
    ExecuteProcess(cmd=['false'], respawn=True, respawn_delay=0.1, respawn_max_retries=5),
    ExecuteProcess(cmd=['sleep', '3600'], name='bystander'),
    RegisterEventHandler(OnStateTransition(goal_state='active', entities=[LogInfo(msg='the launch saw a transition')])),
    IncludeLaunchDescription(sys.argv[1], launch_arguments=arguments),
]))
sys.exit(service.run())
"""

PATIENCE = 300  # seconds that a busy machine may take


def start(folder: Path, script: str = LAUNCH, **arguments) -> subprocess.Popen:
    words = [f'{name}:={value}' for name, value in arguments.items()]
    # Not from the checkout, where a folder named launch lies.
    return subprocess.Popen(
        [sys.executable, '-c', script, LAUNCH_FILE, *words], cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={**os.environ, 'ROS_LOG_DIR': str(folder / 'log')},
    )  # fmt: skip


def launch(folder: Path, **arguments) -> tuple[int, str]:
    """The exit status of a whole launch, and what it printed."""
    process = start(folder, **arguments)
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, output


def test_the_graph_comes_up_shows_pictures_and_ends(tiny_avatar, tmp_path):
    report = tmp_path / 'report.json'
    status, output = launch(
        tmp_path,
        namespace='launched/face',
        avatar=tiny_avatar,
        source='silence',
        window='false',
        sound='false',
        report=report,
        duration=1,
    )
    assert status == 0, output
    assert json.loads(report.read_text())['images']['received'] > 0
    assert 'launched.face.player' in output


def alive(process: int) -> bool:
    try:
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_node_outlives_its_launch(tiny_avatar, tmp_path, number):
    """launch itself only looks after its processes at SIGINT."""
    process = start(tmp_path, namespace='orphans', avatar=tiny_avatar, source='silence', window='false', sound='false')
    impatience = threading.Timer(PATIENCE, process.kill)
    impatience.start()
    nodes = []
    for line in process.stdout:
        if found := re.search(r'process started with pid \[(\d+)\]', line):
            nodes.append(int(found[1]))
        if 'listening to stream' in line:
            break
    impatience.cancel()
    assert len(nodes) == 5
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while any(map(alive, nodes)):
        assert time.monotonic() < deadline, 'nodes outlive the launch'
        time.sleep(0.1)


def test_a_node_that_somebody_ends_is_started_again_and_one_that_cannot_run_ends_the_launch(tiny_avatar, tmp_path):
    process = start(tmp_path, namespace='again', avatar=tiny_avatar, source='silence', window='false', sound='false')
    impatience = threading.Timer(PATIENCE, process.kill)
    impatience.start()
    started = []
    for line in process.stdout:
        if found := re.search(r'\[motion-\d+\]: process started with pid \[(\d+)\]', line):
            started.append(int(found[1]))
        if 'the process before was asked to end by somebody else' in line:  # the second one is well under way
            break
        if 'listening to stream' in line and len(started) == 1:
            os.kill(started[0], signal.SIGTERM)
    impatience.cancel()
    assert len(started) == 2
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)

    status, output = launch(tmp_path, avatar=tmp_path / 'nowhere', source='silence', window='false', sound='false')
    assert status != 0
    assert 'failed 3 times in a row (status 1)' in output


@pytest.fixture
def including(tmp_path):
    """Starts a launch that includes the avatar; `(process, its lines as they come)`."""
    started = []

    def begin(**arguments):
        process = start(tmp_path, INCLUDING, window='false', sound='false', source='silence', **arguments)
        impatience = threading.Timer(PATIENCE, process.kill)
        impatience.start()
        started.append((process, impatience))
        return process, process.stdout

    yield begin
    for process, impatience in started:
        impatience.cancel()
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()


def test_an_included_avatar_starts_a_node_that_somebody_kills_again_and_again(tiny_avatar, including):
    """Whatever other processes of the launch do, and three times are not too many."""
    process, lines = including(namespace='killed', avatar=tiny_avatar, renderer='false')
    said, kills, delays = '', 0, []
    for line in lines:
        said += line
        if found := re.search(r'it is started again(?: in (\d+) s)?$', line):
            delays.append(int(found[1] or 0))
        if (found := re.search(r'\[audio_source-\d+\]: process started with pid \[(\d+)\]', line)) and kills < 4:
            os.kill(int(found[1]), signal.SIGKILL)
            kills += 1
        if 'the process before was killed by signal 9' in line:
            break
    assert process.poll() is None, said
    assert (kills, delays) == (4, [0, 1, 2, 4]), said
    for line in lines:
        said += line
        if 'the launch saw a transition' in said:
            break
    assert process.poll() is None, said


def test_an_included_avatar_that_cannot_run_ends_itself_and_not_the_launch(tmp_path, including):
    process, lines = including(namespace='hopeless', avatar=tmp_path / 'nowhere')
    said, running = '', {}
    for line in lines:
        said += line
        if found := re.search(r'\[(\w+)-\d+\]: process started with pid \[(\d+)\]', line):
            running[found[1]] = int(found[2])
        if 'the avatar ends' in line:
            break
    assert 'failed 3 times in a row (status 1)' in said
    bystander = running.pop('bystander')
    deadline = time.monotonic() + PATIENCE
    while any(alive(number) for name, number in running.items() if name != 'false'):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    assert alive(bystander) and process.poll() is None


@pytest.mark.parametrize(
    ('argument', 'value', 'sentence'),
    [
        ('frame_rate', 'fast', 'frame_rate:=fast: a whole number is needed'),
        ('sound', 'perhaps', 'sound:=perhaps: true or false is needed'),
        ('log_level', 'loud', "log_level is 'loud': debug, info, warn, error, fatal are allowed"),
        ('params_file', '/nowhere.yaml', '/nowhere.yaml: there is no such file'),
    ],
)
def test_a_wrong_argument_is_told_before_anything_starts(argument, value, sentence, tmp_path):
    status, output = launch(tmp_path, **{argument: value})
    assert status != 0
    assert sentence in output
    assert 'process started' not in output


def test_the_launch_file_and_lsp_up_follow_one_rule_and_one_table():
    from lsp_ros.graph import configuration, policy, process_lifetime, supervisor

    launched = runpy.run_path(str(LAUNCH_FILE))
    assert launched['RestartPolicy'] is supervisor.RestartPolicy is policy.RestartPolicy
    assert launched['PARENT_VARIABLE'] == process_lifetime.VARIABLE
    description = launched['generate_launch_description']()
    declared = {argument.name: argument for argument in description.get_launch_arguments()}
    assert set(declared) == {row.name for row in configuration.launch_arguments()}
    for row in configuration.launch_arguments():
        assert declared[row.name].description.startswith(row.description)
        assert all(str(choice) in declared[row.name].description for choice in row.choices)


def test_every_argument_sets_a_parameter_that_its_nodes_have():
    from test_package import node_parameters

    from lsp_ros.graph.configuration import launch_arguments, parameters

    for row in launch_arguments():
        given = parameters({row.name: row.default})
        assert any(given.values()) == bool(row.nodes)
        for node, values in given.items():
            for name, value in values.items():
                assert type(node_parameters(node)[name]) is type(value)
