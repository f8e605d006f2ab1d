"""The live graph as a user meets it: lsp up and lsp say --live."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from lsp_process import (
    PATIENCE,
    alive,
    another,
    children,
    obeys,
    start,
    start_silence,
    until,
    wait_for_speech_features,
    with_ros,
)

pytestmark = pytest.mark.slow


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
