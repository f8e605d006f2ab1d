"""What a node's process needs around it: installed packages and environment variables."""

import importlib.util
import os
import sys
from pathlib import Path

from lsp_ros.graph import process_lifetime
from lsp_ros.graph.dds_profile import dds_profile
from lsp_ros.graph.errors import GraphError


def check_installed() -> None:
    """Raises GraphError where ROS 2 or the package's messages are absent."""
    for module, remedy in (
        ('rclpy', 'install lsp_ros with pip, or source your ROS 2 (source /opt/ros/<distribution>/setup.bash)'),
        ('lsp_ros.msg', 'the messages are built by `pip install .` or `colcon build`'),
    ):
        if importlib.util.find_spec(module) is None:
            raise GraphError(f'The live graph needs {module}, which is not installed: {remedy}.')


def environment() -> dict[str, str]:
    """For a node: this process's whole environment, what the ROS wheels need, and whom to end with."""
    variables = dict(os.environ)
    if Path(sys.prefix, 'share', 'ament_index').is_dir():  # the ROS wheels do not set this, an apt install does
        prefixes = [sys.prefix, *variables.get('AMENT_PREFIX_PATH', '').split(os.pathsep)]
        variables['AMENT_PREFIX_PATH'] = os.pathsep.join(dict.fromkeys(filter(None, prefixes)))
    variables.update(dds_profile().environment)  # once for all, so that whoever starts them tells what it costs
    variables['PYTHONUNBUFFERED'] = '1'
    variables[process_lifetime.VARIABLE] = str(os.getpid())
    return variables
