"""Workers that are too slow, several of them, several streams."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_ros.live.scheduling import FairQueue, LatestValue, ReorderBuffer


def test_the_latest_value_is_kept():
    latest = LatestValue()
    assert [latest.put(number) for number in range(4)] == [False, True, True, True]
    assert latest.take() == 3


@pytest.mark.slow
def test_a_closed_one_lets_its_reader_go():
    latest, taken = LatestValue(), []
    reader = threading.Thread(target=lambda: taken.append(latest.take()))
    reader.start()
    latest.close()
    reader.join(timeout=10)
    assert taken == [None]


# Several workers


@pytest.mark.slow
def test_what_several_workers_make_comes_out_in_the_order_of_the_work():
    order, shown, work = ReorderBuffer(), [], iter(range(40))

    def worker():
        while True:
            number, item = order.take(lambda: next(work, None))
            if item is None:
                return
            if item % 3 == 0:  # the others overtake it
                threading.Event().wait(0.002)
            with order.turn(number):
                shown.append(item)

    workers = [threading.Thread(target=worker, daemon=True) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(timeout=10)
    assert shown == list(range(40))


@pytest.mark.slow
def test_a_worker_that_fails_holds_up_nobody():
    order, shown = ReorderBuffer(), []
    first, _ = order.take(lambda: 'first')
    second, _ = order.take(lambda: 'second')

    def work():
        with order.turn(second):
            shown.append('second')

    other = threading.Thread(target=work, daemon=True)
    other.start()
    with pytest.raises(ZeroDivisionError), order.turn(first):
        shown.append('first')
        raise ZeroDivisionError
    other.join(timeout=10)
    assert shown == ['first', 'second']


# Several streams


@given(st.lists(st.tuples(st.sampled_from('abc'), st.floats(0, 0.1)), max_size=60))
def test_every_item_is_taken_in_order_or_counted_as_left_out_and_the_newest_is_never_lost(arrivals):
    now, left_out = 0.0, dict.fromkeys('abc', 0)
    queue = FairQueue(longest_wait=0.04, clock=lambda: 0.0)  # the worker is free at once
    sent = {stream: [] for stream in 'abc'}
    for number, (stream, pause) in enumerate(arrivals):
        now += pause
        left_out[stream] += queue.put(stream, number, now)
        sent[stream].append(number)
    taken = {stream: [] for stream in 'abc'}
    for _ in range(len(arrivals) - sum(left_out.values())):
        ((stream, number),) = queue.take()
        taken[stream].append(number)
    for stream in 'abc':
        assert taken[stream] == sent[stream][left_out[stream] :]
        assert taken[stream][-1:] == sent[stream][-1:]


@given(st.lists(st.tuples(st.sampled_from(['put', 'take']), st.floats(0, 0.1)), max_size=60))
def test_what_a_worker_takes_is_the_newest_or_has_not_waited_long(steps):
    """Also where nothing comes while the worker is held up; and whatever was left out is told with the next."""
    now, left_out, there, taken = 0.0, 0, [], []
    queue = FairQueue(longest_wait=0.04, clock=lambda: now)
    for step, pause in [*steps, ('put', 0.0), ('take', 0.0)]:
        now += pause
        if step == 'put':
            there.append(now)
            left_out += queue.put('stream', len(there) - 1, now)
        elif there and (not taken or taken[-1] < len(there) - 1):
            ((_, number),) = queue.take()
            assert number == len(there) - 1 or now - there[number] <= 0.04
            taken.append(number)
    assert taken == sorted(set(taken))
    left_out += queue.put('stream', len(there), now)
    assert sum(number not in taken for number in range(taken[-1])) == left_out


def test_who_waited_longest_for_a_turn_is_next_however_much_another_sends():
    queue = FairQueue(longest_wait=1.0, clock=lambda: 0.6)
    for number in range(50):
        queue.put('loud', number, 0.0)
    queue.put('quiet', 0, 0.5)
    assert [queue.take()[0][0] for _ in range(3)] == ['loud', 'quiet', 'loud']
    queue.put('quiet', 1, 0.6)
    queue.put('late', 0, 0.6)
    assert [queue.take()[0][0] for _ in range(3)] == ['late', 'quiet', 'loud']


def test_streams_of_one_group_are_taken_together_one_item_each():
    queue = FairQueue(longest_wait=1.0, clock=lambda: 0.0)
    for stream in ('a1', 'b1', 'a2', 'a2', 'a3'):
        queue.put(stream, stream.upper(), 0.0)

    def take():
        return queue.take(group=lambda stream: stream[0], most=lambda group: 2)

    assert take() == [('a1', 'A1'), ('a2', 'A2')]
    assert take() == [('b1', 'B1')]
    assert take() == [('a3', 'A3'), ('a2', 'A2')]


@pytest.mark.slow
def test_a_closed_queue_lets_its_reader_go():
    queue, taken = FairQueue(longest_wait=1.0), []
    reader = threading.Thread(target=lambda: taken.append(queue.take()))
    reader.start()
    queue.close()
    reader.join(timeout=10)
    assert taken == [[]]
