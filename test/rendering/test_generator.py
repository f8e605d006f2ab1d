"""The renderers have the paper's sizes, and the live one computes once what never changes."""

import numpy as np
import pytest
import torch

from lsp_ros.rendering.generator import (
    Constants,
    Generator,
    LiveGenerator,
    build_generator,
    load_generator,
    parameter_count,
)


def small_live(seed=0):
    torch.manual_seed(seed)
    network = LiveGenerator((8, 16, 16, 24), (1, 0, 2))
    for layer in (network.head, network.candidate_mix):  # zero at the start of training
        torch.nn.init.normal_(layer.weight, std=0.3)
    return network.eval()


def weights_of(network):
    return {key: value.numpy() for key, value in network.state_dict().items()}


@pytest.mark.parametrize(('size', 'count'), [('normal', 76_203_840), ('large', 121_789_760)])
def test_parameter_counts_are_the_papers(size, count):
    with torch.device('meta'):
        assert parameter_count(build_generator(size)) == count


def test_the_live_renderer_is_small():
    assert parameter_count(build_generator('live')) < 6e6


@torch.no_grad()
def test_a_picture_is_as_large_as_its_map_and_within_range():
    torch.manual_seed(0)
    picture = Generator('large', width=4).eval()(torch.rand(1, 13, 512, 512))
    assert picture.shape == (1, 3, 512, 512)
    assert picture.abs().max() <= 1


@torch.no_grad()
def test_prepared_candidates_give_the_same_picture_as_all_thirteen_channels():
    network = small_live()
    maps, candidates = torch.rand(2, 1, 512, 512), torch.rand(1, 12, 512, 512) * 2 - 1
    prepared = network(maps, network.prepare(candidates))
    together = network(torch.cat([maps, candidates.expand(2, -1, -1, -1)], dim=1))
    torch.testing.assert_close(prepared, together, atol=1e-5, rtol=0)


@torch.no_grad()
def test_where_candidates_agree_the_base_picture_is_theirs():
    candidates = (torch.rand(1, 3, 512, 512) * 2 - 1).repeat(1, 4, 1, 1)
    base = small_live().prepare(candidates).base
    torch.testing.assert_close(base, candidates[:, :3], atol=1e-6, rtol=0)


@torch.no_grad()
def test_differences_below_a_grey_level_are_not_drawn():
    """So that the background, where the network means to add nothing, stands still to the last bit."""
    network = small_live()
    torch.nn.init.normal_(network.head.weight, std=1e-6)
    torch.nn.init.zeros_(network.head.bias)
    constants = network.prepare(torch.rand(1, 12, 512, 512) * 2 - 1)
    assert torch.equal(network(torch.rand(1, 1, 512, 512), constants), constants.base)


def test_training_reaches_every_weight():
    network = small_live().train()
    constants = network.prepare(torch.rand(1, 12, 64, 64) * 2 - 1)
    network(torch.rand(2, 1, 64, 64), constants).square().mean().backward()
    assert isinstance(constants, Constants)
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@torch.no_grad()
@pytest.mark.parametrize('size', ['live', 'normal'])
def test_a_network_is_rebuilt_from_its_weights_alone(size):
    network = small_live() if size == 'live' else Generator('normal', width=4).eval()
    picture = torch.rand(1, 13, 512, 512)
    assert torch.equal(load_generator(size, weights_of(network))(picture), network(picture))


def test_weights_of_another_size_are_refused():
    weights = weights_of(small_live())
    with pytest.raises(ValueError, match="not those of a 'normal' renderer"):
        load_generator('normal', weights)
    with pytest.raises(ValueError, match="not those of a 'live' renderer"):
        load_generator('live', {**weights, 'extra': np.zeros(1)})
    del weights['head.bias']
    with pytest.raises(ValueError, match='head.bias'):
        load_generator('live', weights)


def test_unknown_sizes_are_refused():
    with pytest.raises(ValueError, match="'huge' is not one of live, normal, large"):
        build_generator('huge')
