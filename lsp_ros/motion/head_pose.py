"""Speech features to head pose: the probabilistic autoregressive network of paper section 3.3."""

import torch
from torch import nn
from torch.nn import functional as F

from lsp_ros.avatar.architecture import (
    FRAME_FEATURES,
    MLP,
    POSE_CHANNELS,
    POSE_DILATIONS,
    POSE_OUTPUTS,
    POSE_SKIP_CHANNELS,
    POSE_STATE,
)
from lsp_ros.motion.mouth import LSTMState

LSTM_LAYERS = 3  # of the recurrent variant: as many as the mouth's


class ResidualLayer(nn.Module):
    """One gated dilated convolution: y = tanh(filter) * sigmoid(gate), both conditioned on speech."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.filter = nn.Conv1d(POSE_CHANNELS, POSE_CHANNELS, 2, dilation=dilation)
        self.gate = nn.Conv1d(POSE_CHANNELS, POSE_CHANNELS, 2, dilation=dilation)
        self.residual = nn.Conv1d(POSE_CHANNELS, POSE_CHANNELS, 1)
        self.skip = nn.Conv1d(POSE_CHANNELS, POSE_SKIP_CHANNELS, 1)
        self.cond_filter = nn.Conv1d(MLP, POSE_CHANNELS, 1)
        self.cond_gate = nn.Conv1d(MLP, POSE_CHANNELS, 1)

    def forward(self, x: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Signal x (B, T, 128), conditioning c (B, T, 512) -> next signal (B, T, 128), skip (B, T, 256).

        A convolution of kernel 2 is a product with the signal and one with its past. As one matrix product
        for both taps, filter, gate and conditioning it trains several times as fast on a CPU.
        """
        past = F.pad(x, (0, 0, self.dilation, 0))[:, : x.shape[1]]
        halves = ((self.filter, self.cond_filter), (self.gate, self.cond_gate))
        weight = torch.cat([torch.cat([w.weight[..., 0], w.weight[..., 1], v.weight[..., 0]], 1) for w, v in halves])
        bias = torch.cat([_bias(w) + _bias(v) for w, v in halves])
        both = F.linear(torch.cat([past, x, c], dim=-1), weight, bias)
        y = torch.tanh(both[..., :POSE_CHANNELS]) * torch.sigmoid(both[..., POSE_CHANNELS:])
        return x + pointwise(self.residual, y), pointwise(self.skip, y)


def pointwise(convolution: nn.Conv1d, x: torch.Tensor) -> torch.Tensor:
    """A convolution of kernel 1 on (B, T, C)."""
    return F.linear(x, convolution.weight[..., 0], convolution.bias)


def _bias(convolution: nn.Conv1d) -> torch.Tensor:
    """A convolution's bias, which all of ours have."""
    assert convolution.bias is not None
    return convolution.bias


class HeadPoseNet(nn.Module):
    """Paper section 3.3, figure 4: two blocks of seven dilated convolutions (4,266,915 parameters).

    It says how the pose state of a frame is distributed, given the 255 states before it and what is heard:
    a Gaussian, one mean and one n = -ln(sigma) for each of the 12 numbers. ``dropout`` is the share of
    pose numbers hidden from the network in training, so that it learns to listen instead of to repeat.

    The rest are the variants of section 5.1, for its table 2; no avatar holds them. Without ``history`` (poses) or
    without ``speech`` what reads the one or the other is zero and stays so: the live form runs these weights, too.
    ``recurrent``: an LSTM of three layers in the place of the convolutions.
    """

    def __init__(
        self, dropout: float = 0.5, history: bool = True, speech: bool = True, recurrent: bool = False
    ) -> None:
        super().__init__()
        heard = nn.Linear(FRAME_FEATURES, MLP)
        self.encoder = nn.Sequential(heard, nn.BatchNorm1d(MLP), nn.LeakyReLU(0.2), nn.Linear(MLP, MLP))
        self.dropout = nn.Dropout1d(dropout)  # a whole track of the (B, 12, T) history at a time
        self.start1 = nn.Conv1d(POSE_STATE, POSE_CHANNELS, 1)
        self.start2 = nn.Conv1d(POSE_CHANNELS, POSE_CHANNELS, 1)
        self.lstm = (
            nn.LSTM(MLP + POSE_CHANNELS, POSE_SKIP_CHANNELS, LSTM_LAYERS, batch_first=True) if recurrent else None
        )
        self.layers = nn.ModuleList(() if recurrent else (ResidualLayer(dilation) for dilation in POSE_DILATIONS))
        # The first of the 25 outputs is the logit of a mixture with one centre: it says nothing.
        self.end1 = nn.Conv1d(POSE_SKIP_CHANNELS, POSE_OUTPUTS, 1)
        self.end2 = nn.Conv1d(POSE_OUTPUTS, POSE_OUTPUTS, 1)
        for there, weight in ((history, self.start1.weight), (speech, heard.weight)):
            if not there:
                nn.init.zeros_(weight).requires_grad_(False)

    def forward(self, poses: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Teacher-forced: poses (B, T, 12), features (B, T, 1024) -> mean (B, T, 12), -ln(sigma) (B, T, 12).

        Output t is the distribution of ``poses[:, t]`` given ``poses[:, :t]`` and ``features[:, :t + 1]``;
        whoever calls has shifted the features by the look-ahead. What lies before the sequence counts as
        zero in every layer, so outputs from index 254 on (255 - 1) see a full real history.
        """
        B, T, _ = features.shape
        c = self.encoder(features.reshape(B * T, -1)).view(B, T, -1)
        x = F.pad(poses, (0, 0, 1, 0))[:, :-1]  # (B, T, 12): the state before each frame
        if self.lstm is not None:
            return self.recur(x, c)[:2]
        x, total = self._embed(x), x.new_zeros(())
        for layer in self.layers:
            x, skip = layer(x, c)
            total = total + skip
        return self._distribution(total)

    def recur(
        self, before: torch.Tensor, c: torch.Tensor, state: LSTMState | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, LSTMState]:
        """The recurrent variant, any number of steps: the poses (B, T, 12) before each frame, encoded speech
        (B, T, 512), the LSTM's state (None: the start) -> mean, -ln(sigma), state."""
        assert self.lstm is not None
        skip, state = self.lstm(torch.cat([self._embed(before), c], dim=-1), state)
        return *self._distribution(skip), state

    def _embed(self, before: torch.Tensor) -> torch.Tensor:
        x = self.dropout(before.transpose(1, 2)).transpose(1, 2)
        x = F.leaky_relu(pointwise(self.start1, x), 0.2)
        return F.leaky_relu(pointwise(self.start2, x), 0.2)

    def _distribution(self, total: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = pointwise(self.end2, F.leaky_relu(pointwise(self.end1, F.leaky_relu(total, 0.2)), 0.2))
        return out[..., 1 : 1 + POSE_STATE], out[..., 1 + POSE_STATE :]
