"""Stage 2 on a live stream: speech features as they arrive -> stamped face motion. The one place that knows how far
the stream has come.

The avatar never freezes. Frames that are lost are replaced with rest, a new stream continues the face from where it is,
and when features stop arriving (or never came) the face goes on by the clock, at rest, on the same timeline, until they
return.
"""

import uuid
from collections import deque
from dataclasses import replace
from typing import Protocol

from lsp_ros import timeline
from lsp_ros.live.counters import Observer
from lsp_ros.live.gap_filling import StreamPosition
from lsp_ros.live.source_arbiter import SECONDS_TO_STOP, SourceArbiter
from lsp_ros.live.stamped import FrameStamp, StampedFrame
from lsp_ros.signals import FaceMotion, HeadPoseCommand, SpeechFeatures

MOST_IDLE_FRAMES = 30  # in one go; after a longer hold-up the rest is left out, not worked off
LONGEST_LEAD_NS = 10 * timeline.NANOSECONDS_PER_SECOND  # no source publishes further ahead of its stamps


class Stage(Protocol):
    """What is needed of :class:`lsp_ros.motion.stage.MotionStage`."""

    idle_amplitude: float

    @property
    def next_frame(self) -> int | None: ...

    def reset(self) -> None: ...

    def silence(self, frames: int) -> SpeechFeatures: ...

    def push(self, features: SpeechFeatures) -> FaceMotion | None: ...

    def command(self, command: HeadPoseCommand, frame: int | None = None) -> None: ...


