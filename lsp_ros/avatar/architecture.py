"""The tensors of the networks that an avatar holds: names as in PyTorch's state dicts, shapes, sizes.

The module that is trained, the compiled form that runs live and the loader that checks an avatar's files all read
this table, so a shape stands in one place. It imports neither torch nor NumPy: commands read it before they start.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from lsp_ros.timeline import FEATURES_PER_FRAME

Shapes = dict[str, tuple[int, ...]]

NORM = ('weight', 'bias', 'running_mean', 'running_var')
"""Tensors of a batch normalisation that are read; its counter of batches is not."""
COUNTER = 'num_batches_tracked'
"""That counter's name: a file may hold it for each batch normalisation."""

FEATURE_SIZE = 512
"""Numbers of one speech feature: the hidden state of the APC's last layer."""

MEL_BANDS = 80
FRAME_FEATURES = FEATURES_PER_FRAME * FEATURE_SIZE
"""Numbers that mouth and head pose hear of one video frame: both 120 Hz rows, 1024."""

APC_LAYERS = 3

MOUTH_HIDDEN = 256
MOUTH_LAYERS = 3
MOUTH_OUTPUTS = 75
"""25 points (x, y, z) of the mouth: ``landmarks.MOUTH_OUTPUT``."""
MLP = 512
"""Width of the layers before and after the recurrent ones, and of the head pose's encoder."""

POSE_STATE = 12
"""ex, ey, ez (degrees), tx, ty, tz (units, from the mean), and their changes per frame."""
POSE_CHANNELS = 128
POSE_SKIP_CHANNELS = 256
POSE_OUTPUTS = 1 + 2 * POSE_STATE
"""As in the authors' release one number more than a mean and a spread for each of the 12; it is not read."""
POSE_DILATIONS = (1, 2, 4, 8, 16, 32, 64) * 2
POSE_RECEPTIVE_FIELD = 1 + sum(POSE_DILATIONS)
"""255 states of history."""

PICTURE = 512
"""Pixels along each side of a feature map, a candidate image and a picture."""
CANDIDATES = 4
"""Candidate images of a person."""
CANDIDATE_CHANNELS = 3 * CANDIDATES
RENDERER_INPUTS = 1 + CANDIDATE_CHANNELS
"""Channels that a renderer sees: the feature map and the candidate images."""


@dataclass(frozen=True)
class RendererSize:
    """What belongs to a renderer's weights besides the weights.

    subpixel   its feature maps are drawn to a fraction of a pixel with smooth edges: motion smaller than a pixel is
               seen and the picture does not step. False: truncated to whole pixels, as the paper's
               renderers were trained
    rounding   grey levels added before a picture is truncated to uint8: 0 as in the official release,
               0.5 rounds to the nearest
    """

    subpixel: bool
    rounding: float


RENDERER_SIZES = {
    'live': RendererSize(subpixel=True, rounding=0.5),
    'normal': RendererSize(subpixel=False, rounding=0.0),
    'large': RendererSize(subpixel=False, rounding=0.0),
}
"""By name: our own small renderer for live use, and the paper's in its two sizes."""

UNET_WIDTH = 64
"""Channels of the first level of the paper's U-Net; each level has twice as many as the one before, 8 times at most."""
UNET_LEVELS = 8
UNET_BLOCKS = {'normal': 1, 'large': 2}
"""Residual blocks on each level of the U-Net, down and up."""

LIVE_WIDTHS = (32, 64, 128, 192)
"""Channels of the live renderer at 128, 64, 32 and 16 pixels."""
LIVE_BLOCKS = (1, 1, 2)
"""Its residual blocks at 64, 32 and 16 pixels, going down."""
LIVE_FOLD = 4
"""Its pictures are folded into channels by this factor along each side."""


def _layers(shapes: Shapes) -> Shapes:
    """Weight and bias of layers with these weight shapes."""
    tensors: Shapes = {}
    for name, shape in shapes.items():
        tensors |= {f'{name}.weight': shape, f'{name}.bias': shape[:1]}
    return tensors


def _norms(width: int, *names: str) -> Shapes:
    return {f'{name}.{tensor}': (width,) for name in names for tensor in NORM}


