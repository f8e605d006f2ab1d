"""The ROS clock is watched by the steady one, and what has no stamp gets that of its arrival."""

import pytest
from stream_pieces import SECOND, START_NS

from lsp_ros.live.clock_watch import ArrivalStamps, ClockWatch


@pytest.mark.parametrize(('step', 'told'), [(0.4, 0.0), (-0.4, 0.0), (5.0, 5.0), (-5.0, -5.0), (-3600.0, -3600.0)])
def test_a_clock_that_is_set_is_told_once(step, told):
    clock = ClockWatch()
    for number in range(100):
        assert clock.jump(START_NS + number * SECOND // 50, number / 50) == 0
    jumps = [clock.jump(START_NS + number * SECOND // 50 + round(step * SECOND), number / 50) for number in (100, 101)]
    assert jumps == [pytest.approx(told), 0.0]


def test_a_clock_that_stood_is_told_when_it_moves_again():
    clock = ClockWatch()
    jumps = [clock.jump(START_NS, number / 50) for number in range(100)]
    jumps += [clock.jump(START_NS + number * SECOND // 50, 2.0 + number / 50) for number in range(1, 100)]
    assert [jump for jump in jumps if jump] == [pytest.approx(-2.0, abs=0.05)]


@pytest.mark.parametrize('now_ns', [0, START_NS])
def test_a_clock_that_stands_for_two_seconds_is_told_once_for_each_time(now_ns):
    clock = ClockWatch()
    told = [number / 50 for number in range(500) if clock.stands(now_ns, number / 50)]
    assert told == [2.0]
    assert not clock.stands(now_ns + 1, 10.0)
    assert [number for number in range(10, 20) if clock.stands(now_ns + 1, number)] == [12]


def test_pieces_without_stamps_are_of_now_and_those_with_stamps_keep_them():
    arrivals = ArrivalStamps()
    for number in range(100):
        now_ns = START_NS + number * SECOND // 50 + number % 3 * 10_000_000
        begin, end = number * SECOND // 50, (number + 1) * SECOND // 50
        assert arrivals.stamp('a', 77, begin, end, now_ns, number / 50) == 77
        stamp_ns = arrivals.stamp('b', 0, begin, end, now_ns, number / 50)
        assert stamp_ns == START_NS + begin


def test_a_sentence_that_comes_at_once_is_stamped_at_its_pace_and_the_next_one_anew():
    arrivals, said = ArrivalStamps(), []
    for number in range(5):
        said.append(arrivals.stamp('a', 0, number * SECOND, (number + 1) * SECOND, START_NS, 1.0))
    assert said == [START_NS + number * SECOND for number in range(5)]
    later = START_NS + 20 * SECOND
    assert arrivals.stamp('a', 0, 5 * SECOND, 6 * SECOND, later, 21.0) == later
    assert arrivals.stamp('a', 0, 0, SECOND, later, 21.0) == later  # it begins again
    set_back = later - 10 * SECOND
    assert arrivals.stamp('a', 0, SECOND, 2 * SECOND, set_back, 21.0) == set_back
