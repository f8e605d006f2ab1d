"""OpenVINO: the quickest engine on a CPU.

The network is converted once and kept on disk under a name made from its content, so that later starts need
neither the conversion nor torch. How it computes:

f32   as trained
bf16  where the CPU multiplies bfloat16 in hardware (AMX, AVX-512 BF16)
int8  with the graph that ``lsp quantize`` put into the avatar

``auto`` takes the quickest of those that are there, as it was measured on this machine: ``lsp quantize`` and ``lsp
bench`` time them and keep the answer. Until then it takes 8 bits where the avatar has them, at once: nothing is
converted, torch is not loaded. Without 8 bits the network has to be converted anyhow, and is measured when it runs
for the first time. On a CPU that does not multiply 8 bits in hardware (no VNNI, no AMX) 8 bits still read a quarter
of the memory, but may be no quicker; there a measurement decides.
"""

import json
import logging
import os
import queue
import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.machine import processor
from lsp_ros.openvino_graph import core
from lsp_ros.openvino_import import openvino
from lsp_ros.rendering.engines.cache import cache_folder, content_name, is_kept, keep
from lsp_ros.rendering.engines.engine import Engine, EngineError, check_feature_map
from lsp_ros.storage import sha256, write_file

if TYPE_CHECKING:
    from lsp_ros.avatar.load import Int8Renderer

log = logging.getLogger(__name__)

PRECISIONS = ('f32', 'bf16', 'int8')
LEAST_PSNR = 38.0
"""dB against float32 from which on ``auto`` takes 8 bits."""
_ROUNDS, _LONGEST = 8, 2.0  # of the self-measurement: pictures in each precision, and seconds after which it ends


class OpenVinoEngine(Engine):
    """Runs a converted network on the CPU.

    precision     'f32', 'bf16', 'int8', or 'auto': the quickest that is there and, in 8 bits, has ``LEAST_PSNR``
    int8          the same renderer in 8 bits, if there is one
    measure       'auto' measures what has not been measured here, rather than begin in 8 bits
    threads       CPU threads; None leaves the choice to OpenVINO (all cores)
    side_by_side  how many pictures are drawn at the same time, each by its share of the threads: every one takes
                  longer, but no thread waits for another, which on a busy machine gives more of them

    Raises EngineError for 'int8' without a renderer in 8 bits.
    """

    name = 'openvino'

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        size: str,
        candidates: np.ndarray,
        threads: int | None = None,
        precision: str = 'auto',
        int8: 'Int8Renderer | None' = None,
        side_by_side: int = 1,
        measure: bool = False,
    ) -> None:
        if precision not in ('auto', *PRECISIONS):
            raise ValueError(f"precision '{precision}' is not one of auto, {', '.join(PRECISIONS)}")
        if precision == 'int8' and int8 is None:
            raise EngineError('this avatar has no renderer in 8 bits: lsp quantize makes one')
        content = content_name(weights, size, np.asarray(candidates), openvino.__version__, 'openvino.py', 'folded.py')

        def compile(precision: str) -> openvino.CompiledModel:
            if precision == 'int8' and int8 is not None:
                model = core().read_model(int8.graph, int8.numbers)
            else:
                model = _converted(content, weights, size, candidates)
            return core().compile_model(model, 'CPU', _settings(precision, threads, side_by_side))

        compiled = None
        if precision == 'auto':
            available = ['f32']
            if 'BF16' in core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
                available.append('bf16')
            if int8 is not None and int8.psnr >= LEAST_PSNR:
                available.append('int8')
            elif int8 is not None:
                log.warning(
                    'the renderer in 8 bits is %.1f dB from float32, below %g dB: not used', int8.psnr, LEAST_PSNR
                )
            precision, compiled = _quickest(available, compile, content, int8, measure)
        compiled = compiled or compile(precision)
        self.side_by_side = side_by_side
        self._free: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        for _ in range(side_by_side):
            self._free.put(compiled.create_infer_request())
        used = compiled.get_property('INFERENCE_NUM_THREADS')
        self.precision = precision
        self.description = f'OpenVINO {precision}, CPU, {used} threads'
        if side_by_side > 1:
            self.description += f', {side_by_side} pictures side by side'

    def render(self, feature_map: np.ndarray) -> np.ndarray:
        """(512, 512) uint8 -> (512, 512, 3) uint8 RGB."""
        feature_map = check_feature_map(feature_map)[None]
        request = self._free.get()
        try:
            picture: np.ndarray = request.infer([feature_map], share_inputs=True)[0][0].copy()
            return picture
        finally:
            self._free.put(request)


def _settings(precision: str, threads: int | None, side_by_side: int) -> dict[str, Any]:
    # Not pinned: the other stages live on the same cores, and two avatars would be pinned to the same one.
    settings: dict[str, Any] = {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bf16' else 'f32',
        'ENABLE_CPU_PINNING': False,
    }
    if side_by_side > 1:
        settings['NUM_STREAMS'] = side_by_side
        threads = threads or os.cpu_count()
    if threads is not None:
        settings['INFERENCE_NUM_THREADS'] = threads
    return settings


