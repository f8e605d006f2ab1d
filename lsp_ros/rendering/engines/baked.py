"""One network with one person's candidate images worked in: what every engine runs."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsp_ros.avatar.architecture import CANDIDATES, PICTURE, RENDERER_SIZES
from lsp_ros.rendering.generator import Generator, LiveGenerator


class BakedRenderer(nn.Module):
    """(B, 512, 512) uint8 feature maps -> (B, 512, 512, 3) uint8 RGB, nothing left to do before or after.

    What depends on the candidate images alone is computed here, once: the base picture and the
    candidates' features of the live renderer; of the paper's, twelve of the thirteen input channels of
    the first convolution.

    The live renderer's picture becomes bytes while it is still folded, and is unfolded as such: a quarter of the memory
    that floats would move. Its channels are put into the order in which a row of pixels has them.

    ``reach`` (512, 512) bool: outside, the live renderer's base picture stands, to the bit. In float32 it does so by
    itself (``LiveGenerator.DEAD_ZONE``); in 8 bits the network's own noise would show there.
    """

    body: LiveGenerator | nn.Sequential
    constant0: Tensor
    constant1: Tensor  # of the live renderer
    reach: Tensor | None

    def __init__(self, generator: Generator | LiveGenerator, candidates: np.ndarray, reach: np.ndarray | None = None):
        super().__init__()
        outside: Tensor | None = None
        constants: tuple[Tensor, ...]
        self.rounding = RENDERER_SIZES[generator.size].rounding
        pictures = scale_candidates(candidates)
        with torch.no_grad():
            if isinstance(generator, LiveGenerator):
                features, base = generator.prepare(pictures)
                constants = features, folded(base)
                self.body = copy.deepcopy(generator)
                for parameter in self.body.head.parameters():
                    parameter.data = by_rows(parameter.data)
                if reach is not None:
                    outside = folded(torch.tensor(reach, dtype=torch.bool).expand(1, 3, -1, -1))
            else:
                first, *rest = generator.unet.model
                assert isinstance(first, nn.Conv2d)
                self.first = nn.utils.skip_init(nn.Conv2d, 1, first.out_channels, 3, stride=2, padding=1, bias=False)
                self.first.weight = nn.Parameter(first.weight[:, :1].clone())
                self.body = nn.Sequential(*rest)
                constants = (F.conv2d(pictures, first.weight[:, 1:], stride=2, padding=1),)
        for index, constant in enumerate(constants):
            self.register_buffer(f'constant{index}', constant.contiguous())
        self.register_buffer('reach', outside)
        self.requires_grad_(False).eval()

    def forward(self, feature_maps: Tensor) -> Tensor:
        lines = feature_maps.to(self.constant0.dtype)[:, None] / 255
        if not isinstance(self.body, LiveGenerator):
            picture = torch.tanh(self.body(self.first(lines) + self.constant0))
            return self.levels(picture).permute(0, 2, 3, 1).to(torch.uint8)
        difference = self.body.difference(lines, self.constant0)
        if self.reach is not None:
            difference = difference * self.reach
        levels = self.levels((self.constant1 + difference).clamp(-1, 1))
        if torch.onnx.is_in_onnx_export():  # TensorRT moves no uint8
            return unfolded(levels).to(torch.uint8)
        return unfolded(levels.to(torch.uint8))

    def levels(self, picture: Tensor) -> Tensor:
        return ((picture.float() + 1) * 127.5 + self.rounding).clamp(0, 255)


def by_rows(channels: Tensor) -> Tensor:
    """Channels, the first axis, from the order (colour, row, column) of pixel_shuffle to (row, column, colour)."""
    fold = LiveGenerator.FOLD
    return channels.unflatten(0, (-1, fold, fold)).movedim(0, 2).flatten(0, 2)


def folded(pictures: Tensor) -> Tensor:
    """(B, C, 512, 512) -> (B, 16 C, 128, 128), the channels by rows."""
    return by_rows(F.pixel_unshuffle(pictures, LiveGenerator.FOLD).transpose(0, 1)).transpose(0, 1)


def unfolded(pixels: Tensor) -> Tensor:
    """(B, 16 C, 128, 128), the channels by rows -> (B, 512, 512, C)."""
    fold, (batch, _, high, wide) = LiveGenerator.FOLD, pixels.shape
    rows = pixels.permute(0, 2, 3, 1).unflatten(-1, (fold, -1)).transpose(2, 3)
    return rows.reshape(batch, fold * high, fold * wide, -1)


def scale_candidates(candidates: np.ndarray) -> Tensor:
    """(4, 512, 512, 3) uint8 RGB -> (1, 12, 512, 512) float32 in -1..1; raises ValueError for another shape."""
    candidates = np.asarray(candidates)
    if candidates.shape != (CANDIDATES, PICTURE, PICTURE, 3) or candidates.dtype != np.uint8:
        raise ValueError(
            f'candidate images must be ({CANDIDATES}, {PICTURE}, {PICTURE}, 3) uint8, '
            f'not {candidates.shape} {candidates.dtype}'
        )
    pictures = torch.tensor(candidates).permute(0, 3, 1, 2).float() / 127.5 - 1
    return pictures.reshape(1, 3 * CANDIDATES, PICTURE, PICTURE)
