"""The multi-scale PatchGAN that the renderer is trained against (paper section 4.2.4).

Two networks of the same build judge overlapping patches, one of the full picture and one of a
picture of half the size, and keep their intermediate features for the feature matching loss.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from lsp_ros.avatar.architecture import RENDERER_INPUTS

# Feature map, candidate images and the picture that is judged.
JUDGED_CHANNELS = RENDERER_INPUTS + 3


class PatchDiscriminator(nn.Module):
    """4x4 convolutions of stride 2, 2, 2, 1, 1 and widths w, 2w, 4w, 8w, 1."""

    def __init__(self, channels: int = JUDGED_CHANNELS, width: int = 64) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        self.layers = nn.ModuleList()
        for depth in range(4):
            stride = 2 if depth < 3 else 1
            layer: list[nn.Module] = [nn.Conv2d(widths[depth], widths[depth + 1], 4, stride, padding=2)]
            if depth:
                layer.append(nn.BatchNorm2d(widths[depth + 1]))
            self.layers.append(nn.Sequential(*layer, nn.LeakyReLU(0.2)))
        self.layers.append(nn.Conv2d(widths[4], 1, 4, padding=2))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> the features after each layer; the last one, (B, 1, h, w), is the verdict."""
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return features


class Discriminator(nn.Module):
    """Patch discriminators at full and at half resolution."""

    def __init__(self, channels: int = JUDGED_CHANNELS, width: int = 64, scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(channels, width) for _ in range(scales))

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """(B, C, H, W) -> for each scale, its list of features with the verdict last."""
        verdicts = []
        for depth, scale in enumerate(self.scales):
            if depth:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            verdicts.append(scale(x))
        return verdicts
