"""PyTorch: the reference on the CPU, and the way to an NVIDIA GPU."""

from collections.abc import Mapping

import numpy as np
import torch

from lsp_ros.rendering.engines.baked import BakedRenderer
from lsp_ros.rendering.engines.engine import EngineError, check_feature_map
from lsp_ros.rendering.generator import load_generator
from lsp_ros.rendering.sizes import PICTURE

PRECISIONS = {'f32': torch.float32, 'f16': torch.float16, 'bf16': torch.bfloat16}


class TorchEngine:
    """Runs the network as it is: float32 on the CPU, float16 in one CUDA graph on a GPU.

    device     'cpu', 'cuda' or 'auto'
    precision  'f32', 'bf16', 'f16' (GPU only) or 'auto'
    threads    CPU threads of this whole process (torch has one setting for all)
    """

    name = 'torch'

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        size: str,
        candidates: np.ndarray,
        threads: int | None = None,
        device: str = 'auto',
        precision: str = 'auto',
    ):
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
        if threads is not None:
            torch.set_num_threads(threads)
        self._type = PRECISIONS[precision]
        self._renderer = BakedRenderer(load_generator(size, weights), candidates)
        self._renderer.to(device, memory_format=torch.channels_last)
        self._draw = self._eager if device == 'cpu' else self._capture()
        where = f'CPU, {torch.get_num_threads()} threads' if device == 'cpu' else torch.cuda.get_device_name()
        self.description = f'PyTorch {precision}, {where}'

    def render(self, feature_map: np.ndarray) -> np.ndarray:
        """(512, 512) uint8 -> (512, 512, 3) uint8 RGB."""
        return self._draw(check_feature_map(feature_map))

    def _run(self, feature_map: torch.Tensor) -> torch.Tensor:
        lowered = self._type is not torch.float32
        with torch.inference_mode(), torch.autocast(feature_map.device.type, self._type, enabled=lowered):
            return self._renderer(feature_map).contiguous()

    def _eager(self, feature_map: np.ndarray) -> np.ndarray:
        return self._run(torch.tensor(feature_map)).numpy()

    def _capture(self):
        """Records the network once as a CUDA graph: replaying it costs one launch instead of hundreds."""
        given = torch.zeros(PICTURE, PICTURE, dtype=torch.uint8).pin_memory()
        taken = torch.zeros(PICTURE, PICTURE, 3, dtype=torch.uint8).pin_memory()
        lines = given.cuda()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # warm-up: the choice of kernels must not be recorded
            for _ in range(3):
                self._run(lines)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            lines.copy_(given, non_blocking=True)
            taken.copy_(self._run(lines), non_blocking=True)

        def draw(feature_map: np.ndarray) -> np.ndarray:
            given.numpy()[:] = feature_map
            graph.replay()
            torch.cuda.current_stream().synchronize()
            return taken.numpy().copy()

        return draw
