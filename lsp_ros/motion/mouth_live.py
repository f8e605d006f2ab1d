"""The live mouth: the network of :mod:`mouth` one frame after the other, and what is done to its output."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from lsp_ros.avatar.landmarks import LOWER_LIP_INNER, LOWER_LIP_OUTER, UPPER_LIP_INNER, UPPER_LIP_OUTER
from lsp_ros.openvino_graph import Compiled, check_weights, leaky_relu, linear, linear_norm, matrix

if TYPE_CHECKING:
    from openvino import Model

LAYERS = 3
HIDDEN = 256
WEIGHTS = {  # tensors that are read, by the names of ``MouthNet.state_dict()``
    **{f'encoder.{i}.{k}': shape for i in (0, 3) for k, shape in
       (('weight', (512, 1024 if i == 0 else 512)), ('bias', (512,)))},
    **{f'{norm}.{k}': (512,) for norm in ('encoder.1', 'decoder.1', 'decoder.4')
       for k in ('weight', 'bias', 'running_mean', 'running_var')},
    **{f'lstm.{k}_l{layer}': shape for layer in range(LAYERS) for k, shape in
       (('weight_ih', (4 * HIDDEN, 512 if layer == 0 else HIDDEN)), ('weight_hh', (4 * HIDDEN, HIDDEN)),
        ('bias_ih', (4 * HIDDEN,)), ('bias_hh', (4 * HIDDEN,)))},
    **{f'decoder.{i}.{k}': shape for i, rows, columns in ((0, 512, HIDDEN), (3, 512, 512), (6, 75, 512))
       for k, shape in (('weight', (rows, columns)), ('bias', (rows,)))},
}  # fmt: skip

OPEN_FRAMES = 7  # lips part up to 117 ms before the first sound, as people's do
CLOSE_FRAMES = 9  # and are at rest 150 ms after the last one
BRIDGE_FRAMES = 12  # a pause of up to 200 ms does not close the mouth

_LIPS = np.concatenate([UPPER_LIP_INNER, LOWER_LIP_INNER, UPPER_LIP_OUTER, LOWER_LIP_OUTER])
# How these rise with the half gaps of the inner pairs (3, 16): inner lips with their own, outer ones with the mean.
_FOLLOW = np.concatenate([np.eye(3), -np.eye(3), np.full((3, 5), 1 / 3), np.full((3, 5), -1 / 3)], axis=1)


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
        check_weights(weights, WEIGHTS, 'mouth')
        self._graph = Compiled(lambda streams: _graph(weights, precision, streams))

    def start(self, streams: int = 1) -> MouthState:
        shape = (LAYERS, streams, HIDDEN)
        return MouthState(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def step(self, state: MouthState, features: np.ndarray) -> np.ndarray:
        """Features (B, T, 1024) float32 -> displacements (B, T, 75) float32; advances ``state``."""
        B, T, _ = features.shape
        displacements = np.empty((B, T, 75), np.float32)
        for t in range(T):
            displacements[:, t], state.hidden, state.cell = self._graph(B, features[:, t], state.hidden, state.cell)
        return displacements


def _graph(weights: dict[str, np.ndarray], precision: str, streams: int) -> 'Model':
    """Features (B, 1024), hidden and cell state (3, B, 256) -> displacements (B, 75), hidden and cell state."""
    import openvino
    import openvino.opset13 as op

    features = op.parameter([streams, 1024], np.float32)
    hidden = op.parameter([LAYERS, streams, HIDDEN], np.float32)
    cell = op.parameter([LAYERS, streams, HIDDEN], np.float32)
    rows, columns = op.constant(0), op.constant(1)
    hiddens, cells = op.split(hidden, rows, LAYERS).outputs(), op.split(cell, rows, LAYERS).outputs()

    def layer(x, weight: np.ndarray, bias: np.ndarray, precision: str = precision):
        return linear(x, matrix(weight, precision), bias)

    x = leaky_relu(layer(features, *linear_norm(weights, 'encoder.0', 'encoder.1')))
    for k in range(LAYERS):
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


class Smoother:
    """Gaussian smoothing over time with a short look-ahead of ``radius`` = round(2 sigma) frames.

    The ends repeat the first and the last row. Sigma 0 passes everything through.
    """

    def __init__(self, sigma: float) -> None:
        self.radius = int(2 * sigma + 0.5)
        offsets = np.arange(-self.radius, self.radius + 1)
        kernel = np.exp(-0.5 * (offsets / sigma) ** 2) if self.radius else np.ones(1)
        self._kernel = (kernel / kernel.sum()).astype(np.float32)
        self._past: np.ndarray | None = None

    def push(self, rows: np.ndarray) -> np.ndarray:
        """Rows (N, C) -> the smoothed rows that are complete now (M, C), ``radius`` rows behind."""
        if not self.radius or not len(rows):
            return rows
        past = np.repeat(rows[:1], self.radius, axis=0) if self._past is None else self._past
        rows = np.concatenate([past, rows])
        self._past = rows[-2 * self.radius :]
        ready = max(0, len(rows) - 2 * self.radius)
        out = np.zeros((ready, rows.shape[1]), rows.dtype)
        for k, weight in enumerate(self._kernel):
            out += weight * rows[k : k + ready]
        return out

    def flush(self) -> np.ndarray:
        """The last ``radius`` rows."""
        return np.zeros((0, 0)) if self._past is None else self.push(np.repeat(self._past[-1:], self.radius, axis=0))


class MouthGate:
    """How far the mouth follows the network: 1 while somebody speaks, 0 (at rest) in silence, smooth between.

    It opens up to ``OPEN_FRAMES`` ahead of speech, rests ``CLOSE_FRAMES`` after it, and stays open through
    pauses of at most ``BRIDGE_FRAMES``.
    """

    def __init__(self) -> None:
        self._since = max(BRIDGE_FRAMES, CLOSE_FRAMES)  # frames since somebody spoke

    def step(self, ahead: Iterable[bool]) -> float:
        """Activity of this frame and the ones known ahead -> weight 0..1 of this frame."""
        until = next((k for k, spoken in enumerate(islice(ahead, BRIDGE_FRAMES + 1)) if spoken), BRIDGE_FRAMES + 1)
        if until == 0:
            self._since = 0
            return 1.0
        self._since += 1
        # frames since - 1 lie behind in this pause, this one and until - 1 more are to come
        if self._since + until - 1 <= BRIDGE_FRAMES:
            return 1.0
        closing = 0.5 + 0.5 * math.cos(math.pi * min(self._since / CLOSE_FRAMES, 1.0))
        opening = 0.5 + 0.5 * math.cos(math.pi * min(until / (OPEN_FRAMES + 1), 1.0))
        return max(closing, opening)


def contact(gap: np.ndarray, seal: float) -> np.ndarray:
    """The height of an opening that a soft pair of lips shows: nothing up to ``seal``, all of it from 3 ``seal`` on.

    A network trained on squared errors hedges: where it is nearly sure of a P, B or M, it leaves a slit that nobody's
    lips have. Value and slope are continuous for a ``seal`` above 0; crossed lips are closed ones with any.
    """
    if seal == 0:
        return np.maximum(gap, 0)
    h = np.minimum(np.maximum((gap - seal) / (2 * seal), 0), 1)
    return np.where(h < 1, seal * h * h * (7 - 4 * h), gap)


def join_lips(points: np.ndarray, seal: float = 0.0) -> np.ndarray:
    """Close the lips where they cross or nearly meet: (..., 73, 3) head-frame points, y up -> the same shape.

    Each inner lip pair gets the opening ``contact`` by moving half the difference each, and the outer lips follow by
    the mean of it, so that the lips keep their thickness. It sets in gently: nothing pops. ``seal`` in the unit of
    the points.
    """
    heights = points[..., 1]
    gap = heights.take(UPPER_LIP_INNER, axis=-1) - heights.take(LOWER_LIP_INNER, axis=-1)
    if not (gap < 3 * seal).any():
        return points
    points = points.copy()
    points[..., _LIPS, 1] += (contact(gap, seal) - gap) / 2 @ _FOLLOW
    return points
