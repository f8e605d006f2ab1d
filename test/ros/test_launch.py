"""The launch file under ROS's own launch, where that is installed."""

import json
import os
import runpy
import subprocess
import sys
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


def launch(folder: Path, **arguments) -> subprocess.CompletedProcess:
    words = [f'{name}:={value}' for name, value in arguments.items()]
    # Not from the checkout, where a folder named launch lies.
    return subprocess.run(
        [sys.executable, '-c', LAUNCH, LAUNCH_FILE, *words], cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, 'ROS_LOG_DIR': str(folder / 'log')},
    )  # fmt: skip


def test_the_graph_comes_up_shows_pictures_and_ends(tiny_avatar, tmp_path):
    report = tmp_path / 'report.json'
    result = launch(
        tmp_path,
        namespace='launched/face',
        avatar=tiny_avatar,
        source='silence',
        window='false',
        sound='false',
        report=report,
        duration=1,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(report.read_text())['images']['received'] > 0
    assert 'launched.face.player' in result.stdout


@pytest.mark.parametrize(
    ('argument', 'value', 'sentence'),
    [
        ('frame_rate', 'fast', 'frame_rate:=fast: a whole number is needed'),
        ('sound', 'perhaps', 'sound:=perhaps: true or false is needed'),
        ('params_file', '/nowhere.yaml', '/nowhere.yaml: there is no such file'),
    ],
)
def test_a_wrong_argument_is_told_before_anything_starts(argument, value, sentence, tmp_path):
    result = launch(tmp_path, **{argument: value})
    assert result.returncode != 0
    assert sentence in result.stdout + result.stderr
    assert 'process started' not in result.stdout


def test_every_argument_sets_a_parameter_that_its_nodes_have():
    from test_package import node_parameters

    for name, (kind, nodes, _) in runpy.run_path(str(LAUNCH_FILE))['PARAMETERS'].items():
        for node in nodes:
            assert isinstance(node_parameters(node)[name], kind)
