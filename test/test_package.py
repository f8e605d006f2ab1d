"""What makes a pile of code a package: everything that is declared exists, and everything that is used is declared."""

import ast
import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lsp_ros
from lsp_ros.graph.configuration import NODES, setting, settings_of
from lsp_ros.live import pcm
from lsp_ros.nodes.lifecycle import StreamNode
from lsp_ros.nodes.parameters import AUTOSTART, AVATAR

ROOT = Path(__file__).resolve().parents[1]
# Nothing that runs live may need what only a trainer installs.
TRAINING_CODE = ('training', 'evaluation', 'capture')
# Runs in an environment of its own.
DETECTOR = ROOT / 'lsp_ros' / 'capture' / 'detector.py'


def node_class(name: str) -> type[StreamNode]:
    module = importlib.import_module(f'lsp_ros.nodes.{name}')
    (found,) = (
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, StreamNode) and thing.__module__ == module.__name__
    )
    return found


def node_parameters(name: str) -> dict:
    return {row.name: row.default for row in (AUTOSTART, *node_class(name).PARAMETERS)}


def configured_parameters(name: str) -> dict:
    """What config/avatar.yaml gives the node of that name, whatever its namespace."""
    sections = yaml.safe_load((ROOT / 'config' / 'avatar.yaml').read_text())
    shared = sections['/**']['ros__parameters']
    return {**shared, **sections.get(f'/**/{name}', {}).get('ros__parameters', {})}


@pytest.mark.parametrize('name', NODES)
def test_the_parameter_file_holds_every_parameter_with_its_default(name):
    needed, given = node_parameters(name), configured_parameters(name)
    given = {key: value for key, value in given.items() if key in needed or key != AVATAR.name}
    assert given == needed
    assert {key: type(value) for key, value in given.items()} == {key: type(value) for key, value in needed.items()}


def test_the_parameter_file_names_no_other_node():
    sections = yaml.safe_load((ROOT / 'config' / 'avatar.yaml').read_text())
    assert set(sections) <= {'/**', *(f'/**/{name}' for name in NODES)}


@pytest.mark.parametrize('name', [*NODES, 'monitor'])
def test_a_node_declares_what_the_table_of_settings_says(name):
    rows = (AUTOSTART, *node_class(name).PARAMETERS)
    assert {row.name for row in rows} == {row.name for row in settings_of(name)}
    for row in rows:
        said, descriptor = setting(row.name, name), row.descriptor()
        assert (row.default, row.choices, row.live) == (said.default, said.choices, said.live)
        assert descriptor.description == said.description
        assert ('while the node runs' in descriptor.additional_constraints) == said.live
        assert all(str(choice) in descriptor.additional_constraints for choice in said.choices)
        (*ranges,) = (*descriptor.floating_point_range, *descriptor.integer_range)
        assert [(found.from_value, found.to_value) for found in ranges] == (
            [] if said.low is None else [(said.low, said.high)]
        )


def test_the_audio_formats_that_may_be_named_are_those_that_can_be_read():
    assert setting('topic_encoding').choices == pcm.FORMATS
    rate, channels = setting('topic_rate'), setting('topic_channels')
    assert (rate.low, rate.high) == (pcm.LOWEST_RATE, pcm.HIGHEST_RATE)
    assert channels.high == pcm.MOST_CHANNELS


