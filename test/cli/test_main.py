"""The lsp command as a user meets it: its words, and one sentence for what is wrong."""

import argparse
import configparser
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lsp_ros.cli.main import INTERRUPTED, build_parser, main
from lsp_ros.commands.loading import load
from lsp_ros.commands.up import graph_of
from lsp_ros.graph.configuration import flagged
from lsp_ros.graph.supervisor import SECONDS_TO_END

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_help_needs_none_of_the_heavy_packages():
    script = 'import sys, lsp_ros.cli.main as m; m.build_parser(); print(*sorted(sys.modules))'
    modules = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True).stdout.split()
    assert 'argparse' in modules
    assert not {'numpy', 'torch', 'av', 'cv2', 'rclpy', 'lightning', 'openvino', 'rich'} & set(modules)


def parsers(parser: argparse.ArgumentParser, path=()):
    """{words of a command: its parser}."""
    found = {path: parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found |= parsers(child, (*path, name))
    return found


@pytest.mark.parametrize('path', list(parsers(build_parser())), ids=' '.join)
def test_every_command_explains_itself(path, capsys):
    with pytest.raises(SystemExit) as exit:
        main([*path, '--help'])
    assert exit.value.code == 0
    assert 'usage: lsp' in capsys.readouterr().out


def test_every_command_leads_to_a_function_which_imports_no_other_command():
    targets = [parser.get_default('run') for parser in parsers(build_parser()).values()]
    say = build_parser().parse_args(['say', '--live', 'Hello']).run
    options = [argparse.Namespace(live=live) for live in (True, False)]
    names = [name for name in targets if isinstance(name, str)] + [say(chosen) for chosen in options]
    assert len(names) == len([target for target in targets if target]) + 1 > 15
    for name in set(names):
        assert callable(load(name))
    for path in (ROOT / 'lsp_ros' / 'commands').glob('*.py'):
        imported = re.findall(r'^ *(?:from|import) lsp_ros[.]commands[.](\w+)', path.read_text(), re.MULTILINE)
        assert set(imported) <= {'loading', 'training_options'}, path


def test_a_command_that_needs_the_training_packages_says_how_to_get_them(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'lsp_ros.commands.train', None)  # whose import then fails
    with pytest.raises(ModuleNotFoundError):
        main(['train', 'mouth', 'nowhere'])
    monkeypatch.delitem(sys.modules, 'lsp_ros.commands.train')
    for name in [name for name in sys.modules if name.startswith(('lsp_ros.training', 'lsp_ros.commands.train'))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'lightning.pytorch.utilities', None)
    assert main(['train', 'mouth', 'nowhere']) == 2
    needed = "Training needs the package lightning.pytorch.utilities: pip install 'lsp_ros[train]'."
    assert needed in capsys.readouterr().err


def test_the_flags_of_lsp_up_are_those_of_the_table_of_settings():
    actions = {name: action for action in parsers(build_parser())[('up',)]._actions for name in action.option_strings}
    assert set(actions) == {'-h', '--help', *(flag.name for row in flagged() for flag in row.flags)}
    for row in flagged():
        for flag in row.flags:
            action = actions[flag.name]
            assert (action.dest, action.default, action.const) == (row.name, None, flag.switch)
            assert tuple(action.choices or ()) == (row.choices if flag.switch is None else ())
            assert action.help.startswith(flag.help or row.description)


def test_avatar_check_prints_a_card(tiny_avatar, capsys):
    assert main(['avatar', 'check', str(tiny_avatar)]) == 0
    card = capsys.readouterr().out
    for word in ('tiny', 'CC0-1.0', 'synthetic', 'live', 'checksums'):
        assert word in card


def test_avatar_check_finds_weights_that_do_not_fit(tiny_avatar_copy, capsys):
    import hashlib

    import safetensors.numpy
    import yaml

    data = safetensors.numpy.save({'gru.weight_ih_l0': np.zeros((3, 3), np.float32)})
    (tiny_avatar_copy / 'apc.safetensors').write_bytes(data)
    mapping = yaml.safe_load((tiny_avatar_copy / 'avatar.yaml').read_text())
    mapping['files']['apc.safetensors'] = hashlib.sha256(data).hexdigest()
    (tiny_avatar_copy / 'avatar.yaml').write_text(yaml.safe_dump(mapping))
    assert main(['avatar', 'check', str(tiny_avatar_copy)]) == 2
    assert 'apc.safetensors' in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['render', 'missing.wav'], 'missing.wav: there is no such file'),
        (['render', 'SPEECH', '--avatar', 'nobody'], 'nobody: there is no such avatar'),
        (['render', 'SPEECH', '--avatar', 'AVATAR', '-o', 'nowhere/film.mp4'], 'folder nowhere does not exist'),
        (['render', 'SPEECH', '--avatar', 'AVATAR', '-o', 'SPEECH'], 'overwrite'),
        (['render', 'SPEECH', '--avatar', 'AVATAR', '--engine', 'tensorrt'], 'tensorrt'),
        (['render', 'SPEECH', '--avatar', 'AVATAR', '--crf', '99'], '--crf'),
        (['say', '  '], 'nothing to say'),
        (['up', '--source', 'file'], '--file'),
        (['up', '--source', 'silence', '--file', 'SPEECH'], '--file'),
        (['up', '--file', 'missing.wav', '--avatar', 'AVATAR'], 'missing.wav'),
        (['up', '--source', 'silence', '--avatar', 'AVATAR', '--namespace', 'a b'], 'namespace'),
        (['up', '--source', 'silence', '--avatar', 'nobody'], 'nobody'),
        (['up', '--no-player', '--record', 'a.mp4'], '--no-player'),
        (['demo', '--speech', 'missing.wav'], 'missing.wav'),
        (['demo', '--avatar', 'AVATAR', '-o', 'nowhere/demo.mp4'], 'nowhere'),
        (['avatar', 'check', '.'], 'no avatar.yaml'),
        (['train', 'renderer', 'nowhere'], 'nowhere'),
        (['train', 'mouth', 'nowhere', '--set', 'kroplo=1'], 'kroplo'),
        (['train', 'mouth', 'nowhere', '--set', 'kroplo'], 'NAME=VALUE'),
    ],
)
def test_what_the_user_can_mend_is_said_in_one_sentence(
    arguments, words, tiny_avatar, speech, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    places = {'SPEECH': str(speech), 'AVATAR': str(tiny_avatar)}
    assert main([places.get(argument, argument) for argument in arguments]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith('lsp: ') and words in message


def test_lsp_up_gives_the_nodes_what_the_user_gave_and_nothing_else(tiny_avatar, tmp_path):
    (tmp_path / 'mine.yaml').touch()
    options = build_parser().parse_args(['up', '--params-file', str(tmp_path / 'mine.yaml')])
    assert list(graph_of(options).parameters) == ['audio_source', 'speech_features', 'motion', 'renderer', 'player']
    assert not any(graph_of(options).parameters.values())
    options = build_parser().parse_args(['up', '--avatar', str(tiny_avatar), '--seed', '3', '--no-mark'])
    assert graph_of(options).parameters['motion'] == {'avatar': str(tiny_avatar), 'seed': 3}
    assert graph_of(options).parameters['renderer'] == {'avatar': str(tiny_avatar), 'mark': False}


def test_the_systemd_unit_starts_a_command_that_exists_and_takes_its_end_for_what_it_is():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(ROOT / 'examples' / 'lsp.service')
    program, *words = unit['Service']['ExecStart'].split()
    assert program.endswith('/bin/lsp')
    assert build_parser().parse_args(words).full_screen
    assert int(unit['Service']['SuccessExitStatus']) == INTERRUPTED
    assert int(unit['Service']['TimeoutStopSec']) > SECONDS_TO_END
