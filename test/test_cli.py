"""The lsp command as a user meets it: films, tables, one sentence for what is wrong."""

import argparse
import configparser
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from lsp_ros.cli.loading import load
from lsp_ros.cli.main import build_parser, main
from lsp_ros.graph.configuration import flagged
from lsp_ros.media import DIGITAL_SOURCE_TYPE, digital_source_type, read_audio
from lsp_ros.resources import find_sample

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 90  # seconds that a busy machine may take; nothing here is timed

with_ros = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ('rclpy', 'lsp_ros.msg'))), reason='ROS 2 or the built messages are absent'
)


@pytest.fixture
def speech(tmp_path):
    """Half a second of stereo noise at 8 kHz."""
    noise = np.random.default_rng(0).normal(0, 0.1, (4000, 2)).clip(-1, 1)
    soundfile.write(tmp_path / 'speech.wav', noise, 8000)
    return tmp_path / 'speech.wav'


started: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """Ends what a test started, whatever became of the test: the next one would meet it."""
    yield
    commands = [process for process in started if process.poll() is None]
    nodes = [pid for process in commands for pid in children(process.pid).values()]
    for process in commands:
        process.kill()
        process.communicate()
    started.clear()
    until(lambda: not any(map(alive, nodes)), 'nodes outlive their graph')


