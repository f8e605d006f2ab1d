"""The head motion of the full model and of the variants of paper section 5.1, measured in one way.

The live form (:mod:`lsp_ros.motion.head_pose_live`) runs the variants without history and without speech as they are;
for the recurrent one the sampler below draws from an LSTM; all in float32. Everything else is the avatar's: smoothing,
limits, and, where the network says how sure it is, how far poses are sampled from the mean.
"""

from dataclasses import dataclass

import numpy as np
import torch

from lsp_ros.avatar.architecture import POSE_STATE
from lsp_ros.avatar.load import Avatar
from lsp_ros.evaluation.head_protocols import WARM_UP, compare_heads
from lsp_ros.motion.filters import LowPass
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.head_pose_live import HeadPoseSampler, PoseSampler, PoseState
from lsp_ros.motion.head_track import DrawnPoses
from lsp_ros.motion.pose_limits import PoseLimits
from lsp_ros.motion.stage import per_axis
from lsp_ros.training.dataset import Dataset


@dataclass(kw_only=True)
class RecurrentState(PoseState):
    """What the recurrent variant remembers of B streams: the LSTM's hidden and cell state; None at the start."""

    lstm: tuple[torch.Tensor, torch.Tensor] | None = None


class RecurrentSampler(PoseSampler[RecurrentState]):
    """Draws head poses from the recurrent variant."""

    def __init__(self, network: HeadPoseNet, noise_scale: float, limits: PoseLimits | None = None) -> None:
        super().__init__(noise_scale, limits)
        self._network = network.eval()

    def start(self, features: np.ndarray, seed: int | np.random.Generator = 0) -> RecurrentState:
        """Streams at rest that have heard nothing; features (B, 1024) of the first frame."""
        B = len(features)
        state = RecurrentState(
            history=np.zeros((B, POSE_STATE)), random=np.random.default_rng(seed), clamped=np.zeros(B, bool)
        )
        self.step(state, features)
        return state

    def step(self, state: RecurrentState, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (B, 1024) -> mean and -ln(sigma), (B, 12) each, of the pose state that follows ``history``."""
        before = torch.from_numpy(state.history).float()[:, None]
        with torch.inference_mode():
            heard = self._network.encoder(torch.from_numpy(features))[:, None]
            mean, n, state.lstm = self._network.recur(before, heard, state.lstm)
        return mean[:, 0].numpy(), n[:, 0].numpy()


def sampler_of(network: HeadPoseNet, avatar: Avatar, probabilistic: bool = True) -> PoseSampler:
    """What draws poses from a trained network or variant as the avatar would; not ``probabilistic``: its mean."""
    limits = PoseLimits.of(avatar.pose_range)
    noise_scale = avatar.manifest.head_pose.noise_scale if probabilistic else 0.0
    if network.lstm is not None:
        return RecurrentSampler(network, noise_scale, limits)
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    return HeadPoseSampler(weights, noise_scale, limits)


def head_motion(
    sampler: PoseSampler, avatar: Avatar, features: np.ndarray, look_ahead: int, streams: int = 1, seed: int = 0
) -> np.ndarray:
    """Speech (N, 1024) -> what ``streams`` heads do, each with its own draws: (N, streams, 6), as the live stage."""
    head = avatar.manifest.head_pose
    smoothing, amplitude = LowPass(per_axis(head.smoothing)), per_axis(head.amplitude)
    drawn = DrawnPoses(sampler, look_ahead, smoothing, amplitude, seed, streams)
    # Not ``flush``: after the last frame comes all of it again, not only its second feature row.
    return drawn.push(np.concatenate([features, np.repeat(features[-1:], look_ahead, axis=0)]))


def judge_head(
    sampler: PoseSampler,
    avatar: Avatar,
    clips: list[tuple[Dataset, np.ndarray, tuple[int, int]]],
    look_ahead: int,
    seeds: int = 8,
) -> dict:
    """Table 2: distances to the true head motion (``compare_heads``) of ``seeds`` draws.

    clips  recordings with their speech features (N, 1024) and the frames [first, stop) that are judged; the head
           begins up to five seconds earlier, at rest
    """
    shown = []
    for dataset, features, (first, stop) in clips:
        stop = min(stop, len(features))
        begin = max(0, first - WARM_UP)
        motion = head_motion(sampler, avatar, features[begin:stop], look_ahead, seeds)[first - begin :]
        translation = motion[..., 3:] + avatar.face.translation_mean
        motions = [(motion[:, stream, :3], translation[:, stream]) for stream in range(seeds)]
        shown.append((dataset, slice(first, stop), motions))
    return compare_heads(shown)
