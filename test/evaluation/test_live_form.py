"""The delay that is reported is the delay that is there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_ros.evaluation.live_form import delay
from lsp_ros.motion.clip import smooth
from lsp_ros.motion.filters import LowPass


def walk(frames: int, seed: int) -> np.ndarray:
    return smooth(np.random.default_rng(seed).normal(size=(frames, 6)), 4)


@given(st.integers(-9, 39), st.integers(0, 5))
def test_a_known_delay_is_found(frames, seed):
    signal = walk(500, seed)
    assert delay(signal[60 - frames : 360 - frames], signal[60:360]) == pytest.approx(frames, abs=0.2)


@pytest.mark.parametrize('sigma', [2.0, 5.0, 10.0])
def test_the_live_filter_comes_sqrt_2_sigma_after_the_offline_one(sigma):
    signal, live = smooth(walk(3000, 1), 2 * sigma), LowPass(np.full(6, sigma))
    shown = np.stack([live.step(row) for row in signal])
    # Half a frame less: a frame's pose counts for all of the frame.
    assert delay(shown, smooth(signal, sigma)) == pytest.approx(np.sqrt(2) * sigma - 0.5, rel=0.1)


def test_short_motions_are_refused():
    with pytest.raises(ValueError, match='100 frames'):
        delay(np.zeros((99, 3)), np.zeros((99, 3)))
