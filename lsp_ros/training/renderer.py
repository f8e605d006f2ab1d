"""Training of the renderer (paper sections 3.4 and 4.2.4): its data, the lessons of a larger renderer, and the run."""

import logging
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from lsp_ros.avatar.architecture import PICTURE, renderer_size
from lsp_ros.storage import sha256, whole_file
from lsp_ros.training.dataset import Dataset, load_dataset
from lsp_ros.training.perceptual import load_backbone
from lsp_ros.training.pictures import Pictures, frames_to_imagine, read_candidates, training_pictures
from lsp_ros.training.recipes import read_config
from lsp_ros.training.renderer_module import RendererTraining, RendererTrainingConfig
from lsp_ros.training.trainer import (
    Batches,
    checkpoint_weights,
    fit,
    is_first_process,
    place,
    seed,
)

log = logging.getLogger(__name__)


def teach(teacher: Path, dataset: Dataset, frames: list[int], folder: Path) -> np.ndarray:
    """What a trained renderer draws at frames that have no picture: (N, 512, 512, 3) uint8 RGB, kept in ``folder``.

    ``teacher`` is the run folder of its training.
    """
    key = sha256(np.asarray(frames), (teacher / 'best.ckpt').read_bytes())
    file = folder / f'taught_{key[:16]}.npy'
    if not file.exists():
        config = read_config(RendererTrainingConfig, teacher)
        weights = checkpoint_weights(teacher / 'best.ckpt', 'generator')
        module = RendererTraining.finished(config, np.load(teacher / 'candidates.npy'), weights)
        subpixel = renderer_size(config.size).subpixel
        moments = Pictures(dataset, frames, subpixel, config.upper_body, pictures=())
        with whole_file(file) as scratch:
            drawn = np.lib.format.open_memmap(scratch, 'w+', np.uint8, (len(frames), PICTURE, PICTURE, 3))
            for index in track(range(len(frames)), 'pictures of the teacher'):
                drawn[index] = module.levels(moments.feature_map(index)).round().astype(np.uint8)
            drawn.flush()
    return np.load(file, mmap_mode='r')


class PictureData(lightning.LightningDataModule):
    """Training and validation pictures of one dataset folder; what a teacher draws is kept in the folder ``out``."""

    def __init__(self, dataset: Dataset, config: RendererTrainingConfig, out: Path | None = None) -> None:
        super().__init__()
        self.dataset, self.config, self.out = dataset, config, out

    def setup(self, stage: str | None = None) -> None:
        config = self.config
        subpixel = renderer_size(config.size).subpixel
        frames = training_pictures(self.dataset, config.footage_minutes)
        own = Pictures(self.dataset, frames, subpixel, config.upper_body)
        self.train: Pictures | torch.utils.data.ConcatDataset[Any] = own
        if config.teacher:
            assert self.out is not None  # what the teacher draws is kept there
            moments = frames_to_imagine(self.dataset, config.teacher_pictures)
            drawn = teach(Path(config.teacher), self.dataset, moments, self.out)
            taught = Pictures(self.dataset, moments, subpixel, config.upper_body, pictures=drawn)
            times = round(len(taught) / len(own) * (1 / config.teacher_share - 1))
            self.train = torch.utils.data.ConcatDataset([taught, *[own] * max(1, times)])
        frames = self.dataset.validation_pictures()
        if config.validation_pictures and config.validation_pictures < len(frames):
            kept = np.linspace(0, len(frames) - 1, config.validation_pictures).round().astype(int)
            frames = [frames[k] for k in kept]
        self.val = Pictures(self.dataset, frames, subpixel, config.upper_body)

    def train_dataloader(self) -> DataLoader[Any]:
        # Shuffled by seed and epoch alone, so that a resumed run sees the same batches.
        device, devices = place(self)
        sampler: DistributedSampler[Any] = DistributedSampler(
            self.train, devices, device, seed=self.config.seed, drop_last=True
        )
        sampler.set_epoch(self.trainer.current_epoch if self.trainer else 0)
        return Batches(self.train, self.config.batch, sampler=sampler, num_workers=self.config.workers, drop_last=True)

    def val_dataloader(self) -> DataLoader[Any]:
        device, devices = place(self)
        sampler: DistributedSampler[Any] = DistributedSampler(self.val, devices, device, shuffle=False)
        return DataLoader(self.val, self.config.batch, sampler=sampler, num_workers=self.config.workers)


def train_renderer(dataset: Path, out: Path, config: RendererTrainingConfig) -> dict[str, Tensor]:
    """Train, or go on training, a renderer in the folder ``out``; returns the best model's state dict.

    ``candidates.npy`` in ``out`` holds the four candidate images (4, 512, 512, 3) uint8 that belong to it.
    """
    data = load_dataset(dataset)
    candidates = read_candidates(data, config.footage_minutes)
    out.mkdir(parents=True, exist_ok=True)
    backbone = load_backbone(config.backbone) if config.backbone else None
    log.info('perceptual loss: %s', backbone.name if backbone else 'none')
    if is_first_process():
        np.save(out / 'candidates.npy', candidates)
        (out / 'backbone.txt').write_text(f'{backbone.name if backbone else "none"}\n')
    seed(config)
    module = RendererTraining(config, candidates, backbone)
    average = EMAWeightAveraging(decay=config.average_decay)
    best = fit(module, PictureData(data, config, out), out, config, extra_callbacks=(average,))
    return checkpoint_weights(best, 'generator')
