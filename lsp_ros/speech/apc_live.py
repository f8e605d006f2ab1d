"""The live APC: the network of :mod:`apc` on a stream, as one compiled graph for the two rows of a video frame."""

from typing import TYPE_CHECKING

import numpy as np

from lsp_ros.openvino_graph import Compiled, check_weights, linear, matrix
from lsp_ros.signals import FEATURE_SIZE
from lsp_ros.speech.mel import BANDS
from lsp_ros.timeline import FEATURES_PER_FRAME

if TYPE_CHECKING:
    from openvino import Model

LAYERS = 3
WEIGHTS = {  # tensors that are read, by the names of ``APC.state_dict()``
    f'gru.{kind}_l{layer}': (3 * FEATURE_SIZE, *columns)
    for layer in range(LAYERS)
    for kind, columns in (('weight_ih', (FEATURE_SIZE if layer else BANDS,)), ('weight_hh', (FEATURE_SIZE,)),
                          ('bias_ih', ()), ('bias_hh', ()))
}  # fmt: skip


class FeatureEncoder:
    """``APC`` in evaluation mode from its weights (``APC.state_dict()`` names); state belongs to the caller.

    ``precision`` f32 or int8 (:mod:`lsp_ros.openvino_graph`). Features lie in -1..1; int8 moves them by less than 0.002 in
    the mean and 0.05 at most, however long the stream (measured over two minutes: 0.0009 and 0.017).
    Raises ValueError where a tensor is missing or has another shape.
    """

    def __init__(self, weights: dict[str, np.ndarray], precision: str = 'f32') -> None:
        check_weights(weights, WEIGHTS, 'APC')
        self._graph = Compiled(lambda _: _graph(weights, precision))
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
            (states,) = self._graph(1, self._mel, state)
            features[first : first + len(rows)] = states[: len(rows), -1]
            state[:] = states[len(rows) - 1]
        return features


def _graph(weights: dict[str, np.ndarray], precision: str) -> 'Model':
    """Mel rows (2, 80) and state (3, 512) -> the state after each row (2, 3, 512); gates as PyTorch orders them."""
    import openvino
    import openvino.opset13 as op

    mel = op.parameter([FEATURES_PER_FRAME, BANDS], np.float32)
    state = op.parameter([LAYERS, FEATURE_SIZE], np.float32)
    columns, rows = op.constant(1), op.constant(0)
    before = op.split(state, rows, LAYERS)
    x, states = mel, []
    for layer in range(LAYERS):
        w_in, w_hidden, b_in, b_hidden = (
            weights[f'gru.{kind}_l{layer}'] for kind in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')
        )
        # Both rows at once where one does not wait for the other: weights are read once.
        given = op.split(linear(x, matrix(w_in, precision if layer else 'f32'), b_in), rows, FEATURES_PER_FRAME)
        w_hidden, h, steps = matrix(w_hidden, precision), before.output(layer), []
        for t in range(FEATURES_PER_FRAME):
            reset, update, new = op.split(given.output(t), columns, 3).outputs()
            reset_h, update_h, new_h = op.split(linear(h, w_hidden, b_hidden), columns, 3).outputs()
            reset, update = op.sigmoid(op.add(reset, reset_h)), op.sigmoid(op.add(update, update_h))
            new = op.tanh(op.add(new, op.multiply(reset, new_h)))
            h = op.add(new, op.multiply(update, op.subtract(h, new)))
            steps.append(h)
        x = op.concat(steps, 0)
        states.append(op.unsqueeze(x, columns))
    return openvino.Model([op.result(op.concat(states, 1))], [mel, state], 'apc')
