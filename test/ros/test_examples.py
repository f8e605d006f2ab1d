"""The examples of the README, each as a user starts it, beside a small graph."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_ros.msg import FaceMotion

EXAMPLES = Path(__file__).resolve().parents[2] / 'examples'


@pytest.fixture
def example(graph):
    """Starts an example, whose topics lie under /avatar, beside the test's own graph."""
    started = []

    def start(name: str, *words: str) -> subprocess.Popen:
        topics = ('audio_in', 'head_pose_command', 'image')
        remappings = [word for topic in topics for word in ('-r', f'/avatar/{topic}:={graph.namespace}/{topic}')]
        started.append(
            subprocess.Popen(
                [sys.executable, EXAMPLES / name, *words, '--ros-args', *remappings],
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_the_head_looks_around(graph, example, renderable_avatar):
    graph.start('motion', avatar=renderable_avatar, idle_amplitude=0.0)  # it moves when it is told to, and only then
    seen = graph.collect(FaceMotion, 'face_motion')
    graph.until(lambda: len(seen) > 10, 'no motion')
    process = example('look_around.py')
    graph.until(lambda: process.poll() is not None, 'the example does not end')
    output = process.stdout.read()
    assert process.returncode == 0, output
    assert all(f'looking {way}' in output for way in ('left', 'right', 'up'))
    turns = {round(message.head_pose.orientation.z, 3) for message in seen}
    assert len(turns) > 5
    assert graph.counted('motion', 'invalid head_pose_command messages') == 0


def test_ctrl_c_ends_what_looks_around_without_a_traceback(graph, example):
    process = example('look_around.py')  # nobody takes its commands: it waits
    graph.until(lambda: 'look_around' in graph.node.get_node_names(), 'the example does not start')
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, '')


def test_without_a_voice_the_example_says_what_to_install(graph, example, monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    graph.start('audio_source', source='topic')
    process = example('tts_node.py', 'Hello.')
    graph.until(lambda: process.poll() is not None, 'the example does not end')
    output = process.stdout.read()
    assert process.returncode == 1 and 'apt-get install espeak-ng' in output and 'Traceback' not in output


def test_the_picture_is_read(graph, example, renderable_avatar):
    graph.start('motion', avatar=renderable_avatar)
    graph.start('renderer', avatar=renderable_avatar)
    process = example('show_image.py')
    assert any('(512, 512, 3) at' in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


@pytest.mark.skipif(not shutil.which('espeak-ng'), reason='espeak-ng is not installed')
def test_a_sentence_is_spoken(graph, example):
    from lsp_ros.msg import AudioChunk

    graph.start('audio_source', source='topic')
    heard = graph.collect(AudioChunk, 'audio')
    graph.until(lambda: heard, 'no audio')
    process = example('tts_node.py', 'Hello.')
    graph.until(lambda: any(max(chunk.samples) > 0.01 for chunk in heard[-5:]), 'nothing is said')
    graph.until(lambda: process.poll() is not None, 'the example does not end')
    assert process.returncode == 0
