"""Renderer engines: different machines, the same picture (``make_engine``)."""

import importlib.util
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lsp_ros.rendering.engines.engine import Engine, EngineError
from lsp_ros.rendering.sizes import ENGINES

if TYPE_CHECKING:
    from lsp_ros.avatar.avatar import Avatar

log = logging.getLogger(__name__)

__all__ = ['ENGINES', 'Engine', 'EngineError', 'build_engine', 'make_engine']


def make_engine(name: str, avatar: 'Avatar', threads: int | None = None, side_by_side: int = 1) -> Engine:
    """The engine of that name, drawing that avatar; raises as ``build_engine`` does.

    side_by_side  pictures that OpenVINO may draw at the same time (others draw one); they share its CPU threads

    The avatar's renderer in 8 bits is one of those that OpenVINO chooses from; one that does not belong to the
    avatar's weights is left aside with a warning.
    """
    options = {}
    if choose(name) == 'openvino':
        options['side_by_side'] = side_by_side
        from lsp_ros.avatar.manifest import AvatarError

        try:
            options['int8'] = avatar.int8_renderer()
        except AvatarError as error:
            log.warning('%s', error)
    return build_engine(
        name, avatar.weights('renderer'), avatar.manifest.renderer.size, avatar.candidates(), threads=threads, **options
    )


def build_engine(
    name: str,
    weights: Mapping[str, np.ndarray],
    size: str,
    candidates: np.ndarray,
    threads: int | None = None,
    **options,
) -> Engine:
    """An engine from weights of a renderer size and candidate images (4, 512, 512, 3) uint8 RGB.

    name     'torch' (the reference), 'openvino' (CPU), 'tensorrt' (NVIDIA GPU), 'auto' (the fastest here)
    threads  CPU threads; None leaves it to the engine
    options  for the engine named: its class tells (``device``, ``precision``)

    Raises ValueError for an unknown name or inputs that do not fit, EngineError where this machine lacks
    what the engine needs.
    """
    if name not in ENGINES:
        raise ValueError(f"engine '{name}' is not one of {', '.join(ENGINES)}")
    if threads is not None and threads < 1:
        raise ValueError(f'threads is {threads}, but an engine needs at least 1')
    name = choose(name)
    if name != 'tensorrt' and not _installed(name):  # which has several packages, and says so itself
        raise EngineError(f"the engine '{name}' needs the Python package {name}, which is not installed")
    # Imported when chosen: OpenVINO with a converted model at hand starts without torch.
    if name == 'torch':
        from lsp_ros.rendering.engines.torch import TorchEngine as chosen
    elif name == 'tensorrt':
        from lsp_ros.rendering.engines.tensorrt import TensorRtEngine as chosen
    else:
        from lsp_ros.rendering.engines.openvino import OpenVinoEngine as chosen
    return chosen(weights, size, candidates, threads=threads, **options)


def choose(name: str) -> str:
    """The engine that 'auto' is on this machine; any other name as it is."""
    if name != 'auto':
        return name
    return 'torch' if _cuda() or not _installed('openvino') else 'openvino'


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _cuda() -> bool:
    # Importing torch takes seconds, so a machine without NVIDIA's driver is not asked.
    from pathlib import Path

    if not Path('/proc/driver/nvidia/version').exists():
        return False
    import torch

    return torch.cuda.is_available()
