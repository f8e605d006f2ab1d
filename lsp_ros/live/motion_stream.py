"""Stage 2 on a live stream: speech features as they arrive -> stamped face motion. The one place that knows how far
the stream has come.

The avatar never freezes. Frames that are lost are replaced with rest, a new stream continues the face from where it is,
and when features stop arriving (or never came) the face goes on by the clock, at rest, on the same timeline, until they
return. Stamps come out in order; but who goes back in time, because a clock was set or a recording is played again, is
followed after ``SECONDS_TO_STOP`` at the latest.
"""

import uuid
from collections import deque
from dataclasses import replace
from typing import Protocol

from lsp_ros import timeline
from lsp_ros.live.clock_watch import ArrivalStamps, ClockWatch
from lsp_ros.live.counters import Observer
from lsp_ros.live.gap_filling import Patience, StreamPosition
from lsp_ros.live.source_arbiter import SECONDS_TO_STOP, SourceArbiter
from lsp_ros.live.stamped import FrameStamp, StampedFrame
from lsp_ros.signals import FaceMotion, HeadPoseCommand, SpeechFeatures

MOST_IDLE_FRAMES = 30  # in one go; after a longer hold-up the rest is left out, not worked off
LONGEST_LEAD_NS = 10 * timeline.NANOSECONDS_PER_SECOND  # no source publishes further ahead of its stamps
BRIEF_OVERLAP_NS = timeline.NANOSECONDS_PER_SECOND // 10  # passes by itself, also where nothing came out before it


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
        # Of the frames that wait in the stage for their look-ahead: stamp and time line. Within a time line nothing is
        # shown again; a new one begins where it is known that time has gone back.
        self._stamps: deque[tuple[FrameStamp, int]] = deque()
        self._time_line = 0
        self._shown: tuple[int, int] | None = None  # stamp and time line of the last frame that came out
        self._left_out = 0  # since then
        self._shown_at = steady
        self._late, self._behind = Patience(SECONDS_TO_STOP), Patience(SECONDS_TO_STOP - 3 / timeline.FRAME_RATE)
        self._arrivals, self._clock = ArrivalStamps(), ClockWatch()
        self._clock_jumped = False  # since the stream began
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
        """The motion that speech features (one frame or more, the first of them at `stamp`) complete.

        A stamp that is not set (0 ns) means now.
        """
        if not self._arbiter.accepts(stamp.stream_id, steady):
            self._observer.report_problem(
                'frames of a second source',
                'two sources publish on speech_features: stream '
                f'{stamp.stream_id!r} is left out as long as {self._arbiter.stream_id!r} goes on',
            )
            return []
        self._watch_clock(now_ns, steady)
        stamp = self._stamped(stamp, len(features), now_ns, steady)
        gap = self._gap(stamp)
        missing, known = max(gap, 0), max(-gap, 0)
        if known >= len(features):
            if not (self._late.is_over(steady) or self._has_stood(steady)):
                self._observer.report_problem(
                    'late feature frames', f'speech features of frame {stamp.frame} came late or twice: dropped'
                )
                return []
            self._follow(stamp)  # nothing but late ones: the source has gone back
            self._time_line += 1
            missing = known = 0
        self._late.renew()
        self._heard_at, self._idle_since = steady, None
        if missing:
            self._observer.report_problem(
                'healed frames',
                f'{missing} feature frames before frame {stamp.frame} were lost and replaced with rest',
                missing,
            )
        made = self._rest(missing, now_ns, steady)
        return made + self._advance(features[known:] if known else features, now_ns, steady)

    def seconds_to_tick(self, steady: float) -> float:
        """When to call `tick` next."""
        seconds_to_stop = self._heard_at + SECONDS_TO_STOP - steady
        if seconds_to_stop > 0 or self._idle_since is None:
            return max(seconds_to_stop, 0.0)
        since, first = self._idle_since
        return max(since + (self._position.next + 1 - first) / timeline.FRAME_RATE - steady, 0.0)

    def tick(self, now_ns: int, steady: float) -> list[StampedFrame[FaceMotion]]:
        """Time has passed: the motion by the clock that is due, where no features arrive."""
        self._watch_clock(now_ns, steady)
        if steady - self._heard_at < SECONDS_TO_STOP:
            return []
        position = self._position
        if self._idle_since is None:
            if position.stream_id is None:
                self._begin_idle(now_ns)
                self._heard_at = steady
            else:
                self._observer.report_problem(
                    'pauses of speech_features', 'no speech features arrive: going on at rest by the clock'
                )
            self._idle_since = (self._heard_at, position.next)
        if self._clock_jumped:
            self._observer.report_problem(
                'clock jumps', 'the ROS clock was set, or stood still: the face at rest goes on by what it says now'
            )
            self._begin_idle(now_ns)
            self._time_line += 1
            self._idle_since = (steady, 0)
        since, first = self._idle_since
        due = first + int((steady - since) * timeline.FRAME_RATE) - position.next
        position.next += max(0, due - MOST_IDLE_FRAMES)
        return self._rest(min(due, MOST_IDLE_FRAMES), now_ns, steady)

    def _begin_idle(self, now_ns: int) -> None:
        self._position.begin(f'idle-{uuid.uuid4().hex}', 0, now_ns)
        self._clock_jumped = False

    def _watch_clock(self, now_ns: int, steady: float) -> None:
        if self._clock.jump(now_ns, steady):
            self._clock_jumped = True

    def _stamped(self, stamp: FrameStamp, frames: int, now_ns: int, steady: float) -> FrameStamp:
        begin, end = timeline.frame_start_ns(stamp.frame), timeline.frame_start_ns(stamp.frame + frames)
        stamp_ns = self._arrivals.stamp(stamp.stream_id, stamp.stamp_ns, begin, end, now_ns, steady)
        return replace(stamp, stamp_ns=stamp_ns)

    def _gap(self, stamp: FrameStamp) -> int:
        """Frames that are missing before that one, negative where it is late; follows a new stream, or a jump."""
        position = self._position
        start_ns = stamp.stamp_ns - timeline.frame_start_ns(stamp.frame)
        gap = position.gap(stamp.stream_id, stamp.frame)
        if gap is not None:
            position.follow_clock(start_ns)
            return gap
        self._follow(stamp)
        return 0

    def _follow(self, stamp: FrameStamp) -> None:
        """Go on with another stream, or with this one elsewhere."""
        position = self._position
        sentence = f'moving to stream {stamp.stream_id!r} from frame {stamp.frame}'
        if stamp.stream_id == position.stream_id:
            self._observer.report_problem('jumps of speech_features', f'the speech features jumped: {sentence}')
        else:
            self._observer.tell(sentence)
        position.begin(stamp.stream_id, stamp.frame, stamp.stamp_ns - timeline.frame_start_ns(stamp.frame))
        self._clock_jumped = False

    def _rest(self, frames: int, now_ns: int, steady: float) -> list[StampedFrame[FaceMotion]]:
        """Frames in which nobody speaks."""
        made: list[StampedFrame[FaceMotion]] = []
        for _ in range(frames):
            self._observer.count('frames at rest filled in')
            made += self._advance(self._stage.silence(1), now_ns, steady)
        return made

    def _advance(self, features: SpeechFeatures, now_ns: int, steady: float) -> list[StampedFrame[FaceMotion]]:
        """The next frames of the stream go into the stage, which has a count of its own."""
        position = self._position
        for frame in range(position.next, position.next + len(features)):
            stamp_ns = position.start_ns + timeline.frame_start_ns(frame)
            self._stamps.append((FrameStamp(position.stream_id or '', frame, stamp_ns), self._time_line))
        position.next += len(features)
        try:
            motion = self._stage.push(replace(features, first_frame=self._stage.next_frame or 0))
        except ValueError as error:
            self._observer.report_problem('refused speech features', f'{error}: replaced with rest')
            motion = self._stage.push(self._stage.silence(len(features)))
        if motion is None:
            return []
        stamped: list[StampedFrame[FaceMotion]] = []
        for row in range(len(motion)):
            stamp, time_line = self._stamps.popleft()
            if self._is_new(stamp, time_line, now_ns, steady):
                stamped.append(StampedFrame(stamp, motion, row))
        return stamped

    def _is_new(self, stamp: FrameStamp, time_line: int, now_ns: int, steady: float) -> bool:
        """Whether to show a frame; not where a later moment was already shown.

        Two streams may overlap where one takes over from the other. But for no longer than a stream may pause: who then
        still lies behind has gone back, and so has who takes over from stamps that are now far in the future.
        """
        shown_ns, shown_line = self._shown or (stamp.stamp_ns - 1, time_line)
        behind_ns = shown_ns - stamp.stamp_ns
        if behind_ns >= 0 and time_line == shown_line and shown_ns <= now_ns + LONGEST_LEAD_NS:
            brief = not self._behind.is_over(steady) and behind_ns < BRIEF_OVERLAP_NS
            if brief or not self._has_stood(steady):
                self._left_out += 1
                self._observer.count('frames left out behind what was shown')
                return False
            self._observer.report_problem(
                'streams that went back',
                f'stream {stamp.stream_id!r} lies {behind_ns / timeline.NANOSECONDS_PER_SECOND:.1f} s behind what was '
                'shown: followed from there',
            )
        if self._left_out:
            self._observer.tell(f'{self._left_out} frames lay behind what was shown: left out')
        self._left_out = 0
        self._behind.renew()
        self._shown, self._shown_at = (stamp.stamp_ns, time_line), steady
        return True

    def _has_stood(self, steady: float) -> bool:
        """Whether the face would stand still for longer than a stream may pause."""
        return steady - self._shown_at >= SECONDS_TO_STOP - 1 / timeline.FRAME_RATE
