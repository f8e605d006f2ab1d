"""The renderer as an ONNX model: what TensorRT is built from."""

import importlib.util
import io
import warnings

import torch

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.rendering.engines.engine import EngineError

INPUT, OUTPUT = 'feature_maps', 'pictures'
OPSET = 17


def export(renderer: torch.nn.Module) -> bytes:
    """A model of ``feature_maps`` (B, 512, 512) uint8 -> ``pictures`` (B, 512, 512, 3) uint8 RGB, B free.

    It computes in the precision of the renderer's weights, and is traced where they are: a CPU is slow in float16.
    Raises EngineError without the package onnx.
    """
    if importlib.util.find_spec('onnx') is None:
        raise EngineError('a renderer becomes an ONNX model with the Python package onnx, which is not installed')
    free = {0: 'batch'}
    device = next(renderer.buffers()).device
    buffer = io.BytesIO()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # of tracing; the tested torch is pinned
        torch.onnx.export(
            renderer, (torch.zeros(1, PICTURE, PICTURE, dtype=torch.uint8, device=device),),
            buffer,  # type: ignore[arg-type]  # allowed, but not by the annotation
            dynamo=False,
            input_names=[INPUT], output_names=[OUTPUT], dynamic_axes={INPUT: free, OUTPUT: free}, opset_version=OPSET,
        )  # fmt: skip
    return buffer.getvalue()
