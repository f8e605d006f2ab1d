"""OpenVINO: the quickest engine on a CPU.

The network is converted once and kept on disk under a name made from its content, so that later starts
need neither the conversion nor torch. Where the CPU multiplies bfloat16 in hardware (AMX, AVX-512 BF16)
that precision is used.
"""

import warnings
from collections.abc import Mapping

import numpy as np
import openvino

from lsp_ros.rendering.engines.cache import cache_folder, content_name, is_kept, keep
from lsp_ros.rendering.engines.engine import Engine, check_feature_map
from lsp_ros.rendering.sizes import PICTURE


class OpenVinoEngine(Engine):
    """Runs a converted network on the CPU.

    precision  'f32', 'bf16', or 'auto': bf16 where the CPU has it in hardware
    threads    CPU threads; None leaves the choice to OpenVINO (all cores)
    """

    name = 'openvino'

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        size: str,
        candidates: np.ndarray,
        threads: int | None = None,
        precision: str = 'auto',
    ):
        if precision not in ('auto', 'f32', 'bf16'):
            raise ValueError(f"precision '{precision}' is not one of auto, f32, bf16")
        core = openvino.Core()
        if precision == 'auto':
            precision = 'bf16' if 'BF16' in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES') else 'f32'
        # Not pinned: the other stages live on the same cores, and two avatars would be pinned to the same one.
        settings = {
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_PRECISION_HINT': precision,
            'ENABLE_CPU_PINNING': False,
        }
        if threads is not None:
            settings['INFERENCE_NUM_THREADS'] = threads
        model = _converted(core, weights, size, np.asarray(candidates))
        compiled = core.compile_model(model, 'CPU', settings)
        self._request = compiled.create_infer_request()
        used = compiled.get_property('INFERENCE_NUM_THREADS')
        self.description = f'OpenVINO {precision}, CPU, {used} threads'

    def render(self, feature_map: np.ndarray) -> np.ndarray:
        """(512, 512) uint8 -> (512, 512, 3) uint8 RGB."""
        return self._request.infer([check_feature_map(feature_map)[None]], share_inputs=True)[0][0].copy()


def _converted(
    core: openvino.Core, weights: Mapping[str, np.ndarray], size: str, candidates: np.ndarray
) -> openvino.Model:
    name = content_name(weights, size, candidates, openvino.__version__)
    folder = cache_folder() / 'openvino' / name
    if is_kept(folder):
        return core.read_model(folder / 'model.xml')
    model = _convert(weights, size, candidates)
    keep(folder, lambda scratch: openvino.save_model(model, scratch / 'model.xml', compress_to_fp16=False))
    return model


def _convert(weights: Mapping[str, np.ndarray], size: str, candidates: np.ndarray) -> openvino.Model:
    """Trace and convert. By OpenVINO's front end itself: its ``convert_model`` reports to its makers unasked."""
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    from lsp_ros.rendering.engines.baked import BakedRenderer
    from lsp_ros.rendering.generator import load_generator

    renderer = BakedRenderer(load_generator(size, weights), candidates)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # of tracing; the tested torch is pinned
        traced = torch.jit.trace(renderer, torch.zeros(1, PICTURE, PICTURE, dtype=torch.uint8), check_trace=False)
    decoder = TorchScriptPythonDecoder(traced)  # a name of its own: the front end does not keep it alive
    front_end = FrontEndManager().load_by_framework('pytorch')
    model = front_end.convert(front_end.load(decoder))
    model.reshape([1, PICTURE, PICTURE])
    return model
