"""What travels between the stages of a live graph: pieces of a stream with their place in it and their time.

Plain dataclasses. A node converts messages to and from them; nothing here or in the rest of this room knows messages.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

LONGEST_GAP_SECONDS = 5  # a longer hole in the stamps of pictures is another clock: none was left out

Block = TypeVar('Block')


@dataclass(frozen=True)
class FrameStamp:
    """Where a frame stands: its stream, its number on the stream's 60 fps timeline, its time on the ROS clock."""

    stream_id: str
    frame: int
    stamp_ns: int


@dataclass(frozen=True)
class AudioBlock:
    """``samples`` (n,) float32, mono, 16 kHz; the first is ``first_sample`` of its stream, at ``stamp_ns``."""

    stream_id: str
    first_sample: int
    stamp_ns: int
    samples: np.ndarray


@dataclass(frozen=True)
class StampedFrame(Generic[Block]):
    """One frame of what a stage made: row ``row`` of ``block`` belongs to ``stamp``."""

    stamp: FrameStamp
    block: Block
    row: int
