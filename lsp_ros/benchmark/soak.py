"""Simulated hours through all stages in one process, as fast as they go: does memory grow, does anything slow down?

Speech and pauses follow one another, head-pose commands come and go. Most of it is pushed a second at a time; the last
minute before each row comes in the chunks of a live source and is timed.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import psutil

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.benchmark.timing import summary
from lsp_ros.motion.stage import MotionStage
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.signals import HeadPoseCommand, PoseMode
from lsp_ros.speech.stage import SpeechStage

PIECE = timeline.SAMPLE_RATE
LIVE_CHUNKS = (160, 321)  # samples
TIMED_FRAMES = 60 * timeline.FRAME_RATE
LONGEST_PAUSE = 8.0  # seconds between two repetitions of the speech
COMMAND_FRAMES = 30 * timeline.FRAME_RATE  # between head-pose commands
LEAST_ROWS = 6
MEGABYTE = 2**20


def measure_soak(
    avatar: Avatar,
    speech: np.ndarray,
    hours: float,
    render_every: int = 0,
    threads: int | None = None,
    tick: Callable[[float], None] = lambda hours: None,
) -> Iterator[dict[str, Any]]:
    """A row of figures for each simulated hour, or for each sixth of a run that is shorter than six.

    speech        (n,) float32 at 16 kHz, repeated with pauses
    render_every  draws every such picture with the fastest engine here; 0: none
    tick          is told the simulated hours that are done, once a simulated second

    Raises RuntimeError where frames are lost or a number is not finite.
    """
    random = np.random.default_rng(0)
    sounds, motions = SpeechStage(avatar), MotionStage(avatar, seed=1)
    pictures = RenderStage(avatar, threads=threads) if render_every else None
    audio = with_pauses(speech, random)
    process = psutil.Process()
    per_row = round(min(1.0, hours / LEAST_ROWS) * 3600 * timeline.FRAME_RATE)
    total = per_row * max(1, round(hours * 3600 * timeline.FRAME_RATE / per_row))
    stage_seconds: list[float] = []
    picture_seconds: list[float] = []
    position = frame = 0
    spent = 0.0
    began = time.perf_counter()
    while frame < total:
        live = per_row - frame % per_row <= TIMED_FRAMES
        size = int(random.integers(*LIVE_CHUNKS)) if live else PIECE
        chunk = np.take(audio, np.arange(position, position + size), mode='wrap')
        position += size
        before = time.process_time()
        features = sounds.push(chunk)
        motion = motions.push(features) if features else None
        spent += time.process_time() - before
        if motion is None:
            continue
        if not np.isfinite(motion.points).all():
            raise RuntimeError(f'the motion from frame {frame} on holds values that are not finite')
        for index in range(len(motion)):
            if motion.first_frame + index != frame:
                raise RuntimeError(f'frame {frame} of the motion is missing: {motion.first_frame + index} came instead')
            if live:
                stage_seconds.append(spent / len(motion))  # of one frame or two
            if pictures and frame % render_every == 0:
                before = time.perf_counter()
                pictures.render(motion[index : index + 1])
                picture_seconds.append(time.perf_counter() - before)
            frame += 1
            if frame % COMMAND_FRAMES == 0:
                motions.command(some_command(random))
            if frame % timeline.FRAME_RATE == 0:
                tick(frame / timeline.FRAME_RATE / 3600)
            if frame % per_row == 0:
                yield {
                    'hours': frame / timeline.FRAME_RATE / 3600,
                    'frames': frame,
                    'time': summary(stage_seconds),
                    'picture': summary(picture_seconds) if picture_seconds else None,
                    **memory(process),
                    'objects': len(gc.get_objects()),
                    'times_real_time': frame / timeline.FRAME_RATE / (time.perf_counter() - began),
                }
                stage_seconds, picture_seconds = [], []
        spent = 0.0


def with_pauses(speech: np.ndarray, random: np.random.Generator, times: int = 10) -> np.ndarray:
    """The speech that many times over, with pauses of a quiet room between."""
    pieces = []
    for _ in range(times):
        pause = int(random.uniform(0.2, LONGEST_PAUSE) * timeline.SAMPLE_RATE)
        pieces += [speech, random.normal(0, 1e-4, pause)]
    return np.concatenate(pieces).astype(np.float32)


def some_command(random: np.random.Generator) -> HeadPoseCommand:
    """A small turn that ends by itself after two seconds."""
    orientation = np.append(random.normal(0, 0.05, 3), 1.0)
    mode = PoseMode.ABSOLUTE if random.random() < 0.5 else PoseMode.OFFSET
    return HeadPoseCommand(mode, orientation / np.linalg.norm(orientation), np.zeros(3), transition=0.5, timeout=2.0)


def memory(process: psutil.Process) -> dict[str, float]:
    """Resident, proportional and unique memory of a process in MB: all, shared pages by share, its own alone."""
    sizes = process.memory_full_info()
    return {f'{name}_mb': getattr(sizes, name) / MEGABYTE for name in ('rss', 'pss', 'uss')}


def slope(hours: Sequence[float], values: Sequence[float]) -> float | None:
    """Change an hour, by least squares, without the first row, in which buffers fill; None below four rows."""
    return float(np.polyfit(hours[1:], values[1:], 1)[0]) if len(values) >= 4 else None
