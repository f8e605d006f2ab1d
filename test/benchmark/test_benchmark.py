"""What the benchmark measures and writes; how fast anything is, is nobody's promise here."""

import itertools
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from lsp_ros.avatar.load import Avatar
from lsp_ros.benchmark import engines, pages, performance_report, provenance
from lsp_ros.benchmark.engines import build_engines, measure_batches, measure_engines, measure_streams, renderers
from lsp_ros.benchmark.processes import Meter
from lsp_ros.benchmark.soak import measure_soak, slope
from lsp_ros.benchmark.stages import STAGES, measure_stages, some_motion
from lsp_ros.benchmark.timing import summary, take_turns
from lsp_ros.rendering.engines.cache import cache_folder
from lsp_ros.rendering.generator import build_generator

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def avatar(tiny_avatar):
    return Avatar.load(tiny_avatar)


@pytest.fixture(scope='module')
def speech():
    return np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


@pytest.fixture(scope='module', autouse=True)
def cache(tmp_path_factory):
    """Converted renderers of these tests stay out of the user's own cache."""
    before = os.environ.get('LSP_CACHE_DIR')
    os.environ['LSP_CACHE_DIR'] = str(tmp_path_factory.mktemp('cache'))
    yield
    del os.environ['LSP_CACHE_DIR']
    if before is not None:
        os.environ['LSP_CACHE_DIR'] = before


@pytest.fixture(scope='module')
def renderer(avatar, speech):
    (found,) = renderers(avatar, some_motion(avatar, speech, 3), ['live'])
    return found


# Timing


def test_contenders_take_turns_and_warm_up_is_not_counted():
    calls, clock = [], itertools.count()  # every look at the clock is a second after the last
    steps = {name: lambda frame, name=name: calls.append((name, frame)) for name in 'ab'}
    times = take_turns(steps, frames=4, warm_up=2, turn=3, clock=lambda: next(clock))
    assert calls == [
        ('a', 0),
        ('a', 1),
        ('a', 2),
        ('b', 0),
        ('b', 1),
        ('b', 2),
        ('a', 3),
        ('a', 4),
        ('a', 5),
        ('b', 3),
        ('b', 4),
        ('b', 5),
    ]
    assert times['a'] == {'median': 1000, 'p95': 1000, 'p99': 1000, 'least': 1000, 'count': 4}


def test_percentiles_are_milliseconds():
    assert summary(np.arange(101) / 1000) == pytest.approx(
        {'median': 50, 'p95': 95, 'p99': 99, 'least': 0, 'count': 101}
    )


def test_a_slope_leaves_out_the_row_in_which_buffers_fill():
    assert slope([1, 2, 3, 4], [500, 10, 12, 14]) == pytest.approx(2)
    assert slope([1, 2, 3], [1, 2, 3]) is None


# Stages and engines


def test_every_part_has_its_row_and_says_what_its_reference_says(avatar, speech):
    rows = list(measure_stages(avatar, speech, frames=6, warm_up=2))
    assert list(dict.fromkeys(row['stage'] for row in rows)) == list(STAGES)
    twice = {row['stage'] for row in rows if row['precision'] == 'f32'}
    assert (
        twice
        == {'apc', 'speech', 'mouth', 'head-pose', 'motion'}
        == {row['stage'] for row in rows if row['precision'] == 'int8'}
    )
    compared = {row['stage'] for row in rows if 'reference' in row}
    assert compared == {'mel', 'apc', 'mouth', 'head-pose'}
    for row in rows:
        assert 0 < row['ours']['least'] <= row['ours']['median'] <= row['ours']['p95'] <= row['ours']['p99']
        assert row['ours']['count'] == 6
        assert row['note'] or row['stage'] in ('speech', 'motion')
        if 'reference' in row:
            assert row['difference'] < (0.2 if row['precision'] == 'int8' else 1e-3)
            assert row['ratio'] == pytest.approx(row['reference']['median'] / row['ours']['median'])
    section = performance_report.stages_section(rows)
    assert all(row['part'] in section for row in rows) and 'sum of the three' in section


def test_only_the_parts_asked_for_are_measured(avatar, speech):
    assert [row['stage'] for row in measure_stages(avatar, speech, ['eyes', 'mel'], 2, 1)] == ['mel', 'eyes']


def test_engines_stand_beside_the_reference_and_absent_ones_are_named_with_the_reason(renderer):
    rows = list(measure_engines(renderer, ('torch', 'openvino', 'tensorrt'), threads=1, frames=2, warm_up=1))
    measured = [row for row in rows if 'reason' not in row]
    assert measured[0]['engine'].startswith('PyTorch f32, CPU') and measured[0]['ratio'] == 1
    assert any('OpenVINO' in row['engine'] for row in measured[1:])
    for row in measured:
        assert row['time']['count'] == 2 and row['time']['least'] > 0
        assert row['difference']['mean'] < 1  # a grey level: it draws the same picture
    section = performance_report.renderers_section(rows)
    for row in rows:
        assert row['engine'] in section and row.get('reason', '') in section


