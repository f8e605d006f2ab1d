"""Speech features to mouth displacement: the network of paper section 3.2."""

import torch
from torch import nn

from lsp_ros.avatar.architecture import FRAME_FEATURES, MLP, MOUTH_HIDDEN, MOUTH_LAYERS, MOUTH_OUTPUTS

LSTMState = tuple[torch.Tensor, torch.Tensor]


class MouthNet(nn.Module):
    """Paper section 3.2: a frame's features -> MLP -> 3-layer LSTM -> MLP -> 25 displacements (3,064,395 parameters).

    Output t sees features 0 .. t. The look-ahead lies outside: what the network says when it has heard
    frame t + d is taken as the mouth of frame t (equation 5 of the paper).
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(FRAME_FEATURES, MLP), nn.BatchNorm1d(MLP), nn.LeakyReLU(0.2), nn.Linear(MLP, MLP)
        )
        self.lstm = nn.LSTM(MLP, MOUTH_HIDDEN, num_layers=MOUTH_LAYERS, batch_first=True)
        self.decoder = nn.Sequential(
            nn.Linear(MOUTH_HIDDEN, MLP), nn.BatchNorm1d(MLP), nn.LeakyReLU(0.2),
            nn.Linear(MLP, MLP), nn.BatchNorm1d(MLP), nn.LeakyReLU(0.2),
            nn.Linear(MLP, MOUTH_OUTPUTS),
        )  # fmt: skip

    def forward(self, features: torch.Tensor, state: LSTMState | None = None) -> tuple[torch.Tensor, LSTMState]:
        """Features (B, T, 1024) -> displacements (B, T, 75), 25 points (x, y, z) each, and the LSTM state.

        ``state`` is two tensors (3, B, 256); None starts a stream at zero.
        """
        B, T, _ = features.shape
        # BatchNorm1d wants rows: every frame of every stream is one sample.
        x = self.encoder(features.reshape(B * T, -1)).view(B, T, -1)
        x, state = self.lstm(x, state)
        return self.decoder(x.reshape(B * T, -1)).view(B, T, -1), state
