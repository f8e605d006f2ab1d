"""The interface of all renderer engines, their error, and the checks of what they are given to draw."""

from typing import Protocol

import numpy as np

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.errors import LspError

# What ``render_batch`` takes at most: 64 pictures are 48 MiB.
LARGEST_BATCH = 64


class EngineError(LspError, RuntimeError):
    """An engine that cannot be had on this machine; one sentence that says why."""


class Engine(Protocol):
    """Draws pictures with one avatar's renderer.

    name          'torch', 'openvino' or 'tensorrt'
    description   one line for people: device, precision, threads
    side_by_side  how many threads may draw with it at the same time
    most_together how many pictures are quicker drawn together than one by one; 1 where a batch would but keep the
                  first of them back until the last is there
    """

    name: str
    description: str
    side_by_side: int = 1
    most_together: int = 1

    def warm_up(self, together: int = 1) -> None:
        """Draws until batches of up to so many pictures take no longer than later ones: compiled, recorded, loaded."""
        for _ in range(self.side_by_side):
            self.render(np.zeros((PICTURE, PICTURE), np.uint8))

    def render(self, feature_map: np.ndarray) -> np.ndarray:
        """(512, 512) uint8 feature map -> (512, 512, 3) uint8 RGB picture, an array of its own.

        Raises ValueError for another shape or type.
        """
        ...

    def render_batch(self, feature_maps: np.ndarray) -> np.ndarray:
        """(B, 512, 512) uint8 feature maps, 1 to ``LARGEST_BATCH`` of them -> (B, 512, 512, 3) uint8 RGB.

        What ``render`` draws one by one, which is what happens here; an engine on a GPU draws them together, and
        its pictures may differ from single ones by a few grey levels where float16 rounds elsewhere.
        Raises ValueError for another shape or type.
        """
        return np.stack([self.render(feature_map) for feature_map in check_feature_maps(feature_maps)])


def check_feature_map(feature_map: np.ndarray) -> np.ndarray:
    """The feature map as one contiguous array; raises ValueError for another shape or type."""
    feature_map = np.asarray(feature_map)
    if feature_map.shape != (PICTURE, PICTURE) or feature_map.dtype != np.uint8:
        raise ValueError(
            f'a feature map must be ({PICTURE}, {PICTURE}) uint8, not {feature_map.shape} {feature_map.dtype}'
        )
    return np.ascontiguousarray(feature_map)


def check_feature_maps(feature_maps: np.ndarray) -> np.ndarray:
    """A batch of feature maps as one array; raises ValueError for another shape, number or type."""
    feature_maps = np.asarray(feature_maps)
    count = len(feature_maps) if feature_maps.ndim else 0
    if feature_maps.shape != (count, PICTURE, PICTURE) or feature_maps.dtype != np.uint8 or not count:
        raise ValueError(
            f'feature maps must be (B, {PICTURE}, {PICTURE}) uint8, not {feature_maps.shape} {feature_maps.dtype}'
        )
    if count > LARGEST_BATCH:
        raise ValueError(f'a batch holds at most {LARGEST_BATCH} feature maps, not {count}')
    return feature_maps
