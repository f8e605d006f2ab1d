"""The clock is exact: at sample 0, after 30 days, and at every position between."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lsp_ros import timeline

THIRTY_DAYS = 30 * 24 * 3600 * timeline.SAMPLE_RATE
samples = st.integers(0, 2 * THIRTY_DAYS)
frames = st.integers(0, 2 * THIRTY_DAYS * timeline.FRAME_RATE // timeline.SAMPLE_RATE)


def test_thirty_days_of_samples_are_thirty_days_of_frames():
    seconds = 30 * 24 * 3600
    assert timeline.frames_in(THIRTY_DAYS) == 60 * seconds
    assert timeline.frame_start(60 * seconds) == THIRTY_DAYS
    assert timeline.feature_start(120 * seconds) == THIRTY_DAYS
    assert timeline.frame_at(THIRTY_DAYS) == 60 * seconds
    assert timeline.frame_at(THIRTY_DAYS - 1) == 60 * seconds - 1
    assert timeline.samples_to_ns(THIRTY_DAYS) == seconds * 10**9
    assert timeline.frame_start_ns(60 * seconds) == seconds * 10**9


def test_chunks_of_ten_milliseconds_never_drift():
    # A kiosk that counts chunks for 30 days is where one multiplication says it is.
    chunk, chunks = 160, THIRTY_DAYS // 160
    for count in range(chunks - 1000, chunks + 1):
        position = count * chunk
        exact = Fraction(position * 60, 16000)
        assert timeline.frames_in(position) == exact.__floor__()


@given(frames)
def test_a_frame_starts_less_than_one_sample_before_its_exact_time(frame):
    exact = Fraction(frame * timeline.SAMPLE_RATE, timeline.FRAME_RATE)
    assert exact - 1 < timeline.frame_start(frame) <= exact


@given(frames)
def test_a_frame_owns_exactly_two_feature_frames(frame):
    assert timeline.feature_start(2 * frame) == timeline.frame_start(frame)
    assert timeline.frame_start(frame) < timeline.feature_start(2 * frame + 1) < timeline.frame_start(frame + 1)


@given(samples)
def test_every_sample_belongs_to_the_frame_around_it(sample):
    frame = timeline.frame_at(sample)
    assert timeline.frame_start(frame) <= sample < timeline.frame_start(frame + 1)


@given(frames)
def test_the_first_sample_of_a_frame_belongs_to_it(frame):
    assert timeline.frame_at(timeline.frame_start(frame)) == frame


@given(samples)
def test_whole_frames_fit_into_a_clip_and_one_more_does_not(length):
    count = timeline.frames_in(length)
    assert Fraction(count, 60) <= Fraction(length, 16000) < Fraction(count + 1, 60)


@given(samples)
def test_nanoseconds_and_samples_convert_back(sample):
    nanoseconds = timeline.samples_to_ns(sample)
    assert Fraction(nanoseconds, 10**9) == Fraction(sample, 16000)
    assert timeline.ns_to_samples(nanoseconds) == sample
    assert timeline.ns_to_samples(nanoseconds + timeline.NANOSECONDS_PER_SAMPLE - 1) == sample
