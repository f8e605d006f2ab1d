"""The live APC: the network of :mod:`apc` on a stream, in NumPy.

At two feature frames a call a network of this size is bound by reading its weights, where plain
matrix products are as quick as a framework, and the node starts without loading one.
"""

import numpy as np
import threadpoolctl

from lsp_ros.signals import FEATURE_SIZE
from lsp_ros.speech.mel import BANDS

LAYERS = 3
_INPUTS = (BANDS, FEATURE_SIZE, FEATURE_SIZE)


class FeatureEncoder:
    """``APC`` in evaluation mode from its weights (``APC.state_dict()`` names); state belongs to the caller.

    Raises ValueError where a tensor is missing or has another shape.
    """

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        threadpoolctl.threadpool_limits(1, 'blas')  # the products are short: a second thread costs more than it saves
        # sigmoid(x) = (1 + tanh(x / 2)) / 2: with halved rows one tanh serves the reset and the update gate.
        half = np.repeat(np.array([0.5, 0.5, 1.0], np.float32), FEATURE_SIZE)
        self._layers = []
        for layer, inputs in enumerate(_INPUTS):
            tensors = []
            columns = {'weight_ih': (inputs,), 'weight_hh': (FEATURE_SIZE,), 'bias_ih': (), 'bias_hh': ()}
            for kind, shape in columns.items():
                name, shape = f'gru.{kind}_l{layer}', (3 * FEATURE_SIZE, *shape)
                if name not in weights or weights[name].shape != shape:
                    found = weights[name].shape if name in weights else 'missing'
                    raise ValueError(f'tensor {name} of the APC network is {found}; it needs shape {shape}')
                scale = half[:, None] if len(shape) == 2 else half
                tensors.append(np.ascontiguousarray(scale * weights[name].astype(np.float32)))
            w_in, w_hidden, b_in, b_hidden = tensors
            self._layers.append((w_in, w_hidden, b_in, b_hidden))

    def start(self) -> np.ndarray:
        """State of a new stream: (3, 512) zeros."""
        return np.zeros((LAYERS, FEATURE_SIZE), np.float32)

    def step(self, state: np.ndarray, mel: np.ndarray) -> np.ndarray:
        """Log mel rows (T, 80) float32 -> speech features (T, 512) float32; advances ``state`` (equation 1)."""
        x, n = mel, FEATURE_SIZE
        for (w_in, w_hidden, b_in, b_hidden), h in zip(self._layers, state, strict=True):
            from_input = x @ w_in.T + b_in
            x = np.empty((len(mel), n), np.float32)
            for t, inputs in enumerate(from_input):
                hidden = w_hidden @ h + b_hidden
                gates = np.float32(0.5) + np.float32(0.5) * np.tanh(inputs[: 2 * n] + hidden[: 2 * n])
                new = np.tanh(inputs[2 * n :] + gates[:n] * hidden[2 * n :])
                h += (1 - gates[n:]) * (new - h)
                x[t] = h
        return x
