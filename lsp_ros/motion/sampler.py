"""The live head pose: the network of :mod:`head_pose` one frame after the other, sampled and kept in bounds.

A dilated convolution needs two of its inputs a frame, the newest and one from up to 64 frames ago. Rings
of past inputs therefore replace the recomputation of 255 frames: 4.3 million products a frame instead of
1,084 million, with the same result. NumPy only, for the reasons given in :mod:`lips`.
"""

from dataclasses import dataclass

import numpy as np

from lsp_ros.motion.lips import check_weights, leaky_relu, linear_norm, use_one_thread

POSE_STATE = 12  # ex, ey, ez (degrees), tx, ty, tz (units, from the mean), and their changes per frame
CHANNELS = 128
SKIP_CHANNELS = 256
DILATIONS = (1, 2, 4, 8, 16, 32, 64) * 2
KNEE = 0.9  # share of the trained range that is left untouched
CROSSING_FRAMES = 15  # nobody's head crosses its whole range in less than a quarter of a second


def _weights() -> dict[str, tuple[int, ...]]:
    layers = {
        'encoder.0': (512, 1024), 'encoder.3': (512, 512),
        'start1': (CHANNELS, POSE_STATE, 1), 'start2': (CHANNELS, CHANNELS, 1),
        'end1': (1 + 2 * POSE_STATE, SKIP_CHANNELS, 1), 'end2': (1 + 2 * POSE_STATE, 1 + 2 * POSE_STATE, 1),
    }  # fmt: skip
    for layer in range(len(DILATIONS)):
        for name, shape in (
            ('filter', (CHANNELS, CHANNELS, 2)), ('gate', (CHANNELS, CHANNELS, 2)),
            ('residual', (CHANNELS, CHANNELS, 1)), ('skip', (SKIP_CHANNELS, CHANNELS, 1)),
            ('cond_filter', (CHANNELS, 512, 1)), ('cond_gate', (CHANNELS, 512, 1)),
        ):  # fmt: skip
            layers[f'layers.{layer}.{name}'] = shape
    norm = {f'encoder.1.{k}': (512,) for k in ('weight', 'bias', 'running_mean', 'running_var')}
    biases = {f'{name}.bias': shape[:1] for name, shape in layers.items()}
    return {f'{name}.weight': shape for name, shape in layers.items()} | biases | norm


WEIGHTS = _weights()  # tensors that are read, by the names of ``HeadPoseNet.state_dict()``


@dataclass(frozen=True)
class PoseLimits:
    """The box a head pose stays in: (6,) euler angles in degrees, translation from the mean in units."""

    low: np.ndarray
    high: np.ndarray

    @property
    def speed(self) -> np.ndarray:
        """(6,) largest change per frame."""
        return (self.high - self.low) / CROSSING_FRAMES

    @property
    def rest(self) -> np.ndarray:
        """(6,) the mean pose, looking straight ahead, or what comes nearest to it in the box."""
        return np.clip(np.zeros(6), self.low, self.high)

    def soften(self, pose: np.ndarray) -> np.ndarray:
        """Bend poses (..., 6) smoothly into the box; the inner 90 % stay what they are."""
        centre, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        u = (pose - centre) / np.maximum(half, 1e-12)
        bent = np.sign(u) * (KNEE + (1 - KNEE) * np.tanh((np.abs(u) - KNEE) / (1 - KNEE)))
        return np.where(np.abs(u) <= KNEE, pose, centre + half * bent)

    def outside(self, pose: np.ndarray) -> np.ndarray:
        """(..., 6) -> (...,) bool."""
        return ((pose < self.low) | (pose > self.high)).any(axis=-1)


UNBOUNDED = PoseLimits(np.full(6, -1e9), np.full(6, 1e9))


