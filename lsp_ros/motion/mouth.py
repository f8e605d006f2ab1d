"""Speech features to mouth displacement: the network of paper section 3.2 and what is done to its output."""

import torch
from torch import nn

from lsp_ros.motion.mouth_live import HIDDEN, LAYERS
from lsp_ros.signals import FEATURE_SIZE

MOUTH_OUTPUTS = 75

LSTMState = tuple[torch.Tensor, torch.Tensor]


class MouthNet(nn.Module):
    """Paper section 3.2: a frame's features -> MLP -> 3-layer LSTM -> MLP -> 25 displacements (3,064,395 parameters).

    Output t sees features 0 .. t. The look-ahead lies outside: what the network says when it has heard
    frame t + d is taken as the mouth of frame t (equation 5 of the paper).
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(2 * FEATURE_SIZE, 512), nn.BatchNorm1d(512), nn.LeakyReLU(0.2), nn.Linear(512, 512)
        )
        self.lstm = nn.LSTM(512, HIDDEN, num_layers=LAYERS, batch_first=True)
        self.decoder = nn.Sequential(
            nn.Linear(HIDDEN, 512), nn.BatchNorm1d(512), nn.LeakyReLU(0.2),
            nn.Linear(512, 512), nn.BatchNorm1d(512), nn.LeakyReLU(0.2),
            nn.Linear(512, MOUTH_OUTPUTS),
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