class MotionStream:
    """Gives a motion stage one unbroken run of frames, and says where each that comes out stands in its stream.

    The stage is never reset by a gap or by a new stream: streams come and go, the stage counts on. ``observer`` is told
    of everything that was filled, dropped or refused. `now_ns` is the ROS clock, `steady` seconds on the steady clock.
    """

    def __init__(self, stage: Stage, observer: Observer, steady: float = 0.0) -> None:
        self._stage = stage
        self._observer = observer
        self.reset(steady)

    def reset(self, steady: float) -> None:
        """Forget the stream and any command."""
        self._stage.reset()
        self._arbiter = SourceArbiter()
        self._position = StreamPosition(timeline.FRAME_RATE)
        self._stamps: deque[FrameStamp] = deque()  # of the frames that wait in the stage for their look-ahead
        self._shown_ns: int | None = None  # stamp of the last frame that came out
        self._heard_at = steady
        self._idle_since: tuple[float, int] | None = None  # when the clock took over, and the frame it began with

    def set_idle_amplitude(self, value: float) -> None:
        """How much of its motion the face shows while nobody speaks, from the next frame on."""
        self._stage.idle_amplitude = value

    def command(self, command: HeadPoseCommand) -> None:
        """Move the head by command from the next frame on."""
        try:
            self._stage.command(command)
        except ValueError as error:  # too many at once
            self._observer.report_problem('refused head-pose commands', str(error))

    def push(
        self, stamp: FrameStamp, features: SpeechFeatures, now_ns: int, steady: float
    ) -> list[StampedFrame[FaceMotion]]:
        """The motion that speech features (one frame or more, the first of them at `stamp`) complete."""
        if not self._arbiter.accepts(stamp.stream_id, steady):
            self._observer.report_problem(
                'frames of a second source',
                'two sources publish on speech_features: stream '
                f'{stamp.stream_id!r} is left out as long as {self._arbiter.stream_id!r} goes on',
            )
            return []
        gap = self._gap(stamp)
        missing, known = max(gap, 0), max(-gap, 0)
        if known >= len(features):
            self._observer.report_problem(
                'late feature frames', f'speech features of frame {stamp.frame} came late or twice: dropped'
            )
            return []
        self._heard_at, self._idle_since = steady, None
        if missing:
            self._observer.report_problem(
                'healed frames',
                f'{missing} feature frames before frame {stamp.frame} were lost and replaced with rest',
                missing,
            )
        return self._rest(missing, now_ns) + self._advance(features[known:] if known else features, now_ns)

    def seconds_to_tick(self, steady: float) -> float:
        """When to call `tick` next."""
        seconds_to_stop = self._heard_at + SECONDS_TO_STOP - steady
        if seconds_to_stop > 0 or self._idle_since is None:
            return max(seconds_to_stop, 0.0)
        since, first = self._idle_since
        return max(since + (self._position.next + 1 - first) / timeline.FRAME_RATE - steady, 0.0)

    def tick(self, now_ns: int, steady: float) -> list[StampedFrame[FaceMotion]]:
        """Time has passed: the motion by the clock that is due, where no features arrive."""
        if steady - self._heard_at < SECONDS_TO_STOP:
            return []
        position = self._position
        if self._idle_since is None:
            if position.stream_id is None:
                position.begin(f'idle-{uuid.uuid4().hex}', 0, now_ns)
                self._heard_at = steady
            else:
                self._observer.report_problem(
                    'pauses of speech_features', 'no speech features arrive: going on at rest by the clock'
                )
            self._idle_since = (self._heard_at, position.next)
        since, first = self._idle_since
        due = first + int((steady - since) * timeline.FRAME_RATE) - position.next
        position.next += max(0, due - MOST_IDLE_FRAMES)
        return self._rest(min(due, MOST_IDLE_FRAMES), now_ns)

    def _gap(self, stamp: FrameStamp) -> int:
        """Frames that are missing before that one, negative where it is late; follows a new stream, or a jump."""
        position = self._position
        start_ns = stamp.stamp_ns - timeline.frame_start_ns(stamp.frame)
        gap = position.gap(stamp.stream_id, stamp.frame)
        if gap is not None:
            position.follow_clock(start_ns)
            return gap
        sentence = f'moving to stream {stamp.stream_id!r} from frame {stamp.frame}'
        if stamp.stream_id == position.stream_id:
            self._observer.report_problem('jumps of speech_features', f'the speech features jumped: {sentence}')
        else:
            self._observer.tell(sentence)
        position.begin(stamp.stream_id, stamp.frame, start_ns)
        return 0

    def _rest(self, frames: int, now_ns: int) -> list[StampedFrame[FaceMotion]]:
        """Frames in which nobody speaks."""
        made: list[StampedFrame[FaceMotion]] = []
        for _ in range(frames):
            self._observer.count('frames at rest filled in')
            made += self._advance(self._stage.silence(1), now_ns)
        return made

    def _advance(self, features: SpeechFeatures, now_ns: int) -> list[StampedFrame[FaceMotion]]:
        """The next frames of the stream go into the stage, which has a count of its own."""
        position = self._position
        for frame in range(position.next, position.next + len(features)):
            stamp_ns = position.start_ns + timeline.frame_start_ns(frame)
            self._stamps.append(FrameStamp(position.stream_id or '', frame, stamp_ns))
        position.next += len(features)
        try:
            motion = self._stage.push(replace(features, first_frame=self._stage.next_frame or 0))
        except ValueError as error:
            self._observer.report_problem('refused speech features', f'{error}: replaced with rest')
            motion = self._stage.push(self._stage.silence(len(features)))
        if motion is None:
            return []
        stamped = [StampedFrame(self._stamps.popleft(), motion, row) for row in range(len(motion))]
        return [frame for frame in stamped if self._is_new(frame.stamp, now_ns)]

    def _is_new(self, stamp: FrameStamp, now_ns: int) -> bool:
        """Whether to show a frame; not where a later moment was already shown.

        Two streams may overlap where one takes over from the other. Only what was shown with a stamp that is now far
        in the future does not count: the clock was set back.
        """
        shown = self._shown_ns
        if shown is not None and stamp.stamp_ns <= shown <= now_ns + LONGEST_LEAD_NS:
            return False
        self._shown_ns = stamp.stamp_ns
        return True
