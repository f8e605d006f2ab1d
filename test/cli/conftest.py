"""What the tests of the `lsp` command have in common."""

import numpy as np
import pytest
import soundfile
from lsp_process import end_all


@pytest.fixture
def speech(tmp_path):
    """Half a second of stereo noise at 8 kHz."""
    noise = np.random.default_rng(0).normal(0, 0.1, (4000, 2)).clip(-1, 1)
    soundfile.write(tmp_path / 'speech.wav', noise, 8000)
    return tmp_path / 'speech.wav'


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """Whatever becomes of a test: the next one would meet what it started."""
    yield
    end_all()
