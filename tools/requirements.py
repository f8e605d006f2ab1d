"""Prints what pyproject.toml needs, for environments into which colcon and not pip builds lsp_ros.

    python3 tools/requirements.py build run train test | pip install -r /dev/stdin

Groups: `build` (what builds the messages), `run`, and the extras. With --no-ros the ROS wheels are left out: there ROS
comes from apt.
"""

import argparse
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:  # what pip itself reads the file with: nothing need be installed first
    from pip._vendor import tomli as tomllib

settings = tomllib.loads((Path(__file__).resolve().parents[1] / 'pyproject.toml').read_text())
groups = {
    'build': settings['build-system']['requires'],
    'run': settings['project']['dependencies'],
    **settings['project']['optional-dependencies'],
}

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument('groups', nargs='+', choices=list(groups))
parser.add_argument('--no-ros', action='store_true', help='leave out the ROS wheels and the tools that build with them')
arguments = parser.parse_args()

lines = dict.fromkeys(line for group in arguments.groups for line in groups[group])
print('\n'.join(line for line in lines if not (arguments.no_ros and line.startswith('ros-'))))
