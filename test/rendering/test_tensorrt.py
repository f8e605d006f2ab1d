"""The renderer as ONNX draws the same picture in another runtime, and TensorRT for RTX builds it without a GPU."""

import io
import logging
import sys

import numpy as np
import pytest
import torch

from lsp_ros.rendering.engines.baked import BakedRenderer
from lsp_ros.rendering.engines.engine import EngineError
from lsp_ros.rendering.engines.factory import build_engine
from lsp_ros.rendering.engines.folded import fold
from lsp_ros.rendering.engines.onnx import export
from lsp_ros.rendering.engines.tensorrt import LIBRARIES, build, find_libraries, fits
from lsp_ros.rendering.generator import Generator, LiveGenerator

pytest.importorskip('onnx')


def renderer(size):
    """Small, folded, with random weights; a head that draws something."""
    torch.manual_seed(1)
    network = LiveGenerator((16, 16, 16, 16), (1, 1, 1)) if size == 'live' else Generator(size, width=8)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter.data, std=0.1)
    candidates = np.random.default_rng(0).integers(0, 256, (4, 512, 512, 3), np.uint8)
    return fold(BakedRenderer(network.eval(), candidates))


@pytest.fixture(params=['live', 'normal'])
def exported(request):
    """A renderer and its ONNX model."""
    made = renderer(request.param)
    return made, export(made)


def test_the_exported_network_draws_the_same_pictures(exported):
    """By OpenVINO, in batches of two sizes: the batch is free."""
    openvino = pytest.importorskip('lsp_ros.openvino_import').openvino
    made, model = exported
    core = openvino.Core()
    runtime = core.compile_model(core.read_model(io.BytesIO(model)), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    for count in (1, 3):
        maps = np.where(np.random.default_rng(count).random((count, 512, 512)) < 0.03, 255, 0).astype(np.uint8)
        expected = made(torch.tensor(maps)).numpy()
        assert expected.std() > 5
        pictures = runtime(maps)['pictures']
        assert pictures.shape == (count, 512, 512, 3) and pictures.dtype == np.uint8
        assert np.abs(pictures.astype(int) - expected).max() <= 1


@pytest.fixture
def rtx():
    return pytest.importorskip('tensorrt_rtx_bindings', reason='TensorRT for RTX has no wheel for this machine')


@pytest.mark.parametrize('size', ['live', 'normal'])
def test_tensorrt_for_rtx_builds_an_engine_without_a_gpu(rtx, size):
    made = renderer(size).half()
    plan = build(rtx, export(made), 'SM89')
    assert len(plan) > 2 * sum(parameter.numel() for parameter in made.parameters())


def test_what_cannot_be_built_is_said(rtx, caplog):
    with caplog.at_level(logging.CRITICAL), pytest.raises(EngineError, match='cannot read the renderer'):
        build(rtx, b'nonsense', 'SM89')


def test_a_gpu_that_does_not_fit_is_seen(rtx):
    assert fits(rtx, 'SM89') and fits(rtx, 'SM120')
    assert not fits(rtx, 'SM90') and not fits(rtx, 'SM52')


def setting():
    weights = {key: value.numpy() for key, value in LiveGenerator((16, 16, 16, 16), (1, 1, 1)).state_dict().items()}
    return weights, 'live', np.zeros((4, 512, 512, 3), np.uint8)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is an NVIDIA GPU')
def test_without_a_gpu_it_is_said(rtx):
    with pytest.raises(EngineError, match="engine 'tensorrt' needs an NVIDIA GPU, and torch finds none"):
        build_engine('tensorrt', *setting())


def test_without_a_library_it_is_said(monkeypatch):
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(EngineError, match=r"needs NVIDIA's library: pip install 'lsp_ros\[tensorrt\]'"):
        find_libraries()


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision 'int4' is not one of auto, f16, f32"):
        build_engine('tensorrt', *setting(), precision='int4')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='torch finds no NVIDIA GPU')
def test_tensorrt_draws_the_reference_on_cuda(tmp_path, monkeypatch):
    monkeypatch.setenv('LSP_CACHE_DIR', str(tmp_path))
    weights, size, _ = setting()
    candidates = np.random.default_rng(0).integers(0, 256, (4, 512, 512, 3), np.uint8)
    maps = np.where(np.random.default_rng(1).random((11, 512, 512)) < 0.03, 255, 0).astype(np.uint8)
    try:
        engine = build_engine('tensorrt', weights, size, candidates)
    except EngineError as error:
        pytest.skip(str(error))
    (kept,) = tmp_path.glob('tensorrt/*/engine.plan')
    written = kept.stat().st_mtime_ns
    expected = build_engine('torch', weights, size, candidates, device='cpu').render_batch(maps).astype(float)
    for other in (engine, build_engine('tensorrt', weights, size, candidates)):
        for pictures in (other.render_batch(maps), np.stack([other.render(each) for each in maps])):
            assert np.mean((pictures - expected) ** 2) < 255**2 / 10**4.5  # 45 dB
    assert kept.stat().st_mtime_ns == written
