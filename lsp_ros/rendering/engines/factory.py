"""Makes a renderer engine by its name, or finds the quickest one that this machine has."""

import ctypes
import importlib.util
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.rendering.engines import ENGINES
from lsp_ros.rendering.engines.engine import Engine, EngineError

if TYPE_CHECKING:
    from lsp_ros.avatar.load import Avatar

log = logging.getLogger(__name__)


def make_engine(name: str, avatar: 'Avatar', threads: int | None = None, side_by_side: int = 1) -> Engine:
    """The engine of that name, drawing that avatar; raises as ``build_engine`` does.

    side_by_side  pictures that OpenVINO may draw at the same time (others draw one); they share its CPU threads

    The avatar's renderer in 8 bits is one of those that OpenVINO chooses from; one that does not belong to the
    avatar's weights is left aside with a warning.
    """
    options: dict[str, Any] = {}
    if name in ('auto', 'openvino'):
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
    **options: Any,
) -> Engine:
    """An engine from weights of a renderer size and candidate images (4, 512, 512, 3) uint8 RGB.

    name     'torch' (the reference), 'openvino' (CPU), 'tensorrt' (NVIDIA GPU), 'auto': PyTorch on a GPU that draws,
             else OpenVINO, else PyTorch
    threads  CPU threads; None leaves it to the engine
    options  for the engine named: its class tells (``device``, ``precision``); with 'auto', those of OpenVINO

    Raises ValueError for an unknown name or inputs that do not fit, EngineError where this machine lacks
    what the engine needs.
    """
    if name not in ENGINES:
        raise ValueError(f"engine '{name}' is not one of {', '.join(ENGINES)}")
    if threads is not None and threads < 1:
        raise ValueError(f'threads is {threads}, but an engine needs at least 1')
    if name == 'auto':
        engine = on_gpu(weights, size, candidates, threads)
        if engine:
            return engine
        if _installed('openvino'):
            name = 'openvino'
        else:
            name, options = 'torch', {'device': 'cpu'}
    if name != 'tensorrt' and not _installed(name):  # which has several packages, and says so itself
        raise EngineError(f"the engine '{name}' needs the Python package {name}, which is not installed")
    # Imported when chosen: OpenVINO with a converted model at hand starts without torch.
    if name == 'torch':
        from lsp_ros.rendering.engines.torch import TorchEngine

        return TorchEngine(weights, size, candidates, threads=threads, **options)
    if name == 'tensorrt':
        from lsp_ros.rendering.engines.tensorrt import TensorRtEngine

        return TensorRtEngine(weights, size, candidates, threads=threads, **options)
    from lsp_ros.rendering.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(weights, size, candidates, threads=threads, **options)


def on_gpu(
    weights: Mapping[str, np.ndarray], size: str, candidates: np.ndarray, threads: int | None = None
) -> Engine | None:
    """PyTorch on an NVIDIA GPU, once it has drawn a picture there; None where there is no GPU, and with a warning
    where the GPU cannot do it: one that torch was not made for, or whose memory is taken.
    """
    if not (_installed('torch') and nvidia_gpus()):
        return None  # without importing torch, which takes seconds
    import torch

    if not torch.cuda.is_available():
        return None
    try:
        from lsp_ros.rendering.engines.torch import TorchEngine

        engine = TorchEngine(weights, size, candidates, threads=threads, device='cuda')
        engine.render(np.zeros((PICTURE, PICTURE), np.uint8))
    except (RuntimeError, AssertionError) as error:  # CUDA's errors; torch's, where it was made without CUDA
        log.warning('the GPU is there but cannot draw (%s); the CPU draws', ' '.join(str(error).split())[:200])
        return None
    return engine


def nvidia_gpus() -> int:
    """How many GPUs NVIDIA's driver tells of, wherever it keeps its files (Linux, WSL2, Jetson)."""
    try:
        driver = ctypes.CDLL('libcuda.so.1')
        count = ctypes.c_int(0)
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
            return 0
    except (OSError, AttributeError):  # no driver, or something else of that name
        return 0
    return count.value


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
