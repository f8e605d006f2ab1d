"""The networks that draw the picture (paper section 3.4, figure 5).

``Generator``      the paper's recursive U-Net in its two sizes, ``normal`` and ``large``
``LiveGenerator``  our own small network for live use on two CPU cores

All take feature maps scaled to 0..1 and candidate images scaled to -1..1, and give an RGB picture
in -1..1. ``build_generator(size)`` makes a new one, ``load_generator(size, weights)`` a trained one.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsp_ros.avatar.architecture import (
    CANDIDATE_CHANNELS,
    CANDIDATES,
    LIVE_BLOCKS,
    LIVE_FOLD,
    LIVE_WIDTHS,
    RENDERER_INPUTS,
    UNET_BLOCKS,
    UNET_LEVELS,
    UNET_WIDTH,
    live_widths,
    renderer_size,
    unet_width,
)


class ResidualBlock(nn.Module):
    """relu(x + BN(conv(relu(BN(conv(x)))))), 3x3, same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.block(x))


class Level(nn.Module):
    """One level of the U-Net: down, the next level inside, up.

    Returns [x, level(x)] along the channels (the skip connection); the outermost level returns the
    picture before tanh. The layers stand in one list, in order of execution, as in the official
    release, so that its weights load after a change of the key's prefix.
    """

    def __init__(
        self, channels_in: int, channels: int, blocks: int, inner: 'Level | None', outermost: bool = False
    ) -> None:
        super().__init__()
        self.outermost = outermost
        layers: list[nn.Module] = [nn.Conv2d(channels_in, channels, 3, stride=2, padding=1, bias=False)]
        if inner is not None and not outermost:
            layers.append(nn.BatchNorm2d(channels))
        layers.append(nn.ReLU(inplace=True))
        layers += [ResidualBlock(channels) for _ in range(blocks)]
        if inner is not None:
            layers.append(inner)
        layers.append(nn.Upsample(scale_factor=2, mode='nearest'))
        up_in = channels if inner is None else 2 * channels
        up_out = 3 if outermost else channels_in
        layers.append(nn.Conv2d(up_in, up_out, 3, padding=1, bias=False))
        if not outermost:
            layers += [nn.BatchNorm2d(up_out), nn.ReLU(inplace=True)]
            layers += [ResidualBlock(up_out) for _ in range(blocks)]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y if self.outermost else torch.cat([x, y], dim=1)


class Generator(nn.Module):
    """The paper's renderer: an 8-level U-Net with residual blocks.

    ``normal`` has one block per level (76,203,840 parameters at width 64), ``large`` two
    (121,789,760). ``width`` is the number of channels of the first level; small widths serve tests.
    The official release's keys become ours by putting ``unet.`` in the place of ``module.netG.model.``.

    Variants of table 3, which no avatar holds: ``blocks`` is another number of residual blocks per level, 0 a plain
    U-Net; without ``candidates`` it sees the feature map alone.
    """

    def __init__(
        self,
        size: str = 'normal',
        width: int = UNET_WIDTH,
        levels: int = UNET_LEVELS,
        blocks: int | None = None,
        candidates: bool = True,
    ) -> None:
        super().__init__()
        if size not in UNET_BLOCKS:
            raise ValueError(f"renderer size '{size}' is not 'normal' or 'large'")
        blocks = UNET_BLOCKS[size] if blocks is None else blocks
        channels = [RENDERER_INPUTS if candidates else 1] + [width * min(2**level, 8) for level in range(levels)]
        level: Level | None = None
        for depth in reversed(range(levels)):
            level = Level(channels[depth], channels[depth + 1], blocks, level, outermost=depth == 0)
        self.size = size
        assert level is not None
        self.unet = level

    def forward(self, x: Tensor) -> Tensor:
        """(B, 13, 512, 512) feature map and candidate images, if it has any -> (B, 3, 512, 512)."""
        return torch.tanh(self.unet(x))


class Constants(NamedTuple):
    """What the live renderer computes once from the candidate images.

    features  (B, C, 128, 128)  what the candidates add to the first layer
    base      (B, 3, 512, 512)  the picture that the network's output is added to
    """

    features: Tensor
    base: Tensor


