"""The same network in fewer and cheaper steps, for a GPU: nothing is lost but the order of the roundings.

- A batch norm becomes part of the convolution before it.
- Convolution, addition and ReLU run as one kernel of cuDNN.
- Enlarging to nearest neighbours and then convolving 3x3 sees every value up to four times. The sums of weights that
  meet one value are taken once, here: what is left is a transposed convolution, 4x4 with stride 2, of 4/9 of the
  multiplications (sub-pixel convolution, Shi et al. 2016).
"""

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


def fold(module: nn.Module) -> nn.Module:
    """Rewrites the module, in evaluation mode, and everything inside it; what is not rewritten stays shared."""
    for name, child in module.named_children():
        setattr(module, name, fold(child))
    if isinstance(module, ResidualBlock):
        return FoldedBlock(*module.block)
    if not isinstance(module, nn.Sequential):
        return module
    layers: list[nn.Module] = []
    for layer in module:
        last = layers[-1] if layers else None
        if isinstance(layer, nn.BatchNorm2d) and isinstance(last, nn.Conv2d | nn.ConvTranspose2d):
            layers[-1] = fuse_conv_bn_eval(last, layer, transpose=isinstance(last, nn.ConvTranspose2d))
        elif isinstance(layer, nn.ReLU) and isinstance(last, nn.Conv2d):
            layers[-1] = ConvReLU(last)
        elif isinstance(layer, nn.Conv2d) and isinstance(last, nn.Upsample):
            layers[-1] = transposed(layer)
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


# Row k of the transposed convolution's kernel is the sum of these rows of the 3x3 kernel.
_ROWS = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])


def transposed(conv: nn.Conv2d) -> nn.ConvTranspose2d:
    """The transposed convolution that equals nearest-neighbour enlargement by two and then this 3x3 convolution."""
    made = nn.ConvTranspose2d(conv.in_channels, conv.out_channels, 4, stride=2, padding=1, bias=conv.bias is not None)
    rows = _ROWS.to(conv.weight)
    made.weight = nn.Parameter(torch.einsum('ur,vs,oirs->iouv', rows, rows, conv.weight.detach()))
    made.bias = conv.bias
    return made.eval()
