"""The live mouth: the network of :mod:`mouth` one frame after the other, and what is done to its output.

NumPy only. At one frame a call a network of this size is bound by reading its weights, where plain
matrix products cost a third of a framework's LSTM, and the motion node starts without loading one.
"""

from dataclasses import dataclass

import numpy as np
import threadpoolctl

from lsp_ros.avatar.landmarks import LOWER_LIP_INNER, LOWER_LIP_OUTER, UPPER_LIP_INNER, UPPER_LIP_OUTER

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


def use_one_thread() -> None:
    """Keep NumPy's matrix products on one thread, for the whole process.

    A product of this size takes 20 microseconds: waking a second thread for it costs more than it saves, and
    on a busy machine a hundred times more.
    """
    threadpoolctl.threadpool_limits(1, 'blas')


def check_weights(weights: dict[str, np.ndarray], needed: dict[str, tuple[int, ...]], network: str) -> None:
    """ValueError naming the first tensor that a network needs and that is missing or has another shape."""
    for name, shape in needed.items():
        if name not in weights:
            raise ValueError(f'tensor {name} of the {network} network is missing')
        if weights[name].shape != shape:
            raise ValueError(f'tensor {name} of the {network} network has shape {weights[name].shape}, not {shape}')


def linear_norm(weights: dict[str, np.ndarray], linear: str, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """A linear layer and the batch normalisation (eps 1e-5) behind it as one float64 matrix and bias."""
    w, b = weights[f'{linear}.weight'].astype(np.float64), weights[f'{linear}.bias'].astype(np.float64)
    scale = weights[f'{norm}.weight'] / np.sqrt(weights[f'{norm}.running_var'].astype(np.float64) + 1e-5)
    return w * scale[:, None], (b - weights[f'{norm}.running_mean']) * scale + weights[f'{norm}.bias']


def leaky_relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, np.float32(0.2) * x)


@dataclass
class MouthState:
    """What the LSTM remembers of B streams."""

    hidden: np.ndarray  # (3, B, 256) float32
    cell: np.ndarray  # (3, B, 256) float32


