"""Smoothing over time, to be handed to a track or a stage: with a short look-ahead, with none, with the whole clip."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

import numpy as np

from lsp_ros.signals import BlockType
from lsp_ros.streaming import Streaming


class GaussianSmoother(Streaming[np.ndarray, np.ndarray, np.ndarray | None]):
    """Gaussian smoothing of rows (N, C) with a short look-ahead of round(2 sigma) rows.

    The ends repeat the first and the last row. Sigma 0 passes everything through.
    """

    def __init__(self, sigma: float) -> None:
        self._radius = int(2 * sigma + 0.5)
        offsets = np.arange(-self._radius, self._radius + 1)
        kernel = np.exp(-0.5 * (offsets / sigma) ** 2) if self._radius else np.ones(1)
        self._kernel = (kernel / kernel.sum()).astype(np.float32)
        self.reset()

    @property
    def look_ahead(self) -> int:
        """Rows that must follow a row before it comes out."""
        return self._radius

    def new_state(self) -> np.ndarray | None:
        """The last rows that came in, at most twice the look-ahead; None before the first."""
        return None

    def push(self, rows: np.ndarray) -> np.ndarray:
        """Rows (N, C) -> the smoothed rows that are complete now (M, C), ``look_ahead`` rows behind."""
        radius = self._radius
        if not radius or not len(rows):
            return rows
        past = np.repeat(rows[:1], radius, axis=0) if self.state is None else self.state
        rows = np.concatenate([past, rows])
        self.state = rows[-2 * radius :]
        ready = max(0, len(rows) - 2 * radius)
        out = np.zeros((ready, rows.shape[1]), rows.dtype)
        for k, weight in enumerate(self._kernel):
            out += weight * rows[k : k + ready]
        return out

    def flush(self) -> np.ndarray:
        """The last ``look_ahead`` rows; (0, 0) where nothing came in."""
        if self.state is None:
            return np.zeros((0, 0), np.float32)
        rest = self.push(np.repeat(self.state[-1:], self._radius, axis=0))
        self.reset()
        return rest


@dataclass
class LowPassState:
    """Where the filter is and how fast it moves, per frame; None before the first row."""

    value: np.ndarray | None
    speed: np.ndarray


class LowPass(Streaming[np.ndarray, np.ndarray, LowPassState]):
    """Critically damped low-pass of rows (..., C): follows without overshoot and without looking ahead.

    ``sigma`` (C,) frames: it spreads an impulse as far as a Gaussian of that sigma does, and comes
    sqrt(2) sigma frames late. Sigma 0 passes everything through.
    """

    look_ahead = 0

    def __init__(self, sigma: np.ndarray) -> None:
        through = sigma <= 0
        self._rate = np.sqrt(2) / np.where(through, 1, sigma)
        self._decay = np.where(through, 0, np.exp(-self._rate))  # 0: nothing is left of the past
        self.reset()

    def new_state(self) -> LowPassState:
        """A filter that will begin where its first row is, at rest."""
        return LowPassState(None, np.zeros(len(self._rate)))

    def step(self, row: np.ndarray) -> np.ndarray:
        """One row (..., C) -> where the filter is then."""
        state = self.state
        if state.value is None:
            state.value = row
        # Exact solution of y'' = a^2 (u - y) - 2 a y' for one frame of constant input u.
        gap = state.value - row
        drive = state.speed + self._rate * gap
        state.speed = (state.speed - self._rate * drive) * self._decay
        state.value = row + (gap + drive) * self._decay
        return state.value

    def push(self, rows: np.ndarray) -> np.ndarray:
        """Rows (N, ..., C) -> as many."""
        return np.stack([self.step(row) for row in rows]) if len(rows) else rows

    def flush(self) -> np.ndarray:
        """Nothing: each row came out at once."""
        self.reset()
        return np.zeros((0, len(self._rate)))


class WholeClip(Streaming[BlockType, BlockType | None, list[BlockType]], Generic[BlockType]):
    """Whatever needs all of a clip: collects its blocks, and gives what ``process`` makes of them at the end.

    The last ``cut`` frames are left out before.
    """

    look_ahead = math.inf

    def __init__(self, process: Callable[[BlockType], BlockType], cut: int = 0) -> None:
        self._process = process
        self.cut = cut
        self.reset()

    def new_state(self) -> list[BlockType]:
        """No blocks."""
        return []

    def push(self, block: BlockType) -> BlockType | None:
        """Keeps a block; nothing comes out yet."""
        self.state.append(block)
        return None

    def flush(self) -> BlockType | None:
        """The processed clip, but for its last ``cut`` frames; None where nothing is left."""
        blocks = self.state
        self.reset()
        whole = type(blocks[0]).join(blocks) if blocks else None
        if whole is None or len(whole) <= self.cut:
            return None
        return self._process(whole[: len(whole) - self.cut])
