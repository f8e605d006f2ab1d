"""``lsp bench`` as a user meets it."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from lsp_ros.benchmark.live import read_figures
from lsp_ros.cli.main import main

pytestmark = pytest.mark.slow

PATIENCE = 120  # seconds that a busy machine may take; nothing here is timed

with_ros = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ('rclpy', 'lsp_ros.msg'))), reason='ROS 2 or the built messages are absent'
)


@pytest.fixture
def speech(tmp_path):
    soundfile.write(tmp_path / 'speech.wav', np.random.default_rng(0).normal(0, 0.1, 32_000).clip(-1, 1), 16_000)
    return tmp_path / 'speech.wav'


def test_tables_are_printed_and_written(tiny_avatar, speech, tmp_path, capsys):
    page, figures = tmp_path / 'page.md', tmp_path / 'figures.json'
    assert (
        main(
            [
                'bench',
                '--avatar',
                str(tiny_avatar),
                '--speech',
                str(speech),
                '--stages',
                'mel,drawing',
                '--frames',
                '3',
                '--json',
                str(figures),
                '--markdown',
                str(page),
            ]
        )
        == 0
    )
    printed = capsys.readouterr().out
    rows = json.loads(figures.read_text())['stages']
    assert [row['stage'] for row in rows] == ['mel', 'drawing']
    for text in (printed, page.read_text()):
        assert '## Before the picture' in text and 'load before the start' in text
        assert all(f'{row["ours"]["median"]:.3f}' in text for row in rows)
    assert page.read_text().count('<!-- lsp bench:') == 1


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--stages', 'mel,kroplo'], "'kroplo' is not one of mel"),
        (['--engines', 'auto'], "'auto' is not one of torch"),
        (['--streams', '0'], '0 is below 1'),
        (['--live', '--soak', '1'], 'not allowed with'),
        (['--future', '--microphone-like'], 'not allowed with'),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, words, capsys):
    with pytest.raises(SystemExit) as exit:
        main(['bench', *arguments])
    assert exit.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--json', 'nowhere/a.json'], 'folder nowhere does not exist'),
        (['--speech', 'missing.wav'], 'missing.wav'),
        (['--avatar', 'nobody'], 'nobody'),
        (['--soak', '0'], '--soak is 0'),
        (['--live', '--minutes', '0'], '--minutes is 0'),
    ],
)
def test_what_the_user_can_mend_is_said_in_one_sentence(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['bench', *arguments]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith('lsp: ') and words in message


@with_ros
def test_the_running_graph_is_measured_until_ctrl_c(tiny_avatar, speech, tmp_path):
    figures, scratch = tmp_path / 'figures.json', tmp_path / 'scratch'
    scratch.mkdir()
    process = subprocess.Popen(
        [
            sys.executable,
            '-m',
            'lsp_ros.cli.main',
            'bench',
            '--live',
            '--microphone-like',
            '--minutes',
            '600',
            '--warm-up',
            '1',
            '--frame-rate',
            '30',
            '--avatar',
            str(tiny_avatar),
            '--speech',
            str(speech),
            '--json',
            str(figures),
        ],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, 'TMPDIR': str(scratch)},
    )

    def measured() -> bool:
        for folder in scratch.glob('lsp_bench_*'):
            seen, costs = (read_figures(folder / name) for name in ('report.json', 'processes.json'))
            if (
                seen.get('measured_from_ns')
                and seen['images']['received'] > 2
                and all(step['ms'] for step in seen['steps'])
                and seen['computing']
            ):
                return len([row for row in costs.get('processes', []) if row['cpu'] and 'rss_mb' in row]) == 6
        return False

    deadline = time.monotonic() + PATIENCE
    while not measured() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and 'Traceback' not in output, output
    assert 'The running graph, microphone source, 30 pictures a second' in output and 'Interrupted' in output

    live = json.loads(figures.read_text())['live']
    assert live['images']['received'] > 2 and live['first_picture_s'] > 0
    assert live['latency_ms']['audio_to_image']['median'] > 280  # the look-ahead cannot be had for nothing
    assert [step['to'] for step in live['steps']] == ['speech_features', 'face_motion', 'image']
    assert all(step['ms']['median'] > 0 for step in live['steps'])
    five = {'audio_source', 'speech_features', 'motion', 'renderer', 'player'}
    assert {row['process'] for row in live['processes']['processes']} == {*five, 'monitor'}
    for row in live['processes']['processes']:
        assert row['cpu'] > 0 and row['rss_mb'] >= row['pss_mb'] >= row['uss_mb'] > 10
    assert {row['what'] for row in live['computing'] if row['node'] == 'renderer'} >= {'rendering'}
    assert not list(scratch.glob('lsp_bench_*'))
