"""Training of the renderer (paper sections 3.4 and 4.2.4, equations 12 to 15).

Follows the paper; where it is silent or a small machine needs less, the settings say what was chosen:
the adversarial terms may start after a warm-up share of the run (``gan_start``), the perceptual and
adversarial losses may look at a crop that is mostly laid on the face instead of the whole picture
(``crop``), and the weights that are validated and kept are a running average (``average_decay``).
"""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import lightning
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.utilities import rank_zero_only
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from lsp_ros.avatar.architecture import PICTURE, renderer_size
from lsp_ros.geometry import project, to_camera
from lsp_ros.rendering.feature_map import draw
from lsp_ros.rendering.generator import LiveGenerator, build_generator, load_generator
from lsp_ros.timeline import FRAME_RATE
from lsp_ros.training.candidates import choose_candidates
from lsp_ros.training.dataset import Dataset, DatasetError, in_ranges, load_dataset
from lsp_ros.training.discriminator import Discriminator
from lsp_ros.training.losses import adversarial_loss, discriminator_loss, feature_matching_loss
from lsp_ros.training.perceptual import Backbone, load_backbone, perceptual_distance
from lsp_ros.training.trainer import (
    SETTINGS_FILE,
    Batches,
    Settings,
    checkpoint_weights,
    cpu_precision,
    fit,
    place,
    read_weights,
    seed,
)

log = logging.getLogger(__name__)


@dataclass
class RendererSettings(Settings):
    """Defaults are the paper's: 60 epochs, batch 8, loss weights (100, 10, 1), whole pictures."""

    epochs: int = 60
    batch: int = 8
    gradient_clip: float | None = None
    size: str = 'normal'
    width: int | None = None
    """Channels of the first level, to make a small network for a test; None: the real size."""
    colour_weight: float = 100.0
    perceptual_weight: float = 10.0
    matching_weight: float = 1.0
    backbone: str | None = 'vgg19'
    """Weight file of the perceptual backbone, 'vgg19' to fetch it, None for no perceptual loss."""
    discriminator_width: int = 64
    discriminator_lr: float = 1.0
    """Learning rate of the discriminator, as a factor on the generator's."""
    gan_start: float = 0.0
    """Share of the run after which the adversarial and feature matching losses begin."""
    crop: int | None = None
    """Side of the crop that perceptual and adversarial losses look at; None: the whole picture."""
    face_share: float = 0.8
    """Share of the crops that are centred on a landmark; the others lie anywhere."""
    average_decay: float = 0.999
    validation_pictures: int | None = None
    """Validate with this many pictures, evenly spread over the excerpt; None: all."""
    blocks: int | None = None
    candidates: bool = True
    """The variants of table 3: see ``Generator``."""
    upper_body: bool = True
    """False: feature maps without shoulders."""
    footage_minutes: float | None = None
    """Learn from the pictures of the first minutes of the footage alone; None: all."""
    teacher: str | None = None
    """Run folder of a trained larger renderer, whose pictures of moments without a picture are lessons, too."""
    teacher_pictures: int = 4000
    """How many of them, evenly spread over the training time."""
    teacher_share: float = 0.5
    """Their share of what is learned from; true pictures are shown as often as that takes."""
    start: str | None = None
    """File of a renderer's weights to begin with (``renderer_live.safetensors`` of another avatar); None: random."""
    workers: int = 0
    channels_last: bool = True

    @classmethod
    def on_cpu(cls, minutes: float = 50.0, **changes) -> 'RendererSettings':
        """The live renderer in a given time on a few CPU cores: what we chose, not the paper's."""
        chosen = cls(
            size='live',
            epochs=10_000,
            max_minutes=minutes,
            batch=4,
            lr=1e-3,
            lr_end=2e-5,
            discriminator_width=32,
            discriminator_lr=0.2,
            gan_start=0.6,
            crop=192,
            average_decay=0.995,
            validation_pictures=45,
            precision=cpu_precision(),
        )
        return replace(chosen, **changes)


