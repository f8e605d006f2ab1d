"""Training of the head-pose network (paper sections 3.3 and 4.2.3, equation 11), teacher-forced.

Each item is a window with a full receptive field of history before ``sequence`` frames that count.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from lsp_ros.avatar.architecture import POSE_RECEPTIVE_FIELD, POSE_STATE
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.training.dataset import Dataset, DatasetError, load_dataset, runs
from lsp_ros.training.features import Listener, hear_elsewhere
from lsp_ros.training.losses import SMALLEST_SIGMA, head_pose_nll
from lsp_ros.training.trainer import Batches, TrainingConfig, checkpoint_weights, fit, place, seed


@dataclass
class HeadPoseTrainingConfig(TrainingConfig):
    """``look_ahead`` is the release's 15 frames: the paper's equation 7 has none, but a head starts to
    turn with a stress, not after it. ``stride`` is the distance of training windows in frames."""

    sequence: int = 240
    look_ahead: int = 15
    stride: int = 4
    windows: int = 4096
    """Training windows an epoch, drawn anew each epoch."""
    hearings: int = 2
    projected_share: float = 0.7
    dropout: float = 0.5
    history_noise: float = 0.0
    """Noise on the poses that the network looks back at, up to this multiple of how far a head usually moves in a
    frame. It sees its own slips live, which true tracks do not hold: without, it answers each with a bigger one."""
    history: bool = True
    speech: bool = True
    recurrent: bool = False
    probabilistic: bool = True
    """The variants of section 5.1: see ``HeadPoseNet``; not ``probabilistic`` is the squared error of the mean."""


def pose_states(dataset: Dataset, mean: np.ndarray | None = None) -> np.ndarray:
    """(N, 12) float32 states: degrees, units from ``mean`` (3,), and their changes per frame.

    Without ``mean``, translations are those from the training frames' mean (``mean_translation``).
    """
    mean = mean_translation(dataset) if mean is None else mean
    pose = np.concatenate([dataset.euler, dataset.translation - mean], axis=1)
    return np.concatenate([pose, np.diff(pose, axis=0, prepend=pose[:1])], axis=1).astype(np.float32)


def mean_translation(dataset: Dataset) -> np.ndarray:
    """(3,) float64 mean head translation of the training frames."""
    return dataset.translation[dataset.training_mask].mean(axis=0, dtype=np.float64)


def smallest_sigma(metres_per_unit: float) -> Tensor:
    """(12,) what ``SMALLEST_SIGMA`` is for each number of a pose state: degrees, and centimetres in the unit given."""
    length = SMALLEST_SIGMA * 0.01 / metres_per_unit
    return torch.tensor(([SMALLEST_SIGMA] * 3 + [length] * 3) * 2)


def network(config: HeadPoseTrainingConfig) -> HeadPoseNet:
    """A new network, or variant, of these settings."""
    return HeadPoseNet(config.dropout, config.history, config.speech, config.recurrent)


class HeadPoseTraining(lightning.LightningModule):
    """Negative log-likelihood of the true state under the predicted Gaussian."""

    smallest_sigma: Tensor

    def __init__(self, config: HeadPoseTrainingConfig) -> None:
        super().__init__()
        self.config = config
        self.net = network(config)
        # In degrees and the dataset's unit of length, which the data knows (setup).
        self.register_buffer('smallest_sigma', torch.full((POSE_STATE,), SMALLEST_SIGMA), persistent=False)

    def setup(self, stage: str) -> None:
        data = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it without saying so
        self.smallest_sigma.copy_(smallest_sigma(data.datasets[0].metres_per_unit))

    def loss(self, batch: tuple[Tensor, Tensor], remembered: Tensor | None = None) -> Tensor:
        """Of the true states, given the ``remembered`` ones (by default the true ones)."""
        states, features = batch
        mean, log_inv_sigma = self.net(states if remembered is None else remembered, features)
        count = self.config.sequence
        if not self.config.probabilistic:
            return torch.nn.functional.mse_loss(mean[:, -count:].float(), states[:, -count:])
        log_inv_sigma = log_inv_sigma[:, -count:].float()
        return head_pose_nll(mean[:, -count:].float(), log_inv_sigma, states[:, -count:], self.smallest_sigma)

    def slips(self, states: Tensor) -> Tensor:
        """States (B, T, 12) as a live network would remember them, each window with a strength of its own."""
        speed = states[..., 6:].std(dim=(0, 1)).repeat(2)
        strength = self.config.history_noise * torch.rand(len(states), 1, 1, device=states.device)
        return states + strength * speed * torch.randn_like(states)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss = self.loss(batch, self.slips(batch[0]) if self.config.history_noise else None)
        self.log('train_loss', loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.log('val_loss', self.loss(batch), prog_bar=True, batch_size=len(batch[0]), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.config.lr, self.config.betas)


HeardRun = tuple[np.ndarray, list[dict[str, np.ndarray]]]
"""States (n, 12) of a run of frames, and what is heard in each hearing of it: {'raw', 'projected'} (n, 1024)."""


class PoseWindows(torch.utils.data.Dataset[Any]):
    """Windows of ``POSE_RECEPTIVE_FIELD + sequence`` states with the features that lie look-ahead later.

    How a window is heard is drawn anew for each ``epoch``, or, not to ``augment``, as training mostly hears it.
    """

    epoch = 0

    def __init__(self, tracks: list[HeardRun], config: HeadPoseTrainingConfig, stride: int, augment: bool) -> None:
        self.tracks, self.config, self.augment = tracks, config, augment
        self.length = POSE_RECEPTIVE_FIELD + config.sequence
        self.starts = [
            (track, start)
            for track, (states, _) in enumerate(tracks)
            for start in range(0, len(states) - self.length - config.look_ahead + 1, stride)
        ]
        if not self.starts:
            raise ValueError(f'no run of frames is as long as {self.length + config.look_ahead} frames')

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        track, start = self.starts[index]
        states, hearings = self.tracks[track]
        rng = np.random.default_rng((self.config.seed, self.epoch, index))
        heard = hearings[rng.integers(len(hearings)) if self.augment else 0]
        projected = (rng.random() if self.augment else 0.5) < self.config.projected_share
        features = heard['projected' if projected and 'projected' in heard else 'raw']
        later = start + self.config.look_ahead
        return (
            torch.from_numpy(states[start : start + self.length]),
            torch.from_numpy(features[later : later + self.length].astype(np.float32)),
        )


class Draw(DistributedSampler[Any]):
    """``count`` windows, drawn anew each epoch by seed and epoch alone; each device has a share of them."""

    def __init__(self, windows: PoseWindows, count: int, device: int, devices: int, seed: int) -> None:
        super().__init__(windows, devices, device, seed=seed, drop_last=True)
        self.num_samples = min(self.num_samples, count // devices)
        self.total_size = self.num_samples * devices


class HeadPoseData(lightning.LightningDataModule):
    """Windows of the datasets' training and validation frames; all heads move around the first one's mean."""

    def __init__(self, datasets: list[Dataset], listener: Listener, config: HeadPoseTrainingConfig) -> None:
        super().__init__()
        self.datasets, self.listener, self.config = datasets, listener, config

    def setup(self, stage: str | None = None) -> None:
        config, mean = self.config, mean_translation(self.datasets[0])
        for dataset in self.datasets[1:]:
            if dataset.metres_per_unit != self.datasets[0].metres_per_unit:
                raise DatasetError(f'{dataset.path}: another unit of length than that of {self.datasets[0].path}')
        training: list[HeardRun] = []
        validation: list[HeardRun] = []
        for number, dataset in enumerate(self.datasets):
            states, samples = pose_states(dataset, mean), dataset.read_audio()
            rng = np.random.default_rng(config.seed)
            # Other rooms are for the person's own recording: further datasets bring other voices already.
            rooms = config.hearings - 1 if number == 0 else 0
            hearings = self.listener.features([samples] + [hear_elsewhere(samples, rng) for _ in range(rooms)])
            length = min(len(states), *(len(v) for heard in hearings for v in heard.values()))
            for part, mask in ((training, dataset.training_mask), (validation, dataset.validation_mask)):
                part += [
                    (states[a:b], [{k: v[a:b] for k, v in heard.items()} for heard in hearings])
                    for a, b in runs(mask[:length])
                ]
        self.train = PoseWindows(training, config, config.stride, True)
        self.val = PoseWindows(validation, config, config.sequence, False)

    def train_dataloader(self) -> DataLoader[Any]:
        self.train.epoch = self.trainer.current_epoch if self.trainer else 0
        sampler = Draw(self.train, self.config.windows, *place(self), self.config.seed)
        sampler.set_epoch(self.train.epoch)
        return Batches(self.train, self.config.batch, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[Any]:
        device, devices = place(self)
        sampler: DistributedSampler[Any] = DistributedSampler(self.val, devices, device, shuffle=False)
        return DataLoader(self.val, self.config.batch, sampler=sampler)


def train_head_pose(
    datasets: Path | list[Path], out: Path, listener: Listener, config: HeadPoseTrainingConfig
) -> dict[str, Tensor]:
    """Train, or go on training, in the folder ``out``; returns the best model's state dict.

    datasets  the person's dataset folder, or several of the same person with the person's own first
    """
    folders = [datasets] if isinstance(datasets, Path) else datasets
    data = HeadPoseData([load_dataset(folder) for folder in folders], listener, config)
    seed(config)
    best = fit(HeadPoseTraining(config), data, out, config, reload_data=True)
    return checkpoint_weights(best, 'net')
