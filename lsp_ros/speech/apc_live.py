"""The live APC: the network of :mod:`apc` on streams, as one compiled graph for the two rows of a video frame."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lsp_ros.avatar.architecture import APC, APC_LAYERS, FEATURE_SIZE, MEL_BANDS
from lsp_ros.openvino_graph import Compiled, check_weights, linear, matrix
from lsp_ros.timeline import FEATURES_PER_FRAME

if TYPE_CHECKING:
    from openvino import Model


@dataclass
class APCState:
    """What the GRU remembers of B streams."""

    hidden: np.ndarray  # (3, B, 512) float32


class FeatureEncoder:
    """``APC`` in evaluation mode from its weights (``APC.state_dict()`` names), for B streams at once.

    ``precision`` f32 or int8 (:mod:`lsp_ros.openvino_graph`). Features lie in -1..1; int8 moves them by less than 0.002
    in the mean and 0.05 at most, however long the stream (measured over two minutes: 0.0009 and 0.017).
    Raises ValueError where a tensor is missing or has another shape.
    """

    def __init__(self, weights: dict[str, np.ndarray], precision: str = 'f32') -> None:
        check_weights(weights, APC, 'APC')
        self._graph = Compiled(lambda streams: _graph(weights, precision, streams))

    def start(self, streams: int = 1) -> APCState:
        """State of new streams."""
        return APCState(np.zeros((APC_LAYERS, streams, FEATURE_SIZE), np.float32))

    def step(self, state: APCState, mel: np.ndarray) -> np.ndarray:
        """Log mel rows (B, T, 80) float32 -> speech features (B, T, 512) float32; advances ``state`` (equation 1)."""
        B, T, _ = mel.shape
        features = np.empty((B, T, FEATURE_SIZE), np.float32)
        for first in range(0, T, FEATURES_PER_FRAME):
            rows = mel[:, first : first + FEATURES_PER_FRAME]
            count = rows.shape[1]
            if count < FEATURES_PER_FRAME:  # the graph wants all rows; what follows the last is not looked at
                rows = np.concatenate([rows, np.repeat(rows[:, -1:], FEATURES_PER_FRAME - count, axis=1)], axis=1)
            (states,) = self._graph(B, rows.swapaxes(0, 1), state.hidden)
            features[:, first : first + count] = states[:count, -1].swapaxes(0, 1)
            state.hidden = states[count - 1]
        return features


def _graph(weights: dict[str, np.ndarray], precision: str, streams: int) -> 'Model':
    """Mel rows (2, B, 80) and state (3, B, 512) -> the state after each row (2, 3, B, 512); gates as in PyTorch."""
    from lsp_ros.openvino_import import op, openvino

    mel = op.parameter([FEATURES_PER_FRAME, streams, MEL_BANDS], np.float32)
    state = op.parameter([APC_LAYERS, streams, FEATURE_SIZE], np.float32)
    rows, columns = op.constant(0), op.constant(1)
    before = op.split(state, rows, APC_LAYERS)
    # Row by row below one another, (2 B, ...), all streams of a row together.
    x, states = op.reshape(mel, op.constant(np.array([FEATURES_PER_FRAME * streams, MEL_BANDS])), False), []
    for layer in range(APC_LAYERS):
        w_in, w_hidden, b_in, b_hidden = (
            weights[f'gru.{kind}_l{layer}'] for kind in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')
        )
        # Both rows at once where one does not wait for the other: weights are read once.
        given = op.split(linear(x, matrix(w_in, precision if layer else 'f32'), b_in), rows, FEATURES_PER_FRAME)
        w_hidden, h, steps = matrix(w_hidden, precision), op.squeeze(before.output(layer), rows), []
        for t in range(FEATURES_PER_FRAME):
            reset, update, new = op.split(given.output(t), columns, 3).outputs()
            reset_h, update_h, new_h = op.split(linear(h, w_hidden, b_hidden), columns, 3).outputs()
            reset, update = op.sigmoid(op.add(reset, reset_h)), op.sigmoid(op.add(update, update_h))
            new = op.tanh(op.add(new, op.multiply(reset, new_h)))
            h = op.add(new, op.multiply(update, op.subtract(h, new)))
            steps.append(h)
        x = op.concat(steps, 0)
        states.append(op.reshape(x, op.constant(np.array([FEATURES_PER_FRAME, 1, streams, FEATURE_SIZE])), False))
    return openvino.Model([op.result(op.concat(states, 1))], [mel, state], 'apc')