def _recurrent(name: str, gates: int, inputs: int, hidden: int, layers: int) -> Shapes:
    """A stack of GRU (3 gates) or LSTM (4 gates) layers as PyTorch names them."""
    tensors: Shapes = {}
    for layer in range(layers):
        rows, columns = gates * hidden, hidden if layer else inputs
        tensors |= {
            f'{name}.weight_ih_l{layer}': (rows, columns),
            f'{name}.weight_hh_l{layer}': (rows, hidden),
            f'{name}.bias_ih_l{layer}': (rows,),
            f'{name}.bias_hh_l{layer}': (rows,),
        }
    return tensors


def _apc() -> Shapes:
    return _recurrent('gru', 3, MEL_BANDS, FEATURE_SIZE, APC_LAYERS)


def _mouth() -> Shapes:
    return {
        **_layers({'encoder.0': (MLP, FRAME_FEATURES), 'encoder.3': (MLP, MLP)}),
        **_norms(MLP, 'encoder.1', 'decoder.1', 'decoder.4'),
        **_recurrent('lstm', 4, MLP, MOUTH_HIDDEN, MOUTH_LAYERS),
        **_layers({'decoder.0': (MLP, MOUTH_HIDDEN), 'decoder.3': (MLP, MLP), 'decoder.6': (MOUTH_OUTPUTS, MLP)}),
    }


def _head_pose() -> Shapes:
    channels, skip = POSE_CHANNELS, POSE_SKIP_CHANNELS
    layers = {
        'encoder.0': (MLP, FRAME_FEATURES),
        'encoder.3': (MLP, MLP),
        'start1': (channels, POSE_STATE, 1),
        'start2': (channels, channels, 1),
        'end1': (POSE_OUTPUTS, skip, 1),
        'end2': (POSE_OUTPUTS, POSE_OUTPUTS, 1),
    }
    for layer in range(len(POSE_DILATIONS)):
        layers |= {
            f'layers.{layer}.filter': (channels, channels, 2),
            f'layers.{layer}.gate': (channels, channels, 2),
            f'layers.{layer}.residual': (channels, channels, 1),
            f'layers.{layer}.skip': (skip, channels, 1),
            f'layers.{layer}.cond_filter': (channels, MLP, 1),
            f'layers.{layer}.cond_gate': (channels, MLP, 1),
        }
    return {**_layers(layers), **_norms(MLP, 'encoder.1')}


APC, MOUTH, HEAD_POSE = _apc(), _mouth(), _head_pose()
"""{tensor: shape} of each network (paper sections 3.1 to 3.3)."""
NETWORKS = {'apc': APC, 'mouth': MOUTH, 'head_pose': HEAD_POSE}
"""Those of one size. The renderer has several: ``renderer``."""


def renderer_size(name: str) -> RendererSize:
    """Raises ValueError for a name that is not 'live', 'normal' or 'large'."""
    if name not in RENDERER_SIZES:
        raise ValueError(f"renderer size '{name}' is not one of {', '.join(RENDERER_SIZES)}")
    return RENDERER_SIZES[name]


def _block(name: str, width: int) -> Shapes:
    """A residual block: two convolutions 3x3 without a bias, each with a batch normalisation."""
    convolutions = {f'{name}.block.{index}.weight': (width, width, 3, 3) for index in (0, 3)}
    return {**convolutions, **_norms(width, f'{name}.block.1', f'{name}.block.4')}


def unet(width: int, blocks: int, levels: int = UNET_LEVELS, inputs: int = RENDERER_INPUTS) -> Shapes:
    """Tensors of the paper's renderer (section 3.4): ``width`` channels on its first level, ``blocks`` on each."""
    channels = [inputs, *(width * min(2**level, 8) for level in range(levels))]
    tensors: Shapes = {}
    name = 'unet'
    for depth, (outer, own) in enumerate(pairwise(channels)):
        outermost, innermost = depth == 0, depth == levels - 1
        # The layers of a level stand in one list, in order of execution; a ReLU and an enlargement have no tensors.
        tensors[f'{name}.model.0.weight'] = (own, outer, 3, 3)
        index = 1
        if not (outermost or innermost):
            tensors |= _norms(own, f'{name}.model.{index}')
            index += 1
        index += 1
        for block in range(index, index + blocks):
            tensors |= _block(f'{name}.model.{block}', own)
        index += blocks
        inner = f'{name}.model.{index}'
        index += not innermost
        index += 1
        made = 3 if outermost else outer
        tensors[f'{name}.model.{index}.weight'] = (made, own if innermost else 2 * own, 3, 3)
        if not outermost:
            tensors |= _norms(made, f'{name}.model.{index + 1}')
            for block in range(index + 3, index + 3 + blocks):
                tensors |= _block(f'{name}.model.{block}', made)
        name = inner
    return tensors