class Pictures(torch.utils.data.Dataset):
    """Pictures of a dataset, decoded once and kept in memory (786 kB each), with their feature maps, which show the
    shoulders unless ``upper_body`` is False.

    Item: feature map (1, 512, 512) uint8, picture (3, 512, 512) uint8 RGB, landmarks (73, 2) float32 pixels.
    """

    def __init__(
        self,
        dataset: Dataset,
        frames: list[int],
        subpixel: bool = False,
        upper_body: bool = True,
        pictures: Sequence[np.ndarray] | None = None,
    ):
        """``pictures``: those of the frames, RGB; by default the dataset's own."""
        if not frames:
            raise DatasetError(f'{dataset.path}: no pictures for this part of the split')
        rows = np.asarray(frames)
        camera = to_camera(dataset.points[rows], dataset.euler[rows], dataset.translation[rows])
        self.landmarks = project(camera, dataset.camera_matrix).astype(np.float32)
        shoulders = project(dataset.shoulders[rows], dataset.camera_matrix).astype(np.float32)
        self.shoulders = shoulders if upper_body else [None] * len(frames)
        self.pictures = [read_picture(dataset.pictures[frame]) for frame in frames] if pictures is None else pictures
        self.frames = list(frames)
        self.subpixel = subpixel

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        picture = torch.from_numpy(np.array(self.pictures[index])).permute(2, 0, 1)
        return torch.from_numpy(self.feature_map(index))[None], picture, torch.from_numpy(self.landmarks[index])

    def feature_map(self, index: int) -> np.ndarray:
        """(512, 512) uint8."""
        return draw(self.landmarks[index], self.shoulders[index], subpixel=self.subpixel)


