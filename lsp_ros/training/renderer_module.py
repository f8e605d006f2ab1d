"""The module that trains a renderer: generator and discriminator, their losses (paper section 3.4, equations 12 to 15)
and what the training may be told.

Follows the paper; where it is silent or a small machine needs less, the configuration says what was chosen:
the adversarial terms may start after a warm-up share of the run (``gan_start``), the perceptual and
adversarial losses may look at a crop that is mostly laid on the face instead of the whole picture
(``crop``), and the weights that are validated and kept are a running average (``average_decay``).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import cv2
import lightning
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from lsp_ros.rendering.generator import LiveGenerator, build_generator, load_generator
from lsp_ros.training.discriminator import Discriminator
from lsp_ros.training.losses import adversarial_loss, discriminator_loss, feature_matching_loss
from lsp_ros.training.perceptual import Backbone, perceptual_distance
from lsp_ros.training.trainer import TrainingConfig, cpu_precision, read_weights


@dataclass
class RendererTrainingConfig(TrainingConfig):
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
    def on_cpu(cls, minutes: float = 50.0, **changes: Any) -> 'RendererTrainingConfig':
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


class RendererTraining(lightning.LightningModule):
    """Generator and discriminator, one step each a batch."""

    candidates: Tensor

    def __init__(self, config: RendererTrainingConfig, candidates: np.ndarray, backbone: Backbone | None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        if config.start:
            self.generator = load_generator(config.size, read_weights(config.start, 'renderer')).train()
        else:
            self.generator = build_generator(config.size, config.width, config.blocks, config.candidates)
        self.discriminator = Discriminator(width=config.discriminator_width)
        if config.channels_last:
            self.to(memory_format=torch.channels_last)
        pictures = torch.from_numpy(candidates).permute(0, 3, 1, 2).reshape(1, -1, *candidates.shape[1:3])
        self.register_buffer('candidates', pictures / 127.5 - 1, persistent=False)
        # In a list: a frozen network is neither averaged nor saved with the checkpoints.
        self._backbone = [backbone] if backbone is not None else []
        self.progress = 0.0
        """Share of the run that is over, 0 to 1; set by the learning-rate schedule."""

    @classmethod
    def finished(
        cls, config: RendererTrainingConfig, candidates: np.ndarray, weights: dict[str, Tensor]
    ) -> 'RendererTraining':
        """A trained renderer, or variant, that draws (``levels``) on the GPU where there is one."""
        module = cls(config, candidates, None)
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
        config = self.config
        generator = torch.optim.Adam(self.generator.parameters(), config.lr, config.betas)
        judge = [{'params': list(self.discriminator.parameters()), 'lr_scale': config.discriminator_lr}]
        return [generator, torch.optim.Adam(judge, config.lr, config.betas)]

    def forward(self, feature_map: Tensor) -> Tensor:
        """(B, 1, 512, 512) in 0..1 -> (B, 3, 512, 512) in -1..1."""
        if isinstance(self.generator, LiveGenerator):
            return self.generator(feature_map, self.generator.prepare(self.candidates))
        if not self.config.candidates:
            return self.generator(feature_map)
        return self.generator(torch.cat([feature_map, self.candidates.expand(len(feature_map), -1, -1, -1)], dim=1))

    def _corners(self, landmarks: Tensor, index: int) -> list[tuple[int, int]]:
        """Top and left of each picture's crop; the same for the same seed, epoch and batch."""
        crop, config = self.config.crop, self.config
        assert crop is not None
        rng = np.random.default_rng((config.seed, self.current_epoch, index, self.global_rank))
        last = self.candidates.shape[-1] - crop
        corners = []
        for points in landmarks.cpu().numpy():
            corner = rng.integers(0, last + 1, 2)
            if rng.random() < config.face_share:
                corner = (points[rng.integers(len(points)), ::-1] - crop / 2).round().astype(int)
            top, left = corner.clip(0, last)
            corners.append((int(top), int(left)))
        return corners

    def _look(self, pictures: Tensor, corners: list[tuple[int, int]] | None) -> Tensor:
        crop = self.config.crop
        if corners is None or crop is None:
            return pictures
        crops = [p[:, top : top + crop, left : left + crop] for p, (top, left) in zip(pictures, corners, strict=True)]
        return torch.stack(crops)

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], index: int) -> None:
        config = self.config
        feature_map, truth, landmarks = batch
        feature_map, truth = feature_map / 255, truth / 127.5 - 1
        generator_optimizer, judge_optimizer = cast(list[LightningOptimizer], self.optimizers())
        corners = self._corners(landmarks, index) if config.crop else None

        picture = self(feature_map)
        colour = F.l1_loss(picture.float(), truth)
        loss = config.colour_weight * colour
        logged = {'train/colour': colour}
        seen, seen_truth = self._look(picture, corners), self._look(truth, corners)
        for backbone in self._backbone:
            perceptual = perceptual_distance(backbone, seen, seen_truth)
            loss = loss + config.perceptual_weight * perceptual
            logged['train/perceptual'] = perceptual
        adversarial = self.progress >= config.gan_start
        if adversarial:
            candidates = self.candidates.expand(len(truth), -1, -1, -1)
            condition = torch.cat([self._look(feature_map, corners), self._look(candidates, corners)], dim=1)
            real = self.discriminator(torch.cat([condition, seen_truth], dim=1))
            self.discriminator.requires_grad_(False)
            fake = self.discriminator(torch.cat([condition, seen], dim=1))
            gan, matching = adversarial_loss(fake), feature_matching_loss(real, fake)
            loss = loss + gan + config.matching_weight * matching
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
        config = self.config
        feature_map, truth, _ = batch
        truth = truth / 127.5 - 1
        picture = self(feature_map / 255).float()
        colour = F.l1_loss(picture, truth)
        loss = config.colour_weight * colour
        for backbone in self._backbone:
            loss = loss + config.perceptual_weight * perceptual_distance(backbone, picture, truth)
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
