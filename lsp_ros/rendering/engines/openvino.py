"""OpenVINO: the quickest engine on a CPU.

The network is converted once and kept on disk under a name made from its content, so that later starts
need neither the conversion nor torch. Where the CPU multiplies bfloat16 in hardware (AMX, AVX-512 BF16)
that precision is used.
"""

import hashlib
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino

from lsp_ros.rendering.engines.engine import check_feature_map
from lsp_ros.rendering.sizes import PICTURE, renderer_size

log = logging.getLogger(__name__)

KEPT_MODELS = 8
_FILES = ('model.xml', 'model.bin')


class OpenVinoEngine:
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
        return self._request.infer([check_feature_map(feature_map)], share_inputs=True)[0].copy()


def cache_folder() -> Path:
    """Where converted networks are kept: $LSP_CACHE_DIR, or lsp_ros in the user's cache folder."""
    chosen = os.environ.get('LSP_CACHE_DIR')
    if chosen:
        return Path(chosen)
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'lsp_ros'


def _converted(
    core: openvino.Core, weights: Mapping[str, np.ndarray], size: str, candidates: np.ndarray
) -> openvino.Model:
    folder = cache_folder() / 'openvino' / _content(weights, size, candidates)
    model = _read(core, folder)
    if model is None:
        model = _convert(weights, size, candidates)
        try:
            _keep(model, folder)
        except OSError as error:
            log.warning('the converted renderer cannot be kept in %s (%s); the next start converts it again', folder,
                        error)
    return model


def _content(weights: Mapping[str, np.ndarray], size: str, candidates: np.ndarray) -> str:
    """A name for everything that the converted network is made from, this program's code included."""
    digest = hashlib.sha256(f'{openvino.__version__} {size} {renderer_size(size)}'.encode())
    here = Path(__file__).parent
    for source in (here / 'baked.py', here.parent / 'generator.py'):
        digest.update(source.read_bytes())
    for name, value in [*sorted(weights.items()), ('candidates', candidates)]:
        digest.update(f'{name} {value.dtype} {value.shape}'.encode())
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()[:32]


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
        traced = torch.jit.trace(renderer, torch.zeros(PICTURE, PICTURE, dtype=torch.uint8), check_trace=False)
    decoder = TorchScriptPythonDecoder(traced)  # a name of its own: the front end does not keep it alive
    front_end = FrontEndManager().load_by_framework('pytorch')
    model = front_end.convert(front_end.load(decoder))
    model.reshape([PICTURE, PICTURE])
    return model


def _checksum(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in _FILES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _read(core: openvino.Core, folder: Path) -> openvino.Model | None:
    """The kept model, or None where there is none or it is damaged (which is then removed)."""
    try:
        if (folder / 'sha256').read_text() == _checksum(folder):
            os.utime(folder)
            return core.read_model(folder / 'model.xml')
    except FileNotFoundError:
        pass
    except (OSError, RuntimeError) as error:
        log.warning('the converted renderer in %s cannot be read (%s)', folder, error)
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _keep(model: openvino.Model, folder: Path) -> None:
    """Writes beside the place and renames, so that nobody reads half a model; drops the longest unused."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix='.writing-'))
    try:
        openvino.save_model(model, scratch / 'model.xml', compress_to_fp16=False)
        (scratch / 'sha256').write_text(_checksum(scratch))
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker: its model is the same
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    models = sorted((path for path in folder.parent.glob('[!.]*') if path.is_dir()), key=lambda p: p.stat().st_mtime)
    for old in models[:-KEPT_MODELS]:
        shutil.rmtree(old, ignore_errors=True)