@dataclass
class HeadPoseState:
    """What the head remembers of B streams."""

    rings: list[np.ndarray]  # per layer (dilation, B, 128): its inputs of the last frames
    frame: int  # steps taken: the position in the rings
    history: np.ndarray  # (B, 12) the pose state that the next step sees as the last one
    random: np.random.Generator
    clamped: np.ndarray  # (B,) bool, the last sample left the trained range
    held: int = 0  # samples that were not finite, replaced by the pose before


class HeadPoseSampler:
    """Draws head poses frame by frame from ``HeadPoseNet`` (evaluation mode), for B streams at once.

    ``weights`` has the names of ``HeadPoseNet.state_dict()``. With ``limits`` every sample is bent into the
    person's trained range, and its speed is bounded, before it is returned and remembered: so the pose
    cannot wander off, however long it runs and whatever the network says. None leaves samples as they are.
    """

    def __init__(
        self, weights: dict[str, np.ndarray], noise_scale: float = 0.3, limits: PoseLimits | None = None
    ) -> None:
        check_weights(weights, WEIGHTS, 'head-pose')
        use_one_thread()

        def matrix(name: str) -> np.ndarray:
            w = weights[f'{name}.weight'].astype(np.float64)
            return w[:, :, 0] if w.ndim == 3 else w

        def bias(name: str) -> np.ndarray:
            return weights[f'{name}.bias'].astype(np.float64)

        def f32(x: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(x, dtype=np.float32)

        self.noise_scale = noise_scale
        self.limits = limits
        self._encoder = [f32(part) for part in linear_norm(weights, 'encoder.0', 'encoder.1')]
        self._start = [f32(part) for name in ('start1', 'start2') for part in (matrix(name), bias(name))]
        # sigmoid(x) = (1 + tanh(x / 2)) / 2: gate rows are halved, so that one tanh serves filter and gate,
        # and the factor 1/2 of their product y sits in the matrices that read y.
        self._taps, self._residual, condition, condition_bias, skip, skip_bias = [], [], [], [], [], 0.0
        for layer in range(len(DILATIONS)):
            name = f'layers.{layer}'
            filters, gates = weights[f'{name}.filter.weight'], weights[f'{name}.gate.weight']
            pair = np.concatenate([filters, 0.5 * gates])  # (256, 128, 2), tap 0 is the older input
            self._taps.append(f32(np.concatenate([pair[:, :, 0], pair[:, :, 1]], axis=1)))
            condition.append(np.concatenate([matrix(f'{name}.cond_filter'), 0.5 * matrix(f'{name}.cond_gate')]))
            condition_bias += [
                bias(f'{name}.filter') + bias(f'{name}.cond_filter'),
                0.5 * (bias(f'{name}.gate') + bias(f'{name}.cond_gate')),
            ]
            self._residual.append((f32(0.5 * matrix(f'{name}.residual')), f32(bias(f'{name}.residual'))))
            skip.append(0.5 * matrix(f'{name}.skip'))
            skip_bias = skip_bias + bias(f'{name}.skip')
        # The encoder's last layer is linear: it melts into the conditioning of all layers.
        condition = np.concatenate(condition)
        self._condition_bias = f32(np.concatenate(condition_bias) + condition @ bias('encoder.3'))
        self._condition = f32(condition @ matrix('encoder.3'))
        self._skip = f32(np.concatenate(skip, axis=1)), f32(skip_bias)
        self._end = [f32(part) for name in ('end1', 'end2') for part in (matrix(name), bias(name))]

    def condition(self, features: np.ndarray) -> np.ndarray:
        """Features (N, 1024) float32 -> what all layers make of them (N, 3584) float32."""
        w, b = self._encoder
        return leaky_relu(features @ w.T + b) @ self._condition.T + self._condition_bias

    def start(self, condition: np.ndarray, seed: int | np.random.Generator = 0) -> HeadPoseState:
        """Streams that have heard nothing but their first frame and held still for ever: (B, 3584) -> state."""
        B = len(condition)
        state = HeadPoseState(
            rings=[np.zeros((dilation, B, CHANNELS), np.float32) for dilation in DILATIONS],
            frame=0,
            history=np.zeros((B, POSE_STATE)),
            random=np.random.default_rng(seed),
            clamped=np.zeros(B, bool),
        )
        self._forward(state, state.history, condition, settled=True)
        return state

    def step(self, state: HeadPoseState, condition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Condition (B, 3584) -> mean (B, 12) and -ln(sigma) (B, 12) of the pose state that follows ``history``."""
        out = self._forward(state, state.history, condition)
        return out[:, 1 : 1 + POSE_STATE], out[:, 1 + POSE_STATE :]

    def _forward(self, state: HeadPoseState, poses: np.ndarray, condition: np.ndarray, settled=False) -> np.ndarray:
        """One step of all layers; ``settled`` fills the rings as if this input had always been there."""
        w1, b1, w2, b2 = self._start
        x = leaky_relu(leaky_relu(poses.astype(np.float32) @ w1.T + b1) @ w2.T + b2)
        B = len(x)
        taps = np.empty((B, 2 * CHANNELS), np.float32)
        ys = np.empty((B, len(DILATIONS) * CHANNELS), np.float32)
        for layer, ring in enumerate(state.rings):
            slot = state.frame % len(ring)
            taps[:, :CHANNELS] = x if settled else ring[slot]
            taps[:, CHANNELS:] = x
            ring[slice(None) if settled else slot] = x
            h = taps @ self._taps[layer].T
            h += condition[:, layer * 2 * CHANNELS : (layer + 1) * 2 * CHANNELS]
            np.tanh(h, out=h)
            y = h[:, CHANNELS:]
            y += 1
            y *= h[:, :CHANNELS]
            ys[:, layer * CHANNELS : (layer + 1) * CHANNELS] = y
            w, b = self._residual[layer]
            x = x + y @ w.T
            x += b
        state.frame += not settled
        w, b = self._skip
        w1, b1, w2, b2 = self._end
        return leaky_relu(leaky_relu(ys @ w.T + b) @ w1.T + b1) @ w2.T + b2

    def sample(self, state: HeadPoseState, condition: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        """The next pose states (B, 12) float64 (equation 8), remembered as history.

        ``noise`` (B, 12) standard normal numbers; drawn from the state's own generator where None.
        """
        if noise is None:
            noise = state.random.standard_normal((len(condition), POSE_STATE))
        before = state.history
        with np.errstate(over='ignore', invalid='ignore'):
            mean, n = self.step(state, condition)
            pose = mean.astype(np.float64) + noise * np.exp(-n.astype(np.float64)) * self.noise_scale
        broken = ~np.isfinite(pose).all(axis=1)
        if broken.any():
            state.held += int(broken.sum())
            pose[broken] = np.concatenate([before[broken, :6], np.zeros_like(before[broken, 6:])], axis=1)
        if self.limits is not None:
            pose = self._bounded(state, pose, before)
        state.history = pose
        return pose

    def _bounded(self, state: HeadPoseState, pose: np.ndarray, before: np.ndarray) -> np.ndarray:
        speed = self.limits.speed
        state.clamped = self.limits.outside(pose[:, :6])
        position = self.limits.soften(pose[:, :6])
        # The first history is zero, which need not lie in the range of this person.
        position = np.clip(position, before[:, :6] - speed, before[:, :6] + speed)
        position = np.clip(position, self.limits.low, self.limits.high)
        changed = position != pose[:, :6]
        velocity = np.where(changed, position - before[:, :6], pose[:, 6:])
        return np.concatenate([position, np.clip(velocity, -speed, speed)], axis=1)

    def feed(self, state: HeadPoseState, before: np.ndarray, pose: np.ndarray) -> None:
        """Replace the last remembered pose by what was shown instead: pose (B, 6), ``before`` it (B, 6)."""
        state.history = np.concatenate([pose, pose - before], axis=1)
