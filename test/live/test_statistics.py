"""What a viewer gets."""

import json

import numpy as np
import pytest
from stream_pieces import SECOND, START_NS

from lsp_ros import timeline
from lsp_ros.live.stamped import AudioBlock
from lsp_ros.live.statistics import Durations, ViewerStatistics, missing, write_report


def test_the_report_counts_and_times(tmp_path):
    statistics = ViewerStatistics(30)
    for number in range(100):
        if number != 50:
            stamp = START_NS + timeline.samples_to_ns(160 * number)
            statistics.sound(AudioBlock('a', 160 * number, stamp, np.zeros(160)), stamp - 350_000_000, delay_ns=0)
    for number in range(30):
        if number not in (7, 8):
            stamp = START_NS + number * SECOND // 30
            statistics.picture(stamp, stamp + 20_000_000)
    report = statistics.report()
    assert report['images'] | {'seconds': 0} == {
        'received': 28, 'seconds': 0, 'rate': pytest.approx(27 / (29 / 30), abs=0.01), 'dropped': 2, 'out_of_order': 0,
    }  # fmt: skip
    assert report['sound']['missing_samples'] == 160 and report['sound']['late_chunks'] == 0
    assert report['latency_ms']['stamp_to_image']['median'] == 20
    assert 370 <= report['latency_ms']['audio_to_image']['median'] <= 380
    write_report(str(tmp_path / 'report.json'), report)
    assert json.loads((tmp_path / 'report.json').read_text()) == report


def sound(statistics: ViewerStatistics, *first_samples: int) -> int:
    """Chunks of 10 ms of one stream -> how many samples are missing."""
    for first in first_samples:
        stamp = START_NS + timeline.samples_to_ns(first)
        statistics.sound(AudioBlock('a', first, stamp, np.zeros(160)), stamp, delay_ns=0)
    return statistics.missing_samples


def test_a_jump_within_a_stream_loses_no_sound():
    hour = 3600 * timeline.SAMPLE_RATE
    statistics = ViewerStatistics(30)
    assert sound(statistics, 0, 160, hour, hour + 160) == 0
    assert sound(statistics, hour + 480) == 160  # from where it has jumped to, it is followed as before
    assert sound(statistics, 0, 160) == 160 and statistics.streams == 1


def test_a_chunk_that_comes_late_or_twice_costs_nothing_more():
    assert sound(ViewerStatistics(30), 0, 320, 160, 320, 480, 640) == 160


def test_a_standstill_costs_the_pictures_that_did_not_come():
    assert missing(3600, 60 * SECOND, 60) == missing(3601, 60 * SECOND, 60) == 0
    assert missing(3240, 60 * SECOND, 60) == 360


def test_durations_of_any_number_are_summed_up_in_little_memory():
    durations, given = Durations(), np.random.default_rng(0).normal(0.3, 0.02, 50_000)
    assert durations.summary() is None and not durations
    for seconds in given:
        durations.append(seconds)
    assert len(durations) == len(given)
    exact = 1000 * np.percentile(given, [50, 95, 99, 100])
    np.testing.assert_allclose(list(durations.summary().values()), exact, atol=0.1)
    assert list(durations.summary()) == ['median', 'p95', 'p99', 'max']
    assert len(durations._counts) < 5000
