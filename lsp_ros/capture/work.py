"""What all steps of a capture share: what it is made with, its error, who hears how far it is, and the keys under which
results are kept."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lsp_ros.errors import LspError
from lsp_ros.storage import key_of

VERSION = 3  # of what the steps compute: another one makes all of it anew


@dataclass(frozen=True)
class CaptureConfig:
    """What a dataset is made with.

    focal       focal length in pixels of the source picture, if the camera is known; None: searched
    synthetic   the person is computer-generated, nobody has to agree
    landmarker  SHA-256 of the detector's model file, if it is not the one in the wheel
    held_out    videos that nothing may learn from, to show the avatar on
    """

    name: str
    licence: str = 'all rights reserved by the person shown'
    source: str | None = None
    focal: float | None = None
    synthetic: bool = False
    landmarker: str | None = None
    held_out: tuple[Path, ...] = ()


class CaptureError(LspError, ValueError):
    """Footage that no avatar can be made of; one sentence."""


@dataclass
class Progress:
    """Who hears how far the work is: ``step`` names what begins, ``share`` from 0 to 1 follows."""

    step: Callable[[str], None] = lambda name: None
    share: Callable[[float], None] = lambda share: None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def during(self, name: str) -> Iterator[None]:
        self.step(name)
        began = time.perf_counter()
        try:
            yield
        finally:
            kind = name.split(':')[0]
            self.seconds[kind] = self.seconds.get(kind, 0.0) + time.perf_counter() - began


def work_key(*parts: object) -> str:
    """A short hash, 32 hexadecimal digits, of anything that JSON can write and of ``VERSION``."""
    return key_of([VERSION, *parts])[:32]
