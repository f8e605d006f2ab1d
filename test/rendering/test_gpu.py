"""The network as a GPU runs it: rewritten for the same picture, and in batches. Without a GPU the rewriting is
checked on the CPU."""

import numpy as np
import pytest
import torch
from torch import nn

from lsp_ros.rendering.engines.baked import BakedRenderer
from lsp_ros.rendering.engines.engine import LARGEST_BATCH, EngineError
from lsp_ros.rendering.engines.factory import build_engine
from lsp_ros.rendering.engines.folded import fold, phases, transposed
from lsp_ros.rendering.generator import Generator, LiveGenerator, ResidualBlock, load_generator

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='torch finds no NVIDIA GPU')


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('LSP_CACHE_DIR', str(tmp_path))


def feature_maps(count, seed=0):
    return np.where(np.random.default_rng(seed).random((count, 512, 512)) < 0.03, 255, 0).astype(np.uint8)


def candidates():
    return np.random.default_rng(0).integers(0, 256, (4, 512, 512, 3), np.uint8)


def random_weights(size, width=8):
    """He's initialisation, and batch norms that hold what goes through them.

    With residual branches as strong as what passes by them, every layer enlarges an error, and after the 70 of 'large'
    float16's roundings are a tenth of the picture: random networks do that, whatever draws them.
    """
    torch.manual_seed(1)
    network = LiveGenerator((16, 16, 16, 16), (1, 1, 1)) if size == 'live' else Generator(size, width)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.normal_(module.bias, std=0.1)
            module.momentum = None  # the plain mean of what it has seen
    for module in network.modules():
        if isinstance(module, ResidualBlock):
            module.block[-1].weight.data *= 0.3
    last = network.head if size == 'live' else network.unet.model[-1]
    last.weight.data *= 0.1
    with torch.no_grad():
        network.train()(torch.cat([torch.rand(2, 1, 512, 512) < 0.03, torch.rand(2, 12, 512, 512) * 2 - 1], dim=1))
    return {key: value.numpy() for key, value in network.state_dict().items()}


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.slow
@pytest.mark.parametrize(
    'size, enlarge', [('live', phases), ('normal', phases), ('normal', transposed), ('large', phases)]
)
def test_the_folded_network_draws_the_same_picture(size, enlarge):
    """In float64, where nothing but a mistake is seen."""
    renderer = BakedRenderer(load_generator(size, random_weights(size)), candidates()).double()
    maps = torch.tensor(feature_maps(2))
    plain = renderer(maps).numpy()
    folded = fold(renderer, enlarge)(maps).numpy()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in renderer.body.modules())
    assert plain.std() > 5
    assert np.abs(folded.astype(int) - plain).max() <= 1
    assert (folded != plain).mean() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize('name', ['torch', 'openvino'])
def test_a_batch_is_its_pictures_one_by_one(name):
    pytest.importorskip(name)
    engine = build_engine(name, random_weights('live'), 'live', candidates(), threads=2)
    maps = feature_maps(3)
    np.testing.assert_allclose(engine.render_batch(maps), [engine.render(each) for each in maps], atol=2)
    assert len(engine.render_batch(maps[:1])) == 1


def test_other_batches_are_refused():
    engine = build_engine('torch', random_weights('live'), 'live', candidates())
    for bad in (feature_maps(1)[0], feature_maps(1).astype(float), feature_maps(2)[:, :256], feature_maps(1)[:0], 3):
        with pytest.raises(ValueError, match=r'feature maps must be \(B, 512, 512\) uint8'):
            engine.render_batch(bad)
    with pytest.raises(ValueError, match='at most 64 feature maps, not 65'):
        engine.render_batch(np.zeros((LARGEST_BATCH + 1, 512, 512), np.uint8))


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is an NVIDIA GPU')
def test_without_a_gpu_it_is_said():
    with pytest.raises(EngineError, match="engine 'torch' was asked for an NVIDIA GPU, and torch finds none"):
        build_engine('torch', random_weights('live'), 'live', candidates(), device='cuda')


@cuda
@pytest.mark.parametrize('size, width', [('live', 0), ('normal', 8), ('normal', 64), ('large', 64)])
def test_cuda_draws_the_reference(size, width):
    weights, maps = random_weights(size, width), feature_maps(2)
    reference = build_engine('torch', weights, size, candidates(), device='cpu').render_batch(maps)
    exact = build_engine('torch', weights, size, candidates(), device='cuda', precision='f32').render_batch(maps)
    quick = build_engine('torch', weights, size, candidates(), device='cuda').render_batch(maps)
    assert reference.std() > 5
    assert np.abs(exact.astype(int) - reference).max() <= 1
    assert psnr(quick, reference) > 45
    assert np.abs(quick.astype(int) - reference).max() <= 8


@cuda
@pytest.mark.parametrize('size', ['live', 'normal'])
def test_cuda_batches_of_every_size(size):
    """Padded, cut into chunks and drawn side by side: each picture is the one of its own feature map."""
    engine = build_engine('torch', random_weights(size), size, candidates(), device='cuda')
    maps = feature_maps(LARGEST_BATCH)
    single = np.stack([engine.render(each) for each in maps])
    for count in (1, 3, 8, 13, 29, LARGEST_BATCH, 2):
        pictures = engine.render_batch(maps[-count:])
        assert pictures.shape == (count, 512, 512, 3) and pictures.dtype == np.uint8
        assert min(psnr(one, other) for one, other in zip(pictures, single[-count:])) > 50


@cuda
def test_cuda_is_ready_for_all_batches_of_its_streams():
    engine = build_engine('torch', random_weights('live'), 'live', candidates(), device='cuda')
    engine.warm_up(11)
    ready = dict(engine._pipeline._slots)
    for count in range(1, 12):
        engine.render_batch(feature_maps(count))
    assert engine._pipeline._slots == ready and engine.most_together >= 11


@cuda
def test_cuda_pictures_stay_when_the_next_are_drawn():
    engine = build_engine('torch', random_weights('live'), 'live', candidates(), device='cuda')
    first = engine.render_batch(feature_maps(9, seed=0))
    kept = first.copy()
    assert not np.array_equal(engine.render_batch(feature_maps(9, seed=1)), kept)
    np.testing.assert_array_equal(first, kept)
    first[:] = 0  # and are writable
