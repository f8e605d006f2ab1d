"""Microphone and loudspeaker on a real sound server (PulseAudio) of the test's own, which goes away and comes back."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from lsp_ros.msg import AudioChunk

pytestmark = pytest.mark.skipif(
    not (shutil.which('pulseaudio') and list(Path('/usr/lib').glob('*/alsa-lib/libasound_module_pcm_pulse.so'))),
    reason='not installed: pulseaudio, libasound2-plugins',
)


class SoundServer:
    """A loudspeaker that nobody hears, and a microphone before it; a tone sounds for as long as the server lives."""

    def __init__(self, folder: Path):
        self.socket = folder / 'socket'
        self.environment = {
            **os.environ,
            'PULSE_SERVER': f'unix:{self.socket}',
            'PULSE_RUNTIME_PATH': str(folder),
            'PULSE_COOKIE': str(folder / 'cookie'),
        }
        self.start()

    def start(self) -> None:
        modules = (
            'module-null-sink sink_name=loudspeaker norewinds=1',  # a short buffer, as a sound card has
            'module-sine sink=loudspeaker',
            f'module-native-protocol-unix auth-anonymous=1 auth-cookie-enabled=0 socket={self.socket}',
        )
        options = ['-n', '--daemonize=no', '--use-pid-file=no', '--exit-idle-time=-1', '--log-level=error']
        options += [f'--load={module}' for module in modules]
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(['pulseaudio', *options], env=self.environment)
        while not self.socket.exists():
            assert self.process.poll() is None, 'PulseAudio ended'
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)


@pytest.fixture
def server(tmp_path_factory):
    made = SoundServer(tmp_path_factory.mktemp('sound'))
    yield made
    made.kill()


def test_sound_devices_that_go_away_are_told_and_used_again_when_they_are_back(graph, server):
    chunks = graph.collect(AudioChunk, 'audio')
    own = {'device': 'pulse', 'environment': server.environment}
    nodes = {
        'microphone': graph.start('audio_source', source='microphone', **own),
        'loudspeaker': graph.start('player', window=False, **own),
    }

    def begun() -> list[int]:
        return [node.said().count(f"{device} 'pulse' at 16000 Hz") for device, node in nodes.items()]

    graph.until(lambda: all(begun()), 'no device')
    graph.until(lambda: chunks and np.any(chunks[-1].samples), 'the microphone hears nothing')
    server.kill()
    graph.until(lambda: all(f"no {device} 'pulse'" in node.said() for device, node in nodes.items()), 'it is not told')
    graph.until(lambda: not np.any(chunks[-1].samples), 'no silence')
    before = begun()
    server.start()
    graph.until(lambda: all(np.greater(begun(), before)), 'the devices are not used again')
    graph.until(lambda: np.any(chunks[-1].samples), 'the microphone hears nothing any longer')
    assert [node.end() for node in nodes.values()] == [0, 0]
    assert chunks[-1].first_sample - chunks[0].first_sample == sum(len(chunk.samples) for chunk in chunks[:-1])


def test_a_sound_server_that_hangs_does_not_keep_the_player_from_ending(graph, server):
    player = graph.start('player', window=False, device='pulse', environment=server.environment)
    graph.until(lambda: "loudspeaker 'pulse' at" in player.said(), 'no loudspeaker')
    server.hang()
    assert player.end() == 0
