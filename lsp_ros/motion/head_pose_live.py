"""The live head pose: the network of :mod:`head_pose` one frame after the other, sampled and kept in bounds.

A dilated convolution needs two of its inputs a frame, the newest and one from up to 64 frames ago. Rings
of past inputs therefore replace the recomputation of 255 frames: 4.3 million products a frame instead of
1,084 million, with the same result.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from lsp_ros.avatar.architecture import (
    FRAME_FEATURES,
    HEAD_POSE,
    POSE_CHANNELS,
    POSE_DILATIONS,
    POSE_SKIP_CHANNELS,
    POSE_STATE,
)
from lsp_ros.motion.pose_limits import PoseLimits
from lsp_ros.openvino_graph import Compiled, check_weights, leaky_relu, linear, linear_norm, matrix

if TYPE_CHECKING:
    from openvino import Model, Node

_LAYER, _AGO = np.arange(len(POSE_DILATIONS)), np.array(POSE_DILATIONS)


@dataclass(kw_only=True)
class PoseState:
    """What a head-pose sampler remembers of B streams, whatever its network is."""

    history: np.ndarray  # (B, 12) the pose state that the next step sees as the last one
    random: np.random.Generator
    clamped: np.ndarray  # (B,) bool, the last sample left the trained range
    held: int = 0  # samples that were not finite, replaced by the pose before


State = TypeVar('State', bound=PoseState)


class PoseSampler(ABC, Generic[State]):
    """Draws head poses frame by frame, for B streams at once, from what a network says of the next pose.

    With ``limits`` every sample is bent into the person's trained range, and its speed is bounded, before it is
    returned and remembered: so the pose cannot wander off, however long it runs and whatever the network says. None
    leaves samples as they are.
    """

    def __init__(self, noise_scale: float, limits: PoseLimits | None) -> None:
        self.noise_scale = noise_scale
        self.limits = limits

    @abstractmethod
    def start(self, features: np.ndarray, seed: int | np.random.Generator = 0) -> State:
        """Streams that have heard nothing but their first frame and held still: (B, 1024) -> state."""

    @abstractmethod
    def step(self, state: State, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (B, 1024) -> mean (B, 12) and -ln(sigma) (B, 12) of the pose state that follows ``history``."""

    def sample(self, state: State, features: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        """Features (B, 1024) -> the next pose states (B, 12) float64 (equation 8), remembered as history.

        ``noise`` (B, 12) standard normal numbers; drawn from the state's own generator where None.
        """
        if noise is None:
            noise = state.random.standard_normal((len(features), POSE_STATE))
        before = state.history
        with np.errstate(over='ignore', invalid='ignore'):
            mean, n = self.step(state, features)
            pose = mean + noise * np.exp(-n.astype(np.float64)) * self.noise_scale
        if not np.isfinite(pose).all():
            broken = ~np.isfinite(pose).all(axis=1)
            state.held += int(broken.sum())
            pose[broken] = np.concatenate([before[broken, :6], np.zeros_like(before[broken, 6:])], axis=1)
        if self.limits is not None:
            pose = self._bounded(self.limits, state, pose, before)
        state.history = pose
        return pose

    def _bounded(self, limits: PoseLimits, state: State, pose: np.ndarray, before: np.ndarray) -> np.ndarray:
        speed, drawn, before = limits.speed, pose[:, :6], before[:, :6]
        position = limits.soften(drawn)
        state.clamped = np.zeros(len(drawn), bool) if position is drawn else limits.outside(drawn)
        # The first history is zero, which need not lie in the range of this person.
        position = np.minimum(np.maximum(position, before - speed), before + speed)
        position = limits.clip(position)
        velocity = np.where(position != drawn, position - before, pose[:, 6:])
        return np.concatenate([position, np.minimum(np.maximum(velocity, -speed), speed)], axis=1)

    def feed(self, state: State, before: np.ndarray, pose: np.ndarray) -> None:
        """Replace the last remembered pose by what was shown instead: pose (B, 6), ``before`` it (B, 6)."""
        state.history = np.concatenate([pose, pose - before], axis=1)


@dataclass(kw_only=True)
class HeadPoseState(PoseState):
    """What the live network remembers of B streams."""

    rings: np.ndarray  # (64, 14, B, 128) float32: all layers' inputs of the last frames, frame t in row t % 64
    frame: int = 0  # steps taken


class HeadPoseSampler(PoseSampler[HeadPoseState]):
    """Draws head poses from ``HeadPoseNet`` (evaluation mode). ``weights`` has the names of its ``state_dict()``.

    ``precision`` f32 or int8 (:mod:`lsp_ros.openvino_graph`). Given the same past, int8 moves the mean of the pose that
    is drawn by less than 0.1 of the noise's sigma (rms), and by half of it at most (measured: 0.043 and 0.21). The
    motion then goes another way within the same distribution, as after any rounding: a change of 1e-6 in what the
    presenter hears, and 45 s later its head is elsewhere.
    """

    def __init__(
        self,
        weights: dict[str, np.ndarray],
        noise_scale: float = 0.3,
        limits: PoseLimits | None = None,
        precision: str = 'f32',
    ) -> None:
        super().__init__(noise_scale, limits)
        check_weights(weights, HEAD_POSE, 'head-pose')
        self._graph = Compiled(lambda streams: _graph(weights, precision, streams))

    def start(self, features: np.ndarray, seed: int | np.random.Generator = 0) -> HeadPoseState:
        """Streams that have heard nothing but their first frame and held still for ever: (B, 1024) -> state."""
        B = len(features)
        state = HeadPoseState(
            rings=np.zeros((max(POSE_DILATIONS), len(POSE_DILATIONS), B, POSE_CHANNELS), np.float32),
            history=np.zeros((B, POSE_STATE)),
            random=np.random.default_rng(seed),
            clamped=np.zeros(B, bool),
        )
        for _ in POSE_DILATIONS:  # what a layer hears of the past is what it hears now; each pass settles one more
            state.rings[:] = self._graph(B, features, state.history, state.rings[0])[1]
        return state

    def step(self, state: HeadPoseState, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (B, 1024) -> mean (B, 12) and -ln(sigma) (B, 12) of the pose state that follows ``history``."""
        past = state.rings[(state.frame - _AGO) % len(state.rings), _LAYER]
        out, inputs = self._graph(len(features), features, state.history, past)
        state.rings[state.frame % len(state.rings)] = inputs
        state.frame += 1
        return out[:, 1 : 1 + POSE_STATE], out[:, 1 + POSE_STATE :]


def _matrix(weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    """A linear layer's or a pointwise convolution's weight, float64."""
    w = weights[f'{name}.weight'].astype(np.float64)
    return w[:, :, 0] if w.ndim == 3 else w


def _bias(weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    return weights[f'{name}.bias'].astype(np.float64)


def _graph(weights: dict[str, np.ndarray], precision: str, streams: int) -> 'Model':
    """Features (B, 1024), last pose state (B, 12), each layer's input of one dilation ago (14, B, 128) ->
    (B, 25) of which the first number says nothing, and each layer's input now (14, B, 128)."""
    from lsp_ros.openvino_import import op, openvino

    features = op.parameter([streams, FRAME_FEATURES], np.float32)
    poses = op.parameter([streams, POSE_STATE], np.float32)
    past = op.parameter([len(POSE_DILATIONS), streams, POSE_CHANNELS], np.float32)
    rows, columns = op.constant(0), op.constant(1)
    older = op.split(past, rows, len(POSE_DILATIONS)).outputs()

    def layer(x: 'Node', name: str, precision: str = 'f32') -> 'Node':
        return linear(x, matrix(_matrix(weights, name), precision), _bias(weights, name))

    # What is heard adds to filter and gate of each layer. The encoder's last layer is linear: it melts into all these.
    names = [(f'layers.{k}.cond_{kind}', f'layers.{k}.{kind}') for k in _LAYER for kind in ('filter', 'gate')]
    w = np.concatenate([_matrix(weights, hears) for hears, _ in names])
    b = np.concatenate([_bias(weights, hears) + _bias(weights, moves) for hears, moves in names])
    weight, bias = linear_norm(weights, 'encoder.0', 'encoder.1')
    x = leaky_relu(linear(features, matrix(weight, precision), bias))
    x = linear(x, matrix(w @ _matrix(weights, 'encoder.3'), precision), b + w @ _bias(weights, 'encoder.3'))
    conditions = op.split(x, columns, len(names)).outputs()

    x = leaky_relu(layer(leaky_relu(layer(poses, 'start1')), 'start2'))
    inputs, made, skip, skip_bias = [], [], [], np.zeros(POSE_SKIP_CHANNELS)
    for k in _LAYER:
        name = f'layers.{k}'
        inputs.append(op.unsqueeze(x, rows))
        taps = np.concatenate([weights[f'{name}.filter.weight'], weights[f'{name}.gate.weight']])
        taps = matrix(np.concatenate([taps[:, :, 0], taps[:, :, 1]], axis=1), precision)  # tap 0: the older input
        both = op.matmul(op.concat([op.squeeze(older[k], rows), x], 1), taps, False, True)
        filters, gates = op.split(both, columns, 2).outputs()  # before the sums: they and the rest are one kernel then
        filters, gates = op.add(filters, conditions[2 * k]), op.add(gates, conditions[2 * k + 1])
        y = op.multiply(op.tanh(filters), op.sigmoid(gates))
        made.append(y)
        skip.append(_matrix(weights, f'{name}.skip'))
        skip_bias = skip_bias + _bias(weights, f'{name}.skip')
        x = op.add(x, layer(y, f'{name}.residual', precision))
    out = leaky_relu(linear(op.concat(made, 1), matrix(np.concatenate(skip, axis=1), precision), skip_bias))
    out = layer(leaky_relu(layer(out, 'end1')), 'end2')
    outputs = [op.result(out), op.result(op.concat(inputs, 0))]
    return openvino.Model(outputs, [features, poses, past], 'head_pose')
