"""Training of the APC speech representation (paper sections 3.1 and 4.2.1, equation 9).

The corpus is laid out as ``batch`` endless streams of utterances with pauses between them, cut
into consecutive segments, and the recurrent state is carried from segment to segment
(truncated back-propagation through time). So the network learns to live with a state that is
hours old, which is what a kiosk gives it, at the cost of short segments.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from rich.progress import track
from torch import nn

from lsp_ros import media
from lsp_ros.avatar.architecture import FEATURE_SIZE, MEL_BANDS
from lsp_ros.speech.apc import APC
from lsp_ros.speech.mel import FLOOR, log_mel
from lsp_ros.storage import sha256, whole_file
from lsp_ros.timeline import FEATURE_RATE
from lsp_ros.training.trainer import Batches, CarriesState, TrainingConfig, checkpoint_weights, fit, place, seed

log = logging.getLogger(__name__)

AUDIO_SUFFIXES = {'.wav', '.flac', '.ogg', '.opus', '.mp3', '.m4a', '.g722'}


@dataclass
class APCTrainingConfig(TrainingConfig):
    """Segment length in 120 Hz feature frames and the prediction distance n of equation 9."""

    segment: int = 240
    shift: int = 3
    validation_share: float = 0.04
    gain_db: float = 12.0
    pause: tuple[int, int] = (12, 120)
    """Feature frames of silence between two utterances, drawn uniformly."""


class APCTraining(CarriesState, lightning.LightningModule):
    """L1 between the prediction and the mel frame ``shift`` steps ahead."""

    def __init__(self, config: APCTrainingConfig) -> None:
        super().__init__()
        self.config = config
        self.apc = APC()
        self.predict = nn.Linear(FEATURE_SIZE, MEL_BANDS)

    def losses(self, mel: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """mel (B, T + shift, 80) -> prediction loss, loss of predicting the last frame again, state."""
        shift = self.config.shift
        features, state = self.apc(mel[:, :-shift], state)
        loss = (self.predict(features) - mel[:, shift:]).abs().mean()
        return loss, (mel[:, :-shift] - mel[:, shift:]).abs().mean(), state.detach()

    def training_step(self, mel: torch.Tensor, index: int) -> torch.Tensor:
        loss, _, self._state = self.losses(mel, self._state)
        self.log('train_loss', loss, prog_bar=True)
        return loss

    def validation_step(self, mel: torch.Tensor, index: int) -> None:
        loss, repeat, self._state = self.losses(mel, self._state)
        self.log_dict({'val_loss': loss, 'val_repeat_last': repeat}, prog_bar=True, batch_size=1, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.config.lr, self.config.betas)


class Streams(torch.utils.data.Dataset[Any]):
    """Utterances laid end to end in ``batch`` parallel streams; item k is segment k of all of them.

    ``place``: which of how many devices this is; each has ``batch`` streams of its own.
    """

    def __init__(
        self,
        clips: list[np.ndarray],
        config: APCTrainingConfig,
        batch: int,
        shuffle: bool,
        place: tuple[int, int] = (0, 1),
    ) -> None:
        self.clips, self.config, self.batch, self.shuffle, self.place = clips, config, batch, shuffle, place
        self.lay(0)

    def lay(self, epoch: int) -> None:
        """Put the utterances in the order, at the levels and with the pauses of an epoch."""
        config = self.config
        rng = np.random.default_rng((config.seed, epoch))
        order = rng.permutation(len(self.clips)) if self.shuffle else np.arange(len(self.clips))
        pieces = []
        for k in order:
            clip = self.clips[k].astype(np.float32)
            if self.shuffle:  # a gain in decibels is a constant in the logarithmic domain
                gain = rng.uniform(-config.gain_db, config.gain_db) * np.log(10) / 20 / -np.log(FLOOR)
                clip = np.where(clip > 0, np.maximum(clip + np.float32(gain), 0), 0)
            pieces += [clip, np.zeros((rng.integers(*config.pause), MEL_BANDS), np.float32)]
        mel = np.concatenate(pieces)
        device, devices = self.place
        streams = self.batch * devices
        length = (len(mel) // streams - config.shift) // config.segment * config.segment + config.shift
        if length <= config.shift:
            part = 'learn from' if self.shuffle else 'validate with'
            raise ValueError(
                f'the corpus has {len(mel)} feature frames to {part}, too few for {streams} streams of {config.segment}'
            )
        mine = slice(device * self.batch * length, (device + 1) * self.batch * length)
        self.mel = torch.from_numpy(mel[mine].reshape(self.batch, length, MEL_BANDS))

    def __len__(self) -> int:
        return (self.mel.shape[1] - self.config.shift) // self.config.segment

    def __getitem__(self, index: int) -> torch.Tensor:
        if not 0 <= index < len(self):
            raise IndexError(index)
        start = index * self.config.segment
        return self.mel[:, start : start + self.config.segment + self.config.shift]


class APCData(lightning.LightningDataModule):
    """Log mel clips of a corpus, computed once and kept as float16 in a cache folder."""

    def __init__(self, corpus: list[Path], cache: Path, config: APCTrainingConfig) -> None:
        super().__init__()
        self.corpus, self.cache, self.config = corpus, cache, config

    def setup(self, stage: str | None = None) -> None:
        files = audio_files(self.corpus)
        with ThreadPoolExecutor(2) as pool:
            mels = list(track(pool.map(self._mel, files), 'log mel', len(files)))
        config = self.config
        kept = [(f, m) for f, m in zip(files, mels) if len(m) > 4 * config.shift]
        if len(kept) < 2:
            raise ValueError(
                f'of {len(files)} audio files {len(kept)} are longer than {4 * config.shift} feature frames of '
                f'1/{FEATURE_RATE} s; to learn and to validate, two are needed at least'
            )
        if len(kept) < len(files):
            left = len(files) - len(kept)
            log.warning('%d of %d files are too short to learn from and were left out', left, len(files))
        files, mels = zip(*kept)
        held = validation_files(files, config.validation_share)
        training, validation = ([m for m, h in zip(mels, held) if h == part] for part in (False, True))
        self.train = Streams(training, config, config.batch, True, place(self))
        self.val = Streams(validation, config, min(8, config.batch), False)

    def _mel(self, file: Path) -> np.ndarray:
        stat = file.stat()
        key = sha256(f'{file.resolve()}{stat.st_size}{stat.st_mtime_ns}')[:24]
        cached = self.cache / f'{key}.npy'
        if cached.exists():
            return np.load(cached)
        mel = log_mel(media.read_audio(file)).astype(np.float16)
        with whole_file(cached) as scratch:
            np.save(scratch, mel)
        return mel

    def train_dataloader(self) -> torch.utils.data.DataLoader[Any]:
        self.train.lay(self.trainer.current_epoch if self.trainer else 0)
        return Batches(self.train, batch_size=None, shuffle=False)

    def val_dataloader(self) -> torch.utils.data.DataLoader[Any]:
        return torch.utils.data.DataLoader(self.val, batch_size=None)


def audio_files(corpus: list[Path]) -> list[Path]:
    """All audio files under the given folders or files, sorted. Raises ValueError if there are none."""
    files = []
    for path in corpus:
        if not path.exists():
            raise ValueError(f'corpus {path} does not exist')
        files += [path] if path.is_file() else [f for f in path.rglob('*') if f.suffix in AUDIO_SUFFIXES]
    if not files:
        raise ValueError(f'no audio files under {", ".join(map(str, corpus))}')
    return sorted(files)


def split_hash(name: str) -> float:
    """A number in [0, 1) from a name."""
    return int(sha256(name)[:8], 16) / 2**32


def validation_files(files: Sequence[Path], share: float) -> list[bool]:
    """Which of at least two files validate: about that share.

    Split by the file's name up to its first dash, which in some corpora (LibriSpeech, say) is the speaker's, so that
    no speaker is on both sides. Where all names begin alike, as with one speaker alone, file by file.
    """
    names = [file.stem.split('-')[0] for file in files]
    if len(set(names)) == 1:
        log.warning('all files are named %s-...: the corpus is split file by file, not by speaker', names[0])
        names = [str(file) for file in files]
    counts = Counter(names)
    order = sorted(counts, key=lambda name: (split_hash(name) >= share, counts[name], split_hash(name)))
    held = set(order[: min(max(1, sum(split_hash(name) < share for name in order)), len(order) - 1)])
    return [name in held for name in names]


def train_apc(corpus: list[Path], out: Path, config: APCTrainingConfig) -> dict[str, torch.Tensor]:
    """Train (or resume) an APC on all audio under ``corpus``; returns the best model's state dict."""
    seed(config)
    module = APCTraining(config)
    data = APCData(corpus, out / 'mel', config)
    best = fit(module, data, out, config, reload_data=True)
    return checkpoint_weights(best, 'apc')
