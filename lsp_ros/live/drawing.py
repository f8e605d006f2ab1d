"""Pictures for the streams of one process: workers draw for whoever was not served for the longest.

Where drawing takes longer than frames come, frames are left out: no picture falls behind its sound, no stream starves.
Streams of one avatar are drawn together where its engine can.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from lsp_ros.live.counters import Observer
from lsp_ros.live.scheduling import FairQueue, ReorderBuffer
from lsp_ros.live.stamped import FrameStamp
from lsp_ros.rendering.engines.engine import Engine
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.signals import FaceMotion

# A frame that finds the worker busy may wait so long where a newer one is there: two that come at once are both drawn,
# and a renderer that is too slow for good falls no further behind.
LONGEST_WAIT_SECONDS = 0.04
MOST_TOGETHER = 16  # the first picture of a batch waits for the last


class DrawingObserver(Observer, Protocol):
    """Who is told of what is drawn, too."""

    def count_event(self, event: str) -> None:
        """One more of a regular event."""
        ...

    def record_duration(self, what: str, seconds: float) -> None:
        """How long something took."""
        ...


class SharedRenderer:
    """The stage and the engine of one avatar, which its streams share."""

    def __init__(self, stage: RenderStage, engine: Engine) -> None:
        self.stage = stage
        self.most_together = min(MOST_TOGETHER, engine.most_together)
        self.side_by_side = engine.side_by_side
        self.free = threading.Semaphore(engine.side_by_side)


class DrawnStream(Protocol):
    """One of the streams: told apart by what it is, not by what it holds."""

    def __hash__(self) -> int: ...

    @property
    def prefix(self) -> str:
        """Of its counts; empty where there is only one stream."""
        ...

    @property
    def renderer(self) -> SharedRenderer:
        """What draws it."""
        ...


@dataclass(frozen=True)
class MotionFrame:
    """A frame that waits for its picture. ``arrived``: time.perf_counter(). ``motion`` holds this frame alone."""

    stamp: FrameStamp
    frame_id: str
    motion: FaceMotion
    arrived: float


StreamType = TypeVar('StreamType', bound=DrawnStream)
Drawn = tuple[StreamType, MotionFrame, np.ndarray]


class DrawingPool(Generic[StreamType]):
    """Threads that draw what is put in, and hand each picture (512, 512, 3) to ``publish``, in the order of the work.

    observer  is told of frames that are left out or cannot be drawn, and of durations
    publish   called by a worker, one at a time
    workers   how many draw side by side
    guard     wraps what a worker does: a mistake in it must not go unnoticed
    begin     called by each worker first, with its number at the system
    """

    def __init__(
        self,
        observer: DrawingObserver,
        publish: Callable[[StreamType, MotionFrame, np.ndarray], None],
        workers: int,
        guard: Callable[[Callable[[], None]], Callable[[], None]],
        begin: Callable[[int], None],
    ) -> None:
        self._observer, self._publish, self._begin = observer, publish, begin
        self._queue: FairQueue[StreamType, MotionFrame] = FairQueue(LONGEST_WAIT_SECONDS)
        self._order = ReorderBuffer()
        self._workers = [threading.Thread(target=guard(self._work), name='renderer') for _ in range(workers)]
        for worker in self._workers:
            worker.start()

    def put(self, stream: StreamType, frame: MotionFrame) -> None:
        """A frame of a stream waits for its picture from now on."""
        self._observer.count_event(f'{stream.prefix}frames asked for')
        self._count_left_out(stream, self._queue.put(stream, frame, frame.arrived))

    def close(self) -> None:
        """Draws no more; waits for the workers."""
        self._queue.close()
        for worker in self._workers:
            worker.join()

    def _count_left_out(self, stream: StreamType, number: int) -> None:
        if number:
            self._observer.count(f'{stream.prefix}frames left out', number)

    def _work(self) -> None:
        self._begin(threading.get_native_id())
        while True:
            number, served = self._order.take(self._next_served)
            if not served:
                return
            drawn: list[Drawn[StreamType]] = []
            try:
                drawn = self._draw(served)
            finally:
                with self._order.turn(number):
                    for stream, frame, picture in drawn:
                        self._publish(stream, frame, picture)
                        taken = time.perf_counter() - frame.arrived
                        self._observer.record_duration(f'{stream.prefix}motion to image', taken)

    def _next_served(self) -> list[tuple[StreamType, MotionFrame]]:
        """Frames of one avatar, which are drawn together; empty at the end."""
        served = self._queue.take(lambda stream: stream.renderer, lambda renderer: renderer.most_together)
        for stream, _ in served:
            self._count_left_out(stream, self._queue.left_out(stream))
        return served

    def _draw(self, served: Sequence[tuple[StreamType, MotionFrame]]) -> list[Drawn[StreamType]]:
        """Pictures of frames of one avatar, as far as they can be drawn."""
        began = time.perf_counter()
        drawable, maps = [], []
        for stream, frame in served:
            try:
                (feature_map,) = stream.renderer.stage.feature_maps(frame.motion)
            except ValueError as error:  # a face that is nowhere before the camera, say
                self._observer.report_problem(
                    f'{stream.prefix}frames that cannot be drawn',
                    f'{stream.prefix}{error}: frame {frame.stamp.frame} is left out',
                )
                continue
            drawable.append((stream, frame))
            maps.append(feature_map)
        if not drawable:
            return []
        renderer = drawable[0][0].renderer
        with renderer.free:
            pictures = renderer.stage.pictures(maps)
        self._observer.record_duration('rendering', time.perf_counter() - began)
        return [(stream, frame, picture) for (stream, frame), picture in zip(drawable, pictures, strict=True)]
