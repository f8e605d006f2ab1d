"""The mouth network: paper section 3.2, live and offline."""

import numpy as np
import pytest
import torch

from lsp_ros.avatar.architecture import MOUTH
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.motion.mouth_live import MouthPredictor


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
    assert own == MOUTH


@pytest.mark.slow
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