def test_random_weights_are_timed_alone_and_leave_the_cache_as_it_was(avatar, speech, monkeypatch):
    small = {name: tensor.numpy() for name, tensor in build_generator('normal', 8).state_dict().items()}
    monkeypatch.setattr(engines, 'random_weights', lambda size: small)
    before = sorted(cache_folder().rglob('*'))
    rows, reason = [], ''
    for found in renderers(avatar, some_motion(avatar, speech, 3), ['normal']):
        rows += measure_engines(found, ('openvino',), threads=1, frames=2, warm_up=1)
        reason = found.no_int8
    assert sorted(cache_folder().rglob('*')) == before
    measured = [row for row in rows if 'reason' not in row]
    assert any('f32' in row['engine'] for row in measured)
    assert any('int8' in row['engine'] for row in rows) and (not reason or 'nncf' in reason)
    assert not any('difference' in row for row in measured)  # they draw next to nothing
    assert 'random weights' in performance_report.renderers_section(rows)


def test_the_reference_is_measured_also_where_another_engine_was_asked_for(renderer):
    engines, missing = build_engines(renderer, ('openvino',), threads=1)
    assert next(iter(engines)).startswith('PyTorch f32')
    # An avatar without 8 bits: a row that is not there says why.
    assert [row['engine'] for row in missing] == ['openvino int8, live'] and 'lsp quantize' in missing[0]['reason']


def test_batches_of_streams(renderer):
    class Small:
        def render_batch(self, maps):
            if len(maps) > 4:
                raise RuntimeError('out of\nmemory')
            return np.zeros((*maps.shape, 3), np.uint8)

    rows = list(measure_batches(renderer, {'small': Small()}, (1, 4, 8, 16), frames=8))
    assert [row.get('streams') for row in rows] == [1, 4, None]
    assert rows[1]['picture_ms'] == pytest.approx(rows[1]['time']['median'] / 4)
    section = performance_report.streams_section(rows)
    assert '| live | small | 4 |' in section and '- small, 8 streams: out of memory' in section


def test_engines_of_this_machine_draw_batches(renderer):
    rows = list(measure_streams(renderer, ('openvino', 'tensorrt'), 1, (2,), frames=2, warm_up=0, least=1))
    assert all('OpenVINO' in row['engine'] for row in rows if row.get('streams') == 2)
    assert any('reason' not in row for row in rows)


# Simulated hours


def test_simulated_hours_lose_no_frame_and_tell_what_they_cost(avatar, speech):
    told = []
    rows = list(measure_soak(avatar, speech, hours=6 / 3600, render_every=30, threads=1, tick=told.append))
    assert [row['frames'] for row in rows] == [60, 120, 180, 240, 300, 360]
    assert rows[-1]['hours'] == pytest.approx(6 / 3600) == told[-1]
    assert all(row['rss_mb'] > row['uss_mb'] > 10 and row['time']['median'] > 0 for row in rows)
    assert all(row['picture']['count'] == 2 for row in rows)
    assert 'MB an hour' in performance_report.soak_section(rows)


# The running graph


def test_a_meter_knows_what_processes_cost():
    work = 'import sys\nprint("up", flush=True)\nwhile True: sum(range(10000))'
    with subprocess.Popen([sys.executable, '-c', work], stdout=subprocess.PIPE) as busy:
        try:
            busy.stdout.readline()
            meter = Meter()
            assert meter.report() == {}
            meter.sample({'busy': busy.pid}, measuring=False)
            assert meter.report() == {}
            while not meter.report() or not meter.report()['processes'][0]['cpu']:  # until it had a processor
                meter.sample({'busy': busy.pid, 'gone': 2**22 + 1}, measuring=True)
                time.sleep(0.05)
        finally:
            busy.kill()
    costs = meter.report()
    (row,) = costs['processes']
    assert row['process'] == 'busy' and row['cpu'] > 0
    assert row['rss_mb'] >= row['pss_mb'] >= row['uss_mb'] > 1
    assert costs['total']['pss_mb'] == row['pss_mb'] and costs['restarts'] == 0


# Pages


def test_a_run_writes_only_its_own_section(tmp_path):
    page = tmp_path / 'page.md'
    pages.update_markdown(page, {'one': 'old', 'two': 'stays'})
    page.write_text(page.read_text().replace('# Performance\n', '# Performance\n\nBy hand.\n'))
    pages.update_markdown(page, {'one': r'new \1', 'three': 'added'})
    text = page.read_text()
    assert text.startswith('# Performance\n\nBy hand.\n')
    assert 'old' not in text and [text.count(word) for word in (r'new \1', 'stays', 'added')] == [1, 1, 1]
    assert text.index('new') < text.index('stays') < text.index('added')
    before = text
    pages.update_markdown(page, {'two': 'stays'})
    assert page.read_text() == before


def test_the_command_is_told_without_where_it_writes():
    arguments = ['bench', '--json', 'a', '--live', '--markdown=b', '--minutes', '2', '--json=c']
    assert provenance.this_command(arguments) == 'lsp bench --live --minutes 2'


def test_the_machine_is_named():
    machine = provenance.machine()
    sentence = provenance.heading('lsp bench', machine)
    assert machine['processor'] in sentence and f'{os.cpu_count()} cores' in sentence and 'load before' in sentence
