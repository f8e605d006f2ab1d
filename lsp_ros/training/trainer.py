"""What every training has in common: one Lightning Trainer, one learning-rate schedule, resuming.

A run lives in a folder: ``last.ckpt`` (resume), ``best.ckpt`` (lowest validation loss),
``settings.json``, TensorBoard events and ``csv/version_<start>/metrics.csv``. Starting the same run again goes on where
it stopped; a run that was finished returns at once.
"""

import json
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch import callbacks
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from safetensors import SafetensorError
from safetensors.numpy import load_file

SETTINGS_FILE = 'settings.json'


@dataclass
class Settings:
    """Settings that all networks share; the defaults are the paper's (section 4.3).

    The learning rate falls linearly from ``lr`` to ``lr_end`` over the run. A run ends after
    ``epochs``, or after ``max_minutes`` of training time summed over all resumptions, or after ``max_batches``
    (which, unlike minutes, is the same on a busy machine) if that comes first; the schedule follows whichever is
    nearest to its end, so that a short budget still ends with a small learning rate.
    """

    epochs: int = 200
    max_minutes: float | None = None
    max_batches: int | None = None
    batch: int = 32
    lr: float = 1e-4
    lr_end: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    seed: int = 0
    precision: str = '32-true'
    devices: int | str = 'auto'
    accelerator: str = 'auto'
    gradient_clip: float | None = 1.0
    validate_every: float = 1.0
    """Epochs between validations (a fraction validates several times an epoch)."""


