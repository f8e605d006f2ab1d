"""One table of settings, and the places that repeat it: nodes, parameter file, launch file, lsp up, documentation."""

import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import yaml

from lsp_ros.graph import configuration, configuration_files
from lsp_ros.graph.configuration import NODES, SETTINGS, setting, settings_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_table_needs_no_package():
    script = 'import sys, lsp_ros.graph.configuration; print(*sys.modules)'
    modules = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True).stdout.split()
    assert not {'numpy', 'yaml', 'rclpy', 'rcl_interfaces', 'torch'} & set(modules)


@pytest.mark.parametrize('row', SETTINGS, ids=lambda row: f'{"+".join(row.nodes)}.{row.name}')
def test_a_row_makes_sense(row):
    row.check(row.default)
    assert (row.low is None) == (row.high is None)
    if row.low is not None:
        assert row.kind in (int, float)
        assert row.low <= row.default <= row.high
    assert all(isinstance(choice, row.kind) for choice in row.choices)
    assert all(isinstance(flag.switch, bool) == (row.kind is bool) for flag in row.flags)


def test_a_node_has_each_parameter_once():
    for node in (*NODES, configuration.MONITOR):
        names = [row.name for row in settings_of(node)]
        assert len(set(names)) == len(names)


def test_one_name_has_one_type_in_all_nodes_of_an_avatar():
    """A flag or a launch argument sets the parameter of every node that has one of its name."""
    for row in SETTINGS:
        if row.nodes and (row.flags or row.launch):
            assert all(
                other.kind is row.kind and other.choices == row.choices
                for other in SETTINGS
                if other.name == row.name and other.nodes
            )


def test_parameter_file_and_documentation_say_what_the_table_says():
    """Where they do not: python -m lsp_ros.graph.configuration_files --write"""
    assert configuration_files.outdated(ROOT) == []


def test_the_parameter_file_is_read_as_it_was_meant():
    sections = yaml.safe_load(configuration_files.parameter_file())
    for node in NODES:
        given = sections['/**']['ros__parameters'] | sections.get(f'/**/{node}', {}).get('ros__parameters', {})
        for row in settings_of(node):
            assert given[row.name] == row.default and type(given[row.name]) is row.kind


def test_a_page_that_is_out_of_date_is_told_and_mended(tmp_path, monkeypatch):
    for path in ('config/avatar.yaml', 'docs/topics.md'):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text((ROOT / path).read_text())
    assert configuration_files.outdated(tmp_path) == []
    table = configuration.SETTINGS
    changed = tuple(replace(row, default=0.4) if row.name == 'lead' else row for row in table)
    monkeypatch.setattr(configuration, 'SETTINGS', changed)
    assert len(configuration_files.outdated(tmp_path)) == 2
    assert len(configuration_files.outdated(tmp_path, write=True)) == 2
    assert configuration_files.outdated(tmp_path) == []
    assert 'lead: 0.4' in (tmp_path / 'config' / 'avatar.yaml').read_text()
    (tmp_path / 'docs' / 'topics.md').write_text('nothing')
    with pytest.raises(ValueError, match='no place for the tables'):
        configuration_files.outdated(tmp_path)


def test_values_go_to_every_node_that_has_the_parameter():
    given = configuration.parameters({'frame_rate': 60, 'seed': None, 'namespace': '/a', 'source': 'silence'})
    assert list(given) == list(NODES)
    assert given['renderer'] == given['player'] == {'frame_rate': 60}
    assert given['audio_source'] == {'source': 'silence'}
    assert given['motion'] == given['speech_features'] == {}


@pytest.mark.parametrize(
    ('name', 'text', 'value'),
    [
        ('frame_rate', '60', 60),
        ('idle_amplitude', '0.5', 0.5),
        ('duration', '2', 2.0),
        ('mark', 'False', False),
        ('window_position', '1920,-5', [1920, -5]),
        ('window_position', '[0, 0]', [0, 0]),
        ('record', 'a.mp4', 'a.mp4'),
    ],
)
def test_a_text_becomes_a_value_of_the_type(name, text, value):
    parsed = setting(name).parse(text)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    ('name', 'text', 'sentence'),
    [
        ('frame_rate', 'fast', 'frame_rate:=fast: a whole number is needed'),
        ('duration', 'long', 'duration:=long: a number is needed'),
        ('sound', 'perhaps', 'sound:=perhaps: true or false is needed'),
        ('window_position', 'left', 'window_position:=left: whole numbers are needed, such as 1920,0'),
    ],
)
def test_a_text_of_another_type_is_refused_with_a_sentence(name, text, sentence):
    with pytest.raises(ValueError) as refused:
        setting(name).parse(text)
    assert str(refused.value) == sentence


def test_what_a_range_does_not_catch_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="parameter engine is 'abacus': auto, torch, openvino, tensorrt are allowed"):
        setting('engine').check('abacus')
    with pytest.raises(ValueError, match='parameter lead is nan: a finite number is needed'):
        setting('lead').check(float('nan'))


def test_the_launch_file_has_the_arguments_of_the_table(monkeypatch):
    """With stand-ins for ROS's launch, which is not on PyPI; test/ros/test_launch.py runs the real one."""
    for name in ('launch', 'launch_ros'):
        for part in ('', '.actions', '.event_handlers', '.events', '.events.process', '.substitutions'):
            monkeypatch.setitem(sys.modules, name + part, MagicMock())
    monkeypatch.setattr('ament_index_python.packages.get_package_share_directory', lambda package: '/share')
    declare = sys.modules['launch.actions'].DeclareLaunchArgument
    runpy.run_path(str(ROOT / 'launch' / 'avatar.launch.py'))['generate_launch_description']()
    declared = {call.args[0]: call.kwargs for call in declare.call_args_list}
    assert set(declared) == {row.name for row in SETTINGS if row.launch}
    for name, more in declared.items():
        row = setting(name)
        assert more['description'].startswith(row.description)
        if row.nodes:
            assert more['default_value'] == ''  # the parameter file decides
        elif name == 'params_file':
            assert more['default_value'] == '/share/config/avatar.yaml'
        else:
            assert row.parse(more['default_value']) == row.default


def rows_below(page, heading):
    """Cells of the first table below a heading, without marks of code."""
    lines = (ROOT / page).read_text().split(heading, 1)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith('|')) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith('|'):
            return rows
        rows.append([cell.strip() for cell in line.strip('|').split('|')])
    return rows


def test_the_readme_shows_defaults_that_hold():
    rows = rows_below('README.md', '### Parameters that matter first')
    assert len(rows) > 5
    for nodes, name, default, _ in rows:
        for node in nodes.split(', '):
            said = setting(name.strip('`'), node).default
            # -1 stands for a delay that the player finds by itself.
            assert default == ('automatic' if name == '`presentation_delay`' and said < 0 else str(said).lower())


def test_the_page_of_the_installation_names_every_launch_argument():
    rows = rows_below('docs/install.md', 'ros2 launch lsp_ros avatar.launch.py source:=file file:=')
    named = [name.strip('` ') for names, *_ in rows for name in names.split(',')]
    assert sorted(named) == sorted({row.name for row in SETTINGS if row.launch})
