"""Training of the mouth network (paper sections 3.2 and 4.2.2, equation 10).

One person's motion may come from several dataset folders: the person's own footage, and for our own
avatar many synthetic voices with exact truth. Sequences follow one another in ``batch`` parallel
streams and the LSTM's state is carried from one to the next, because a live LSTM is hours old.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor

from lsp_ros.avatar.architecture import MOUTH
from lsp_ros.avatar.landmarks import LOWER_LIP_INNER, MOUTH_OUTPUT, UPPER_LIP_INNER, lip_gap
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.openvino_graph import check_weights
from lsp_ros.training.dataset import Dataset, load_dataset, runs
from lsp_ros.training.features import Listener, hear_elsewhere
from lsp_ros.training.losses import mouth_loss
from lsp_ros.training.trainer import (
    Batches,
    CarriesState,
    TrainingConfig,
    checkpoint_weights,
    fit,
    place,
    read_weights,
    seed,
)

State = tuple[Tensor, Tensor]
"""Of the LSTM: hidden and cell."""

_UPPER = [list(MOUTH_OUTPUT).index(k) for k in UPPER_LIP_INNER]
_LOWER = [list(MOUTH_OUTPUT).index(k) for k in LOWER_LIP_INNER]


@dataclass
class MouthTrainingConfig(TrainingConfig):
    """``sequence`` and ``look_ahead`` in video frames are the paper's T and d."""

    sequence: int = 240
    look_ahead: int = 18
    hearings: int = 3
    """How often each clip is heard: once as recorded, the rest through other rooms and microphones."""
    projected_share: float = 0.7
    """Share of sequences that hear projected features, as live; the others hear raw ones."""
    lip_weight: float = 2.0
    """Weight of the squared error of the inner lip gap beside equation 10, where a millimetre decides
    between open and closed. Zero is the paper's loss."""
    closed_weight: float = 4.0
    """Extra weight of a gap that is too wide where the lips are closed; part of the error above."""
    closed_share: float = 0.05
    """Lips count as closed, less and less, up to about this share of the person's largest opening."""
    dropout: float = 0.1
    """Between the layers of the LSTM, in training."""
    start: str | None = None
    """File of mouth weights to begin with (``mouth.safetensors`` of another avatar); None: random ones."""
    average_decay: float | None = None
    """The weights that are validated and kept are a running average with this decay; None: the last ones."""


def lip_gaps(displacement: Tensor) -> Tensor:
    """(..., 75) displacements -> (..., 3) height differences of the inner lip pairs, without their mean."""
    points = displacement.unflatten(-1, (len(MOUTH_OUTPUT), 3))
    return points[..., _UPPER, 1] - points[..., _LOWER, 1]


def _weights(file: str) -> dict[str, Tensor]:
    """Another mouth's weights; ValueError for a file that is none or holds something else."""
    weights = read_weights(file, 'mouth')
    check_weights(weights, MOUTH, f'mouth ({file})')
    return {name: torch.from_numpy(value).float() for name, value in weights.items()}


class MouthTraining(CarriesState, lightning.LightningModule):
    """Equation 10 between the output at frame t + d and the truth at frame t."""

    mean_gaps: Tensor
    opening: Tensor

    def __init__(self, config: MouthTrainingConfig) -> None:
        super().__init__()
        self.config = config
        self.net = MouthNet()
        self.net.lstm.dropout = config.dropout
        if config.start:
            self.net.load_state_dict(_weights(config.start))
        # Lip gaps of the mean face (3,) and the largest opening; the data knows them (setup).
        self.register_buffer('mean_gaps', torch.zeros(3), persistent=False)
        self.register_buffer('opening', torch.tensor(float('inf')), persistent=False)

    def setup(self, stage: str) -> None:
        data = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it without saying so
        self.mean_gaps.copy_(torch.from_numpy(data.mean[UPPER_LIP_INNER, 1] - data.mean[LOWER_LIP_INNER, 1]))
        self.opening.fill_(data.opening)

    def forward(self, features: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self.net(features, state)

    def losses(
        self, features: Tensor, truth: Tensor, known: Tensor, state: State | None
    ) -> tuple[Tensor, Tensor, State]:
        """features (B, T, 1024), truth (B, T, 75) and known (B, T), both already delayed by d."""
        displacement, (hidden, cell) = self.net(features, state)
        displacement, after = displacement.float(), (hidden.detach(), cell.detach())
        if not known.any():
            nothing = 0 * displacement.sum()
            return nothing, nothing, after
        points = mouth_loss(displacement[known], truth[known])
        return points, self.lip_loss(displacement[known], truth[known]), after

    def lip_loss(self, displacement: Tensor, truth: Tensor) -> Tensor:
        """Mean squared error of the inner lip gaps (N, 75), with more weight on closed lips that stand open."""
        true = lip_gaps(truth)
        error = lip_gaps(displacement) - true
        width = (true + self.mean_gaps).clamp_min(0) / (self.config.closed_share * self.opening)
        closed = (-(width**2)).exp() if self.opening.isfinite() else torch.zeros_like(true)
        return (error.square() + self.config.closed_weight * closed * error.clamp_min(0).square()).mean()

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], index: int) -> Tensor:
        points, lips, self._state = self.losses(*batch, self._state)
        self.log_dict({'train/points': points, 'train/lips': lips})
        loss = points + self.config.lip_weight * lips
        self.log('train_loss', loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], index: int) -> None:
        points, lips, self._state = self.losses(*batch, self._state)
        loss = points + self.config.lip_weight * lips
        logged = {'val_loss': loss, 'val_points': points, 'val_lips': lips}
        self.log_dict(logged, prog_bar=True, batch_size=1, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.config.lr, self.config.betas)