class MouthPredictor:
    """``MouthNet`` in evaluation mode for live streams, from its weights (``MouthNet.state_dict()`` names)."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        check_weights(weights, WEIGHTS, 'mouth')
        use_one_thread()
        self._encoder = [part.astype(np.float32) for part in linear_norm(weights, 'encoder.0', 'encoder.1')]
        # sigmoid(x) = (1 + tanh(x / 2)) / 2: with halved rows one tanh serves all four gates (i, f, g, o).
        half = np.repeat([0.5, 0.5, 1.0, 0.5], HIDDEN)[:, None]
        self._recurrent, self._inputs, self._biases = [], [], []
        for layer in range(LAYERS):
            w_in = weights[f'lstm.weight_ih_l{layer}'].astype(np.float64)
            bias = weights[f'lstm.bias_ih_l{layer}'].astype(np.float64) + weights[f'lstm.bias_hh_l{layer}']
            if layer == 0:  # the encoder's last layer is linear: it melts into the first LSTM layer
                bias = bias + w_in @ weights['encoder.3.bias']
                w_in = w_in @ weights['encoder.3.weight']
            w_hidden = weights[f'lstm.weight_hh_l{layer}']
            both = w_hidden if layer == 0 else np.concatenate([w_in, w_hidden], axis=1)
            self._recurrent.append(np.ascontiguousarray(half * both, dtype=np.float32))
            self._inputs.append(np.ascontiguousarray(half * w_in, dtype=np.float32))
            self._biases.append((half[:, 0] * bias).astype(np.float32))
        self._decoder = [
            *(part.astype(np.float32) for part in linear_norm(weights, 'decoder.0', 'decoder.1')),
            *(part.astype(np.float32) for part in linear_norm(weights, 'decoder.3', 'decoder.4')),
            weights['decoder.6.weight'].astype(np.float32),
            weights['decoder.6.bias'].astype(np.float32),
        ]

    def start(self, streams: int = 1) -> MouthState:
        shape = (LAYERS, streams, HIDDEN)
        return MouthState(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def step(self, state: MouthState, features: np.ndarray) -> np.ndarray:
        """Features (B, T, 1024) float32 -> displacements (B, T, 75) float32; advances ``state``."""
        w, b = self._encoder
        pre = leaky_relu(features @ w.T + b) @ self._inputs[0].T + self._biases[0]
        B, T, _ = pre.shape
        top = np.empty((B, T, HIDDEN), np.float32)
        for t in range(T):
            x = pre[:, t] + state.hidden[0] @ self._recurrent[0].T
            for layer in range(LAYERS):
                if layer:
                    both = np.concatenate([state.hidden[layer - 1], state.hidden[layer]], axis=1)
                    x = both @ self._recurrent[layer].T + self._biases[layer]
                gates = np.tanh(x)
                i, f, g, o = (gates[:, k * HIDDEN : (k + 1) * HIDDEN] for k in range(4))
                cell = np.float32(0.5) * ((1 + f) * state.cell[layer] + (1 + i) * g)
                state.cell[layer] = cell
                state.hidden[layer] = np.float32(0.5) * (1 + o) * np.tanh(cell)
            top[:, t] = state.hidden[-1]
        w1, b1, w2, b2, w3, b3 = self._decoder
        return leaky_relu(leaky_relu(top @ w1.T + b1) @ w2.T + b2) @ w3.T + b3


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

    def step(self, ahead: np.ndarray) -> float:
        """Activity (K,) of this frame and the ones known ahead -> weight 0..1 of this frame."""
        spoken = np.flatnonzero(ahead[: BRIDGE_FRAMES + 1])
        until = int(spoken[0]) if len(spoken) else BRIDGE_FRAMES + 1
        if until == 0:
            self._since = 0
            return 1.0
        self._since += 1
        # frames since - 1 lie behind in this pause, this one and until - 1 more are to come
        if self._since + until - 1 <= BRIDGE_FRAMES:
            return 1.0
        closing = 0.5 + 0.5 * np.cos(np.pi * min(self._since / CLOSE_FRAMES, 1.0))
        opening = 0.5 + 0.5 * np.cos(np.pi * min(until / (OPEN_FRAMES + 1), 1.0))
        return float(max(closing, opening))


def contact(gap: np.ndarray, seal: float) -> np.ndarray:
    """The height of an opening that a soft pair of lips shows: nothing up to ``seal``, all of it from 3 ``seal`` on.

    A network trained on squared errors hedges: where it is nearly sure of a P, B or M, it leaves a slit that nobody's
    lips have. Value and slope are continuous for a ``seal`` above 0; crossed lips are closed ones with any.
    """
    if seal == 0:
        return np.maximum(gap, 0)
    h = np.clip((gap - seal) / (2 * seal), 0, 1)
    return np.where(h < 1, seal * h * h * (7 - 4 * h), gap)


def join_lips(points: np.ndarray, seal: float = 0.0) -> np.ndarray:
    """Close the lips where they cross or nearly meet: (..., 73, 3) head-frame points, y up -> the same shape.

    Each inner lip pair gets the opening ``contact`` by moving half the difference each, and the outer lips follow by
    the mean of it, so that the lips keep their thickness. It sets in gently: nothing pops. ``seal`` in the unit of
    the points.
    """
    gap = points[..., UPPER_LIP_INNER, 1] - points[..., LOWER_LIP_INNER, 1]
    if not (gap < 3 * seal).any():
        return points
    points = points.copy()
    half = (contact(gap, seal) - gap) / 2
    mean = half.mean(axis=-1, keepdims=True)
    points[..., UPPER_LIP_INNER, 1] += half
    points[..., LOWER_LIP_INNER, 1] -= half
    points[..., UPPER_LIP_OUTER, 1] += mean
    points[..., LOWER_LIP_OUTER, 1] -= mean
    return points
