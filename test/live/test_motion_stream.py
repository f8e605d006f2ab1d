"""The face goes on whatever becomes of its features: lost, doubled, late, of another stream, or none at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_pieces import SECOND, START_NS, FakeMotionStage, Observed, features_of, stamp_of

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.live.motion_stream import MotionStream
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
        if step == 3:
            frame += 1
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