def read_picture(path: Path) -> np.ndarray:
    """(512, 512, 3) uint8 RGB; raises DatasetError for a picture that is broken or of another size."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None or picture.shape != (PICTURE, PICTURE, 3):
        found = 'not a picture' if picture is None else f'{picture.shape[1]}x{picture.shape[0]}'
        raise DatasetError(f'{path}: {found}, but a {PICTURE}x{PICTURE} picture is needed')
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def training_pictures(dataset: Dataset, minutes: float | None = None) -> list[int]:
    """Frames of the pictures to learn from, of the first minutes of the footage or of all."""
    last = len(dataset) if minutes is None else minutes * 60 * FRAME_RATE
    return [frame for frame in dataset.training_pictures() if frame < last]


def read_candidates(dataset: Dataset, minutes: float | None = None) -> np.ndarray:
    """(4, 512, 512, 3) uint8 RGB, chosen among the training pictures (of the first minutes)."""
    frames = training_pictures(dataset, minutes)
    chosen = choose_candidates(dataset.points[frames], dataset.euler[frames])
    return np.stack([read_picture(dataset.pictures[frames[row]]) for row in chosen])


def frames_to_imagine(dataset: Dataset, count: int) -> list[int]:
    """At most ``count`` frames of the training time that have no picture, evenly spread."""
    shown = in_ranges(len(dataset), dataset.picture_validation)
    shown[list(dataset.pictures)] = True
    frames = np.flatnonzero(dataset.training_mask & ~shown)
    return frames[np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)].tolist()


def teach(teacher: Path, dataset: Dataset, frames: list[int], folder: Path) -> np.ndarray:
    """What a trained renderer draws at frames that have no picture: (N, 512, 512, 3) uint8 RGB, kept in ``folder``.

    ``teacher`` is the run folder of its training.
    """
    digest = hashlib.sha256(np.asarray(frames).tobytes())
    digest.update((teacher / 'best.ckpt').read_bytes())
    file = folder / f'taught_{digest.hexdigest()[:16]}.npy'
    if not file.exists():
        known = RendererSettings.__dataclass_fields__
        stored = json.loads((teacher / SETTINGS_FILE).read_text())
        settings = RendererSettings(**{name: value for name, value in stored.items() if name in known})
        weights = checkpoint_weights(teacher / 'best.ckpt', 'generator')
        module = RendererTraining.finished(settings, np.load(teacher / 'candidates.npy'), weights)
        subpixel = renderer_size(settings.size).subpixel
        moments = Pictures(dataset, frames, subpixel, settings.upper_body, pictures=())
        part = file.with_suffix(f'.{os.getpid()}.part')
        drawn = np.lib.format.open_memmap(part, 'w+', np.uint8, (len(frames), PICTURE, PICTURE, 3))
        for index in track(range(len(frames)), 'pictures of the teacher'):
            drawn[index] = module.levels(moments.feature_map(index)).round().astype(np.uint8)
        drawn.flush()
        part.replace(file)
    return np.load(file, mmap_mode='r')


class PictureData(lightning.LightningDataModule):
    """Training and validation pictures of one dataset folder; what a teacher draws is kept in the folder ``out``."""

    def __init__(self, dataset: Dataset, settings: RendererSettings, out: Path | None = None):
        super().__init__()
        self.dataset, self.settings, self.out = dataset, settings, out

    def setup(self, stage: str | None = None) -> None:
        settings = self.settings
        subpixel = renderer_size(settings.size).subpixel
        frames = training_pictures(self.dataset, settings.footage_minutes)
        self.train = Pictures(self.dataset, frames, subpixel, settings.upper_body)
        if settings.teacher:
            moments = frames_to_imagine(self.dataset, settings.teacher_pictures)
            drawn = teach(Path(settings.teacher), self.dataset, moments, self.out)
            taught = Pictures(self.dataset, moments, subpixel, settings.upper_body, pictures=drawn)
            times = round(len(taught) / len(self.train) * (1 / settings.teacher_share - 1))
            self.train = torch.utils.data.ConcatDataset([taught, *[self.train] * max(1, times)])
        frames = self.dataset.validation_pictures()
        if settings.validation_pictures and settings.validation_pictures < len(frames):
            kept = np.linspace(0, len(frames) - 1, settings.validation_pictures).round().astype(int)
            frames = [frames[k] for k in kept]
        self.val = Pictures(self.dataset, frames, subpixel, settings.upper_body)

    def train_dataloader(self) -> DataLoader:
        # Shuffled by seed and epoch alone, so that a resumed run sees the same batches.
        device, devices = place(self)
        sampler = DistributedSampler(self.train, devices, device, seed=self.settings.seed, drop_last=True)
        sampler.set_epoch(self.trainer.current_epoch)
        return Batches(
            self.train, self.settings.batch, sampler=sampler, num_workers=self.settings.workers, drop_last=True
        )

    def val_dataloader(self) -> DataLoader:
        device, devices = place(self)
        sampler = DistributedSampler(self.val, devices, device, shuffle=False)
        return DataLoader(self.val, self.settings.batch, sampler=sampler, num_workers=self.settings.workers)


class RendererTraining(lightning.LightningModule):
    """Generator and discriminator, one step each a batch."""

    def __init__(self, settings: RendererSettings, candidates: np.ndarray, backbone: Backbone | None):
        super().__init__()
        self.automatic_optimization = False
        self.settings = settings
        if settings.start:
            self.generator = load_generator(settings.size, read_weights(settings.start, 'renderer')).train()
        else:
            self.generator = build_generator(settings.size, settings.width, settings.blocks, settings.candidates)
        self.discriminator = Discriminator(width=settings.discriminator_width)
        if settings.channels_last:
            self.to(memory_format=torch.channels_last)
        pictures = torch.from_numpy(candidates).permute(0, 3, 1, 2).reshape(1, -1, *candidates.shape[1:3])
        self.register_buffer('candidates', pictures / 127.5 - 1, persistent=False)
        # In a list: a frozen network is neither averaged nor saved with the checkpoints.
        self._backbone = [backbone] if backbone is not None else []
        self.progress = 0.0
        """Share of the run that is over, 0 to 1; set by the learning-rate schedule."""

    @classmethod
    def finished(
        cls, settings: RendererSettings, candidates: np.ndarray, weights: dict[str, Tensor]
    ) -> 'RendererTraining':
        """A trained renderer, or variant, that draws (``levels``) on the GPU where there is one."""
        module = cls(settings, candidates, None)
        module.generator.load_state_dict(weights)
        return module.eval().to('cuda' if torch.cuda.is_available() else 'cpu')

    @torch.inference_mode()
    def levels(self, feature_map: np.ndarray) -> np.ndarray:
        """(512, 512) uint8 -> (512, 512, 3) float32 RGB, grey levels from 0 to 255 that are not rounded yet."""
        lines = torch.from_numpy(feature_map)[None, None].to(self.device) / 255
        return ((self(lines)[0].float() + 1) * 127.5).clamp(0, 255).permute(1, 2, 0).cpu().numpy()

    def on_fit_start(self) -> None:
        for backbone in self._backbone:
            backbone.to(self.device)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        settings = self.settings
        generator = torch.optim.Adam(self.generator.parameters(), settings.lr, settings.betas)
        judge = [{'params': list(self.discriminator.parameters()), 'lr_scale': settings.discriminator_lr}]
        return [generator, torch.optim.Adam(judge, settings.lr, settings.betas)]

    def forward(self, feature_map: Tensor) -> Tensor:
        """(B, 1, 512, 512) in 0..1 -> (B, 3, 512, 512) in -1..1."""
        if isinstance(self.generator, LiveGenerator):
            return self.generator(feature_map, self.generator.prepare(self.candidates))
        if not self.settings.candidates:
            return self.generator(feature_map)
        return self.generator(torch.cat([feature_map, self.candidates.expand(len(feature_map), -1, -1, -1)], dim=1))

    def _corners(self, landmarks: Tensor, index: int) -> list[tuple[int, int]]:
        """Top and left of each picture's crop; the same for the same seed, epoch and batch."""
        crop, settings = self.settings.crop, self.settings
        rng = np.random.default_rng((settings.seed, self.current_epoch, index, self.global_rank))
        last = self.candidates.shape[-1] - crop
        corners = []
        for points in landmarks.cpu().numpy():
            corner = rng.integers(0, last + 1, 2)
            if rng.random() < settings.face_share:
                corner = (points[rng.integers(len(points)), ::-1] - crop / 2).round().astype(int)
            corners.append(tuple(int(value) for value in corner.clip(0, last)))
        return corners

    def _look(self, pictures: Tensor, corners: list[tuple[int, int]] | None) -> Tensor:
        if corners is None:
            return pictures
        crop = self.settings.crop
        crops = [p[:, top : top + crop, left : left + crop] for p, (top, left) in zip(pictures, corners, strict=True)]
        return torch.stack(crops)

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], index: int) -> None:
        settings = self.settings
        feature_map, truth, landmarks = batch
        feature_map, truth = feature_map / 255, truth / 127.5 - 1
        generator_optimizer, judge_optimizer = self.optimizers()
        corners = self._corners(landmarks, index) if settings.crop else None

        picture = self(feature_map)
        colour = F.l1_loss(picture.float(), truth)
        loss = settings.colour_weight * colour
        logged = {'train/colour': colour}
        seen, seen_truth = self._look(picture, corners), self._look(truth, corners)
        for backbone in self._backbone:
            perceptual = perceptual_distance(backbone, seen, seen_truth)
            loss = loss + settings.perceptual_weight * perceptual
            logged['train/perceptual'] = perceptual
        adversarial = self.progress >= settings.gan_start
        if adversarial:
            candidates = self.candidates.expand(len(truth), -1, -1, -1)
            condition = torch.cat([self._look(feature_map, corners), self._look(candidates, corners)], dim=1)
            real = self.discriminator(torch.cat([condition, seen_truth], dim=1))
            self.discriminator.requires_grad_(False)
            fake = self.discriminator(torch.cat([condition, seen], dim=1))
            gan, matching = adversarial_loss(fake), feature_matching_loss(real, fake)
            loss = loss + gan + settings.matching_weight * matching
            logged |= {'train/gan': gan, 'train/matching': matching}
        generator_optimizer.zero_grad()
        self.manual_backward(loss)
        generator_optimizer.step()

        if adversarial:
            self.discriminator.requires_grad_(True)
            fake = self.discriminator(torch.cat([condition, seen.detach()], dim=1))
            judge = discriminator_loss(real, fake)
            judge_optimizer.zero_grad()
            self.manual_backward(judge)
            judge_optimizer.step()
            logged['train/discriminator'] = judge
        self.log_dict({name: value.detach() for name, value in logged.items()})
        self.log('train_loss', loss.detach(), prog_bar=True)

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], index: int) -> None:
        """Loss without the adversarial terms, which have no common scale over a run; PSNR of whole pictures."""
        settings = self.settings
        feature_map, truth, _ = batch
        truth = truth / 127.5 - 1
        picture = self(feature_map / 255).float()
        colour = F.l1_loss(picture, truth)
        loss = settings.colour_weight * colour
        for backbone in self._backbone:
            loss = loss + settings.perceptual_weight * perceptual_distance(backbone, picture, truth)
        error = (picture - truth).square().mean(dim=(1, 2, 3)).clamp_min(1e-10)
        psnr = (10 * torch.log10(4 / error)).mean()
        logged = {'val_loss': loss, 'val_l1': colour / 2, 'val_psnr': psnr}
        self.log_dict(logged, prog_bar=True, batch_size=len(truth), sync_dist=True)
        if index == 0 and self.trainer.is_global_zero:
            self._preview(picture, truth)

    def _preview(self, picture: Tensor, truth: Tensor) -> None:
        """The first validation pictures, drawn above true, beside the checkpoints."""
        rows = [torch.cat(list(side[:4].clamp(-1, 1)), dim=2) for side in (picture, truth)]
        sheet = ((torch.cat(rows, dim=1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
        folder = Path(self.trainer.default_root_dir) / 'preview'
        folder.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f'{self.current_epoch:04d}.jpg'), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def train_renderer(dataset: Path, out: Path, settings: RendererSettings) -> dict[str, Tensor]:
    """Train, or go on training, a renderer in the folder ``out``; returns the best model's state dict.

    ``candidates.npy`` in ``out`` holds the four candidate images (4, 512, 512, 3) uint8 that belong to it.
    """
    data = load_dataset(dataset)
    candidates = read_candidates(data, settings.footage_minutes)
    out.mkdir(parents=True, exist_ok=True)
    backbone = load_backbone(settings.backbone) if settings.backbone else None
    log.info('perceptual loss: %s', backbone.name if backbone else 'none')
    if rank_zero_only.rank == 0:
        np.save(out / 'candidates.npy', candidates)
        (out / 'backbone.txt').write_text(f'{backbone.name if backbone else "none"}\n')
    seed(settings)
    module = RendererTraining(settings, candidates, backbone)
    average = EMAWeightAveraging(decay=settings.average_decay)
    best = fit(module, PictureData(data, settings, out), out, settings, extra_callbacks=(average,))
    return checkpoint_weights(best, 'generator')
