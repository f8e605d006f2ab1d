"""A renderer in 8 bits: made from the avatar alone, near float32, still where nothing moves, refused when stale."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml

from lsp_ros.avatar.load import Avatar, Int8Renderer, find_avatar
from lsp_ros.avatar.manifest import AvatarError
from lsp_ros.avatar.save import add_int8_renderer
from lsp_ros.rendering.engines.engine import EngineError
from lsp_ros.rendering.engines.factory import build_engine, make_engine
from lsp_ros.training.quantize import feature_maps, quantize

pytestmark = pytest.mark.slow

pytest.importorskip('nncf')


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('LSP_CACHE_DIR', str(tmp_path_factory.getbasetemp() / 'quantize_cache'))
    return tmp_path_factory.getbasetemp() / 'quantize_cache'


@pytest.fixture(scope='module')
def presenter():
    return Avatar.load(find_avatar('presenter'))


@pytest.fixture(scope='module')
def renderer(presenter):
    return presenter.weights('renderer'), presenter.manifest.renderer.size, presenter.candidates()


@pytest.fixture(scope='module')
def maps(presenter):
    return feature_maps(presenter, 12, 1)


@pytest.fixture(scope='module')
def made(renderer, maps, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('LSP_CACHE_DIR', str(tmp_path_factory.getbasetemp() / 'quantize_cache'))
        return quantize(*renderer, maps[::2], maps[1::2])


def test_eight_bits_are_near_float32(made, renderer, maps):
    assert made.psnr.mean() >= 38
    exact, small = (
        build_engine('openvino', *renderer, precision=precision, int8=made.renderer) for precision in ('f32', 'int8')
    )
    pictures = [np.stack([engine.render(each) for each in maps]) for engine in (exact, small)]
    assert not np.array_equal(*pictures)
    # The background, where float32 draws nothing in any picture, is the same to the bit.
    still = (pictures[0] == pictures[0][0]).all(axis=(0, 3))
    corner = np.zeros_like(still)
    corner[:80, :40] = corner[:80, -40:] = True
    assert (still & corner).sum() > 1000
    assert (pictures[1][:, still & corner] == pictures[1][0, still & corner]).all()


def test_the_quickest_is_measured_once_and_where_it_is_asked_for(made, renderer, maps, cache, caplog):
    caplog.set_level('INFO')
    assert build_engine('openvino', *renderer, threads=1, int8=made.renderer).precision == 'int8'
    assert not list(cache.glob('precision/*.json'))
    first = build_engine('openvino', *renderer, threads=1, int8=made.renderer, measure=True)
    assert 'the quickest on this machine' in caplog.text and 'int8' in caplog.text
    (kept,) = (cache / 'precision').glob('*.json')
    written = kept.read_bytes()
    second = build_engine('openvino', *renderer, threads=2, int8=made.renderer, side_by_side=2)
    assert 'when this machine was measured' in caplog.text
    assert kept.read_bytes() == written and first.precision == second.precision
    np.testing.assert_array_equal(first.render(maps[0]), second.render(maps[0]))
    # Whatever is known to be the quickest is taken.
    kept.write_text('{"precision": "f32", "milliseconds": {"f32": 1, "int8": 2}}')
    assert build_engine('openvino', *renderer, int8=made.renderer).precision == 'f32'
    kept.write_text('{')
    build_engine('openvino', *renderer, threads=1, int8=made.renderer, measure=True)
    assert yaml.safe_load(kept.read_text())['precision'] in ('f32', 'bf16', 'int8')


def test_poor_eight_bits_are_not_chosen(made, renderer, caplog):
    caplog.set_level('WARNING')
    poor = Int8Renderer(made.renderer.graph, made.renderer.numbers, 30.0)
    assert build_engine('openvino', *renderer, int8=poor).precision != 'int8'
    assert '30.0 dB from float32, below 38 dB' in caplog.text


def test_an_avatar_carries_its_eight_bits(made, tiny_avatar, tmp_path, caplog):
    caplog.set_level('WARNING')
    folder = tmp_path / 'avatar'
    shutil.copytree(tiny_avatar, folder)
    assert Avatar.load(folder).int8_renderer() is None
    with pytest.raises(EngineError, match='lsp quantize makes one'):
        build_engine('openvino', {}, 'live', np.zeros(1), precision='int8')
    add_int8_renderer(folder, made.renderer.graph, made.renderer.numbers, 50.0, 45.0)
    avatar = Avatar.load(folder, parts=['rendering'])
    assert avatar.int8_renderer().graph == made.renderer.graph

    manifest = yaml.safe_load((folder / 'avatar.yaml').read_text())
    manifest['renderer']['int8']['made_from'] = '0' * 64  # other weights
    (folder / 'avatar.yaml').write_text(yaml.safe_dump(manifest))
    stale = Avatar.load(folder, parts=['rendering'])
    with pytest.raises(AvatarError, match='was made from other renderer weights .* lsp quantize'):
        stale.int8_renderer()
    assert make_engine('openvino', stale).precision != 'int8'
    assert 'was made from other renderer weights' in caplog.text

    numbers = folder / 'renderer_live.int8.bin'
    numbers.write_bytes(numbers.read_bytes()[:-1])
    with pytest.raises(AvatarError, match='the checksum differs'):
        Avatar.load(folder, parts=['rendering'])


def test_a_start_in_eight_bits_needs_neither_torch_nor_nncf(made, renderer, maps, tmp_path):
    np.savez(
        tmp_path / 'all.npz',
        graph=np.frombuffer(made.renderer.graph, np.uint8),
        numbers=np.frombuffer(made.renderer.numbers, np.uint8),
        map=maps[0],
    )
    program = (
        'import sys, numpy as np\n'
        'from lsp_ros.avatar.load import Int8Renderer\n'
        'from lsp_ros.rendering.engines.factory import build_engine\n'
        f'given = np.load({str(tmp_path / "all.npz")!r})\n'
        'int8 = Int8Renderer(given["graph"].tobytes(), given["numbers"].tobytes(), 50.0)\n'
        'engine = build_engine("openvino", {}, "live", np.zeros(1), precision="int8", int8=int8)\n'
        'assert engine.render(given["map"]).shape == (512, 512, 3)\n'
        'assert not {"torch", "nncf"} & set(sys.modules)\n'
    )
    subprocess.run([sys.executable, '-c', program], check=True)
