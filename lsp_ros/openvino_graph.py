"""Small networks as compiled graphs: a frame at a time, on one thread, NumPy arrays in and out.

At one frame a call such a network is bound by reading its weights and by what a framework pays for every small
operation. Compiled by OpenVINO the operations cost next to nothing, and in ``int8`` a quarter of the bytes is read:

f32   as trained
int8  weights in 8 bits with a scale for each row of a matrix. What they are multiplied with is rounded to 8 bits,
      too, in each frame anew and in groups of 32; sums are exact, and everything between the products is float32.
      The layers where that would cost the most and gain the least, a network's first or last, stay as they are.

How far int8 is from f32 says each network. Both run on any x86 CPU from AVX2 on; without AVX-512 the weights alone
are rounded, and int8 gains less.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from openvino import Core, Model, Node

PRECISIONS = ('f32', 'int8')
GROUP = 32  # numbers that are rounded with one scale
# One thread: the products are short, a second thread costs more than it saves. Not pinned: others live here too.
_SETTINGS = {
    'INFERENCE_PRECISION_HINT': 'f32',
    'DYNAMIC_QUANTIZATION_GROUP_SIZE': GROUP,
    'INFERENCE_NUM_THREADS': 1,
    'NUM_STREAMS': 1,
    'ENABLE_CPU_PINNING': False,
}


def check_weights(weights: dict[str, np.ndarray], needed: dict[str, tuple[int, ...]], network: str) -> None:
    """ValueError naming the first tensor that a network needs and that is missing or has another shape."""
    for name, shape in needed.items():
        if name not in weights:
            raise ValueError(f'tensor {name} of the {network} network is missing')
        if weights[name].shape != shape:
            raise ValueError(f'tensor {name} of the {network} network has shape {weights[name].shape}, not {shape}')


@cache
def core() -> 'Core':
    """OpenVINO, once and for the whole life of a process.

    Its CPU part gives signal handlers a stack, and frees it when its last network goes. Of several such parts, one may
    put back the stack of another that is gone: the next Ctrl-C then is a crash.
    """
    from lsp_ros.openvino_import import openvino  # not above: training asks the modules of the networks for names alone

    return openvino.Core()


_Ready = tuple[Callable[[], object], list[np.ndarray], list[np.ndarray]]
"""One step of a compiled graph, and the arrays that it reads and writes."""


class Compiled:
    """A network whose shapes depend on the number of streams alone: ``build(B)`` gives its graph for B of them.

    The graph for one stream is compiled at once, others when they first come.
    """

    def __init__(self, build: 'Callable[[int], Model]') -> None:
        self._build = build
        self._made: dict[int, _Ready] = {}
        self._for(1)

    def __call__(self, streams: int, *inputs: np.ndarray) -> list[np.ndarray]:
        """One step: inputs in the order and the shapes of the graph -> its outputs, float32."""
        infer, given, found = self._for(streams)
        for own, value in zip(given, inputs, strict=True):
            own[...] = value
        infer()
        return [own.copy() for own in found]

    def _for(self, streams: int) -> _Ready:
        if streams not in self._made:
            from lsp_ros.openvino_import import openvino  # before the graph is built, which imports it as well

            model = self._build(streams)
            try:
                compiled = core().compile_model(model, 'CPU', _SETTINGS)
            except RuntimeError:  # no AVX-512: what weights are multiplied with stays as it is
                compiled = core().compile_model(model, 'CPU', _SETTINGS | {'DYNAMIC_QUANTIZATION_GROUP_SIZE': 0})
            request = compiled.create_infer_request()
            # Arrays that the graph reads and writes in place: nothing is converted or looked up in a step.
            given = [np.zeros(tuple(port.shape), np.float32) for port in model.inputs]
            found = [np.zeros(tuple(port.shape), np.float32) for port in model.outputs]
            for index, array in enumerate(given):
                request.set_input_tensor(index, openvino.Tensor(array, shared_memory=True))
            for index, array in enumerate(found):
                request.set_output_tensor(index, openvino.Tensor(array, shared_memory=True))
            self._made[streams] = partial(request.infer, share_outputs=True), given, found
        return self._made[streams]


def matrix(weight: np.ndarray, precision: str) -> 'Node':
    """A weight matrix (O, I) as it is kept and read; one node may serve several products."""
    from lsp_ros.openvino_import import op

    if precision not in PRECISIONS:
        raise ValueError(f"precision '{precision}' is not one of {', '.join(PRECISIONS)}")
    weight = np.asarray(weight, np.float32)
    if precision == 'f32':
        return op.constant(weight)
    scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True), np.float32(1e-30)) / np.float32(127)
    return op.multiply(op.convert(op.constant(np.rint(weight / scale).astype(np.int8)), 'f32'), op.constant(scale))


def linear(x: 'Node', weight: 'Node', bias: np.ndarray) -> 'Node':
    """x (N, I) -> x W^T + b (N, O): weight a ``matrix`` (O, I), bias (O,)."""
    from lsp_ros.openvino_import import op

    return op.add(op.matmul(x, weight, False, True), op.constant(np.asarray(bias, np.float32)[None]))


def leaky_relu(x: 'Node') -> 'Node':
    """Slope 0.2 below zero."""
    from lsp_ros.openvino_import import op

    return op.prelu(x, op.constant(np.array([0.2], np.float32)))


def linear_norm(weights: dict[str, np.ndarray], name: str, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """A linear layer and the batch normalisation (eps 1e-5) behind it as one float64 matrix and bias."""
    w, b = weights[f'{name}.weight'].astype(np.float64), weights[f'{name}.bias'].astype(np.float64)
    scale = weights[f'{norm}.weight'] / np.sqrt(weights[f'{norm}.running_var'].astype(np.float64) + 1e-5)
    return w * scale[:, None], (b - weights[f'{norm}.running_mean']) * scale + weights[f'{norm}.bias']