def live_renderer(widths: tuple[int, ...] = LIVE_WIDTHS, blocks: tuple[int, ...] = LIVE_BLOCKS) -> Shapes:
    """Tensors of the live renderer: channels of each resolution, and residual blocks on each way down."""
    first, fold = widths[0], LIVE_FOLD**2
    layers: Shapes = {
        'candidate_stem.0': (first, CANDIDATE_CHANNELS * fold, 1, 1),
        'candidate_stem.2': (first, first, 3, 3),
        'candidate_features.1': (first, first, 3, 3),
        'candidate_mix': (CANDIDATES * fold, first, 3, 3),
        'head': (3 * fold, first, 3, 3),
    }
    tensors = {**_layers(layers), 'stem.0.weight': (first, fold, 3, 3), **_norms(first, 'stem.1')}
    for level, ((below, above), count) in enumerate(zip(pairwise(widths), blocks, strict=True)):
        tensors |= {f'down.{level}.0.weight': (above, below, 3, 3), **_norms(above, f'down.{level}.1')}
        for block in range(3, 3 + count):
            tensors |= _block(f'down.{level}.{block}', above)
        tensors |= {f'up.{level}.0.weight': (below, above, 1, 1), **_norms(below, f'up.{level}.1')}
        tensors |= _block(f'refine.{level}', below)
    return tensors


def unet_width(tensors: Mapping[str, tuple[int, ...]]) -> int:
    """The width of a U-Net, given the shapes of its tensors; ``UNET_WIDTH`` where they do not say."""
    return _rows(tensors, 'unet.model.0.weight') or UNET_WIDTH


def live_widths(tensors: Mapping[str, tuple[int, ...]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths and blocks of a live renderer, given the shapes of its tensors; the usual ones where they do not say."""
    levels = _count(tensors, 'down.{}.0.weight')
    names = ['stem.0.weight', *(f'down.{level}.0.weight' for level in range(levels))]
    widths = tuple(_rows(tensors, name) for name in names)
    if not levels or not all(widths):
        return LIVE_WIDTHS, LIVE_BLOCKS
    return widths, tuple(_count(tensors, f'down.{level}.{{}}.block.0.weight', first=3) for level in range(levels))


def renderer(size: str, tensors: Mapping[str, tuple[int, ...]]) -> Shapes:
    """What a renderer of a size must hold; its widths are free, and are those of the given tensors' shapes."""
    renderer_size(size)
    if size == 'live':
        return live_renderer(*live_widths(tensors))
    return unet(unet_width(tensors), UNET_BLOCKS[size])


def network(name: str, size: str, tensors: Mapping[str, tuple[int, ...]]) -> Shapes:
    """What a network of an avatar must hold: 'apc', 'mouth', 'head_pose', or 'renderer' of a size, whose widths are
    those of the given tensors' shapes."""
    return renderer(size, tensors) if name == 'renderer' else NETWORKS[name]


def wrong_tensor(expected: Shapes, found: Mapping[str, tuple[int, ...]], network: str) -> str | None:
    """What is wrong with the tensors of a network, as a sentence without its full stop; None: nothing.

    ``found`` are their shapes. Each batch normalisation may come with its counter.
    """
    for name, shape in expected.items():
        if name not in found:
            return f'tensor {name} of the {network} network is missing; its shape is {shape}'
        if found[name] != shape:
            return f'tensor {name} of the {network} network has the shape {found[name]}, not {shape}'
    for name, shape in found.items():
        counter = name.endswith(f'.{COUNTER}') and f'{name.removesuffix(COUNTER)}running_mean' in expected
        if counter and shape != ():
            return f'tensor {name} of the {network} network has the shape {shape}, not ()'
        if name not in expected and not counter:
            return f'tensor {name} is not one of the {network} network, which has {len(expected)} others'
    return None


def _rows(tensors: Mapping[str, tuple[int, ...]], name: str) -> int:
    """The first length of a tensor; 0 where it is missing or a single number."""
    return next(iter(tensors.get(name, ())), 0)


def _count(names: Mapping[str, object], pattern: str, first: int = 0) -> int:
    """How many names there are that the pattern gives of ``first``, the next number and so on."""
    number = 0
    while pattern.format(first + number) in names:
        number += 1
    return number
