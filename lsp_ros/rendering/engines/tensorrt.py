"""NVIDIA TensorRT, and TensorRT for RTX: the same interface from two libraries.

An engine is built from the network as ONNX once for a GPU (minutes) and kept on disk under a name made from its
content, the library's version and the device.
"""

import importlib
import logging
import shutil
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.rendering.engines.cache import cache_folder, content_name, is_kept, keep
from lsp_ros.rendering.engines.engine import LARGEST_BATCH, Engine, EngineError, check_feature_map, check_feature_maps
from lsp_ros.rendering.engines.onnx import INPUT, OUTPUT, export

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

# By the names under which they are imported; the last is that of the wheels of TensorRT for RTX.
LIBRARIES = ('tensorrt', 'tensorrt_rtx', 'tensorrt_rtx_bindings')
_PLAN, _KERNELS = 'engine.plan', 'kernels.bin'


class TensorRtEngine(Engine):
    """Runs an engine on the GPU, built here if it is not kept.

    precision  'f16', 'f32' or 'auto': f16
    threads    of no effect: the GPU does it all

    Raises EngineError without an NVIDIA GPU, without a library, and where no library that is there fits the GPU.
    """

    name = 'tensorrt'

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        size: str,
        candidates: np.ndarray,
        threads: int | None = None,
        precision: str = 'auto',
    ):
        precision = 'f16' if precision == 'auto' else precision
        if precision not in ('f16', 'f32'):
            raise ValueError(f"precision '{precision}' is not one of auto, f16, f32")
        libraries = find_libraries()
        import torch

        if not torch.cuda.is_available():
            raise EngineError("the engine 'tensorrt' needs an NVIDIA GPU, and torch finds none")
        device = torch.cuda.get_device_name()
        capability = 'SM{}{}'.format(*torch.cuda.get_device_capability())
        library = next((each for each in libraries if fits(each, capability)), None)
        if library is None:
            raise EngineError(
                f'{libraries[0].__name__} is not made for this GPU ({device}, {capability}): install tensorrt, or use '
                "the engine 'torch'"
            )
        name, plan = _plan(library, weights, size, np.asarray(candidates), precision, device, capability)
        with torch.cuda.device(torch.cuda.current_device()):  # TensorRT takes the device that CUDA has in hand
            self._runtime = library.Runtime(_logger(library))
            engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineError(f'{library.__name__} cannot load the engine that it built for {device}')
        from lsp_ros.rendering.engines.cuda import Pipeline

        # Not as CUDA graphs: not every engine can be recorded.
        self._kernels = _Kernels(engine, name) if hasattr(engine, 'create_runtime_config') and _rtx(library) else None
        self._pipeline = Pipeline(lambda: _Context(engine, self._kernels), record=False)
        self.most_together = LARGEST_BATCH
        self.description = f'{library.__name__} {library.__version__} {precision}, {device}'

    def warm_up(self, together: int = 1) -> None:
        """Gets memory for batches of up to so many pictures, and the kernels into the GPU."""
        self._pipeline.prepare(together)
        super().warm_up(together)
        if self._kernels:
            self._kernels.keep()

    def render(self, feature_map: np.ndarray) -> np.ndarray:
        """(512, 512) uint8 -> (512, 512, 3) uint8 RGB."""
        return self._pipeline.draw(check_feature_map(feature_map)[None])[0]

    def render_batch(self, feature_maps: np.ndarray) -> np.ndarray:
        """(B, 512, 512) uint8 -> (B, 512, 512, 3) uint8 RGB."""
        return self._pipeline.draw(check_feature_maps(feature_maps))


class _Context:
    """Runs the engine on torch's current stream; what runs at the same time needs one each."""

    def __init__(self, engine: Any, kernels: '_Kernels | None') -> None:
        self._context = (
            engine.create_execution_context(kernels.config) if kernels else engine.create_execution_context()
        )

    def __call__(self, lines: 'torch.Tensor') -> 'torch.Tensor':
        import torch

        pictures = torch.empty((*lines.shape, 3), dtype=torch.uint8, device=lines.device)
        self._context.set_input_shape(INPUT, tuple(lines.shape))
        self._context.set_tensor_address(INPUT, lines.data_ptr())
        self._context.set_tensor_address(OUTPUT, pictures.data_ptr())
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise RuntimeError('TensorRT could not run its engine; its own message stands in the log')
        return pictures


