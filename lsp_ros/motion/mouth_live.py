"""The live mouth: the network of :mod:`mouth` one frame after the other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lsp_ros.avatar.architecture import FRAME_FEATURES, MOUTH, MOUTH_HIDDEN, MOUTH_LAYERS, MOUTH_OUTPUTS
from lsp_ros.openvino_graph import Compiled, check_weights, leaky_relu, linear, linear_norm, matrix

if TYPE_CHECKING:
    from openvino import Model, Node


@dataclass
class MouthState:
    """What the LSTM remembers of B streams."""

    hidden: np.ndarray  # (3, B, 256) float32
    cell: np.ndarray  # (3, B, 256) float32


class MouthPredictor:
    """``MouthNet`` in evaluation mode for live streams, from its weights (``MouthNet.state_dict()`` names).

    ``precision`` f32 or int8 (:mod:`lsp_ros.openvino_graph`). With the speech features in int8, too, a point of the
    presenter's mouth moves by less than 0.05 mm in the mean and 0.3 mm in 99 % of all frames, and no more the longer
    the stream (measured over two minutes of many voices: 0.022, 0.15, and 0.7 mm once, in the midst of a fast motion).
    """

    def __init__(self, weights: dict[str, np.ndarray], precision: str = 'f32') -> None:
        check_weights(weights, MOUTH, 'mouth')
        self._graph = Compiled(lambda streams: _graph(weights, precision, streams))

    def start(self, streams: int = 1) -> MouthState:
        """State of new streams."""
        shape = (MOUTH_LAYERS, streams, MOUTH_HIDDEN)
        return MouthState(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def step(self, state: MouthState, features: np.ndarray) -> np.ndarray:
        """Features (B, T, 1024) float32 -> displacements (B, T, 75) float32; advances ``state``."""
        B, T, _ = features.shape
        displacements = np.empty((B, T, MOUTH_OUTPUTS), np.float32)
        for t in range(T):
            displacements[:, t], state.hidden, state.cell = self._graph(B, features[:, t], state.hidden, state.cell)
        return displacements


def _graph(weights: dict[str, np.ndarray], precision: str, streams: int) -> 'Model':
    """Features (B, 1024), hidden and cell state (3, B, 256) -> displacements (B, 75), hidden and cell state."""
    from lsp_ros.openvino_import import op, openvino

    features = op.parameter([streams, FRAME_FEATURES], np.float32)
    hidden = op.parameter([MOUTH_LAYERS, streams, MOUTH_HIDDEN], np.float32)
    cell = op.parameter([MOUTH_LAYERS, streams, MOUTH_HIDDEN], np.float32)
    rows, columns = op.constant(0), op.constant(1)
    hiddens, cells = op.split(hidden, rows, MOUTH_LAYERS).outputs(), op.split(cell, rows, MOUTH_LAYERS).outputs()

    def layer(x: 'Node', weight: np.ndarray, bias: np.ndarray, precision: str = precision) -> 'Node':
        return linear(x, matrix(weight, precision), bias)

    x = leaky_relu(layer(features, *linear_norm(weights, 'encoder.0', 'encoder.1')))
    for k in range(MOUTH_LAYERS):
        w_in = weights[f'lstm.weight_ih_l{k}'].astype(np.float64)
        bias = weights[f'lstm.bias_ih_l{k}'].astype(np.float64) + weights[f'lstm.bias_hh_l{k}']
        if k == 0:  # the encoder's last layer is linear: it melts into the first LSTM layer
            bias = bias + w_in @ weights['encoder.3.bias']
            w_in = w_in @ weights['encoder.3.weight']
        both = np.concatenate([w_in, weights[f'lstm.weight_hh_l{k}']], axis=1)
        h, c = op.squeeze(hiddens[k], rows), op.squeeze(cells[k], rows)
        i, f, g, o = op.split(layer(op.concat([x, h], 1), both, bias), columns, 4).outputs()
        c = op.add(op.multiply(op.sigmoid(f), c), op.multiply(op.sigmoid(i), op.tanh(g)))
        x = op.multiply(op.sigmoid(o), op.tanh(c))
        hiddens[k], cells[k] = op.unsqueeze(x, rows), op.unsqueeze(c, rows)
    x = leaky_relu(layer(x, *linear_norm(weights, 'decoder.0', 'decoder.1')))
    x = leaky_relu(layer(x, *linear_norm(weights, 'decoder.3', 'decoder.4')))
    x = layer(x, weights['decoder.6.weight'], weights['decoder.6.bias'], 'f32')
    outputs = [op.result(x), op.result(op.concat(hiddens, 0)), op.result(op.concat(cells, 0))]
    return openvino.Model(outputs, [features, hidden, cell], 'mouth')
