"""When the mouth moves with the network and when it rests."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_ros.motion.liveliness import BRIDGE_FRAMES, CLOSE_FRAMES, OPEN_FRAMES, MouthGate


def gate(activity, ahead=18) -> np.ndarray:
    activity = np.asarray(activity, bool)
    known = np.concatenate([activity, np.zeros(ahead, bool)])
    gate = MouthGate()
    return np.array([gate.step(known[t : t + ahead + 1]) for t in range(len(activity))])


def test_mouth_is_fully_open_to_the_network_while_somebody_speaks():
    activity = np.zeros(200, bool)
    activity[50:120] = True
    assert (gate(activity)[50:120] == 1).all()


def test_mouth_rests_150_ms_after_speech_and_120_ms_before():
    activity = np.zeros(200, bool)
    activity[50:120] = True
    weight = gate(activity)
    assert (weight[: 50 - OPEN_FRAMES] == 0).all() and weight[50 - OPEN_FRAMES] > 0
    assert (weight[119 + CLOSE_FRAMES :] == 0).all() and weight[119 + CLOSE_FRAMES - 1] > 0
    assert CLOSE_FRAMES / 60 <= 0.150 and OPEN_FRAMES / 60 <= 0.120


@given(pause=st.integers(1, 60))
@settings(deadline=None)
def test_short_pauses_do_not_close_the_mouth(pause):
    activity = np.ones(80 + pause, bool)
    activity[40 : 40 + pause] = False
    assert (gate(activity) == 1).all() == (pause <= BRIDGE_FRAMES)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 30)), min_size=1, max_size=10))
@settings(deadline=None)
def test_mouth_never_slams(runs):
    weight = gate(np.concatenate([np.full(n, on) for on, n in [(False, 20), *runs, (False, 20)]]))
    assert np.abs(np.diff(weight)).max() <= np.pi / 2 / (OPEN_FRAMES + 1) + 1e-9
    assert weight[-1] == 0
