"""Stage 1 on a live stream: audio blocks as they arrive -> stamped speech features. The one place that knows how far
the stream has come.

Blocks are joined by their sample index: gaps are filled with silence, what came before is dropped, a new stream is
followed, and of two sources on one topic one is heard.
"""

import math
from dataclasses import replace
from typing import Protocol

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.clock_watch import ArrivalStamps
from lsp_ros.live.counters import Observer
from lsp_ros.live.gap_filling import Patience, StreamPosition, filled, first_whole_block
from lsp_ros.live.source_arbiter import SECONDS_TO_STOP, SourceArbiter
from lsp_ros.live.stamped import AudioBlock, FrameStamp, StampedFrame
from lsp_ros.signals import SpeechFeatures

JOIN_FRAMES = 3  # every third frame starts at a whole sample number, so a stage that joins there keeps the timeline


class Stage(Protocol):
    """What is needed of :class:`lsp_ros.speech.stage.SpeechStage`."""

    def reset(self) -> None: ...

    def push(self, samples: np.ndarray) -> SpeechFeatures | None: ...


class SpeechStream:
    """Feeds a speech stage with what arrives, and says where each frame that comes out stands in the stream.

    It may join a stream that has been running for weeks: frames are numbered and stamped as if it had listened from the
    beginning. ``observer`` is told of everything that was filled, dropped or refused. `now_ns` is the ROS clock,
    `steady` seconds on the steady clock.
    """

    def __init__(self, stage: Stage, observer: Observer) -> None:
        self._stage = stage
        self._observer = observer
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._stage.reset()
        self._arbiter = SourceArbiter()
        self._position = StreamPosition(timeline.SAMPLE_RATE)
        self._arrivals = ArrivalStamps()
        self._late = Patience(SECONDS_TO_STOP)
        self._joined_frame = self._joined_sample = 0  # of the stream: where the stage began to count
        self._heard_at = -math.inf
        self._speaking = False

    @property
    def speaking(self) -> bool:
        """Whether somebody spoke in the last frame, and audio still arrives."""
        return self._speaking

    def push(self, block: AudioBlock, now_ns: int, steady: float) -> list[StampedFrame[SpeechFeatures]]:
        """The frames that a block of audio, which has just arrived, completes. A stamp of 0, not set, means now."""
        if not self._arbiter.accepts(block.stream_id, steady):
            self._observer.report_problem(
                'chunks of a second source',
                f'two sources publish on audio: stream {block.stream_id!r} is '
                f'left out as long as {self._arbiter.stream_id!r} goes on',
            )
            return []
        self._heard_at = steady
        block = self._stamped(block, now_ns, steady)
        samples = self._join(block)
        if len(samples) or self._position.next == self._joined_sample:  # or all of it is before the stage begins
            self._late.renew()
        elif self._late.is_over(steady):  # nothing but late ones: the source has gone back
            self._late.renew()
            samples = self._begin(block)
        else:
            self._observer.report_problem(
                'late audio chunks', f'audio chunk at sample {block.first_sample} came late or twice: dropped'
            )
            return []
        features = self._stage.push(samples)
        if features is None:
            return []
        self._speaking = bool(features.active[-1])
        first = features.first_frame
        return [StampedFrame(self._stamp(first + row), features, row) for row in range(len(features))]

    def seconds_to_tick(self, steady: float) -> float | None:
        """When to call `tick`, unless audio arrives before; None: only when it has arrived."""
        return max(self._heard_at + SECONDS_TO_STOP - steady, 0.0) if self._speaking else None

    def tick(self, steady: float) -> None:
        """Time has passed. A source that dies within a word does not say that it is silent."""
        if self._speaking and steady - self._heard_at >= SECONDS_TO_STOP:
            self._speaking = False
            self._observer.report_problem('pauses of audio', 'no audio arrives: nobody speaks')

    def _join(self, block: AudioBlock) -> np.ndarray:
        """The samples (n,) to give to the stage, which follow the last ones; empty where all are known."""
        position, first = self._position, block.first_sample
        start_ns = block.stamp_ns - timeline.samples_to_ns(first)
        gap = position.gap(block.stream_id, first)
        if gap is None:
            return self._begin(block)
        position.follow_clock(start_ns)
        if gap > 0:
            self._observer.report_problem(
                'healed samples',
                f'{gap} audio samples before sample {first} were lost and replaced with silence',
                gap,
            )
        return self._follow(block, gap)

    def _follow(self, block: AudioBlock, gap: int) -> np.ndarray:
        position = self._position
        samples = filled(block.samples, gap)
        position.next += len(samples)
        return samples

    def _begin(self, block: AudioBlock) -> np.ndarray:
        """Another stream, or the same one elsewhere: the stage begins anew, where it keeps the stream's timeline."""
        start_ns = block.stamp_ns - timeline.samples_to_ns(block.first_sample)
        sentence = f'listening to stream {block.stream_id!r} from sample {block.first_sample}'
        if block.stream_id == self._position.stream_id:
            self._observer.report_problem('jumps of audio', f'the audio jumped: {sentence}')
        else:
            self._observer.tell(sentence)
        self._joined_frame = first_whole_block(block.first_sample, JOIN_FRAMES)
        self._joined_sample = timeline.frame_start(self._joined_frame)
        self._position.begin(block.stream_id, self._joined_sample, start_ns)
        self._stage.reset()
        return self._follow(block, block.first_sample - self._joined_sample)

    def _stamped(self, block: AudioBlock, now_ns: int, steady: float) -> AudioBlock:
        begin, end = block.first_sample, block.first_sample + len(block.samples)
        stamp_ns = self._arrivals.stamp(
            block.stream_id,
            block.stamp_ns,
            timeline.samples_to_ns(begin),
            timeline.samples_to_ns(end),
            now_ns,
            steady,
        )
        return block if stamp_ns == block.stamp_ns else replace(block, stamp_ns=stamp_ns)

    def _stamp(self, stage_frame: int) -> FrameStamp:
        """Where the stage's frame stands: stream start + the frame's time on the timeline."""
        frame = self._joined_frame + stage_frame
        position = self._position
        return FrameStamp(position.stream_id or '', frame, position.start_ns + timeline.frame_start_ns(frame))
