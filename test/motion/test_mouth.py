"""The mouth: paper section 3.2, live and offline."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_ros.avatar import landmarks
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.motion.mouth_live import (
    BRIDGE_FRAMES,
    CLOSE_FRAMES,
    OPEN_FRAMES,
    WEIGHTS,
    MouthGate,
    MouthPredictor,
    Smoother,
    contact,
    join_lips,
)


@pytest.fixture(scope='module')
def network() -> MouthNet:
    torch.manual_seed(3)
    network = MouthNet()
    with torch.no_grad():  # statistics as after a training, not the zeros and ones of a new network
        network(3 * torch.randn(4, 50, 1024))
    return network.eval()


@pytest.fixture(scope='module')
def predictor(network) -> MouthPredictor:
    return MouthPredictor({name: tensor.numpy() for name, tensor in network.state_dict().items()})


def test_network_has_the_size_of_the_paper():
    assert sum(p.numel() for p in MouthNet().parameters()) == 3_064_395


def test_live_form_reads_the_tensors_that_the_network_has():
    own = {name: tuple(t.shape) for name, t in MouthNet().state_dict().items() if 'num_batches' not in name}
    assert own == WEIGHTS


def test_live_form_equals_the_network(network, predictor):
    features = np.random.default_rng(0).normal(0, 1, (2, 60, 1024)).astype(np.float32)
    with torch.inference_mode():
        expected, _ = network(torch.from_numpy(features))
    state = predictor.start(streams=2)
    pieces = [predictor.step(state, features[:, a:b]) for a, b in ((0, 1), (1, 2), (2, 40), (40, 60))]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), expected.numpy(), atol=2e-6)


@pytest.mark.parametrize(
    'spoil',
    [
        lambda w: w.pop('lstm.bias_hh_l2'),
        lambda w: w.update({'decoder.6.weight': np.zeros((75, 256))}),
    ],
)
def test_weights_that_do_not_fit_are_named(network, spoil):
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    spoil(weights)
    with pytest.raises(ValueError, match='lstm.bias_hh_l2|decoder.6.weight'):
        MouthPredictor(weights)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.sampled_from([0.0, 0.4, 1.5, 3.0]))
@settings(max_examples=50, deadline=None)
def test_smoothing_is_the_same_in_any_chunking(chunks, sigma):
    rows = np.random.default_rng(sum(chunks)).normal(size=(sum(chunks), 5)).astype(np.float32)
    whole, pieces = Smoother(sigma), Smoother(sigma)
    expected = [whole.push(rows), whole.flush()]
    got = [pieces.push(part) for part in np.split(rows, np.cumsum(chunks)[:-1])] + [pieces.flush()]
    expected, got = (np.concatenate([p for p in parts if len(p)] or [rows]) for parts in (expected, got))
    assert got.shape == rows.shape
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_smoothing_keeps_what_is_constant_and_calms_what_is_not():
    smoother = Smoother(2.0)
    np.testing.assert_allclose(smoother.push(np.ones((30, 2), np.float32)), 1, atol=1e-6)
    noise = np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32)
    assert Smoother(2.0).push(noise).std() < 0.5 * noise.std()


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


def face() -> np.ndarray:
    points = np.zeros((landmarks.LANDMARKS, 3), np.float32)
    points[landmarks.UPPER_LIP_INNER, 1] = 0.1
    points[landmarks.LOWER_LIP_INNER, 1] = -0.1
    points[landmarks.UPPER_LIP_OUTER, 1] = 0.8
    points[landmarks.LOWER_LIP_OUTER, 1] = -0.8
    return points


def test_crossed_lips_meet_halfway_and_keep_their_thickness():
    crossed = face()
    crossed[landmarks.UPPER_LIP_INNER, 1] = [-0.1, -0.2, -0.3]
    crossed[landmarks.LOWER_LIP_INNER, 1] = [0.1, 0.2, 0.3]
    mended = join_lips(np.stack([face(), crossed]))
    np.testing.assert_array_equal(mended[0], face())
    np.testing.assert_allclose(landmarks.lip_gap(mended[1]), 0, atol=1e-6)
    np.testing.assert_allclose(mended[1, landmarks.UPPER_LIP_OUTER, 1], 0.8 + 0.2, atol=1e-6)
    np.testing.assert_allclose(mended[1, landmarks.LOWER_LIP_OUTER, 1], -0.8 - 0.2, atol=1e-6)


def test_soft_lips_close_a_slit_and_leave_an_open_mouth_alone():
    gaps = np.array([-0.2, 0.0, 0.05, 0.1, 0.2, 0.3, 0.6])
    shown = contact(gaps, 0.1)
    assert (shown[:4] == 0).all() and (shown[5:] == gaps[5:]).all()
    assert 0 < shown[4] < 0.2
    np.testing.assert_array_equal(contact(gaps, 0.0), np.maximum(gaps, 0))


@given(st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3), st.floats(0, 0.01), st.sampled_from([0.0, 0.02, 0.1]))
def test_lips_never_cross_and_nothing_pops(gaps, little, seal):
    def shown(gaps):
        points = face().astype(float)
        points[landmarks.UPPER_LIP_INNER, 1] = gaps
        points[landmarks.LOWER_LIP_INNER, 1] = 0
        return join_lips(points, seal)

    here, near = shown(gaps), shown(np.array(gaps) - little)
    assert (here[landmarks.UPPER_LIP_INNER, 1] >= here[landmarks.LOWER_LIP_INNER, 1] - 1e-12).all()
    # soft lips open up to 2.05 times as fast while they part
    assert np.abs(here - near).max() <= (1 if seal == 0 else 1.6) * little + 1e-12