def _quickest(
    available: list[str],
    compile: Callable[[str], openvino.CompiledModel],
    content: str,
    int8: 'Int8Renderer | None',
    measure: bool,
) -> tuple[str, openvino.CompiledModel | None]:
    """The precision to use and, where it had to be measured, the network compiled for it.

    The answer is kept for this network, processor, number of cores and version of OpenVINO, for any number of threads:
    they make all of them quicker.
    """
    if len(available) == 1:
        return available[0], None
    machine = [processor(), os.cpu_count(), openvino.__version__]
    graph = b'' if int8 is None else int8.graph + int8.numbers
    kept = cache_folder() / 'precision' / f'{sha256(json.dumps([content, available, *machine]), graph)[:32]}.json'
    try:
        found = json.loads(kept.read_text())
        if found['precision'] in available:
            log.info(
                'OpenVINO %s: the quickest when this machine was measured (%s)',
                found['precision'],
                _milliseconds_text(found),
            )
            return found['precision'], None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # nothing there, or damaged
    if 'int8' in available and not measure:
        return 'int8', None
    compiled = {}
    for precision in available:
        try:
            compiled[precision] = compile(precision)
        except RuntimeError:
            if precision != 'bf16':
                raise
            # OpenVINO names what the processor has, also where oneDNN may not use it (ONEDNN_MAX_CPU_ISA).
            log.info('OpenVINO has no kernels in bf16 here')
    milliseconds = _measure(compiled)
    best = min(milliseconds, key=lambda precision: milliseconds[precision])
    found = {'precision': best, 'milliseconds': milliseconds}
    log.info('OpenVINO %s: the quickest on this machine (%s)', best, _milliseconds_text(found))
    try:
        write_file(kept, json.dumps(found))
    except OSError as error:
        log.warning('what was measured cannot be kept in %s (%s); the next start measures again', kept.parent, error)
    return best, compiled[best]


def _measure(compiled: Mapping[str, openvino.CompiledModel]) -> dict[str, float]:
    """Milliseconds a picture, the least of a few; they take turns, so that what else runs hits all of them."""
    feature_map = np.zeros((1, PICTURE, PICTURE), np.uint8)  # the content does not change the time
    requests = {precision: network.create_infer_request() for precision, network in compiled.items()}
    times: dict[str, list[float]] = {precision: [] for precision in compiled}
    began = time.perf_counter()
    for round in range(_ROUNDS):
        if round > 1 and time.perf_counter() - began > _LONGEST:
            break
        for precision, request in requests.items():
            start = time.perf_counter()
            request.infer([feature_map], share_inputs=True)
            if round:  # the first picture warms up
                times[precision].append(1e3 * (time.perf_counter() - start))
    return {precision: float(f'{min(durations):.3g}') for precision, durations in times.items()}


def _milliseconds_text(found: Mapping[str, Any]) -> str:
    return ', '.join(f'{precision} {time:g} ms' for precision, time in found['milliseconds'].items())


def _converted(content: str, weights: Mapping[str, np.ndarray], size: str, candidates: np.ndarray) -> openvino.Model:
    folder = cache_folder() / 'openvino' / content
    if is_kept(folder):
        return core().read_model(folder / 'model.xml')
    model = convert(weights, size, candidates)
    keep(folder, lambda scratch: openvino.save_model(model, scratch / 'model.xml', compress_to_fp16=False))
    return model


def convert(
    weights: Mapping[str, np.ndarray], size: str, candidates: np.ndarray, reach: np.ndarray | None = None
) -> openvino.Model:
    """The folded network, traced and converted; ``reach`` as in ``BakedRenderer``.

    By OpenVINO's front end itself: its ``convert_model`` reports to its makers unasked.
    """
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
    from openvino.passes import ConstantFolding, Manager

    from lsp_ros.rendering.engines.baked import BakedRenderer
    from lsp_ros.rendering.engines.folded import fold
    from lsp_ros.rendering.generator import load_generator

    renderer = fold(BakedRenderer(load_generator(size, weights), np.asarray(candidates), reach))
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # of tracing; the tested torch is pinned
        example = torch.zeros(1, PICTURE, PICTURE, dtype=torch.uint8)
        traced = torch.jit.trace(renderer, example, check_trace=False)
    decoder = TorchScriptPythonDecoder(traced)  # a name of its own: the front end does not keep it alive
    front_end = FrontEndManager().load_by_framework('pytorch')
    model = front_end.convert(front_end.load(decoder))
    model.reshape([1, PICTURE, PICTURE])
    folding = Manager()  # of shapes that are constants: the biases are recognised when it is quantised
    folding.register_pass(ConstantFolding())
    folding.run_passes(model)
    return model
