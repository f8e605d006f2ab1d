"""The table of tensors is what the networks have: every size and width, and what is wrong is said."""

import subprocess
import sys

import pytest

from lsp_ros.avatar import architecture
from lsp_ros.avatar.landmarks import MOUTH_OUTPUT
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.rendering.generator import Generator, LiveGenerator, build_generator, load_generator
from lsp_ros.speech.apc import APC


def shapes(module) -> architecture.Shapes:
    """Of the module's tensors, less the counters of batches."""
    tensors = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    return {name: shape for name, shape in tensors.items() if not name.endswith(architecture.COUNTER)}


def build(kind, *arguments, **options):
    import torch

    with torch.device('meta'):
        return kind(*arguments, **options)


@pytest.mark.parametrize(
    'table, network',
    [(architecture.APC, APC), (architecture.MOUTH, MouthNet), (architecture.HEAD_POSE, HeadPoseNet)],
)
def test_the_table_is_what_a_network_has(table, network):
    assert shapes(build(network)) == table


def test_the_mouth_network_gives_each_of_its_landmarks_a_place():
    assert architecture.MOUTH_OUTPUTS == 3 * len(MOUTH_OUTPUT)


@pytest.mark.parametrize('size', architecture.RENDERER_SIZES)
def test_a_renderer_of_the_usual_width(size):
    made = shapes(build(build_generator, size))
    assert architecture.renderer(size, made) == made
    assert architecture.renderer(size, {}) == made  # where nothing is known, the usual widths


@pytest.mark.parametrize('size', architecture.UNET_BLOCKS)
@pytest.mark.parametrize('width', [1, 4, 64, 100])
def test_a_unet_of_any_width(size, width):
    made = shapes(build(Generator, size, width))
    assert architecture.renderer(size, made) == made
    assert architecture.unet_width(made) == width


@pytest.mark.parametrize('blocks', [0, 1, 3])
@pytest.mark.parametrize('levels', [2, 5])
@pytest.mark.parametrize('candidates', [False, True])
def test_a_unet_of_the_variants(blocks, levels, candidates):
    made = shapes(build(Generator, 'normal', 4, levels, blocks, candidates))
    assert architecture.unet(4, blocks, levels, architecture.RENDERER_INPUTS if candidates else 1) == made


@pytest.mark.parametrize('widths, blocks', [((4, 8), (0,)), ((8, 16, 24), (2, 1)), ((32, 64, 128, 192), (1, 1, 2))])
def test_a_live_renderer_of_any_width(widths, blocks):
    made = shapes(build(LiveGenerator, widths, blocks))
    assert architecture.renderer('live', made) == made
    assert architecture.live_widths(made) == (widths, blocks)
    with_counters = {**made, 'stem.1.num_batches_tracked': ()}
    assert architecture.wrong_tensor(architecture.renderer('live', made), with_counters, 'renderer') is None


def test_what_is_wrong_with_a_network_is_one_sentence():
    table = architecture.APC
    right = dict(table)
    assert architecture.wrong_tensor(table, right, 'APC') is None
    missing = {name: shape for name, shape in right.items() if name != 'gru.bias_hh_l1'}
    assert architecture.wrong_tensor(table, missing, 'APC') == (
        'tensor gru.bias_hh_l1 of the APC network is missing; its shape is (1536,)'
    )
    assert architecture.wrong_tensor(table, {**right, 'gru.bias_hh_l1': (3, 512)}, 'APC') == (
        'tensor gru.bias_hh_l1 of the APC network has the shape (3, 512), not (1536,)'
    )
    for extra in ('gru.bias_hh_l3', 'gru.num_batches_tracked', 'num_batches_tracked'):
        assert architecture.wrong_tensor(table, {**right, extra: ()}, 'APC') == (
            f'tensor {extra} is not one of the APC network, which has 12 others'
        )
    counted = {**architecture.MOUTH, 'encoder.1.num_batches_tracked': (1,)}
    assert architecture.wrong_tensor(architecture.MOUTH, counted, 'mouth') == (
        'tensor encoder.1.num_batches_tracked of the mouth network has the shape (1,), not ()'
    )


def test_an_unknown_size_is_refused():
    for ask in (architecture.renderer_size, lambda size: architecture.renderer(size, {})):
        with pytest.raises(ValueError, match="'huge' is not one of live, normal, large"):
            ask('huge')
    with pytest.raises(ValueError, match="'huge' is not one of live, normal, large"):
        load_generator('huge', {})


@pytest.mark.slow
def test_the_table_costs_a_command_nothing():
    program = (
        'import sys\n'
        'import lsp_ros.avatar.architecture, lsp_ros.cli.main\n'
        'from lsp_ros.rendering.engines import ENGINES\n'
        'assert not {"numpy", "torch", "openvino"} & set(sys.modules)\n'
    )
    subprocess.run([sys.executable, '-c', program], check=True)
