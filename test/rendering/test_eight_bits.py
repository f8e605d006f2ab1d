"""The renderer in 8 bits that the built-in avatar is shipped with: near float32 in speech and wherever the head may
be turned, and still where nothing moves. On every instruction set: ``make test-avx2`` runs this where there is no VNNI.
"""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.openvino_graph import core
from lsp_ros.rendering.engines.baked import scale_candidates, unfolded
from lsp_ros.rendering.engines.factory import build_engine
from lsp_ros.rendering.generator import load_generator
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.training.quantize import at_the_ends, moving, spread

pytest.importorskip('lsp_ros.openvino_import')

SEEDS = (7, 8, 9)  # of which each has head poses and eye movements of its own


@pytest.fixture(scope='module')
def presenter():
    return Avatar.load(find_avatar('presenter'))


@pytest.fixture(scope='module')
def spoken(presenter):
    return moving(presenter, SEEDS[0])


@pytest.fixture(scope='module')
def speeches(presenter, spoken, stage, draw):
    """Twelve pictures of each seed: float32 (36, 512, 512, 3) and 8 bits."""
    motions = [spoken, *(moving(presenter, seed) for seed in SEEDS[1:])]
    return draw([each for motion in motions for each in spread(stage, motion, 12)])


@pytest.fixture(scope='module')
def reach(presenter):
    """(512, 512) bool: where the shipped graph draws at all (``BakedRenderer``), read from the graph."""
    int8 = presenter.int8_renderer()
    masks = [
        node.data
        for node in core().read_model(int8.graph, int8.numbers).get_ordered_ops()
        if node.get_type_name() == 'Constant'
        and list(node.shape) == [1, 48, 128, 128]
        and np.isin(node.data, (0, 1)).all()
    ]
    assert len(masks) == 1
    return unfolded(torch.tensor(masks[0]))[0].numpy().all(axis=-1)


@pytest.fixture(scope='module')
def base(presenter):
    """(512, 512, 3): what is shown where nothing is drawn, as bytes."""
    generator = load_generator('live', presenter.weights('renderer'))
    with torch.no_grad():
        picture = generator.prepare(scale_candidates(presenter.candidates())).base
        return ((picture[0].permute(1, 2, 0) + 1) * 127.5 + 0.5).clamp(0, 255).to(torch.uint8).numpy()


@pytest.fixture(scope='module')
def draw(presenter, tmp_path_factory):
    """Pictures of a motion's feature maps: float32 and 8 bits."""
    given = presenter.weights('renderer'), presenter.manifest.renderer.size, presenter.candidates()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('LSP_CACHE_DIR', str(tmp_path_factory.mktemp('cache')))
        engines = [
            build_engine('openvino', *given, precision=precision, int8=presenter.int8_renderer())
            for precision in ('f32', 'int8')
        ]
    return lambda maps: [np.stack([engine.render(each) for each in maps]).astype(np.int16) for engine in engines]


@pytest.fixture(scope='module')
def stage(presenter):
    return RenderStage(presenter, engine=None)


def psnr(exact, small):
    """(N,) dB of pictures (N, 512, 512, 3)."""
    return 10 * np.log10(255**2 / np.mean((exact - small).astype(float) ** 2, axis=(1, 2, 3)))


@pytest.fixture(scope='module')
def corners(presenter, spoken, stage, draw):
    """The head in every corner of its range, the mouth closed and open in turn."""
    motion = at_the_ends(presenter, spoken, corners=True)
    frames = np.arange(0, len(motion), 2) + np.arange(len(motion) // 2) % 2
    assert len(np.unique(np.hstack([motion.euler, motion.translation])[frames], axis=0)) == 64
    return draw([stage.feature_maps(motion[frame : frame + 1])[0] for frame in frames])


@pytest.mark.slow
def test_no_corner_of_the_trained_poses_loses_a_part_of_the_head(corners):
    exact, small = corners
    assert psnr(exact, small).min() > 45
    assert (np.abs(exact - small).max(axis=3) > 40).sum(axis=(1, 2)).max() < 20  # a missing ear is a thousand


@pytest.mark.slow
def test_speech_is_drawn_near_float32_and_the_background_stands(speeches, corners):
    for exact, small in zip(*(np.split(pictures, len(SEEDS)) for pictures in speeches)):
        assert psnr(exact, small).min() > 45
        assert (exact != small).any()
        # Where float32 draws the same in every picture, rounding shows in few pixels, and hardly;
        still = (exact == exact[0]).all(axis=(0, 3))
        assert (small[1:] != small[:-1]).any(axis=3)[:, still].mean() < 0.02
        assert np.abs(small - exact)[:, still].max() <= 6
        # and where no pose brings the head, as good as not at all: by one level, in one of a thousand.
        never = still & (corners[0] == exact[0]).all(axis=(0, 3))
        never = cv2.erode(never.astype(np.uint8), np.ones((65, 65), np.uint8), borderValue=1) > 0
        assert never.sum() > 5000 and np.abs(small - small[0])[:, never].max() <= 1
        assert (small != small[0]).any(axis=3)[:, never].mean() < 0.001


@pytest.mark.slow
def test_outside_its_reach_the_picture_is_the_base_picture_to_the_bit(speeches, corners, reach, base):
    for exact, small in (speeches, corners):
        assert (small[:, ~reach] == base[~reach]).all()
        # Nothing is lost by that: there float32 draws the base picture as well, but for rounding.
        assert np.abs(exact - base)[:, ~reach].max() <= 1
    # It is no more than what the poses need: of what never moves in these pictures, nearly all lies outside.
    never = np.logical_and.reduce([(exact == exact[0]).all(axis=(0, 3)) for exact, _ in (speeches, corners)])
    never = cv2.erode(never.astype(np.uint8), np.ones((65, 65), np.uint8), borderValue=1) > 0
    assert never.sum() > 5000 and (never & ~reach).sum() > 0.9 * never.sum()


@pytest.mark.slow
def test_the_first_start_on_a_machine_draws_at_once_without_torch(tmp_path):
    program = (
        'import sys, numpy as np\n'
        'from lsp_ros.avatar.load import Avatar, find_avatar\n'
        'from lsp_ros.rendering.engines.factory import make_engine\n'
        'avatar = Avatar.load(find_avatar("presenter"), parts=["rendering"])\n'
        'engine = make_engine("openvino", avatar, side_by_side=2)\n'
        'assert engine.precision == "int8", engine.description\n'
        'assert engine.render(np.zeros((512, 512), np.uint8)).std() > 5\n'
        'assert not {"torch", "nncf"} & set(sys.modules)\n'
    )
    environment = {
        **os.environ,
        'LSP_CACHE_DIR': str(tmp_path / 'cache'),
        'PYTHONPATH': os.pathsep.join(path for path in sys.path if path),
    }
    subprocess.run([sys.executable, '-c', program], cwd=tmp_path, env=environment, check=True)
    assert not (tmp_path / 'cache').exists()  # nothing was converted, nothing measured
