"""Films as a user makes them: lsp render, say and demo."""

import shutil
import signal
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from lsp_process import PATIENCE, start, until, with_ros

from lsp_ros.cli.main import main
from lsp_ros.media.film import DIGITAL_SOURCE_TYPE, digital_source_type
from lsp_ros.media.sound import read_audio
from lsp_ros.resources import find_sample
from lsp_ros.text_to_speech import synthesize

pytestmark = pytest.mark.slow


def pictures(path: Path) -> int:
    with av.open(str(path)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (512, 512)
        return sum(1 for _ in container.decode(video=0))


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
