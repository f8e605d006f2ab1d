"""The tensors of the networks that an avatar holds: names as in PyTorch's state dicts, shapes, sizes. Without torch.

The module that is trained, the compiled form that runs live and the loader that checks an avatar's files all read
this table, so a shape stands in one place.
"""

from lsp_ros.signals import FEATURE_SIZE
from lsp_ros.timeline import FEATURES_PER_FRAME

Shapes = dict[str, tuple[int, ...]]

NORM = ('weight', 'bias', 'running_mean', 'running_var')
"""Tensors of a batch normalisation that are read; its counter of batches is not."""

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


def _layers(shapes: Shapes) -> Shapes:
    """Weight and bias of layers with these weight shapes."""
    tensors = {}
    for name, shape in shapes.items():
        tensors |= {f'{name}.weight': shape, f'{name}.bias': shape[:1]}
    return tensors


def _norms(width: int, *names: str) -> Shapes:
    return {f'{name}.{tensor}': (width,) for name in names for tensor in NORM}


def _recurrent(name: str, gates: int, inputs: int, hidden: int, layers: int) -> Shapes:
    """A stack of GRU (3 gates) or LSTM (4 gates) layers as PyTorch names them."""
    tensors = {}
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
            f'layers.{layer}.cond_filter': (channels, FEATURE_SIZE, 1),
            f'layers.{layer}.cond_gate': (channels, FEATURE_SIZE, 1),
        }
    return {**_layers(layers), **_norms(MLP, 'encoder.1')}


APC, MOUTH, HEAD_POSE = _apc(), _mouth(), _head_pose()
"""{tensor: shape} of each network (paper sections 3.1 to 3.3)."""
