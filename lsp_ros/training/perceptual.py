"""Pretrained networks for pictures: features of the perceptual loss (paper equation 14) and the perceptual distance.

``vgg19``       the paper's choice, ImageNet weights in torchvision's naming; from a file, or fetched by
                ``torch.hub`` where the machine can reach it
``squeezenet``  SqueezeNet 1.0 with Caffe's input scaling, from an .npz file with arrays ``<layer>_w`` and
                ``<layer>_b``; 1.2 MB, and 15 times cheaper

A figure depends on the backbone: `Backbone.name` goes wherever a figure goes.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

VGG19_URL = 'https://download.pytorch.org/models/vgg19-dcbb9e9d.pth'
# Convolution widths of VGG19 up to its fifth block; 'M' halves the resolution.
VGG19_LAYERS = (64, 64, 'M', 128, 128, 'M', 256, 256, 256, 256, 'M', 512, 512, 512, 512, 'M', 512)
VGG19_SLICES = (1, 6, 11, 20, 29)

SQUEEZENET_FIRES = {
    2: (96, 16, 64),
    3: (128, 16, 64),
    4: (128, 32, 128),
    5: (256, 32, 128),
    6: (256, 48, 192),
    7: (384, 48, 192),
    8: (384, 64, 256),
    9: (512, 64, 256),
}
SQUEEZENET_SLICES = ('conv1', 4, 6, 8, 9)
CAFFE_MEAN_BGR = (104.0, 117.0, 123.0)


class Backbone(nn.Module):
    """A frozen feature network: pictures in -1..1, five slices of features out."""

    name: str
    # True: each slice's distance is divided by the mean size of the true picture's features.
    relative: bool

    def freeze(self) -> 'Backbone':
        return self.eval().requires_grad_(False)


class VGG19(Backbone):
    """VGG19 up to the first ReLU of block 5; the paper's inputs, -1..1 without ImageNet's scaling."""

    name, relative = 'vgg19', False

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in VGG19_LAYERS:
            if isinstance(width, str):  # 'M'
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers)
        wanted = self.state_dict()
        missing = [key for key in wanted if key not in weights]
        if missing:
            raise ValueError(f'VGG19 weights lack {missing[0]}; torchvision names are expected')
        self.load_state_dict({key: weights[key] for key in wanted})

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in -1..1 -> features after layers 1, 6, 11, 20 and 29."""
        slices = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in VGG19_SLICES:
                slices.append(x)
        return slices


class Fire(nn.Module):
    """Squeeze to few channels, expand by a 1x1 and a 3x3 convolution side by side."""

    def __init__(self, channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeeze, 1)
        self.expand1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1(x), self.expand3(x)], dim=1))


class SqueezeNet(Backbone):
    """SqueezeNet 1.0; slices after conv1 and fire modules 4, 6, 8 and 9 (1/2, 1/4, 1/8, 1/8, 1/16 of the size)."""

    name, relative = 'squeezenet1.0', True
    mean: Tensor

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2)
        fires = {str(k): Fire(*shape) for k, shape in SQUEEZENET_FIRES.items()}
        self.fires = nn.ModuleDict(fires)
        self.register_buffer('mean', torch.tensor(CAFFE_MEAN_BGR).view(1, 3, 1, 1), persistent=False)
        names = {'conv1': self.conv1}
        for index, fire in fires.items():
            names[f'fire{index}__conv1x1_1'] = fire.squeeze
            names[f'fire{index}__conv1x1_2'] = fire.expand1
            names[f'fire{index}__conv3x3_2'] = fire.expand3
        for name, layer in names.items():
            for own, parameter in layer.named_parameters():
                suffix = f'_{own[0]}'  # of weight and bias
                if name + suffix not in arrays:
                    raise ValueError(f'SqueezeNet weights lack the array {name + suffix}')
                value = torch.from_numpy(np.asarray(arrays[name + suffix], np.float32))
                if value.shape != parameter.shape:
                    raise ValueError(f'{name + suffix} has shape {tuple(value.shape)}, not {tuple(parameter.shape)}')
                parameter.data.copy_(value)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) RGB in -1..1 -> five slices of features."""
        x = F.relu(self.conv1((x.flip(1) + 1) * 127.5 - self.mean))
        slices = [x]
        for index, fire in self.fires.items():
            if index in ('2', '5', '9'):
                x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
            x = fire(x)
            if int(index) in SQUEEZENET_SLICES:
                slices.append(x)
        return slices


def load_backbone(source: str | Path) -> Backbone:
    """The backbone of a weight file: ``.npz`` SqueezeNet, else VGG19; ``'vgg19'`` fetches it by torch.hub.

    Raises ValueError where there is no such file or the weights cannot be fetched.
    """
    if str(source) == 'vgg19':
        try:
            weights = torch.hub.load_state_dict_from_url(VGG19_URL, map_location='cpu', weights_only=True)
        except OSError as error:
            raise ValueError(
                f'VGG19 weights cannot be fetched here ({error}); give a weight file, or a SqueezeNet .npz'
            ) from error
        return VGG19(weights).freeze()
    path = Path(source)
    if not path.is_file():
        raise ValueError(f'perceptual backbone {path}: no such file; give a file, or vgg19 to fetch it')
    if path.suffix == '.npz':
        with np.load(path, allow_pickle=False) as arrays:
            return SqueezeNet(dict(arrays)).freeze()
    return VGG19(torch.load(path, map_location='cpu', weights_only=True)).freeze()


def perceptual_distance(backbone: Backbone, picture: Tensor, truth: Tensor) -> Tensor:
    """Equation 14: sum over the slices of the mean absolute difference of features; pictures (B, 3, H, W) in -1..1.

    For a ``relative`` backbone, whose features have no common size, each slice counts in shares of
    the mean absolute feature of ``truth``: 0 is equal, 5 is as different as no picture at all.
    """
    with torch.no_grad():
        true_slices = backbone(truth)
    total = picture.new_zeros(())
    for slice_, true_slice in zip(backbone(picture), true_slices, strict=True):
        difference = F.l1_loss(slice_, true_slice)
        total = total + (difference / (true_slice.abs().mean() + 1e-8) if backbone.relative else difference)
    return total