def start(*arguments, **more) -> subprocess.Popen:
    """The command as a process of its own, in a session of its own as a shell would give it."""
    started.append(
        subprocess.Popen(
            [sys.executable, '-m', 'lsp_ros.cli.main', *map(str, arguments)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **more,
        )
    )
    return started[-1]


def until(condition, what: str):
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value


def pictures(path: Path) -> int:
    with av.open(str(path)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (512, 512)
        return sum(1 for _ in container.decode(video=0))


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
        assert set(imported) <= {'training_options'}, path


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


def test_render_makes_a_film_of_any_sound(tiny_avatar, speech, tmp_path):
    film = tmp_path / 'film.mp4'
    assert main(['render', str(speech), '-o', str(film), '--avatar', str(tiny_avatar), '--frame-rate', '30']) == 0
    assert pictures(film) == 15
    assert 8000 <= len(read_audio(film)) < 8000 + 1024
    assert digital_source_type(film) == DIGITAL_SOURCE_TYPE


def test_an_interrupted_film_can_be_watched(tiny_avatar, tmp_path):
    soundfile.write(tmp_path / 'long.wav', np.random.default_rng(0).normal(0, 0.1, 16000 * 30).clip(-1, 1), 16000)
    film = tmp_path / 'film.mp4'
    process = start('render', tmp_path / 'long.wav', '-o', film, '--avatar', tiny_avatar, '--threads', 1)
    until(lambda: film.exists() and film.stat().st_size, 'no film is written')
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert 'interrupted' in output and 'Traceback' not in output
    count = pictures(film)
    assert 0 < count < 60 * 30
    # Picture and sound end together; AAC fills up its last 1024 samples.
    assert 0 <= len(read_audio(film)) - count * 16000 // 60 <= 1024 + 16


@pytest.mark.skipif(not shutil.which('flite'), reason='flite is not installed')
def test_say_speaks_a_text(tiny_avatar, tmp_path):
    film = tmp_path / 'film.mp4'
    assert main(['say', 'Hi.', '-o', str(film), '--avatar', str(tiny_avatar), '--tts', 'flite', '--voice', 'slt']) == 0
    assert pictures(film) > 10
    assert np.abs(read_audio(film)).max() > 0.05


@pytest.mark.skipif(not shutil.which('espeak-ng'), reason='espeak-ng is not installed')
def test_a_text_may_begin_with_a_dash(tmp_path):
    from lsp_ros.text_to_speech import synthesize

    synthesize('--version, dear Bob', tmp_path / 'a.wav', 'espeak-ng')
    assert len(read_audio(tmp_path / 'a.wav')) > 8000


def test_without_a_speech_program_say_tells_which_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert main(['say', 'Hello']) == 2
    assert 'install flite or espeak-ng' in capsys.readouterr().err


def test_the_bundled_recording_is_human_speech_of_10_to_20_seconds():
    samples = read_audio(find_sample())
    assert 10 * 16000 <= len(samples) <= 20 * 16000
    assert 0.1 < np.abs(samples).max() <= 1
    assert 'CC BY' in (text := (find_sample().parent / 'LICENSE.md').read_text()) or 'Creative Commons' in text


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


@with_ros
def test_demo_films_the_live_graph_and_prints_a_table(tiny_avatar, speech, tmp_path):
    film, report = tmp_path / 'demo.mp4', tmp_path / 'report.json'
    process = start('demo', '--avatar', tiny_avatar, '--speech', speech, '-o', film, '--report', report)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    for row in ('frames published', 'rate', 'frames dropped', 'latency audio to image', 'offset'):
        assert row in output
    # How many pictures, and when, is the machine's business; sound and picture are equally long on any.
    assert 0 <= len(read_audio(film)) - pictures(film) * 16000 // 30 <= 1024 + 16
    assert report.read_text().startswith('{')


def children(pid: int) -> dict[str, int]:
    """The node processes of a graph by name; only those whose interpreter is up."""
    found = {}
    for entry in Path('/proc').glob('[0-9]*'):
        try:
            parent = int((entry / 'stat').read_text().rpartition(')')[2].split()[1])
            words = (entry / 'cmdline').read_bytes().decode().split('\0')
        except (OSError, ValueError):
            continue
        names = [word.rpartition('.')[2] for word in words if word.startswith('lsp_ros.nodes.')]
        if parent == pid and names and names[0] != 'graph_probe':  # who only looks, at the start
            found[names[0]] = int(entry.name)
    return found


def alive(pid: int) -> bool:
    try:
        return (Path('/proc') / str(pid) / 'stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def another(process: subprocess.Popen, name: str, before: dict[str, int]) -> dict[str, int]:
    """The nodes, once the one of that name is another process than before."""
    return until(
        lambda: (nodes := children(process.pid)).get(name) not in (None, before[name]) and nodes,
        f'{name} is not started again',
    )


def obeys(pid: int, number: int) -> bool:
    """Whether the process has a handler for that signal by now."""
    caught = next(line for line in Path(f'/proc/{pid}/status').read_text().splitlines() if line.startswith('SigCgt'))
    return bool(int(caught.split()[1], 16) >> number - 1 & 1)


@with_ros
def test_up_starts_again_what_dies_and_ends_everything_at_ctrl_c(tiny_avatar):
    """Whatever signal a node gets from outside, even one that it obeys in good order, and as often as it pleases."""
    process = start('up', '--source', 'silence', '--avatar', tiny_avatar, '--no-window', '--no-sound')
    nodes = first = until(lambda: len(nodes := children(process.pid)) == 5 and nodes, 'the nodes do not start')
    wait_for_speech_features(process)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        until(lambda pid=nodes['motion']: obeys(pid, signal.SIGTERM), 'the node does not listen to signals')
        os.kill(nodes['motion'], number)
        nodes = another(process, 'motion', nodes)
    assert {**nodes, 'motion': 0} == {**first, 'motion': 0}
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert 'motion was killed by signal 9; it is started again' in output
    assert output.count('motion was asked to end by somebody else; it is started again') == 4, output
    assert 'Traceback' not in output
    assert not any(map(alive, nodes.values()))


@with_ros
def test_a_node_starts_again_after_the_system_has_tidied_up_temporary_files(tiny_avatar):
    process, nodes = start_silence(tiny_avatar)
    words = Path(f'/proc/{nodes["motion"]}/cmdline').read_text().split('\0')
    shutil.rmtree(Path(words[words.index('--params-file') + 1]).parent)
    for _ in range(2):  # one that starts without its parameters ends at once
        os.kill(nodes['motion'], signal.SIGTERM)
        nodes = another(process, 'motion', nodes)
    assert Path(words[words.index('--params-file') + 1]).is_file()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, output


@with_ros
def test_what_only_the_parameter_file_says_holds(tiny_avatar, tmp_path):
    """Everything that this graph needs to end by itself with a report stands in the file."""
    report = tmp_path / 'report.json'
    (tmp_path / 'mine.yaml').write_text(f"""
        /**:
          ros__parameters: {{avatar: {tiny_avatar}}}
        /**/audio_source:
          ros__parameters: {{source: silence}}
        /**/renderer:
          ros__parameters: {{frame_rate: 60, threads: 1}}
        /**/player:
          ros__parameters: {{window: false, sound: false, frame_rate: 60, duration: 1.0, report: {report}}}
        """)
    process = start('up', '--params-file', tmp_path / 'mine.yaml')
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    figures = json.loads(report.read_text())
    assert figures['images']['received'] and figures['offset_ms']['played_early'] is None
    assert 'loudspeaker' not in output and 'window' not in output and 'microphone' not in output


def test_lsp_up_gives_the_nodes_what_the_user_gave_and_nothing_else(tiny_avatar, tmp_path):
    from lsp_ros.commands.up import graph_of

    (tmp_path / 'mine.yaml').touch()
    options = build_parser().parse_args(['up', '--params-file', str(tmp_path / 'mine.yaml')])
    assert list(graph_of(options).parameters) == ['audio_source', 'speech_features', 'motion', 'renderer', 'player']
    assert not any(graph_of(options).parameters.values())
    options = build_parser().parse_args(['up', '--avatar', str(tiny_avatar), '--seed', '3', '--no-mark'])
    assert graph_of(options).parameters['motion'] == {'avatar': str(tiny_avatar), 'seed': 3}
    assert graph_of(options).parameters['renderer'] == {'avatar': str(tiny_avatar), 'mark': False}


@with_ros
def test_two_avatars_do_not_speak_in_one_namespace(tiny_avatar, speech, tmp_path):
    process, _ = start_silence(tiny_avatar)
    wait_for_speech_features(process)
    for arguments in (['up', '--source', 'silence'], ['demo', '--speech', speech, '-o', tmp_path / 'demo.mp4']):
        other = start(*arguments, '--avatar', tiny_avatar)
        output, _ = other.communicate(timeout=PATIENCE)
        assert other.returncode == 2
        assert 'An avatar runs in /avatar already' in output
        assert '--namespace' in output and 'ROS_DOMAIN_ID' in output
        assert '[INFO]' not in output  # its nodes load meanwhile, but none comes into the graph
    assert not (tmp_path / 'demo.mp4').exists()
    other = start(
        'up',
        '--source',
        'silence',
        '--avatar',
        tiny_avatar,
        '--namespace',
        '/other',
        '--no-window',
        '--no-sound',
        '--duration',
        '1',
    )
    output, _ = other.communicate(timeout=PATIENCE)
    assert other.returncode == 0, output
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)


@with_ros
@pytest.mark.skipif(not shutil.which('flite'), reason='flite is not installed')
def test_say_live_speaks_through_the_avatar_that_listens_and_leaves_another_one_alone(tiny_avatar, tmp_path):
    for source, status in (('silence', 2), ('topic', 0)):
        process = start('up', '--source', source, '--avatar', tiny_avatar, '--no-player')
        wait_for_speech_features(process)
        other = start('say', 'Hello there.', '--live', '--tts', 'flite', '--avatar', tiny_avatar)
        output, _ = other.communicate(timeout=PATIENCE)
        assert other.returncode == status, output
        assert ('does not listen to /avatar/audio_in' in output) == (status == 2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)


def test_the_systemd_unit_starts_a_command_that_exists_and_takes_its_end_for_what_it_is():
    from lsp_ros.cli.main import INTERRUPTED
    from lsp_ros.graph.supervisor import SECONDS_TO_END

    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(Path(__file__).parents[1] / 'examples' / 'lsp.service')
    program, *words = unit['Service']['ExecStart'].split()
    assert program.endswith('/bin/lsp')
    assert build_parser().parse_args(words).full_screen
    assert int(unit['Service']['SuccessExitStatus']) == INTERRUPTED
    assert int(unit['Service']['TimeoutStopSec']) > SECONDS_TO_END


def start_silence(avatar: Path) -> tuple[subprocess.Popen, dict[str, int]]:
    """A graph, and its nodes as soon as they are there: most will be loading still."""
    process = start('up', '--source', 'silence', '--avatar', avatar, '--no-player')
    return process, until(lambda: len(nodes := children(process.pid)) == 4 and nodes, 'the nodes do not start')


def wait_for_speech_features(process: subprocess.Popen) -> None:
    impatience = threading.Timer(PATIENCE, process.kill)
    impatience.start()
    said = any('listening to stream' in line for line in process.stdout)
    impatience.cancel()
    assert said, 'the graph does not run'


@with_ros
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_up_ends_everything_in_good_order_at_a_signal(tiny_avatar, number):
    process, nodes = start_silence(tiny_avatar)
    wait_for_speech_features(process)
    process.send_signal(number)
    process.send_signal(number)  # a closed terminal sends more than one, which must not hasten anything
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert 'Traceback' not in output
    assert not any(map(alive, nodes.values()))


@with_ros
@pytest.mark.parametrize('running', [False, True], ids=['loading', 'running'])
def test_no_node_outlives_a_killed_graph(tiny_avatar, running):
    process, nodes = start_silence(tiny_avatar)
    if running:
        wait_for_speech_features(process)
    process.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: not any(map(alive, nodes.values())), 'nodes outlive the graph')
