"""Autoregressive predictive coding: the deep speech representation (paper section 3.1, equation 1).

Chung and Glass, "Generative pre-training for speech with autoregressive predictive coding", 2020.
"""

import torch
from torch import nn

from lsp_ros.avatar.architecture import APC_LAYERS, FEATURE_SIZE, MEL_BANDS


class APC(nn.Module):
    """Three stacked GRU layers; the last one's hidden states are the speech features.

    4,064,256 parameters. The linear layer that predicts future mel frames belongs to training
    (``lsp_ros.training.apc``).
    """

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(MEL_BANDS, FEATURE_SIZE, APC_LAYERS, batch_first=True)

    def forward(self, mel: torch.Tensor, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """mel (B, T, 80), state (3, B, 512) or None for a new stream -> features (B, T, 512), state."""
        return self.gru(mel, state)
