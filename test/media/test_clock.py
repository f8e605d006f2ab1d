"""Sound is where its stamps say, whatever sound card recorded it and whoever joined the files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_files import write_flashes

from lsp_ros.capture.video import pictures, read_sound
from lsp_ros.media.clock import Clock, follow_stamps
from lsp_ros.timeline import SAMPLE_RATE

pytestmark = pytest.mark.slow

BLOCK = 320


def stamped(seconds: float, pace: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise, and the stamps of its blocks of 20 ms."""
    samples = np.random.default_rng(0).uniform(-1, 1, round(seconds * SAMPLE_RATE)).astype(np.float32)
    positions = np.arange(0, len(samples), BLOCK).astype(float)
    return samples, positions, 100 + positions * pace / SAMPLE_RATE


def offsets(path: Path) -> list[float]:
    """Seconds from each flash of a film to its beep."""
    sound = np.flatnonzero(np.abs(read_sound(path)) > 0.3) / SAMPLE_RATE
    beeps = [at for k, at in enumerate(sound) if k == 0 or at - sound[k - 1] > 0.5]
    flashes = [seconds for _, seconds, image in pictures(path) if image.mean() > 120]
    assert len(beeps) == len(flashes)
    return [beep - flash for beep, flash in zip(beeps, flashes, strict=True)]


@given(st.integers(0, 1000))
def test_stamps_that_agree_with_the_samples_change_nothing(seed):
    samples, positions, stamps = stamped(5)
    rounded = np.round(stamps + np.random.default_rng(seed).uniform(-2e-4, 2e-4, len(stamps)), 3)
    for given_stamps in (stamps, rounded):
        heard, holes = follow_stamps(samples, positions, given_stamps)
        assert holes == []
        np.testing.assert_array_equal(heard, samples)


def test_a_recorder_in_a_hurry_leaves_the_sound_alone():
    samples, positions, stamps = stamped(60)
    late = np.random.default_rng(1).exponential(0.004, len(stamps))
    late[50::100] += 0.2  # now and then another program has the processor
    heard, holes = follow_stamps(samples, positions, stamps + late)
    assert holes == [] and abs(len(heard) - len(samples)) < 0.02 * SAMPLE_RATE


@pytest.mark.parametrize('missing', [0.03, 0.5, 20])
def test_what_is_missing_is_a_hole_of_silence(missing):
    samples, positions, stamps = stamped(4)
    stamps[100:] += missing
    heard, holes = follow_stamps(samples, positions, stamps)
    cut, gap = 100 * BLOCK, round(missing * SAMPLE_RATE)
    assert holes == [pytest.approx((cut / SAMPLE_RATE, cut / SAMPLE_RATE + missing), abs=1e-4)]
    np.testing.assert_array_equal(heard, np.concatenate([samples[:cut], np.zeros(gap), samples[cut:]]))


def test_what_is_there_twice_is_cut():
    samples, positions, stamps = stamped(4)
    stamps[100:] -= 0.25
    heard, holes = follow_stamps(samples, positions, stamps)
    assert holes == [] and len(heard) == len(samples) - SAMPLE_RATE // 4
    np.testing.assert_array_equal(heard[-1000:], samples[-1000:])


def test_one_broken_stamp_moves_nothing():
    samples, positions, stamps = stamped(4)
    stamps[77] += 5000
    np.testing.assert_array_equal(follow_stamps(samples, positions, stamps)[0], samples)


@pytest.mark.parametrize('pace', [0.998, 0.9999, 1.0001, 1.002])
def test_a_sound_card_that_drifts_is_followed(pace):
    samples = np.zeros(120 * SAMPLE_RATE, np.float32)
    clicks = np.arange(5, 116, 10) * SAMPLE_RATE
    samples[clicks] = 1
    positions = np.arange(0, len(samples), BLOCK).astype(float)
    stamps = positions * pace / SAMPLE_RATE + np.random.default_rng(0).uniform(-0.002, 0.002, len(positions))
    heard, holes = follow_stamps(samples, positions, stamps)
    assert holes == []
    found = np.array([int(np.argmax(heard[round(at) - 800 : round(at) + 800])) - 800 for at in clicks * pace])
    assert np.abs(found + np.round(clicks * pace) - clicks * pace).max() < 0.003 * SAMPLE_RATE


@pytest.mark.parametrize('pace', [0.998, 1.002])
def test_flash_and_beep_stay_together_whichever_clock_is_fast(tmp_path, pace):
    film = write_flashes(tmp_path / 'drift.mkv', 40, pace, range(5, 40, 5))
    assert np.abs(offsets(film)).max() < 0.02


def test_segments_that_were_joined_come_one_after_the_other_with_their_sound(tmp_path):
    parts = [write_flashes(tmp_path / f'{k}.ts', 2, moments=[1.0], container='mpegts').read_bytes() for k in range(3)]
    joined = tmp_path / 'joined.ts'
    joined.write_bytes(b''.join(parts))
    assert len(Clock(joined).offsets) == 3
    times = [seconds for _, seconds, _ in pictures(joined)]
    assert len(times) == 150 and np.diff(times).max() < 0.3
    assert len(offsets(joined)) == 3 and np.abs(offsets(joined)).max() < 0.02