class LinearDecay(callbacks.Callback):
    """Sets the learning rate from the share of the budget that is spent; ends the run at its end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.spent, self.batches = 0.0, 0
        self._tick: float | None = None

    def state_dict(self) -> dict:
        return {'spent': self.spent, 'batches': self.batches}

    def load_state_dict(self, state: dict) -> None:
        self.spent, self.batches = state['spent'], state.get('batches', 0)

    @property
    def over(self) -> bool:
        """Whether the minutes or the batches are spent."""
        minutes, count = self.settings.max_minutes, self.settings.max_batches
        return bool(minutes and self.spent >= 60.0 * minutes or count and self.batches >= count)

    def progress(self, trainer: lightning.Trainer) -> float:
        """Share of the budget that is spent, 0 to 1."""
        # Batches, not optimizer steps: a GAN takes two steps a batch.
        batches = trainer.num_training_batches * trainer.max_epochs
        share = (trainer.fit_loop.total_batch_idx + 1) / max(1, batches)
        if self.settings.max_batches:
            share = max(share, (trainer.fit_loop.total_batch_idx + 1) / self.settings.max_batches)
        if self.settings.max_minutes:
            share = max(share, self.spent / (60.0 * self.settings.max_minutes))
        return min(1.0, share)

    def on_train_epoch_start(self, trainer, module) -> None:
        # Chance depends on seed and epoch alone, so that a resumed run goes on as if it had not stopped.
        torch.manual_seed(self.settings.seed + 1_000_003 * trainer.current_epoch + 7_919 * trainer.global_rank)

    def on_train_batch_start(self, trainer, module, batch, batch_idx) -> None:
        now = time.monotonic()
        if self._tick is not None:
            self.spent += now - self._tick
        self._tick = now
        share = self.progress(trainer)
        lr = self.settings.lr + (self.settings.lr_end - self.settings.lr) * share
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group['lr'] = lr * group.get('lr_scale', 1.0)
        module.progress = share  # losses that begin during a run look at it
        module.log('lr', lr)
        module.log('budget', share, prog_bar=True)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.batches = trainer.fit_loop.total_batch_idx + 1
        if self.over:
            trainer.should_stop = True

    def on_validation_start(self, trainer, module) -> None:
        self._tick = None  # validation is not training time


def fit(
    module: lightning.LightningModule,
    data: lightning.LightningDataModule,
    out: Path,
    settings: Settings,
    monitor: str = 'val_loss',
    mode: str = 'min',
    extra_callbacks: tuple = (),
    reload_data: bool = False,
) -> Path:
    """Train, or go on training, in the folder ``out``; returns the best checkpoint.

    ``reload_data`` asks the data module for a new training loader every epoch.

    Raises ValueError if the run has no finite validation loss to choose a model by.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / SETTINGS_FILE).write_text(json.dumps(asdict(settings), indent=1) + '\n')
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    warnings.filterwarnings('ignore', '.*does not have many workers.*')
    warnings.filterwarnings('ignore', '.*Checkpoint directory .* exists.*')
    best = callbacks.ModelCheckpoint(out, 'best', monitor=monitor, mode=mode, enable_version_counter=False)
    last = callbacks.ModelCheckpoint(
        out, 'last', save_on_train_epoch_end=False, every_n_epochs=1, enable_version_counter=False
    )
    decay, resume = LinearDecay(settings), out / 'last.ckpt'
    if resume.exists() and (out / 'best.ckpt').exists():
        decay.load_state_dict(_kept(resume, decay))
        if decay.over and torch.isfinite(_kept(out / 'best.ckpt', best)['best_model_score']):
            return out / 'best.ckpt'  # Lightning would do one batch more
    trainer = lightning.Trainer(
        default_root_dir=out,
        accelerator=settings.accelerator,
        devices=settings.devices,
        precision=settings.precision,
        max_epochs=settings.epochs,
        val_check_interval=settings.validate_every if settings.validate_every < 1 else None,
        check_val_every_n_epoch=max(1, round(settings.validate_every)),
        gradient_clip_val=settings.gradient_clip if module.automatic_optimization else None,
        # A table for each start: Lightning's logger cannot go on with a table whose columns another start chose.
        logger=[TensorBoardLogger(out, name='', version='tensorboard'), CSVLogger(out, name='csv')],
        callbacks=[decay, best, last, _progress_bar(), *extra_callbacks],
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=int(reload_data),
        enable_model_summary=False,
    )
    # weights_only: our checkpoints hold tensors, numbers and strings alone.
    trainer.fit(module, data, ckpt_path=resume if resume.exists() else None, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    score = best.best_model_score  # Lightning keeps a first model even if its loss is not a number
    if not (out / 'best.ckpt').exists() or (score is not None and not torch.isfinite(score)):
        raise ValueError(f'{out}: training ended without a finite {monitor} to choose a model by')
    return out / 'best.ckpt'


def _kept(checkpoint: Path, callback: lightning.Callback) -> dict:
    """What a checkpoint remembers of a callback."""
    state = torch.load(checkpoint, map_location='cpu', weights_only=True, mmap=True)
    return state['callbacks'][callback.state_key]


class CarriesState:
    """For a LightningModule whose recurrent ``_state`` goes from batch to batch: an epoch begins without one, and
    validation has one of its own."""

    _state = None

    def on_train_epoch_start(self) -> None:
        self._state = None

    def on_validation_epoch_start(self) -> None:
        self._saved, self._state = self._state, None

    def on_validation_epoch_end(self) -> None:
        self._state = self._saved


def _progress_bar() -> callbacks.Callback:
    try:
        import rich  # noqa: F401
    except ImportError:
        return callbacks.TQDMProgressBar(refresh_rate=10)
    return callbacks.RichProgressBar(refresh_rate=10, leave=True)


def cpu_precision() -> str:
    """'bf16-mixed' on a processor that multiplies bfloat16 in hardware (measured: with AMX 2.4 to 2.8 times as fast,
    with AVX-512 BF16 1.7 to 1.9 times), else '32-true'."""
    info = Path('/proc/cpuinfo')
    known = info.read_text() if info.is_file() else ''
    return 'bf16-mixed' if 'amx_bf16' in known or 'avx512_bf16' in known else '32-true'


def spent(out: Path) -> dict[str, float]:
    """Epochs, steps of the optimizers and minutes of training that a run has behind it."""
    state = torch.load(out / 'last.ckpt', map_location='cpu', weights_only=True)
    seconds = state['callbacks'][LinearDecay.__name__]['spent']
    return {'epochs': state['epoch'] + 1, 'steps': state['global_step'], 'minutes': seconds / 60}


def read_weights(file: str, network: str) -> dict[str, np.ndarray]:
    """A safetensors file of weights; ValueError for a file that is none."""
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise ValueError(f'{file}: cannot be read as {network} weights ({error})') from None


def checkpoint_weights(checkpoint: Path, prefix: str) -> dict[str, torch.Tensor]:
    """State dict of the submodule ``prefix`` in a checkpoint written by :func:`fit`."""
    state = torch.load(checkpoint, map_location='cpu', weights_only=True)['state_dict']
    prefix += '.'
    found = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    if not found:
        raise ValueError(f'{checkpoint}: holds no weights named {prefix}*')
    return found