class LiveGenerator(nn.Module):
    """A small U-Net that works at a quarter of the resolution and below.

    The feature map is folded 4x4 into 16 channels (nothing is lost) and the output is unfolded
    from 48 channels, so no convolution runs at 512x512 or 256x256, where memory traffic would cost
    more than arithmetic. Everything that depends on the candidate images alone comes from
    ``prepare``: per session it is computed once. The network's output is a difference to a base
    picture mixed from the candidates, so the background needs not be drawn and cannot flicker.
    """

    FOLD = LIVE_FOLD
    # A difference below this (in -1..1) is not drawn outside training: 0.6 of one of 256 grey levels.
    DEAD_ZONE = 0.6 / 127.5

    def __init__(self, widths: tuple[int, ...] = LIVE_WIDTHS, blocks: tuple[int, ...] = LIVE_BLOCKS) -> None:
        """``widths``: channels at 128, 64, 32 and 16 pixels. ``blocks``: residual blocks going down."""
        super().__init__()
        first = widths[0]
        fold = self.FOLD**2
        self.size = 'live'
        self.candidate_stem = nn.Sequential(
            nn.Conv2d(CANDIDATE_CHANNELS * fold, first, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, first, 3, padding=1),
        )
        self.candidate_features = nn.Sequential(nn.ReLU(), nn.Conv2d(first, first, 3, padding=1))
        self.candidate_mix = nn.Conv2d(first, CANDIDATES * fold, 3, padding=1)
        self.stem = nn.Sequential(nn.Conv2d(fold, first, 3, padding=1, bias=False), nn.BatchNorm2d(first))
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(below, above, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(above),
                nn.ReLU(inplace=True),
                *[ResidualBlock(above) for _ in range(count)],
            )
            for (below, above), count in zip(pairwise(widths), blocks, strict=True)
        )
        # The 1x1 convolution comes before the enlargement, where it costs a quarter.
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(above, below, 1, bias=False), nn.BatchNorm2d(below), nn.Upsample(scale_factor=2))
            for below, above in pairwise(widths)
        )
        self.refine = nn.ModuleList(ResidualBlock(width) for width in widths[:-1])
        self.head = nn.Conv2d(first, 3 * fold, 3, padding=1)
        # Training starts from the plain mean of the candidates.
        for layer in (self.candidate_mix, self.head):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def prepare(self, candidates: Tensor) -> Constants:
        """(B, 12, 512, 512) candidate images in -1..1 -> what ``forward`` needs of them."""
        features = self.candidate_stem(F.pixel_unshuffle(candidates, self.FOLD))
        # Mixing weights that add up to one: where the candidates agree, the base is their exact value.
        weights = F.pixel_shuffle(self.candidate_mix(features), self.FOLD).softmax(dim=1)
        pictures = candidates.unflatten(1, (CANDIDATES, 3))
        return Constants(self.candidate_features(features), (weights.unsqueeze(2) * pictures).sum(dim=1))

    def forward(self, x: Tensor, constants: Constants | None = None) -> Tensor:
        """(B, 1, 512, 512) feature map with ``constants`` of batch B or 1 -> (B, 3, 512, 512).

        Without constants: (B, 13, 512, 512) as for ``Generator``.
        """
        if constants is None:
            constants = self.prepare(x[:, 1:])
            x = x[:, :1]
        return (constants.base + F.pixel_shuffle(self.difference(x, constants.features), self.FOLD)).clamp(-1, 1)

    def difference(self, x: Tensor, features: Tensor) -> Tensor:
        """(B, 1, 512, 512) feature map -> (B, 48, 128, 128), what is added to the base picture, folded 4x4."""
        x = F.relu(self.stem(F.pixel_unshuffle(x, self.FOLD)) + features)
        skips = [x]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up, refine in zip(reversed(self.up), reversed(self.refine), strict=True):
            x = refine(F.relu(up(x) + skips.pop()))
        difference: Tensor = self.head(x)
        if not self.training:
            difference = difference - difference.clamp(-self.DEAD_ZONE, self.DEAD_ZONE)
        return difference


def build_generator(
    size: str, width: int | None = None, blocks: int | None = None, candidates: bool = True
) -> Generator | LiveGenerator:
    """A new network of a renderer size: 'live', 'normal' or 'large'; what follows is for the latter two.
    ``width`` None: ``UNET_WIDTH``.

    Raises ValueError where the live network is asked for without candidate images, which it is built on.
    """
    renderer_size(size)
    if size == 'live' and not candidates:
        raise ValueError("the renderer 'live' adds to its candidate images; only 'normal' and 'large' can do without")
    return (
        LiveGenerator()
        if size == 'live'
        else Generator(size, width or UNET_WIDTH, blocks=blocks, candidates=candidates)
    )


def load_generator(size: str, weights: Mapping[str, np.ndarray]) -> Generator | LiveGenerator:
    """The trained network, ready to draw; its widths are taken from the weights.

    Raises ValueError where the weights are not those of such a network.
    """
    renderer_size(size)
    shapes = {name: value.shape for name, value in weights.items()}
    with torch.random.fork_rng(devices=[]):  # first weights are drawn, in vain: the host program's numbers stay its own
        network = LiveGenerator(*live_widths(shapes)) if size == 'live' else Generator(size, unet_width(shapes))
    try:
        network.load_state_dict({key: torch.tensor(value) for key, value in weights.items()}, strict=True)
    except RuntimeError as error:
        problem = ' '.join(str(error).split())
        raise ValueError(f"the weights are not those of a '{size}' renderer: {problem[:300]}") from None
    return network.eval()


def parameter_count(module: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in module.parameters())
