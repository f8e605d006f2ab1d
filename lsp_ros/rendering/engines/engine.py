"""What every renderer engine is to the rest of the program."""

from typing import Protocol

import numpy as np

from lsp_ros.rendering.sizes import PICTURE


class EngineError(RuntimeError):
    """An engine that cannot be had on this machine; one sentence that says why."""


class Engine(Protocol):
    """Draws pictures with one avatar's renderer. An engine belongs to one thread at a time.

    name         'torch' or 'openvino'
    description  one line for people: device, precision, threads
    """

    name: str
    description: str

    def render(self, feature_map: np.ndarray) -> np.ndarray:
        """(512, 512) uint8 feature map -> (512, 512, 3) uint8 RGB picture, an array of its own.

        Raises ValueError for another shape or type.
        """
        ...


def check_feature_map(feature_map: np.ndarray) -> np.ndarray:
    """The feature map as one contiguous array; raises ValueError for another shape or type."""
    feature_map = np.asarray(feature_map)
    if feature_map.shape != (PICTURE, PICTURE) or feature_map.dtype != np.uint8:
        raise ValueError(
            f'a feature map must be ({PICTURE}, {PICTURE}) uint8, not {feature_map.shape} {feature_map.dtype}'
        )
    return np.ascontiguousarray(feature_map)
