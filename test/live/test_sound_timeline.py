"""Sound is found by its time, played, cancelled."""

import numpy as np
import pytest
from stream_pieces import SECOND, START_NS, numbered

from lsp_ros import timeline
from lsp_ros.live.sound_timeline import SoundTimeline


def test_sound_is_found_by_its_time_and_what_never_came_is_silence():
    sound = SoundTimeline(seconds=1)
    sound.write(START_NS, np.full(160, 1, np.float32))
    sound.write(START_NS + timeline.samples_to_ns(320), np.full(160, 3, np.float32))
    got = sound.read(START_NS + timeline.samples_to_ns(80), 480)
    np.testing.assert_array_equal(got, np.repeat([1, 0, 3, 0], [80, 160, 160, 80]))


def test_playing_goes_on_smoothly_and_follows_the_clock():
    sound = SoundTimeline()
    sound.write(START_NS, numbered(64_000))
    clock = START_NS
    played = []
    for _ in range(300):
        samples, early = sound.play(clock, 160)
        played.append(samples)
        assert abs(early) < 0.005
        clock += timeline.samples_to_ns(160) + 5_000  # a sound card that is 500 ppm slow
    steps = np.diff(np.concatenate(played))
    assert set(steps) <= {0.0, 1.0, 2.0} and sound.jumps == 0
    sound.play(clock + SECOND // 2, 160)
    assert sound.jumps == 1


@pytest.mark.parametrize('on_its_way', [0, 1, 3])
def test_sound_that_is_cancelled_fades_out_at_once_and_what_is_said_next_is_heard(on_its_way):
    sound, clock, played = SoundTimeline(), START_NS, []

    def play(count=160):
        nonlocal clock
        played.append(sound.play(clock, count)[0])
        clock += timeline.samples_to_ns(count)

    def hear(first, samples):
        sound.write(START_NS + timeline.samples_to_ns(first), np.asarray(samples, np.float32))

    hear(0, np.ones(8000))
    play(1600)
    sound.cancel()
    for number in range(on_its_way):
        hear(8000 + 320 * number, np.ones(320))
    hear(8000 + 320 * on_its_way, np.repeat([1, 0], [128, 192]))  # where the source itself was cancelled
    hear(9600, np.full(1600, 2))
    while len(played) < 60:
        play()
    heard = np.concatenate(played)
    assert (heard[:1600] == 1).all()
    fade = heard[1600:1728]
    assert (np.diff(fade) < 0).all() and fade[0] > 0.98 and fade[-1] < 0.02
    assert not heard[1728:9600].any()
    assert (heard[9600:] == 2).all()


def test_sound_goes_on_though_no_source_was_cancelled():
    """A microphone has nothing to cancel: what it heard is not played, but what it hears is."""
    sound = SoundTimeline()
    for number in range(40):
        if number == 10:
            sound.cancel()
        sound.write(START_NS + timeline.samples_to_ns(320 * number), np.ones(320, np.float32))
    heard = sound.read(START_NS, 40 * 320)
    assert not heard[: 10 * 320].any() and heard[20 * 320 :].all()
