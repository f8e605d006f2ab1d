"""Training of the APC speech representation (paper sections 3.1 and 4.2.1, equation 9).

The corpus is laid out as ``batch`` endless streams of utterances with pauses between them, cut
into consecutive segments, and the recurrent state is carried from segment to segment
(truncated back-propagation through time). So the network learns to live with a state that is
hours old, which is what a kiosk gives it, at the cost of short segments.
"""

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
import torch
from rich.progress import track
from torch import nn

from lsp_ros import media
from lsp_ros.signals import FEATURE_SIZE
from lsp_ros.speech.apc import APC
from lsp_ros.speech.mel import BANDS, FLOOR, log_mel
from lsp_ros.training.trainer import CarriesState, Settings, checkpoint_weights, fit

log = logging.getLogger(__name__)

AUDIO_SUFFIXES = {'.wav', '.flac', '.ogg', '.opus', '.mp3', '.m4a', '.g722'}


@dataclass
class APCSettings(Settings):
    """Segment length in 120 Hz feature frames and the prediction distance n of equation 9."""

    segment: int = 240
    shift: int = 3
    validation_share: float = 0.04
    gain_db: float = 12.0
    pause: tuple[int, int] = (12, 120)
    """Feature frames of silence between two utterances, drawn uniformly."""


class APCTraining(CarriesState, lightning.LightningModule):
    """L1 between the prediction and the mel frame ``shift`` steps ahead."""

    def __init__(self, settings: APCSettings) -> None:
        super().__init__()
        self.settings = settings
        self.apc = APC()
        self.predict = nn.Linear(FEATURE_SIZE, BANDS)

    def losses(self, mel: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """mel (B, T + shift, 80) -> prediction loss, loss of predicting the last frame again, state."""
        shift = self.settings.shift
        features, state = self.apc(mel[:, :-shift], state)
        loss = (self.predict(features) - mel[:, shift:]).abs().mean()
        return loss, (mel[:, :-shift] - mel[:, shift:]).abs().mean(), state.detach()

    def training_step(self, mel: torch.Tensor, index: int) -> torch.Tensor:
        loss, _, self._state = self.losses(mel, self._state)
        self.log('train_loss', loss, prog_bar=True)
        return loss

    def validation_step(self, mel: torch.Tensor, index: int) -> None:
        loss, repeat, self._state = self.losses(mel, self._state)
        self.log_dict({'val_loss': loss, 'val_repeat_last': repeat}, prog_bar=True, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.settings.lr, self.settings.betas)


class Streams(torch.utils.data.Dataset):
    """Utterances laid end to end in ``batch`` parallel streams; item k is segment k of all of them."""

    def __init__(self, clips: list[np.ndarray], settings: APCSettings, batch: int, shuffle: bool) -> None:
        self.clips, self.settings, self.batch, self.shuffle = clips, settings, batch, shuffle
        self.lay(0)

    def lay(self, epoch: int) -> None:
        """Put the utterances in the order, at the levels and with the pauses of an epoch."""
        settings = self.settings
        rng = np.random.default_rng((settings.seed, epoch))
        order = rng.permutation(len(self.clips)) if self.shuffle else np.arange(len(self.clips))
        pieces = []
        for k in order:
            clip = self.clips[k].astype(np.float32)
            if self.shuffle:  # a gain in decibels is a constant in the logarithmic domain
                gain = rng.uniform(-settings.gain_db, settings.gain_db) * np.log(10) / 20 / -np.log(FLOOR)
                clip = np.where(clip > 0, np.maximum(clip + np.float32(gain), 0), 0)
            pieces += [clip, np.zeros((rng.integers(*settings.pause), BANDS), np.float32)]
        mel = np.concatenate(pieces)
        length = (len(mel) // self.batch - settings.shift) // settings.segment * settings.segment + settings.shift
        if length <= settings.shift:
            raise ValueError(f'the corpus has {len(mel)} feature frames, too few for {self.batch} streams')
        self.mel = torch.from_numpy(mel[: self.batch * length].reshape(self.batch, length, BANDS))

    def __len__(self) -> int:
        return (self.mel.shape[1] - self.settings.shift) // self.settings.segment

    def __getitem__(self, index: int) -> torch.Tensor:
        if not 0 <= index < len(self):
            raise IndexError(index)
        start = index * self.settings.segment
        return self.mel[:, start : start + self.settings.segment + self.settings.shift]


class APCData(lightning.LightningDataModule):
    """Log mel clips of a corpus, computed once and kept as float16 in a cache folder."""

    def __init__(self, corpus: list[Path], cache: Path, settings: APCSettings) -> None:
        super().__init__()
        self.corpus, self.cache, self.settings = corpus, cache, settings

    def setup(self, stage: str | None = None) -> None:
        files = audio_files(self.corpus)
        with ThreadPoolExecutor(2) as pool:
            mels = list(track(pool.map(self._mel, files), 'log mel', len(files)))
        kept = [(f, m) for f, m in zip(files, mels) if len(m) > 4 * self.settings.shift]
        if len(kept) < len(files):
            left = len(files) - len(kept)
            log.warning('%d of %d files are too short to learn from and were left out', left, len(files))
        files, mels = zip(*kept)
        held = [split_hash(f) < self.settings.validation_share for f in files]
        self.train = Streams([m for m, h in zip(mels, held) if not h], self.settings, self.settings.batch, True)
        self.val = Streams([m for m, h in zip(mels, held) if h], self.settings, min(8, self.settings.batch), False)

    def _mel(self, file: Path) -> np.ndarray:
        stat = file.stat()
        key = hashlib.sha256(f'{file.resolve()}{stat.st_size}{stat.st_mtime_ns}'.encode()).hexdigest()[:24]
        cached = self.cache / f'{key}.npy'
        if cached.exists():
            return np.load(cached)
        mel = log_mel(media.read_audio(file)).astype(np.float16)
        self.cache.mkdir(parents=True, exist_ok=True)
        part = cached.with_suffix('.part.npy')
        np.save(part, mel)
        part.replace(cached)
        return mel

    def train_dataloader(self) -> torch.utils.data.DataLoader:
        self.train.lay(self.trainer.current_epoch if self.trainer else 0)
        return torch.utils.data.DataLoader(self.train, batch_size=None, shuffle=False)

    def val_dataloader(self) -> torch.utils.data.DataLoader:
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


def split_hash(file: Path) -> float:
    """A number in [0, 1) from the file's stem up to its first dash: a speaker's or a prompt's name
    in common corpora, so that a split by it keeps a speaker's utterances together."""
    return int(hashlib.sha256(file.stem.split('-')[0].encode()).hexdigest()[:8], 16) / 2**32


def train_apc(corpus: list[Path], out: Path, settings: APCSettings) -> dict[str, torch.Tensor]:
    """Train (or resume) an APC on all audio under ``corpus``; returns the best model's state dict."""
    module = APCTraining(settings)
    data = APCData(corpus, out / 'mel', settings)
    best = fit(module, data, out, settings, reload_data=True)
    return checkpoint_weights(best, 'apc')
