"""The same network in fewer and cheaper steps: nothing is lost but the order of the roundings.

- A batch norm becomes part of the convolution before it.
- Convolution, addition and ReLU run as one kernel of cuDNN on a GPU.
- Enlarging to nearest neighbours and then convolving 3x3 sees every value up to four times. The sums of weights that
  meet one value are taken once, here: 4/9 of the multiplications are left (sub-pixel convolution, Shi et al. 2016),
  as a ``transposed`` convolution, which every runtime knows, or as ``phases``, which cuDNN does faster.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from lsp_ros.rendering.generator import ResidualBlock


class ConvReLU(nn.Module):
    """relu(conv(x) + added). One kernel in 16 bits on a GPU, where tensor cores want channels by eights."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.conv = conv
        self._by_eights = conv.in_channels % 8 == 0 and conv.out_channels % 8 == 0

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        conv = self.conv
        if not (x.is_cuda and x.element_size() == 2 and self._by_eights) or torch.onnx.is_in_onnx_export():
            return F.relu(conv(x) if added is None else conv(x) + added)
        assert not isinstance(conv.padding, str)
        shape = conv.stride, conv.padding, conv.dilation, conv.groups
        if added is None:
            return torch.cudnn_convolution_relu(x, conv.weight, conv.bias, *shape)
        return torch.cudnn_convolution_add_relu(x, conv.weight, added, 1.0, conv.bias, *shape)


class FoldedBlock(nn.Module):
    """A residual block of two kernels."""

    def __init__(self, first: ConvReLU, second: nn.Conv2d):
        super().__init__()
        self.first, self.second = first, ConvReLU(second)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x), x)


class Spread(nn.Module):
    """(B, 4 N, H + 1, W + 1) -> (B, channels, 2 H, 2 W): N channels for each of four phases, those past ``channels``
    being padding. Phase (a, b) of the pixels at row i, column j was computed at (i + a, j + b).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        batch, width, high, wide = x.shape
        column, row, phase = width, width * wide, width // 4
        shape = (batch, high - 1, 2, wide - 1, 2, self.channels)
        # Every step, also that from phase to phase, is a fixed distance in memory: one copy does it all.
        steps = (row * high, row, row + 2 * phase, column, column + phase, 1)
        pixels = x.as_strided(shape, steps).reshape(batch, 2 * (high - 1), 2 * (wide - 1), self.channels)
        return pixels.permute(0, 3, 1, 2)


# What a pixel gets of the 3x3 kernel's rows: the even ones from the value above and their own, the odd ones from
# their own and the value below. And the same by position in a transposed kernel.
_PHASES = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])
_ROWS = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])


def transposed(conv: nn.Conv2d) -> tuple[nn.ConvTranspose2d]:
    """What equals nearest-neighbour enlargement by two and then this 3x3 convolution: 4x4 with stride 2."""
    made = nn.ConvTranspose2d(conv.in_channels, conv.out_channels, 4, stride=2, padding=1, bias=conv.bias is not None)
    rows = _ROWS.to(conv.weight)
    made.weight = nn.Parameter(torch.einsum('ur,vs,oirs->iouv', rows, rows, conv.weight.detach()))
    made.bias = conv.bias
    return (made,)


def phases(conv: nn.Conv2d) -> tuple[nn.Conv2d, Spread]:
    """The same as a 2x2 convolution to the four pixels that each value becomes, which are then spread out."""
    padding = conv.out_channels % 2  # tensor cores want channels by eights
    made = nn.Conv2d(conv.in_channels, 4 * (conv.out_channels + padding), 2, padding=1, bias=conv.bias is not None)
    rows = _PHASES.to(conv.weight)
    weight = torch.einsum('aur,bvs,oirs->aboiuv', rows, rows, conv.weight.detach())
    made.weight = nn.Parameter(F.pad(weight, (0, 0, 0, 0, 0, 0, 0, padding)).reshape(made.weight.shape))
    if conv.bias is not None:
        made.bias = nn.Parameter(F.pad(conv.bias.detach(), (0, padding)).repeat(4))
    return made, Spread(conv.out_channels)


def fold(module: nn.Module, enlarge: Callable[[nn.Conv2d], tuple[nn.Module, ...]] = transposed) -> nn.Module:
    """Rewrites the module, in evaluation mode, and everything inside it; ``enlarge``: ``transposed`` or ``phases``."""
    for name, child in module.named_children():
        setattr(module, name, fold(child, enlarge))
    if isinstance(module, ResidualBlock):
        return FoldedBlock(*module.block)
    if not isinstance(module, nn.Sequential):
        return module
    layers: list[nn.Module] = []
    for layer in module:
        if isinstance(layer, nn.BatchNorm2d) and layers and isinstance(layers[-1], nn.Conv2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        else:
            layers.append(layer)
    made: list[nn.Module] = []
    for layer in layers:
        last, before = ([None, None] + made)[:-3:-1]
        if isinstance(layer, nn.Conv2d) and isinstance(last, nn.Upsample):
            made[-1:] = enlarge(layer)
        elif isinstance(layer, nn.ReLU) and isinstance(last, nn.Conv2d):
            made[-1] = ConvReLU(last)
        elif isinstance(layer, nn.ReLU) and isinstance(last, Spread):  # before or after the spreading is the same
            assert isinstance(before, nn.Conv2d)
            made[-2] = ConvReLU(before)
        else:
            made.append(layer)
    return nn.Sequential(*made)