Run = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
"""Features {'raw', 'projected'} (n, 1024), displacement (n, 75) and known (n,) of a run of frames."""


class MouthStreams(torch.utils.data.Dataset[Any]):
    """Runs of consecutive frames laid end to end in ``batch`` streams; item k is sequence k of all of them.

    place: which of how many devices this is; each has ``batch`` streams of its own.
    """

    def __init__(
        self, runs: list[Run], config: MouthTrainingConfig, batch: int, shuffle: bool, place: tuple[int, int] = (0, 1)
    ) -> None:
        self.runs, self.config, self.batch, self.shuffle, self.place = runs, config, batch, shuffle, place
        self.lay(0)

    def lay(self, epoch: int) -> None:
        """Put the runs in a new order, and cut each at a new place."""
        config, rng = self.config, np.random.default_rng((self.config.seed, epoch))
        order = rng.permutation(len(self.runs)) if self.shuffle else range(len(self.runs))
        features, truth, known = [], [], []
        d = config.look_ahead
        for k in order:
            heard, displacement, seen = self.runs[k]
            # validation hears what training mostly does
            projected = (rng.random() if self.shuffle else 0.5) < config.projected_share
            features.append(heard['projected' if projected and 'projected' in heard else 'raw'])
            # what the network says at t + d is the mouth of t; before d it has nothing to say
            truth.append(np.concatenate([displacement[:1].repeat(d, axis=0), displacement[: len(displacement) - d]]))
            known.append(np.concatenate([np.zeros(d, bool), seen[: len(seen) - d]]))
        frames = sum(map(len, features))
        device, devices = self.place
        count = self.batch * devices
        length = frames // count // config.sequence * config.sequence
        if not length:
            raise ValueError(f'{frames} frames are too few for {count} streams of {config.sequence}')
        shift = int(rng.integers(0, frames - length * count + 1)) if self.shuffle else 0
        mine = slice(shift + device * self.batch * length, shift + (device + 1) * self.batch * length)

        def streams(parts: list[np.ndarray]) -> Tensor:
            whole = np.concatenate(parts)[mine]
            return torch.from_numpy(whole.reshape(self.batch, length, *whole.shape[1:]))

        self.features, self.truth, self.known = streams(features), streams(truth), streams(known)

    def __len__(self) -> int:
        return self.features.shape[1] // self.config.sequence

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = slice(index * self.config.sequence, (index + 1) * self.config.sequence)
        return self.features[:, part].float(), self.truth[:, part], self.known[:, part]


class MouthData(lightning.LightningDataModule):
    """Training and validation runs of the datasets."""

    def __init__(
        self, datasets: list[Dataset], mean: np.ndarray, listener: Listener, config: MouthTrainingConfig
    ) -> None:
        super().__init__()
        self.datasets, self.mean, self.listener, self.config = datasets, mean, listener, config

    def setup(self, stage: str | None = None) -> None:
        training: list[Run] = []
        validation: list[Run] = []
        config = self.config
        sounds = [dataset.read_audio() for dataset in self.datasets]
        for hearing in range(config.hearings):
            rng = np.random.default_rng((config.seed, hearing))
            features = self.listener.features([hear_elsewhere(s, rng) for s in sounds] if hearing else sounds)
            for dataset, heard in zip(self.datasets, features, strict=True):
                displacement = dataset.mouth_displacement(self.mean).reshape(len(dataset), -1)
                length = min(len(displacement), *map(len, heard.values()))
                parts = [(training, dataset.training_time)]
                if not hearing:
                    parts.append((validation, dataset.validation_time))
                for part, mask in parts:
                    for first, stop in _runs(mask[:length]):
                        if stop - first > 2 * config.look_ahead:
                            span = slice(first, stop)
                            heard_part = {k: v[span] for k, v in heard.items()}
                            part.append((heard_part, displacement[span], dataset.known_mask[span]))
        learned = [dataset.points[dataset.training_mask] for dataset in self.datasets]
        openings = [float(np.quantile(lip_gap(points), 0.999)) for points in learned if len(points)]
        self.opening = max(openings, default=float('inf'))
        self.train = MouthStreams(training, config, config.batch, True, place(self))
        self.val = MouthStreams(validation, config, min(8, config.batch), False)

    def train_dataloader(self) -> torch.utils.data.DataLoader[Any]:
        self.train.lay(self.trainer.current_epoch if self.trainer else 0)
        return Batches(self.train, batch_size=None)

    def val_dataloader(self) -> torch.utils.data.DataLoader[Any]:
        return torch.utils.data.DataLoader(self.val, batch_size=None)


def _runs(mask: np.ndarray, longest: int = 2400) -> list[tuple[int, int]]:
    """Runs of True, long ones cut, so that shuffling mixes voices and hearings."""
    return [(a, min(b, a + longest)) for first, b in runs(mask) for a in range(first, b, longest)]


def train_mouth(
    datasets: list[Path], out: Path, listener: Listener, config: MouthTrainingConfig, mean: np.ndarray | None = None
) -> dict[str, Tensor]:
    """Train, or go on training, in the folder ``out``; returns the best model's state dict.

    The displacement is that from ``mean`` (73, 3), by default the first dataset's mean points.
    """
    loaded = [load_dataset(path) for path in datasets]
    mean = loaded[0].mean_points() if mean is None else mean
    data = MouthData(loaded, mean, listener, config)
    average = (EMAWeightAveraging(decay=config.average_decay),) if config.average_decay else ()
    seed(config)
    best = fit(MouthTraining(config), data, out, config, extra_callbacks=average, reload_data=True)
    return checkpoint_weights(best, 'net')
