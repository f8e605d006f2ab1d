"""One network with one person's candidate images worked in: what every engine runs."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsp_ros.rendering.generator import Constants, Generator, LiveGenerator
from lsp_ros.rendering.sizes import CANDIDATES, PICTURE, SIZES


class BakedRenderer(nn.Module):
    """(B, 512, 512) uint8 feature maps -> (B, 512, 512, 3) uint8 RGB, nothing left to do before or after.

    What depends on the candidate images alone is computed here, once: the base picture and the
    candidates' features of the live renderer; of the paper's, twelve of the thirteen input channels of
    the first convolution.

    ``reach`` (512, 512) bool: outside, the live renderer's base picture stands, to the bit. In float32 it does so by
    itself (``LiveGenerator.DEAD_ZONE``); in 8 bits the network's own noise would show there.
    """

    def __init__(self, generator: Generator | LiveGenerator, candidates: np.ndarray, reach: np.ndarray | None = None):
        super().__init__()
        self.register_buffer('reach', None if reach is None else torch.tensor(reach, dtype=torch.bool))
        self.rounding = SIZES[generator.size].rounding
        pictures = scale_candidates(candidates)
        with torch.no_grad():
            if isinstance(generator, LiveGenerator):
                self.body = generator
                constants = generator.prepare(pictures)
            else:
                first, *rest = generator.unet.model
                self.first = nn.Conv2d(1, first.out_channels, 3, stride=2, padding=1, bias=False)
                self.first.weight = nn.Parameter(first.weight[:, :1].clone())
                self.body = nn.Sequential(*rest)
                constants = (F.conv2d(pictures, first.weight[:, 1:], stride=2, padding=1),)
        for index, constant in enumerate(constants):
            self.register_buffer(f'constant{index}', constant.contiguous())
        self.requires_grad_(False).eval()

    def forward(self, feature_maps: Tensor) -> Tensor:
        lines = feature_maps.to(self.constant0.dtype)[:, None] / 255
        if isinstance(self.body, LiveGenerator):
            picture = self.body(lines, Constants(self.constant0, self.constant1))
            if self.reach is not None:
                picture = torch.where(self.reach, picture, self.constant1)
        else:
            picture = torch.tanh(self.body(self.first(lines) + self.constant0))
        levels = (picture.float() + 1) * 127.5 + self.rounding
        return levels.clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8)  # last: TensorRT moves no uint8


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
