"""Every engine draws the reference's picture: to one grey level in float32, above 45 dB in bfloat16."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from lsp_ros.rendering.engines import factory
from lsp_ros.rendering.engines.baked import scale_candidates
from lsp_ros.rendering.engines.factory import build_engine, make_engine
from lsp_ros.rendering.generator import Generator, LiveGenerator

pytest.importorskip('lsp_ros.openvino_import')


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('LSP_CACHE_DIR', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'openvino'


def network(size):
    torch.manual_seed(1)
    made = LiveGenerator((16, 16, 16, 16), (1, 1, 1)) if size == 'live' else Generator(size, width=8)
    for parameter in made.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter.data, std=0.1)
    return made.eval()


def setting(size):
    """Weights, size, candidate images, as an engine takes them."""
    weights = {key: value.numpy() for key, value in network(size).state_dict().items()}
    return weights, size, np.random.default_rng(0).integers(0, 256, (4, 512, 512, 3), np.uint8)


def lines(seed=0):
    map_ = np.zeros((512, 512), np.uint8)
    map_[np.random.default_rng(seed).integers(0, 512, 12)] = 255
    return map_


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.slow
@pytest.mark.parametrize('size', ['live', 'normal'])
def test_engines_agree(size):
    weights, _, candidates = setting(size)
    with torch.no_grad():
        map_ = torch.tensor(lines())[None, None].float() / 255
        output = network(size)(torch.cat([map_, scale_candidates(candidates)], dim=1))[0]
    exact = ((output + 1) / 2 * 255).clamp(0, 255).permute(1, 2, 0).numpy()

    def draw(name, **options):
        picture = build_engine(name, weights, size, candidates, threads=2, **options).render(lines())
        assert picture.shape == (512, 512, 3) and picture.dtype == np.uint8
        return picture

    reference = draw('torch', device='cpu')
    assert reference.std() > 5
    # truncated (paper's renderers) or rounded (live): within one level of the exact value either way
    assert np.abs(reference - exact).max() < 1.01
    assert np.abs(draw('openvino', precision='f32').astype(int) - reference).max() <= 1
    if (
        'ONEDNN_MAX_CPU_ISA' not in os.environ
    ):  # OpenVINO ends with an error where the CPU knows bf16 but may not use it
        assert psnr(draw('openvino', precision='bf16'), reference) > 45
    assert psnr(draw('torch', device='cpu', precision='bf16'), reference) > 45


def test_pictures_drawn_side_by_side_are_those_drawn_alone():
    alone = build_engine('openvino', *setting('live'), threads=2, precision='f32')
    together = build_engine('openvino', *setting('live'), threads=2, precision='f32', side_by_side=2)
    assert (alone.side_by_side, together.side_by_side) == (1, 2)
    maps = [lines(seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as threads:  # more than there are places: the others wait
        drawn = list(threads.map(together.render, maps))
    for map_, picture in zip(maps, drawn, strict=True):
        assert np.abs(picture.astype(int) - alone.render(map_)).max() <= 1


def test_a_picture_stays_when_the_next_is_drawn():
    engine = build_engine('openvino', *setting('live'))
    first = engine.render(lines(0))
    kept = first.copy()
    assert not np.array_equal(engine.render(lines(1)), kept)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.slow
def test_a_second_start_needs_no_torch(tmp_path, cache):
    weights, size, candidates = setting('live')
    first = build_engine('openvino', weights, size, candidates).render(lines())
    np.savez(tmp_path / 'weights.npz', **weights)
    np.savez(tmp_path / 'rest.npz', candidates=candidates, lines=lines(), picture=first)
    program = (
        'import sys, numpy as np\n'
        'from lsp_ros.rendering.engines.factory import build_engine\n'
        'weights, rest = dict(np.load("weights.npz")), np.load("rest.npz")\n'
        'engine = build_engine("openvino", weights, "live", rest["candidates"])\n'
        'np.testing.assert_array_equal(engine.render(rest["lines"]), rest["picture"])\n'
        'assert "torch" not in sys.modules\n'
    )
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, '-c', program], cwd=tmp_path, env=environment, check=True)
    assert len(list(cache.iterdir())) == 1


def test_a_damaged_kept_model_is_made_again(cache):
    first = build_engine('openvino', *setting('live')).render(lines())
    (binary,) = cache.glob('*/model.bin')
    binary.write_bytes(binary.read_bytes()[:1000])
    np.testing.assert_array_equal(build_engine('openvino', *setting('live')).render(lines()), first)
    assert binary.stat().st_size > 1000


def test_other_candidates_are_another_model(cache):
    weights, size, candidates = setting('live')
    first = build_engine('openvino', weights, size, candidates).render(lines())
    assert not np.array_equal(build_engine('openvino', weights, size, 255 - candidates).render(lines()), first)
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_no_hindrance(tmp_path, monkeypatch, caplog):
    (tmp_path / 'file').write_text('in the way')
    monkeypatch.setenv('LSP_CACHE_DIR', str(tmp_path / 'file'))
    assert build_engine('openvino', *setting('live')).render(lines()).shape == (512, 512, 3)
    assert 'cannot be kept' in caplog.text


@pytest.mark.parametrize('name', ['torch', 'openvino'])
def test_other_feature_maps_are_refused(name):
    engine = build_engine(name, *setting('live'))
    for bad in (np.zeros((512, 512)), np.zeros((256, 256), np.uint8), np.zeros((512, 512, 1), np.uint8)):
        with pytest.raises(ValueError, match=r'a feature map must be \(512, 512\) uint8'):
            engine.render(bad)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is an NVIDIA GPU')
def test_where_the_gpu_cannot_draw_the_cpu_does(monkeypatch, caplog):
    monkeypatch.setattr(factory, 'nvidia_gpus', lambda: 1)  # a card that this torch was not made for
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    engine = build_engine('auto', *setting('live'), threads=1, precision='f32')
    assert engine.name == 'openvino' and engine.render(lines()).std() > 5
    assert 'the GPU is there but cannot draw' in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize('started, there', [(0, 2), (100, 0)])
def test_gpus_are_counted_by_the_driver_itself(tmp_path, started, there):
    """A library in the driver's place: no file of the driver and no torch is asked for."""
    if not shutil.which('cc'):
        pytest.skip('there is no C compiler')
    (tmp_path / 'driver.c').write_text(
        f'int cuInit(unsigned flags) {{ return {started}; }}\n'
        'int cuDeviceGetCount(int *count) { *count = 2; return 0; }\n'
    )
    subprocess.run(['cc', '-shared', '-fPIC', '-o', 'libcuda.so.1', 'driver.c'], cwd=tmp_path, check=True)
    program = (
        'import sys\n'
        'from lsp_ros.rendering.engines.factory import nvidia_gpus\n'
        f'assert nvidia_gpus() == {there}\n'
        'assert "torch" not in sys.modules\n'
    )
    environment = {
        **os.environ,
        'LD_LIBRARY_PATH': str(tmp_path),
        'PYTHONPATH': os.pathsep.join(path for path in sys.path if path),
    }
    subprocess.run([sys.executable, '-c', program], env=environment, check=True)


