"""The live APC: the network of :mod:`apc` on a stream, as one compiled graph.

At two feature frames a call a network of this size is bound by reading its weights. Compiled, the two frames of a
video frame read the input weights once and nothing is paid for the small operations between the matrix products:
0.6 of the time of NumPy, with the same numbers, and without the framework that trains it.
"""

from typing import TYPE_CHECKING

import numpy as np

from lsp_ros.signals import FEATURE_SIZE
from lsp_ros.speech.mel import BANDS
from lsp_ros.timeline import FEATURES_PER_FRAME

if TYPE_CHECKING:
    import openvino

LAYERS = 3
_INPUTS = (BANDS, FEATURE_SIZE, FEATURE_SIZE)
# One thread: the products are short, a second thread costs more than it saves. Not pinned: others live here too.
_SETTINGS = {
    'INFERENCE_PRECISION_HINT': 'f32', 'INFERENCE_NUM_THREADS': 1, 'NUM_STREAMS': 1, 'ENABLE_CPU_PINNING': False,
}


class FeatureEncoder:
    """``APC`` in evaluation mode from its weights (``APC.state_dict()`` names); state belongs to the caller.

    Raises ValueError where a tensor is missing or has another shape.
    """

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        import openvino  # not above: training asks this file for LAYERS alone

        model = _graph([_layer(weights, layer) for layer in range(LAYERS)])
        self._request = openvino.Core().compile_model(model, 'CPU', _SETTINGS).create_infer_request()
        self._mel = np.zeros((FEATURES_PER_FRAME, BANDS), np.float32)

    def start(self) -> np.ndarray:
        """State of a new stream: (3, 512) zeros."""
        return np.zeros((LAYERS, FEATURE_SIZE), np.float32)

    def step(self, state: np.ndarray, mel: np.ndarray) -> np.ndarray:
        """Log mel rows (T, 80) float32 -> speech features (T, 512) float32; advances ``state`` (equation 1)."""
        features = np.empty((len(mel), FEATURE_SIZE), np.float32)
        for first in range(0, len(mel), FEATURES_PER_FRAME):
            rows = mel[first : first + FEATURES_PER_FRAME]
            self._mel[: len(rows)] = rows
            (states,) = self._request.infer([self._mel, state], share_inputs=True, share_outputs=True).values()
            features[first : first + len(rows)] = states[: len(rows), -1]
            state[:] = states[len(rows) - 1]
        return features


def _layer(weights: dict[str, np.ndarray], layer: int) -> list[np.ndarray]:
    """Input and hidden weights (1536, inputs), (1536, 512) and their biases (1536,) of a GRU layer, float32."""
    tensors = []
    columns = {'weight_ih': (_INPUTS[layer],), 'weight_hh': (FEATURE_SIZE,), 'bias_ih': (), 'bias_hh': ()}
    for kind, shape in columns.items():
        name, shape = f'gru.{kind}_l{layer}', (3 * FEATURE_SIZE, *shape)
        if name not in weights or weights[name].shape != shape:
            found = weights[name].shape if name in weights else 'missing'
            raise ValueError(f'tensor {name} of the APC network is {found}; it needs shape {shape}')
        tensors.append(weights[name].astype(np.float32))
    return tensors


def _graph(layers: list[list[np.ndarray]]) -> 'openvino.Model':
    """Mel rows (2, 80) and state (3, 512) -> the state after each row (2, 3, 512); gates as PyTorch orders them."""
    import openvino
    import openvino.opset13 as op

    mel = op.parameter([FEATURES_PER_FRAME, BANDS], np.float32)
    state = op.parameter([LAYERS, FEATURE_SIZE], np.float32)
    columns, rows, one = op.constant(1), op.constant(0), np.float32(1)
    before = op.split(state, rows, LAYERS)
    x, states = mel, []
    for layer, (w_in, w_hidden, b_in, b_hidden) in enumerate(layers):
        inputs = op.split(op.add(op.matmul(x, w_in, False, True), b_in[None]), rows, FEATURES_PER_FRAME)
        w_hidden, h, steps = op.constant(w_hidden), before.output(layer), []
        for t in range(FEATURES_PER_FRAME):
            hidden = op.split(op.add(op.matmul(h, w_hidden, False, True), b_hidden[None]), columns, 3)
            given = op.split(inputs.output(t), columns, 3)
            reset = op.sigmoid(op.add(given.output(0), hidden.output(0)))
            update = op.sigmoid(op.add(given.output(1), hidden.output(1)))
            new = op.tanh(op.add(given.output(2), op.multiply(reset, hidden.output(2))))
            h = op.add(op.multiply(op.subtract(one, update), new), op.multiply(update, h))
            steps.append(h)
        x = op.concat(steps, 0)
        states.append(op.unsqueeze(x, columns))
    return openvino.Model([op.result(op.concat(states, 1))], [mel, state], 'apc')
