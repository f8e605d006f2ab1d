"""When something is shown: pictures wait for their moment, and the delay is chosen and judged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from stream_pieces import SECOND, START_NS, Observed

from lsp_ros import timeline
from lsp_ros.live.presentation import PresentationDelay, PresentationQueue
from lsp_ros.live.stamped import AudioBlock

PICTURE = np.zeros((2, 2, 3), np.uint8)


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=60), st.integers(1, 8))
def test_pictures_wait_in_order_whatever_the_clock_does_and_never_too_many(steps, most):
    """A step is a picture that comes, due then, or a look at the clock at that time."""
    waiting, last = PresentationQueue(most), None
    for time, comes in steps:
        if comes:
            waiting.put(time, PICTURE)
            last = time
            assert 1 <= len(waiting) <= most
            assert waiting.next_due_ns <= last  # nothing of a clock that no longer holds is before it
        else:
            due = waiting.take(time)
            assert due is None or due[0] <= time
            assert waiting.next_due_ns is None or waiting.next_due_ns > time
    if last is not None and len(waiting):
        assert waiting.take(last)[0] == last and not len(waiting)


def hear(delay, lead, chunks, stream_id='a'):
    """So many chunks of a source that publishes `lead` seconds before its stamps, each up to 9 ms late."""
    for number in range(chunks):
        stamp = START_NS + timeline.samples_to_ns(number * 320)
        late = number * 7 % 10 * 1_000_000
        block = AudioBlock(stream_id, number * 320, stamp, np.zeros(320, np.float32))
        delay.hear(block, stamp - round(lead * SECOND) + late)
    return START_NS + timeline.samples_to_ns(chunks * 320)  # until when it was heard


def test_half_a_second_passes_from_the_publishing_of_a_sound_to_its_showing_for_each_stream():
    observed = Observed()
    delay = PresentationDelay(-1.0, observed)
    hear(delay, 0.35, 60)
    assert delay.ns == 150_000_000
    hear(delay, -0.03, 60, 'b')
    assert delay.ns == 530_000_000
    hear(delay, 3.0, 60, 'c')
    assert delay.ns == 50_000_000  # never less
    assert observed.said == [f'presentation delay {seconds:.3f} s' for seconds in (0.15, 0.53, 0.05)]


def test_a_delay_that_was_given_stays_and_the_right_one_is_told_where_it_is_too_short():
    observed = Observed()
    delay = PresentationDelay(0.2, observed)
    stamp = hear(delay, 0.0, 60) - SECOND
    for number in range(200):
        late = SECOND if number >= 100 or number == 50 else 0
        delay.judge(stamp, stamp + SECOND // 10 + late)
        if number < 100:  # one that comes late is no reason to warn
            assert not observed.problems
    assert delay.ns == 200_000_000
    assert observed.counts['late pictures'] == 101
    assert observed.said[-1] == 'pictures come 900 ms late; set presentation_delay to 1.10'


def test_pictures_without_sound_are_not_judged():
    observed = Observed()
    delay = PresentationDelay(0.2, observed)
    for _ in range(200):
        delay.judge(START_NS, START_NS + SECOND)
    until = hear(delay, 0.0, 60)
    for _ in range(200):
        delay.judge(until, until + SECOND)
    assert not observed.counts and not observed.problems


def test_a_picture_of_another_clock_is_shown_at_once_and_told():
    observed = Observed()
    delay = PresentationDelay(0.2, observed)
    assert delay.due_ns(START_NS + 9 * SECOND, START_NS) == START_NS + 9 * SECOND + 200_000_000
    assert not observed.problems
    assert delay.due_ns(START_NS + 3600 * SECOND, START_NS) == START_NS
    assert observed.problems == {'pictures of another clock': 1}


def test_a_stream_that_goes_on_elsewhere_has_its_delay_chosen_anew():
    """A recording that is played again: its stamps are older than the first time, and it is heard all the same."""
    observed = Observed()
    delay = PresentationDelay(-1.0, observed)
    hear(delay, -10.0, 60)
    assert delay.ns == 10_500_000_000
    hear(delay, -20.0, 60)
    assert delay.ns == 20_500_000_000