def test_only_where_it_helps_pictures_are_drawn_together():
    """PyTorch on a CPU loops: the first picture must not wait for the last."""
    for name in ('torch', 'openvino'):
        options = {'device': 'cpu'} if name == 'torch' else {}
        engine = build_engine(name, *setting('live'), threads=1, **options)
        engine.warm_up(4)
        assert engine.most_together == 1


def test_what_is_not_there_is_said(tiny_avatar):
    from lsp_ros.avatar.load import Avatar

    avatar = Avatar.load(tiny_avatar, parts=['rendering'])
    with pytest.raises(ValueError, match="'onnx' is not one of auto, torch, openvino, tensorrt"):
        make_engine('onnx', avatar)
    with pytest.raises(ValueError, match='threads is 0'):
        make_engine('torch', avatar, threads=0)
    with pytest.raises(ValueError, match="precision 'int4'"):
        build_engine('openvino', *setting('live'), precision='int4')


def test_torch_draws_with_its_threads_and_leaves_those_of_the_program_alone():
    before = torch.get_num_threads()
    wanted = before + 1
    engine = build_engine('torch', *setting('live'), threads=wanted, device='cpu')
    assert torch.get_num_threads() == before
    drawn_with = []
    engine._renderer.register_forward_hook(lambda *_: drawn_with.append(torch.get_num_threads()))
    engine.render(np.zeros((512, 512), np.uint8))
    assert drawn_with == [wanted] and torch.get_num_threads() == before
    assert engine.description.endswith(f'{wanted} threads')