class _Kernels:
    """What TensorRT for RTX compiles for the GPU that is there when an engine first draws, kept for the next start."""

    def __init__(self, engine: Any, name: str) -> None:
        self._folder = cache_folder() / 'tensorrt_kernels' / name
        self.config = engine.create_runtime_config()
        self._cache = self.config.create_runtime_cache()
        if is_kept(self._folder) and not self._cache.deserialize((self._folder / _KERNELS).read_bytes()):
            shutil.rmtree(self._folder, ignore_errors=True)  # another driver or GPU
        self.config.set_runtime_cache(self._cache)

    def keep(self) -> None:
        if not is_kept(self._folder):
            kernels = bytes(self._cache.serialize())
            keep(self._folder, lambda scratch: (scratch / _KERNELS).write_bytes(kernels))


def find_libraries() -> list[ModuleType]:
    """The TensorRT libraries that are there; raises EngineError where none is."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(importlib.import_module(name))
        except (ImportError, OSError) as error:
            log.debug('%s: %s', name, error)
    if not found:
        raise EngineError(
            "the engine 'tensorrt' needs NVIDIA's library: pip install 'lsp_ros[tensorrt]', or 'lsp_ros[tensorrt-rtx]' "
            'for a GeForce or RTX card'
        )
    return found


def fits(library: ModuleType, capability: str) -> bool:
    """Whether the library builds for GPUs of a compute capability, 'SM89' for instance: TensorRT for RTX names them."""
    return not _rtx(library) or hasattr(library.ComputeCapability, capability)


def build(library: ModuleType, model: bytes, capability: str | None = None) -> bytes:
    """An engine for batches of 1 to ``cuda.CHUNK``, as bytes, from an ONNX model of ``onnx.export``.

    capability  'SM89', say: the GPU it is for. TensorRT for RTX then needs none here. None: for the one here.
    Raises EngineError with the library's own words.
    """
    from lsp_ros.rendering.engines.cuda import CHUNK

    logger = _logger(library)
    builder = library.Builder(logger)
    # The types are the model's: float16 where its weights are.
    network = builder.create_network(1 << int(library.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = library.OnnxParser(network, logger)
    if not parser.parse(model):
        raise EngineError(f'{library.__name__} cannot read the renderer: {parser.get_error(0).desc()}')
    config = builder.create_builder_config()
    config.clear_flag(library.BuilderFlag.TF32)  # float32, where it was asked for, with all of its digits
    if capability:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(library.ComputeCapability, capability), 0)
    profile = builder.create_optimization_profile()
    profile.set_shape(INPUT, *((count, PICTURE, PICTURE) for count in (1, CHUNK // 2, CHUNK)))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f'{library.__name__} cannot build the renderer; its own message stands in the log')
    return bytes(plan)


def _plan(
    library: ModuleType, weights: Mapping[str, np.ndarray], size: str, candidates: np.ndarray, precision: str,
    device: str, capability: str,
) -> tuple[str, bytes]:  # fmt: skip
    """The name of the engine, and the kept one or a new one, which is kept."""
    made_with = f'{library.__name__} {library.__version__} {precision} {device} {capability}'
    name = content_name(weights, size, candidates, made_with, 'folded.py', 'onnx.py', 'tensorrt.py', 'cuda.py')
    folder = cache_folder() / 'tensorrt' / name
    if is_kept(folder):
        return name, (folder / _PLAN).read_bytes()
    import torch

    from lsp_ros.rendering.engines.baked import BakedRenderer
    from lsp_ros.rendering.engines.folded import fold
    from lsp_ros.rendering.generator import load_generator

    log.warning('building a TensorRT engine for %s, once; this can take minutes', device)
    renderer = fold(BakedRenderer(load_generator(size, weights), candidates))
    model = export(renderer.to('cuda', torch.float16 if precision == 'f16' else torch.float32))
    plan = build(library, model, capability if _rtx(library) else None)
    keep(folder, lambda scratch: (scratch / _PLAN).write_bytes(plan))
    return name, plan


def _rtx(library: ModuleType) -> bool:
    return 'rtx' in library.__name__


def _logger(library: Any) -> Any:
    """TensorRT's messages to ours."""
    levels = {'INTERNAL_ERROR': logging.ERROR, 'ERROR': logging.ERROR, 'WARNING': logging.WARNING}

    class Logger(library.ILogger):  # type: ignore[misc]  # whichever of the two libraries it is
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, message: str) -> None:
            log.log(levels.get(severity.name, logging.DEBUG), 'TensorRT: %s', message)

    return Logger()
