"""PyTorch: the reference on the CPU, and the way to an NVIDIA GPU."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from lsp_ros.rendering.engines.baked import BakedRenderer
from lsp_ros.rendering.engines.engine import LARGEST_BATCH, Engine, EngineError, check_feature_map, check_feature_maps
from lsp_ros.rendering.generator import load_generator

if TYPE_CHECKING:
    from lsp_ros.rendering.engines.cuda import Pipeline

PRECISIONS = {'f32': torch.float32, 'f16': torch.float16, 'bf16': torch.bfloat16}


class TorchEngine(Engine):
    """The network as it is on the CPU, in float32; folded (``folded.py``), in float16 and as CUDA graphs on a GPU.

    device     'cpu', 'cuda' or 'auto'
    precision  'f32', 'bf16', 'f16' (GPU only) or 'auto'
    threads    CPU threads while it draws on the CPU; None: as many as torch has been set to
    """

    name = 'torch'
    _pipeline: 'Pipeline | None'

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        size: str,
        candidates: np.ndarray,
        threads: int | None = None,
        device: str = 'auto',
        precision: str = 'auto',
    ) -> None:
        if device == 'auto':
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        if device not in ('cpu', 'cuda'):
            raise ValueError(f"device '{device}' is not one of auto, cpu, cuda")
        if device == 'cuda' and not torch.cuda.is_available():
            raise EngineError("the engine 'torch' was asked for an NVIDIA GPU, and torch finds none")
        if precision == 'auto':
            precision = 'f16' if device == 'cuda' else 'f32'
        if precision not in PRECISIONS or (precision == 'f16' and device == 'cpu'):
            raise ValueError(f"precision '{precision}' is not one of auto, f32, bf16 or, on a GPU, f16")
        self._threads = threads
        self._type = PRECISIONS[precision]
        self._renderer = BakedRenderer(load_generator(size, weights), candidates)
        self._pipeline = None
        where = f'CPU, {threads or torch.get_num_threads()} threads'
        if device == 'cuda':
            from lsp_ros.rendering.engines.cuda import Pipeline
            from lsp_ros.rendering.engines.folded import fold, phases

            fold(self._renderer, phases).to('cuda', self._type)
            self._renderer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in the stubs
            self._pipeline = Pipeline(lambda: self._renderer)
            self.most_together = LARGEST_BATCH
            where = torch.cuda.get_device_name()
        else:
            self._renderer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in the stubs
        self.description = f'PyTorch {precision}, {where}'

    def warm_up(self, together: int = 1) -> None:
        """On a GPU records the batches of up to so many pictures, 1 to 3 s each time a power of two is passed."""
        if self._pipeline:
            self._pipeline.prepare(together)
        super().warm_up(together)

    def render(self, feature_map: np.ndarray) -> np.ndarray:
        """(512, 512) uint8 -> (512, 512, 3) uint8 RGB."""
        feature_map = check_feature_map(feature_map)
        if self._pipeline:
            return self._pipeline.draw(feature_map[None])[0]
        with (
            _cpu_threads(self._threads),
            torch.inference_mode(),
            torch.autocast('cpu', self._type, enabled=self._type is not torch.float32),
        ):
            picture: np.ndarray = self._renderer(torch.tensor(feature_map)[None])[0].contiguous().numpy()
            return picture

    def render_batch(self, feature_maps: np.ndarray) -> np.ndarray:
        """(B, 512, 512) uint8 -> (B, 512, 512, 3) uint8 RGB; on the CPU one by one."""
        if self._pipeline:
            return self._pipeline.draw(check_feature_maps(feature_maps))
        return super().render_batch(feature_maps)


_lock = threading.Lock()
_drawing = 0  # how many threads are inside ``_cpu_threads``
_before = 0  # torch's threads when the first of them came


@contextmanager
def _cpu_threads(count: int | None) -> Iterator[None]:
    """So many threads for what this thread computes; None: as it is.

    Torch has one setting for the whole process, from which each thread takes its own: whoever leaves puts back what
    was there before anybody came.
    """
    global _drawing, _before
    if count is None:
        yield
        return
    with _lock:
        if not _drawing:
            _before = torch.get_num_threads()
        _drawing += 1
        torch.set_num_threads(count)
    try:
        yield
    finally:
        with _lock:
            _drawing -= 1
            torch.set_num_threads(_before)
