"""What every training has in common: one Lightning Trainer, one learning-rate schedule, resuming.

A run lives in a folder: ``last.ckpt`` (resume), ``best.ckpt`` (lowest validation loss),
``settings.json``, TensorBoard events and ``csv/version_<start>/metrics.csv``. Starting the same run again goes on where
it stopped; a run that was finished returns at once.
"""

import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import callbacks
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from safetensors import SafetensorError
from safetensors.numpy import load_file

SETTINGS_FILE = 'settings.json'


@dataclass
class TrainingConfig:
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
    """Of each device: four GPUs take four times as many a step."""
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


def seed(config: TrainingConfig) -> None:
    """Make what is random from here on that of the settings. To be called before a network is made, too."""
    lightning.seed_everything(config.seed, workers=True, verbose=False)


def is_first_process() -> bool:
    """Whether this is the one, of the processes that train together, that writes files."""
    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]  # Lightning puts it on the function


def place(data: lightning.LightningDataModule) -> tuple[int, int]:
    """Which of how many devices this process trains on: the part of the data that it takes."""
    return (data.trainer.global_rank, data.trainer.world_size) if data.trainer else (0, 1)


class Batches(torch.utils.data.DataLoader[Any]):
    """A loader of training batches that goes on, within an epoch, where a checkpoint left it.

    The order of its batches must depend on seed and epoch alone.
    """

    _given = _skip = 0

    def state_dict(self) -> dict[str, int]:
        return {'given': self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._skip = state['given']

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch names a private class of its own
        skip, self._skip = self._skip, 0  # now, not with the first batch: an epoch that was over gives none
        return self._count(super().__iter__(), skip)

    def _count(self, batches: Iterator[Any], skip: int) -> Iterator[Any]:
        for number, batch in enumerate(batches, start=1):
            if number > skip:
                self._given = number
                yield batch


class LinearDecay(callbacks.Callback):
    """Sets the learning rate from the share of the budget that is spent; ends the run at its end."""

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.spent, self.batches = 0.0, 0
        self._tick: float | None = None

    def state_dict(self) -> dict[str, Any]:
        return {'spent': self.spent, 'batches': self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.spent, self.batches = state['spent'], state.get('batches', 0)

    @property
    def over(self) -> bool:
        """Whether the minutes or the batches are spent."""
        minutes, count = self.config.max_minutes, self.config.max_batches
        return bool(minutes and self.spent >= 60.0 * minutes or count and self.batches >= count)

    def progress(self, trainer: lightning.Trainer) -> float:
        """Share of the budget that is spent, 0 to 1."""
        # Batches, not optimizer steps: a GAN takes two steps a batch.
        batches = trainer.num_training_batches * (trainer.max_epochs or 0)
        share = (trainer.fit_loop.total_batch_idx + 1) / max(1, batches)
        if self.config.max_batches:
            share = max(share, (trainer.fit_loop.total_batch_idx + 1) / self.config.max_batches)
        if self.config.max_minutes:
            share = max(share, self.spent / (60.0 * self.config.max_minutes))
        return min(1.0, share)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Chance depends on seed, epoch, batch and device alone, so that a resumed run goes on as if it had not stopped.
        chance = (self.config.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(chance).generate_state(1)[0]))
        if self._tick is None:
            self._tick = time.monotonic()
        share = self.progress(trainer)
        lr = self.config.lr + (self.config.lr_end - self.config.lr) * share
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group['lr'] = lr * group.get('lr_scale', 1.0)
        # Losses that begin during a run look at it.
        module.progress = share  # type: ignore[assignment]  # torch says that modules hold tensors and modules alone
        module.log('lr', lr)
        module.log('budget', share, prog_bar=True)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.batches = trainer.fit_loop.total_batch_idx + 1
        now = time.monotonic()
        assert self._tick is not None  # since the batch began
        self.spent += now - self._tick
        self._tick = now
        if trainer.world_size > 1:  # all stop at the same batch and learn at the same rate
            self.spent = trainer.strategy.broadcast(self.spent)
        if self.over:
            trainer.should_stop = True

    def on_validation_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._tick = None  # validation is not training time; it goes on with the next batch


class KeptModel(callbacks.ModelCheckpoint):
    """Saved with each validation; stays what it is when its run folder is moved, where Lightning's forgets how good
    its model was."""

    def __init__(self, folder: Path, name: str, **options: Any) -> None:
        # Not at an epoch's end: ``last``, saved after ``best``, could then not tell that it is the best.
        super().__init__(
            folder, name, save_on_train_epoch_end=False, every_n_epochs=1, enable_version_counter=False, **options
        )

    @property
    def state_key(self) -> str:
        return super().state_key.replace(type(self).__qualname__, callbacks.ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        assert self.dirpath is not None  # it was made with one
        folder = Path(self.dirpath)

        def here(path: str) -> str:
            return str(folder / Path(path).name) if path else path

        moved = {key: here(state_dict[key]) for key in ('best_model_path', 'kth_best_model_path', 'last_model_path')}
        models = {here(path): score for path, score in state_dict['best_k_models'].items()}
        super().load_state_dict({**state_dict, **moved, 'best_k_models': models, 'dirpath': self.dirpath})


def fit(
    module: lightning.LightningModule,
    data: lightning.LightningDataModule,
    out: Path,
    config: TrainingConfig,
    monitor: str = 'val_loss',
    mode: str = 'min',
    extra_callbacks: tuple[lightning.Callback, ...] = (),
    reload_data: bool = False,
) -> Path:
    """Train, or go on training, in the folder ``out``; returns the best checkpoint.

    ``reload_data`` asks the data module for a new training loader every epoch. Loaders are used as they are: on
    several devices each has to give the part of its own (``place``).

    Raises ValueError if the run has no finite validation loss to choose a model by.
    """
    out.mkdir(parents=True, exist_ok=True)
    seed(config)
    warnings.filterwarnings('ignore', '.*does not have many workers.*')
    warnings.filterwarnings('ignore', '.*Checkpoint directory .* exists.*')
    best, last = KeptModel(out, 'best', monitor=monitor, mode=mode), KeptModel(out, 'last')
    decay, resume = LinearDecay(config), out / 'last.ckpt'
    if resume.exists() and (out / 'best.ckpt').exists():
        decay.load_state_dict(_callback_state(resume, decay))
        if decay.over and torch.isfinite(_callback_state(out / 'best.ckpt', best)['best_model_score']):
            return out / 'best.ckpt'  # Lightning would do one batch more
    if is_first_process():
        (out / SETTINGS_FILE).write_text(json.dumps(asdict(config), indent=1) + '\n')
    options: dict[str, Any] = {
        'default_root_dir': out,
        'accelerator': config.accelerator,
        'devices': config.devices,
        'precision': config.precision,
        'max_epochs': config.epochs,
        'val_check_interval': config.validate_every if config.validate_every < 1 else None,
        'check_val_every_n_epoch': max(1, round(config.validate_every)),
        'gradient_clip_val': config.gradient_clip if module.automatic_optimization else None,
        # A table for each start: Lightning's logger cannot go on with a table whose columns another start chose.
        'logger': [TensorBoardLogger(out, name='', version='tensorboard'), CSVLogger(out, name='csv')],
        'callbacks': [decay, best, last, _progress_bar(), *extra_callbacks],
        'log_every_n_steps': 10,
        'num_sanity_val_steps': 0,
        'reload_dataloaders_every_n_epochs': int(reload_data),
        'enable_model_summary': False,
        # Lightning's would shuffle segments that have to follow one another.
        'use_distributed_sampler': False,
    }
    trainer = lightning.Trainer(**options)
    if trainer.num_devices > 1:
        # A GAN steps its two networks in turn, and the discriminator may begin late.
        trainer = lightning.Trainer(**options, strategy='ddp_find_unused_parameters_true')
    # weights_only: our checkpoints hold tensors, numbers and strings alone.
    trainer.fit(module, data, ckpt_path=resume if resume.exists() else None, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    score = best.best_model_score  # Lightning keeps a first model even if its loss is not a number
    if not (out / 'best.ckpt').exists() or (score is not None and not torch.isfinite(score)):
        raise ValueError(f'{out}: training ended without a finite {monitor} to choose a model by')
    return out / 'best.ckpt'


def _callback_state(checkpoint: Path, callback: lightning.Callback) -> dict[str, Any]:
    """What a checkpoint remembers of a callback."""
    state = torch.load(checkpoint, map_location='cpu', weights_only=True, mmap=True)
    return state['callbacks'][callback.state_key]


class CarriesState:
    """For a LightningModule whose recurrent ``_state`` goes from batch to batch: an epoch begins without one,
    validation has one of its own, and a checkpoint within an epoch keeps that of every device."""

    trainer: lightning.Trainer
    device: torch.device
    _state: Any = None

    def on_train_epoch_start(self) -> None:
        self._state = None

    def on_validation_epoch_start(self) -> None:
        self._saved, self._state = self._state, None

    def on_validation_epoch_end(self) -> None:
        self._state = self._saved

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._state is None:
            return
        states = [self._state]
        if self.trainer.world_size > 1:
            states = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(states, move_data_to_device(self._state, 'cpu'))
        checkpoint['carried'] = states

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        states = checkpoint.get('carried', [])
        # On another number of devices the streams are others, too, and begin without a state.
        if len(states) == self.trainer.world_size:
            self._state = states[self.trainer.global_rank]

    def on_train_start(self) -> None:
        self._state = move_data_to_device(self._state, self.device)


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