@pytest.mark.slow
@pytest.mark.parametrize('name', NODES)
def test_ros2_run_finds_the_node(name):
    program = Path(get_package_prefix('lsp_ros'), 'lib', 'lsp_ros', name)
    assert os.access(program, os.X_OK)
    result = subprocess.run(
        [program, '--ros-args', '-p', 'autostart:=nonsense'], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1  # it started, and refused the parameter
    assert 'autostart' in result.stderr


def test_every_node_is_in_one_group_of_the_diagnostic_aggregator():
    given = yaml.safe_load((ROOT / 'config' / 'diagnostics.yaml').read_text())['/**']['ros__parameters']
    groups = [group for group in given.values() if isinstance(group, dict)]
    for node in NODES:
        for name in (node, f'avatar/{node}', f'robot/face/{node}'):
            matches = [
                any(part in name for part in group.get('contains', []))
                or any(re.fullmatch(regex, name) for regex in group.get('regex', []))
                for group in groups
            ]
            assert matches.count(True) == 1, name


@pytest.mark.parametrize('name', ['config/avatar.yaml', 'config/fastdds.xml', 'launch/avatar.launch.py', 'package.xml'])
def test_the_share_folder_holds_what_the_checkout_holds(name):
    """If this fails after an edit, the package needs to be installed again (make does so)."""
    assert (Path(get_package_share_directory('lsp_ros')) / name).read_text() == (ROOT / name).read_text()


SHARED_MEMORY = """
import rclpy, re
rclpy.init()
node = rclpy.create_node('sizes')
lines = open('/proc/self/maps').read().splitlines()
print('size', max(int(b, 16) - int(a, 16) for line in lines if re.search('/dev/shm/fast', line)
                  for a, b in [line.split()[0].split('-')]))
"""


@pytest.mark.slow
def test_the_fast_dds_profile_makes_room_for_pictures():
    environment = {**os.environ, 'FASTDDS_DEFAULT_PROFILES_FILE': str(ROOT / 'config' / 'fastdds.xml')}
    result = subprocess.run(
        [sys.executable, '-c', SHARED_MEMORY], env=environment, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert 'XML' not in result.stderr  # Fast DDS only grumbles about a profile that it cannot read
    assert int(re.search(r'size (\d+)', result.stdout)[1]) >= 32 * 2**20


def pyproject() -> dict:
    toml = importlib.import_module('tomllib' if sys.version_info >= (3, 11) else 'tomli')
    return toml.loads((ROOT / 'pyproject.toml').read_text())


def project() -> dict:
    return pyproject()['project']


def distribution_names(requirements: list[str]) -> set[str]:
    return {re.match(r'[A-Za-z0-9._-]+', requirement)[0].lower().replace('_', '-') for requirement in requirements}


def imported_modules(path: Path) -> set[str]:
    """Top-level names of what a file imports, at its top or later."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module)
    return {name.split('.')[0] for name in names}


def undeclared(files: list[Path], declared: set[str]) -> dict[str, set[str]]:
    """Third-party modules that no declared distribution provides, each with the files that import it."""
    providers = importlib.metadata.packages_distributions()
    missing = {}
    for path in files:
        for module in imported_modules(path) - set(sys.stdlib_module_names) - {'lsp_ros'}:
            known = {name.lower().replace('_', '-') for name in providers.get(module, [module])}
            # The ROS wheels' own names: rclpy comes with ros-kilted-rclpy, and that with its messages.
            ros = module == 'ament_index_python' or module.endswith(('_msgs', '_interfaces')) or module == 'rclpy'
            if not ros and not known & declared:
                missing.setdefault(module, set()).add(str(path.relative_to(ROOT)))
    return missing


def python_files(*, training: bool) -> list[Path]:
    files = (ROOT / 'lsp_ros').rglob('*.py')
    return [path for path in files if (path.relative_to(ROOT).parts[1] in TRAINING_CODE) == training]


def test_what_runs_live_needs_only_the_plain_dependencies():
    assert undeclared(python_files(training=False), distribution_names(project()['dependencies'])) == {}


def test_training_needs_only_the_train_extra_besides():
    declared = project()['dependencies'] + project()['optional-dependencies']['train']
    files = [path for path in python_files(training=True) if path != DETECTOR]
    assert undeclared(files, distribution_names(declared)) == {}


def test_the_face_detector_needs_only_what_its_own_environment_has():
    lines = (ROOT / 'requirements' / 'capture.txt').read_text().splitlines()
    declared = distribution_names([line for line in lines if not line.startswith('#')])
    assert undeclared([DETECTOR], declared) == {}
    assert 'lsp_ros' not in imported_modules(DETECTOR)


def test_ros_message_packages_are_declared_to_ros():
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    declared = {entry.text for tag in ('depend', 'exec_depend') for entry in package.iter(tag)}
    used = set().union(*(imported_modules(path) for path in python_files(training=False)))
    ros = {name for name in used if name in ('rclpy', 'ament_index_python') or name.endswith(('_msgs', '_interfaces'))}
    assert ros <= declared


def test_every_entry_point_leads_somewhere():
    for target in project()['scripts'].values():
        module, function = target.split(':')
        assert callable(getattr(importlib.import_module(module), function))


def test_one_version_and_one_licence():
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    assert package.findtext('version') == project()['version'] == lsp_ros.__version__
    assert package.findtext('license') == project()['license'] == 'Apache-2.0'


@pytest.mark.parametrize('python', ['3.10', '3.11', '3.12', '3.13'])
def test_every_dependency_has_one_tested_version_within_its_range(python):
    settings = pyproject()
    constraints = (ROOT / 'requirements' / 'constraints.txt').read_text().splitlines()
    pins = [Requirement(line) for line in constraints if not line.startswith('#')]
    versions = {}
    for pin in pins:
        if pin.marker is None or pin.marker.evaluate({'python_version': python}):
            assert pin.name not in versions, f'{pin.name} has two versions'
            (clause,) = pin.specifier
            assert clause.operator == '=='
            versions[canonicalize_name(pin.name)] = clause.version
    extras = settings['project']['optional-dependencies'].values()
    everything = [*settings['build-system']['requires'], *settings['project']['dependencies'], *sum(extras, [])]
    for requirement in map(Requirement, everything):
        if requirement.marker is None or requirement.marker.evaluate({'python_version': python}):
            assert versions[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_package_says_that_it_is_typed():
    assert (Path(lsp_ros.__file__).parent / 'py.typed').exists()
