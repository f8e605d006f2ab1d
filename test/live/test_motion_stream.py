"""The face goes on whatever becomes of its features: lost, doubled, late, of another stream, or none at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_pieces import SECOND, START_NS, FakeMotionStage, Observed, features_of, stamp_of

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.live.motion_stream import MotionStream
from lsp_ros.live.stamped import FrameStamp
from lsp_ros.motion.stage import MotionStage
from lsp_ros.signals import HeadPoseCommand, PoseMode

REST = -1  # what the stand-in for the stage says for silence


class Moving:
    """A stream, its stage, which has no look-ahead unless it is given one, and its observer."""

    def __init__(self, look_ahead=0):
        self.stage, self.observed = FakeMotionStage(look_ahead), Observed()
        self.stream = MotionStream(self.stage, self.observed)
        self.frames = []

    def push(self, frames, stream_id='a', start_ns=START_NS, now_ns=START_NS, steady=0.0):
        """One message for each of these frame numbers; the stamps that come out."""
        made = []
        for frame in frames:
            made += self.stream.push(stamp_of(frame, stream_id, start_ns), features_of([frame]), now_ns, steady)
        self.frames += made
        return [frame.stamp for frame in made]

    def tick(self, now_ns, steady):
        made = self.stream.tick(now_ns, steady)
        self.frames += made
        return [frame.stamp for frame in made]


def shown(frames):
    """What the stage was told in each frame: the number of the features, or REST."""
    return [int(frame.block.points[frame.row, 0]) for frame in frames]


def test_lost_frames_are_filled_and_doubled_ones_dropped():
    moving = Moving()
    stamps = moving.push([7, 8, 11, 11, 9, 12])
    assert [stamp.frame for stamp in stamps] == [7, 8, 9, 10, 11, 12]
    assert [stamp.stamp_ns for stamp in stamps] == [START_NS + timeline.frame_start_ns(frame) for frame in range(7, 13)]
    assert shown(moving.frames) == [7, 8, REST, REST, 11, 12]
    assert moving.observed.problems == {'healed frames': 2, 'late feature frames': 2}
    assert moving.observed.counts == {'frames at rest filled in': 2}


def test_a_new_stream_takes_over_without_going_back_in_time():
    moving = Moving()
    moving.push(range(60))
    stamps = moving.push(range(60), 'b', START_NS + SECOND // 2)  # its first half second was shown already
    stamps = [stamp.stamp_ns for stamp in stamps]
    assert 28 <= len(stamps) <= 31
    assert stamps[0] > START_NS + timeline.frame_start_ns(59)
    assert stamps == sorted(stamps)


def test_a_clock_that_was_set_back_does_not_stop_the_picture():
    moving = Moving()
    moving.push(range(10))
    stamps = moving.push(range(10), 'b', START_NS - 3600 * SECOND, START_NS - 3600 * SECOND)
    assert len(stamps) == 10


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=40),
    st.integers(0, 2**40),
    st.integers(0, 20),
    st.data(),
)
def test_whatever_is_lost_doubled_or_late_the_frames_are_unbroken_and_say_what_was_sent(sizes, first, ahead, data):
    """In blocks of any size, of which each may be lost, come twice or come again later."""
    moving, position, last = Moving(ahead), first, None
    blocks = []
    for size in sizes:
        blocks.append(range(position, position + size))
        position += size
        fate = data.draw(st.sampled_from(['arrives', 'arrives', 'arrives', 'lost', 'twice', 'with an old one']))
        arriving = [] if fate == 'lost' and last is not None else [blocks[-1]]
        if fate == 'twice':
            arriving *= 2
        if fate == 'with an old one':
            arriving.append(data.draw(st.sampled_from(blocks)))
        for block in arriving:
            made = moving.stream.push(stamp_of(block[0]), features_of(block), START_NS, 0.0)
            moving.frames += made
            last = max(last or 0, block[-1])
    jumped = moving.observed.problems['jumps of speech_features']
    numbers = [frame.stamp.frame for frame in moving.frames]
    assert numbers == sorted(set(numbers))
    for frame, said in zip(moving.frames, shown(moving.frames)):
        assert frame.stamp == stamp_of(frame.stamp.frame)
        assert said in (np.float32(frame.stamp.frame), REST)
    if not jumped:
        assert numbers == list(range(first, last + 1))[: max(0, last + 1 - first - ahead)]
        filled = shown(moving.frames).count(REST)
        assert filled <= moving.observed.problems['healed frames'] == moving.observed.counts['frames at rest filled in']


@given(st.lists(st.integers(1, 30), min_size=1, max_size=10), st.integers(0, 40))
def test_streaming_in_any_chunking_equals_one_push_of_everything(sizes, ahead):
    pieces, whole, position = Moving(ahead), Moving(ahead), 0
    for size in sizes:
        block = range(position, position + size)
        pieces.frames += pieces.stream.push(stamp_of(position), features_of(block), START_NS, 0.0)
        position += size
    whole.frames += whole.stream.push(stamp_of(0), features_of(range(position)), START_NS, 0.0)
    assert [frame.stamp for frame in pieces.frames] == [frame.stamp for frame in whole.frames]
    assert shown(pieces.frames) == shown(whole.frames) == list(range(max(0, position - ahead)))


@pytest.mark.parametrize('jump', [-timeline.FRAME_RATE * 3, timeline.FRAME_RATE])
def test_a_jump_is_followed_and_not_filled(jump):
    moving = Moving()
    moving.push([600])
    stamps = moving.push([601 + jump], start_ns=START_NS + 10 * SECOND)
    assert [stamp.frame for stamp in stamps] == [601 + jump]
    assert moving.observed.problems == {'jumps of speech_features': 1} and not moving.observed.counts


def test_of_two_sources_one_moves_the_face():
    moving = Moving()
    for frame in range(120):
        for stream_id in ('one', 'two'):
            moving.push([frame], stream_id, steady=frame / 60)
    assert moving.observed.problems['frames of a second source'] == 119
    assert [sentence for sentence in moving.observed.said if 'moving to stream' in sentence] == [
        "moving to stream 'one' from frame 0",
        "moving to stream 'two' from frame 0",
    ]


def test_refused_features_are_replaced_with_rest():
    moving = Moving()
    moving.stage.refused = {3.0}
    assert [stamp.frame for stamp in moving.push(range(6))] == list(range(6))
    assert shown(moving.frames) == [0, 1, 2, REST, 4, 5]
    assert moving.observed.problems == {'refused speech features': 1}


# By the clock


def now(steady):
    """The ROS clock at that time of the steady one."""
    return START_NS + round(steady * SECOND)


def by_the_clock(moving, begin, end):
    """Ticks whenever the stream asks for one; returns when the first was after the end."""
    steady = begin
    while steady < end:
        moving.tick(now(steady), steady)
        steady += max(moving.stream.seconds_to_tick(steady), 1e-6)
    return steady


def test_a_face_that_nobody_speaks_to_lives_by_the_clock_on_a_stream_of_its_own():
    moving = Moving()
    assert moving.stream.seconds_to_tick(0.0) == pytest.approx(0.3)
    by_the_clock(moving, 0.0, 10.0)
    stamps = [frame.stamp for frame in moving.frames]
    assert {stamp.stream_id for stamp in stamps} == {stamps[0].stream_id} and stamps[0].stream_id.startswith('idle-')
    assert [stamp.frame for stamp in stamps] == list(range(len(stamps)))
    assert abs(len(stamps) - 60 * 9.7) < 2
    assert all(stamp == stamp_of(stamp.frame, stamp.stream_id, now(0.3)) for stamp in stamps)
    assert set(shown(moving.frames)) == {REST} and not moving.observed.problems
    assert moving.observed.counts['frames at rest filled in'] == len(stamps)


@given(st.lists(st.floats(0, 0.15), min_size=1, max_size=100))
def test_a_pause_is_filled_at_the_pace_of_the_clock_whenever_it_is_looked_at(pauses):
    moving = Moving()
    moving.push(range(10))
    steady = 0.0
    for pause in pauses:
        steady += pause
        moving.tick(now(steady), steady)
        if moving.observed.problems:
            due = int(steady * 60)  # since the last features came
            assert moving.frames[-1].stamp.frame == 9 + due
        else:
            assert steady < 0.3 and len(moving.frames) == 10
    numbers = [frame.stamp.frame for frame in moving.frames]
    assert numbers == list(range(len(numbers)))
    assert all(frame.stamp == stamp_of(frame.stamp.frame) for frame in moving.frames)
    assert moving.observed.problems['pauses of speech_features'] == (steady >= 0.3)


def test_a_stream_that_comes_back_goes_on_where_the_clock_is():
    """The source went on counting meanwhile: what the clock has shown is late, what follows is shown."""
    moving = Moving()
    moving.push(range(10))
    by_the_clock(moving, 0.0, 2.0)
    reached = moving.frames[-1].stamp.frame
    assert 125 < reached < 132
    moving.push(range(reached - 2, reached + 20), steady=2.0)
    numbers = [frame.stamp.frame for frame in moving.frames]
    assert numbers == list(range(reached + 20))
    assert moving.observed.problems['late feature frames'] == 3
    assert shown(moving.frames)[-1] == reached + 19
    before = len(moving.frames)
    moving.tick(now(2.2), 2.2)  # it is heard: the clock waits
    assert len(moving.frames) == before and moving.stream.seconds_to_tick(2.2) == pytest.approx(0.1)


def test_after_a_long_hold_up_the_rest_is_left_out_and_not_worked_off():
    moving = Moving()
    moving.push(range(10))
    moving.tick(now(0.31), 0.31)
    before = len(moving.frames)
    moving.tick(now(100.0), 100.0)
    assert len(moving.frames) == before + 30
    assert moving.frames[-1].stamp.frame == 9 + 6000


@given(st.lists(st.integers(0, 3), max_size=200), st.integers(0, 25))
def test_sources_that_come_go_and_are_started_again_never_stop_the_face_or_turn_it_back(steps, ahead):
    """0: nothing comes for a while; 1: the stream goes on; 2: another begins; 3: a frame is lost."""
    moving, steady, stream, frame, start = Moving(ahead), 0.0, 0, 0, now(0.0)
    for step in steps:
        if step == 0:
            steady = by_the_clock(moving, steady, steady + 0.4)
            frame += 24
        if step == 2:
            stream, frame, start = stream + 1, 0, now(steady)
        if step == 3:  # which takes its time, too
            frame, steady = frame + 1, steady + 1 / 60
        moving.push([frame], f's{stream}', start, now(steady), steady)
        frame, steady = frame + 1, steady + 1 / 60
    stamps = [frame.stamp.stamp_ns for frame in moving.frames]
    assert all(before < after for before, after in zip(stamps, stamps[1:]))
    if not set(steps) - {0, 1}:
        assert moving.frames or len(steps) <= ahead


def test_commands_go_to_the_stage_and_one_that_is_refused_is_told():
    moving = Moving()
    command = HeadPoseCommand(PoseMode.AUTONOMOUS, np.zeros(4), np.zeros(3))
    moving.stream.command(command)
    moving.stream.command(None)
    assert moving.stage.commands == [command]
    assert moving.observed.problems == {'refused head-pose commands': 1}
    moving.stream.set_idle_amplitude(0.5)
    assert moving.stage.idle_amplitude == 0.5


def test_a_reset_forgets_the_stream_and_the_frames_on_their_way():
    moving = Moving(look_ahead=5)
    moving.push(range(4))
    moving.stream.reset(7.0)
    assert moving.stream.seconds_to_tick(7.1) == pytest.approx(0.2)
    stamps = moving.push(range(100, 107), start_ns=START_NS - SECOND)  # earlier than what was shown before
    assert [stamp.frame for stamp in stamps] == [100, 101]


def test_the_real_stage_gives_live_what_it_gives_at_once(tiny_avatar):
    """With a frame lost, one doubled, a new stream, and a second by the clock."""
    avatar = Avatar.load(tiny_avatar, parts=('motion',))
    random = np.random.default_rng(0)
    frames = features_of(range(200), active=True)
    frames.values[:] = random.normal(0, 0.3, frames.values.shape)
    stream, live = MotionStream(MotionStage(avatar, seed=3), Observed()), []
    offline = MotionStage(avatar, seed=3)
    expected, pushed = [], 0

    def also(features):
        nonlocal pushed
        expected.append(offline.push(type(features)(pushed, features.values, features.level_db, features.active)))
        pushed += len(features)

    for number in range(100):
        if number != 50:
            live += stream.push(stamp_of(number), frames[number : number + 1], START_NS, number / 60)
        if number == 60:
            live += stream.push(stamp_of(number), frames[number : number + 1], START_NS, number / 60)
    also(frames[:50])
    also(offline.silence(1))
    also(frames[51:100])
    for tick in range(1, 61):
        steady = 99 / 60 + tick / 60 + 1e-3
        live += stream.tick(now(steady), steady)
    also(offline.silence(60))
    for number in range(100, 200):
        start = now(170 / 60)
        live += stream.push(stamp_of(number, 'b', start), frames[number : number + 1], now(steady), steady)
    also(frames[100:])
    whole = [motion for motion in expected if motion is not None]
    points = np.concatenate([motion.points for motion in whole])
    euler = np.concatenate([motion.euler for motion in whole])
    assert len(live) == len(points)
    np.testing.assert_allclose([frame.block.points[frame.row] for frame in live], points, atol=1e-4)
    np.testing.assert_allclose([frame.block.euler[frame.row] for frame in live], euler, atol=1e-4)
    stamps = [frame.stamp.stamp_ns for frame in live]
    assert all(before < after for before, after in zip(stamps, stamps[1:]))


# Stamps that go back


class Live:
    """A source and the face in real time, by two clocks: what came out when, on the steady one."""

    def __init__(self, look_ahead=17):
        self.moving = Moving(look_ahead)
        self.steady, self.now_ns = 0.0, START_NS
        self.out = []  # (steady time, stamp, what it says)

    def run(self, seconds, source=None, clock=1.0):
        """So long, at 60 steps a second; `source` gives for a step the stamp of its frame, and what that says."""
        for step in range(round(seconds * timeline.FRAME_RATE)):
            self.steady += 1 / timeline.FRAME_RATE
            self.now_ns += round(clock * SECOND / timeline.FRAME_RATE)
            made = []
            if source and (sent := source(step, self.now_ns)):
                stamp, said = sent
                made = self.moving.stream.push(stamp, features_of([said]), self.now_ns, self.steady)
            if self.moving.stream.seconds_to_tick(self.steady) <= 0:
                made += self.moving.stream.tick(self.now_ns, self.steady)
            self.out += [(self.steady, frame.stamp, said) for frame, said in zip(made, shown(made))]

    def longest_freeze(self):
        times = [*(time for time, _, _ in self.out), self.steady]  # from the first frame on
        return max(after - before for before, after in zip(times, times[1:]))

    def first(self, after, condition):
        """How long after that time something came out first."""
        return next(time - after for time, stamp, said in self.out if time > after and condition(stamp, said))


def playing(stream_id, start_ns, first=0, of=10**9, said=1000):
    """A source of which frame `step` is stamped so long after its start; it begins again after `of` frames."""

    def source(step, now_ns):
        frame = (first + step) % of
        return stamp_of(frame, stream_id, start_ns), said + frame

    return source


STEP = 1.5 / timeline.FRAME_RATE
LOOK_AHEAD = 18 / timeline.FRAME_RATE
FREEZE = 0.3 + STEP


@pytest.mark.parametrize('back', [0.1, 0.4, 1.0, 5.0, 9.9, 30.0, 1e6])
def test_a_source_whose_clock_was_set_back_is_followed_within_three_tenths(back):
    live = Live()
    live.run(3.0, playing('a', live.now_ns))
    live.now_ns -= round(back * SECOND)
    live.run(3.0, playing('b', live.now_ns, said=5000))
    assert live.longest_freeze() <= FREEZE
    assert live.first(3.0, lambda stamp, said: stamp.stream_id == 'b') <= LOOK_AHEAD + FREEZE
    told = live.moving.observed
    assert bool(told.counts['frames left out behind what was shown']) == (back < 10)
    assert any('lay behind what was shown' in said for said in told.said) == (back < 10)
    assert told.problems['streams that went back'] == (0.3 < back < 10)


@pytest.mark.parametrize('length', [0.2, 0.5, 1.0, 1.9, 3.0])
@pytest.mark.parametrize('age', [0.0, 5.0, 3e7])
def test_a_recording_that_is_played_again_and_again_is_followed_at_its_pace(length, age):
    live = Live()
    live.run(1.0)  # at rest before
    frames = round(length * timeline.FRAME_RATE)
    live.run(8.0, playing('bag', live.now_ns - round(age * SECOND), of=frames))
    assert live.longest_freeze() <= FREEZE
    said = [said for _, _, said in live.out if said != REST]
    # Each time, no more than what came within three tenths is left out.
    assert set(range(1000 + 19, 1000 + frames)) <= set(said)
    assert length < 0.3 or len(said) > 0.3 * 8 * timeline.FRAME_RATE


def test_a_source_that_never_sets_its_stamps_speaks_now():
    live = Live()
    live.run(1.0)
    live.run(5.0, lambda step, now_ns: (FrameStamp('unset', step, 0), 1000 + step))
    assert live.longest_freeze() <= FREEZE
    own = [(stamp, said) for _, stamp, said in live.out if stamp.stream_id == 'unset']
    assert [said for _, said in own] == list(range(own[0][1], own[0][1] + len(own))) and len(own) > 4.3 * 60
    start = START_NS + SECOND + SECOND // 60
    assert all(abs(stamp.stamp_ns - start - timeline.frame_start_ns(stamp.frame)) < 1e6 for stamp, _ in own)


@pytest.mark.parametrize('pause', [0.2, 0.4, 1.0, 1.9, 2.5, 8.0])
def test_after_a_pause_of_the_clock_the_stream_is_followed_within_three_tenths(pause):
    live, start = Live(), START_NS
    live.run(3.0, playing('a', start))
    live.run(pause, clock=0.0)
    resumed = live.steady
    live.run(3.0, playing('a', start, first=180))
    assert live.longest_freeze() <= FREEZE
    assert live.first(resumed, lambda stamp, said: said >= 1180) <= LOOK_AHEAD + FREEZE
    assert live.out[-1][1].stamp_ns <= live.now_ns


@pytest.mark.parametrize('back', [1.0, 5.0, 9.9, 3600.0, -5.0])
def test_a_face_at_rest_follows_a_clock_that_is_set(back):
    """Its stamps lie where the clock is: a player would wait for those that lie ahead."""
    live = Live()
    live.run(3.0)
    live.now_ns -= round(back * SECOND)
    live.run(2.0)
    assert live.longest_freeze() <= FREEZE
    assert abs(live.out[-1][1].stamp_ns - live.now_ns) < SECOND // 2
    assert live.moving.observed.problems['clock jumps'] == 1


def test_a_microphone_that_takes_over_shows_no_moment_twice_for_long():
    live = Live()
    live.run(2.0)
    start = live.now_ns
    live.run(0.32)
    live.run(3.0, playing('microphone-a', start - SECOND // 10))  # 0.4 s behind the face at rest
    assert live.longest_freeze() <= FREEZE
    stamps = [stamp.stamp_ns for _, stamp, _ in live.out]
    twice = sum(max(0, before - after) for before, after in zip(stamps, stamps[1:]))
    assert twice <= SECOND * 0.15
