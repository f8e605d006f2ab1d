"""Streams stay whole: lost, late and doubled pieces, two clocks that differ, a reader that is too slow."""

import json
import threading

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_ros import timeline
from lsp_ros.live.recorder import Recorder, Statistics, write_report
from lsp_ros.live.sound_devices import AtRate, SoundTimeline
from lsp_ros.live.streams import AudioJoin, FrameJoin, InOrder, Mailbox, OneSource, PacedBuffer, Turns
from lsp_ros.media import read_audio
from lsp_ros.nodes.audio_source import chunk_end
from lsp_ros.nodes.conversions import Audio, Place
from lsp_ros.speech.stage import SpeechStage

START_NS = 1_700_000_000_000_000_000
SECOND = timeline.NANOSECONDS_PER_SECOND


def chunks(samples, sizes, first_sample=0, stream_id='a'):
    made, position = [], 0
    for size in sizes:
        piece = samples[position : position + size]
        stamp = START_NS + timeline.samples_to_ns(first_sample + position)
        made.append(Audio(stream_id, first_sample + position, stamp, piece))
        position += size
    return made


def numbered(count):
    return np.arange(1, count + 1, dtype=np.float32)


# Audio


@given(st.lists(st.integers(160, 320), min_size=3, max_size=40), st.data())
def test_whatever_is_lost_doubled_or_late_the_speech_stage_gets_an_unbroken_stream(sizes, data):
    samples = numbered(sum(sizes))
    sent = chunks(samples, sizes)
    arriving = [sent[0]]
    for chunk in sent[1:]:
        fate = data.draw(st.sampled_from(['arrives', 'arrives', 'arrives', 'lost', 'twice', 'with an old one']))
        if fate != 'lost':
            arriving.append(chunk)
        if fate == 'twice':
            arriving.append(chunk)
        if fate == 'with an old one':
            arriving.append(data.draw(st.sampled_from(sent)))
    join, got = AudioJoin(), []
    for chunk in arriving:
        piece = join.push(chunk)
        if piece is not None:
            if piece.restart:  # too much was lost in a row: the stage begins anew, on the stream's own timeline
                start = timeline.frame_start(join.first_frame)
                got = [np.zeros(start, np.float32)]
            got.append(piece.samples)
    got = np.concatenate(got)
    heard = got != 0
    np.testing.assert_array_equal(got[heard], samples[: len(got)][heard])


def test_a_lost_chunk_is_replaced_with_silence_of_its_length():
    sent = chunks(numbered(800), [200] * 4)
    join = AudioJoin()
    join.push(sent[0])
    piece = join.push(sent[2])
    assert piece.healed == 200
    np.testing.assert_array_equal(piece.samples, np.concatenate([np.zeros(200), sent[2].samples]))
    assert join.push(sent[1]) is None


def test_a_chunk_that_overlaps_gives_only_its_new_part():
    join = AudioJoin()
    samples = numbered(500)
    join.push(Audio('a', 0, START_NS, samples[:300]))
    piece = join.push(Audio('a', 200, START_NS + timeline.samples_to_ns(200), samples[200:]))
    np.testing.assert_array_equal(piece.samples, samples[300:])


@given(st.integers(0, 2**45), st.integers(0, 50))
def test_who_joins_a_running_stream_keeps_its_timeline(first_sample, frame):
    """A restarted node numbers and stamps its frames exactly as if it had listened from the beginning."""
    join = AudioJoin()
    pieces = [join.push(chunk) for chunk in chunks(numbered(3200), [200] * 16, first_sample)]
    got = np.concatenate([piece.samples for piece in pieces])
    assert pieces[0].restart and not any(piece.healed for piece in pieces)
    start = timeline.frame_start(join.first_frame)
    np.testing.assert_array_equal(got, numbered(3200)[start - first_sample :])
    place = join.place(frame)
    assert timeline.frame_start(place.frame) - start == timeline.frame_start(frame)
    assert place.stamp_ns == START_NS + timeline.frame_start_ns(place.frame)


def test_a_new_stream_begins_anew():
    join = AudioJoin()
    join.push(Audio('a', 0, START_NS, numbered(1600)))
    piece = join.push(Audio('b', 0, START_NS + 77, numbered(160)))
    assert piece.restart and not piece.healed and len(piece.samples) == 160
    assert join.place(0) == Place('b', 0, START_NS + 77)


@pytest.mark.parametrize('jump', [-timeline.SAMPLE_RATE * 3, timeline.SAMPLE_RATE])
def test_a_jump_is_not_filled(jump):
    join = AudioJoin()
    join.push(Audio('a', 160_000, START_NS, numbered(800)))
    piece = join.push(Audio('a', 160_800 + jump, START_NS, numbered(800)))
    assert piece.restart and len(piece.samples) <= 800


# Frames


def push_frames(join, frames, stream_id='a', start_ns=START_NS, now_ns=START_NS):
    """What a motion node does; the places that come out, as if the stage had no look-ahead."""
    places = []
    for frame in frames:
        missing = join.missing(Place(stream_id, frame, start_ns + timeline.frame_start_ns(frame)))
        if missing is None:
            continue
        for _ in range(missing + 1):
            join.push()
            places.append(join.pop(now_ns))
    return places


def test_lost_frames_are_filled_and_doubled_ones_dropped():
    places = push_frames(FrameJoin(), [7, 8, 11, 11, 9, 12])
    assert [place.frame for place in places] == [7, 8, 9, 10, 11, 12]
    assert [place.stamp_ns for place in places] == [START_NS + timeline.frame_start_ns(frame) for frame in range(7, 13)]


def test_a_new_stream_takes_over_without_going_back_in_time():
    join = FrameJoin()
    push_frames(join, range(60))
    places = push_frames(join, range(60), 'b', START_NS + SECOND // 2)  # its first half second was shown already
    stamps = [place.stamp_ns for place in places if place is not None]
    assert 28 <= len(stamps) <= 31
    assert stamps[0] > START_NS + timeline.frame_start_ns(59)
    assert stamps == sorted(stamps)


def test_a_clock_that_was_set_back_does_not_stop_the_picture():
    join = FrameJoin()
    push_frames(join, range(10))
    places = push_frames(join, range(10), 'b', START_NS - 3600 * SECOND, START_NS - 3600 * SECOND)
    assert None not in places


# Two sources


def test_of_two_sources_the_newer_is_followed_until_it_ends():
    source = OneSource()
    assert source.takes('first', 0.0) and source.takes('first', 1.0)
    assert source.takes('second', 1.01)  # a source that was started again
    for number in range(100):
        now = 1.02 + number / 60
        assert not source.takes('first', now) and source.takes('second', now + 0.005)
    assert not source.takes('first', now + 0.2)
    assert source.takes('first', now + 0.5) and source.takes('first', now + 0.52)
    assert source.takes('third', now + 0.53) and not source.takes('second', now + 0.54)


# Two clocks


def live(buffer, sound, drift, seconds, block=160):
    """What a buffer hands out of a source that pushes blocks by a clock of its own; ``sound(index)``."""
    sent, heard = 0, []
    for tick in range(int(seconds * 100)):
        now = tick * 0.01
        while sent < int(now * 16_000 * (1 + drift)) // block * block:
            buffer.push(sound(np.arange(sent, sent + block)).astype(np.float32), now)
            sent += block
        heard.append(buffer.read(160, now))
    return np.concatenate(heard), sent


@pytest.mark.parametrize('drift', [-300e-6, 0.0, 300e-6])
def test_a_sound_card_with_its_own_clock_is_followed(drift):
    """Five minutes of a tone, in blocks of 10 ms: no drop-out, no growing delay, no audible step."""
    buffer = PacedBuffer(target=480, limit=4000)
    # Never zero: silence would show.
    heard, sent = live(buffer, lambda index: 2 + np.sin(index * (2 * np.pi * 200 / 16_000)), drift, 300)
    begin = np.flatnonzero(heard)[0]
    assert begin < 1600
    assert heard[begin:].all(), 'a drop-out'
    assert np.abs(np.diff(heard[begin:])).max() < 0.2
    assert sent - len(heard) < 480 + 1600
    assert buffer.dropped == 0
    assert abs(drift) * len(heard) - 800 < buffer.slewed < 800 + 2 * abs(drift) * len(heard)  # not for ever to and fro


@pytest.mark.parametrize('drift', [-1000e-6, 1000e-6])
def test_following_another_clock_keeps_the_spectrum(drift):
    """A tone of 6 kHz: as loud as before at every moment, and nothing beside it."""
    buffer = PacedBuffer(target=800, limit=160_000)
    heard, _ = live(buffer, lambda index: 0.5 * np.sin(index * (2 * np.pi * 6000 / 16_000)), drift, 180, block=320)
    heard = heard[np.flatnonzero(heard)[0] + 100 :]
    assert buffer.slewed > 1000
    levels = np.sqrt(np.mean(np.square(heard[: len(heard) // 160 * 160].reshape(-1, 160)), axis=1))
    np.testing.assert_allclose(20 * np.log10(levels / (0.5 / np.sqrt(2))), 0, atol=0.1)
    piece = heard[-(2**18) :] * np.blackman(2**18)
    power = np.square(np.abs(np.fft.rfft(piece)))
    hertz = np.fft.rfftfreq(2**18, 1 / 16_000)
    beside = power[np.abs(hertz - 6000) > 100].sum() / power.sum()
    assert 10 * np.log10(beside) < -45


@pytest.mark.parametrize('piece', [160_000, 1024, 160])
@pytest.mark.parametrize('faster', [1.5, 4.0, np.inf])
def test_whole_sentences_leave_as_they_came(piece, faster):
    """A TTS engine hands over ten seconds at once, or as fast as it makes them."""
    sentence = np.random.default_rng(0).normal(0, 0.1, 160_000).astype(np.float32)
    buffer = PacedBuffer(target=800, limit=16_000 * 600)
    sent, heard = 0, []
    for tick in range(1100):
        now = 5.0 + tick / 60
        while sent < min(len(sentence), 1 + (tick / 60) * 16_000 * faster if faster < np.inf else np.inf):
            buffer.push(sentence[sent : sent + piece], now)
            sent += piece
        heard.append(buffer.read(266 + tick % 2, now))
    heard = np.concatenate(heard)
    begin = np.flatnonzero(heard)[0]
    np.testing.assert_array_equal(heard[begin : begin + len(sentence)], sentence)
    assert not heard[begin + len(sentence) :].any()


def test_a_word_after_a_word_is_not_taken_for_another_clock():
    """Words of half a second, one every half second: the pace of the clock, but each comes at once."""
    buffer, said = PacedBuffer(target=800, limit=160_000), np.random.default_rng(0).normal(0, 0.1, 160_000)
    buffer.push(said[:16_000], 0.0)
    heard = []
    for tick in range(1000):
        if tick % 50 == 0 and tick < 900:
            buffer.push(said[16_000 + tick * 160 :][:8000], tick * 0.01)
        heard.append(buffer.read(160, tick * 0.01))
    np.testing.assert_array_equal(np.concatenate(heard), said)


def test_what_a_live_source_said_while_it_was_not_listened_to_is_left_out_and_a_sentence_is_not():
    for pieces, waits in ((300, 480), (1, 48_000)):
        buffer = PacedBuffer(target=480, limit=160_000)
        for number in range(pieces):
            buffer.push(numbered(48_000)[number * (48_000 // pieces) :][: 48_000 // pieces], 3 * number / pieces)
        buffer.catch_up(3.0)
        heard = buffer.read(48_000, 3.0)
        np.testing.assert_array_equal(heard[:waits], numbered(48_000)[-waits:])
        assert not heard[waits:].any()


def test_nothing_sent_takes_no_room_and_cleared_is_silent():
    buffer = PacedBuffer(target=160, limit=1600)
    for _ in range(1000):
        buffer.push(np.zeros(0, np.float32), 0.0)
    assert not buffer._pieces
    buffer.push(numbered(800), 0.0)
    assert buffer.read(160, 0.0).all()
    buffer.clear()
    assert not buffer.read(160, 0.2).any()


def test_silence_while_nothing_comes_and_the_end_of_a_short_word_is_not_kept_back():
    buffer = PacedBuffer(target=480, limit=16_000)
    assert not buffer.read(160, 0.0).any()
    buffer.push(np.ones(100, np.float32), 0.0)
    assert not buffer.read(160, 0.05).any()
    said = np.concatenate([buffer.read(160, 0.2), buffer.read(160, 0.21)])
    assert said.sum() == 100 and len(said) == 320


def test_too_much_audio_loses_its_oldest_part():
    buffer = PacedBuffer(target=160, limit=1600)
    for number in range(20):
        buffer.push(np.full(160, number, np.float32), 0.0)
    assert buffer.dropped == 10 * 160
    assert buffer.read(160, 0.0)[0] == 10


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


# A slow reader


def test_the_mailbox_keeps_the_newest():
    mailbox = Mailbox()
    assert [mailbox.put(number) for number in range(4)] == [False, True, True, True]
    assert mailbox.take() == 3


def test_a_closed_mailbox_lets_its_reader_go():
    mailbox, taken = Mailbox(), []
    reader = threading.Thread(target=lambda: taken.append(mailbox.take()))
    reader.start()
    mailbox.close()
    reader.join(timeout=10)
    assert taken == [None]


# InOrder


def test_what_several_workers_make_comes_out_in_the_order_of_the_work():
    order, shown, work = InOrder(), [], iter(range(40))

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


def test_a_worker_that_fails_holds_up_nobody():
    order, shown = InOrder(), []
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


# Turns


@given(st.lists(st.tuples(st.sampled_from('abc'), st.floats(0, 0.1)), max_size=60))
def test_every_item_is_taken_in_order_or_counted_as_left_out_and_the_newest_is_never_lost(arrivals):
    now, left_out = 0.0, dict.fromkeys('abc', 0)
    turns = Turns(patience=0.04, clock=lambda: 0.0)  # the worker is free at once
    sent = {stream: [] for stream in 'abc'}
    for number, (stream, pause) in enumerate(arrivals):
        now += pause
        left_out[stream] += turns.put(stream, number, now)
        sent[stream].append(number)
    taken = {stream: [] for stream in 'abc'}
    for _ in range(len(arrivals) - sum(left_out.values())):
        ((stream, number),) = turns.take()
        taken[stream].append(number)
    for stream in 'abc':
        assert taken[stream] == sent[stream][left_out[stream] :]
        assert taken[stream][-1:] == sent[stream][-1:]


@given(st.lists(st.tuples(st.sampled_from(['put', 'take']), st.floats(0, 0.1)), max_size=60))
def test_what_a_worker_takes_is_the_newest_or_has_not_waited_long(steps):
    """Also where nothing comes while the worker is held up; and whatever was left out is told with the next."""
    now, left_out, there, taken = 0.0, 0, [], []
    turns = Turns(patience=0.04, clock=lambda: now)
    for step, pause in [*steps, ('put', 0.0), ('take', 0.0)]:
        now += pause
        if step == 'put':
            there.append(now)
            left_out += turns.put('stream', len(there) - 1, now)
        elif there and (not taken or taken[-1] < len(there) - 1):
            ((_, number),) = turns.take()
            assert number == len(there) - 1 or now - there[number] <= 0.04
            taken.append(number)
    assert taken == sorted(set(taken))
    left_out += turns.put('stream', len(there), now)
    assert sum(number not in taken for number in range(taken[-1])) == left_out


def test_who_waited_longest_for_a_turn_is_next_however_much_another_sends():
    turns = Turns(patience=1.0, clock=lambda: 0.6)
    for number in range(50):
        turns.put('loud', number, 0.0)
    turns.put('quiet', 0, 0.5)
    assert [turns.take()[0][0] for _ in range(3)] == ['loud', 'quiet', 'loud']
    turns.put('quiet', 1, 0.6)
    turns.put('late', 0, 0.6)
    assert [turns.take()[0][0] for _ in range(3)] == ['late', 'quiet', 'loud']


def test_streams_of_one_group_are_taken_together_one_item_each():
    turns = Turns(patience=1.0, clock=lambda: 0.0)
    for stream in ('a1', 'b1', 'a2', 'a2', 'a3'):
        turns.put(stream, stream.upper(), 0.0)

    def take():
        return turns.take(group=lambda stream: stream[0], most=lambda group: 2)

    assert take() == [('a1', 'A1'), ('a2', 'A2')]
    assert take() == [('b1', 'B1')]
    assert take() == [('a3', 'A3'), ('a2', 'A2')]


def test_closed_turns_let_their_reader_go():
    turns, taken = Turns(patience=1.0), []
    reader = threading.Thread(target=lambda: taken.append(turns.take()))
    reader.start()
    turns.close()
    reader.join(timeout=10)
    assert taken == [[]]


# The source's chunks


def frames_after(samples):
    return timeline.frames_in(max(0, samples - SpeechStage.look_ahead))


@given(st.integers(0, 10**9))
def test_a_chunk_ends_with_the_features_of_the_next_frame_and_is_10_to_20_ms_long(block):
    for start in (0, 800 * block + SpeechStage.look_ahead):  # a stream's begin, and where a chunk ends later on
        ends = [start]
        for _ in range(8):
            ends.append(chunk_end(ends[-1]))
        assert all(160 <= length <= 320 for length in np.diff(ends))
        frames = frames_after(start)
        for end in ends[2:] if start == 0 else ends[1:]:
            frames += 1
            assert frames_after(end) == frames and frames_after(end - 1) == frames - 1


# The film and the report


def test_the_film_shows_every_picture_at_its_stamp_and_repeats_where_one_is_missing(tmp_path):
    rate, levels = 30, [20, 60, None, None, 140, 180, None, 220]
    recorder = Recorder(str(tmp_path / 'film.mp4'), rate)
    beep = np.zeros(16_000, np.float32)
    beep[4 * 16_000 // rate :][:800] = np.sin(np.arange(800) * 0.5)  # with the picture of level 140
    for chunk in chunks(beep[1600:], [160] * 90, 1600) + chunks(beep, [160] * 10):  # in any order, 100 ms ahead
        recorder.sound(chunk)
    for number, level in enumerate(levels):
        if level is not None:
            stamp = START_NS + number * SECOND // rate + 2_000_000 * (number % 2)
            recorder.picture(stamp, np.full((512, 512, 3), level, np.uint8))
    recorder.close()

    with av.open(str(tmp_path / 'film.mp4')) as film:
        shown = [frame.to_ndarray(format='gray').mean() for frame in film.decode(video=0)]
    expected = [20, 60, 60, 60, 140, 180, 180, 220]
    np.testing.assert_allclose(shown, expected, atol=20)
    assert recorder.repeated == 3
    assert recorder.offsets.summary()['max'] < 3
    sound = read_audio(tmp_path / 'film.mp4')
    assert abs(len(sound) - 8 * 16_000 / rate) < 1100
    loud = np.flatnonzero(np.abs(sound) > 0.3)
    assert abs(loud[0] - 4 * 16_000 // rate) < 80


def test_no_picture_no_film(tmp_path):
    recorder = Recorder(str(tmp_path / 'film.mp4'), 30)
    recorder.close()
    assert not (tmp_path / 'film.mp4').exists()


def test_the_report_counts_and_times(tmp_path):
    statistics = Statistics(30)
    for number in range(100):
        if number != 50:
            stamp = START_NS + timeline.samples_to_ns(160 * number)
            statistics.sound(Audio('a', 160 * number, stamp, np.zeros(160)), stamp - 350_000_000, delay_ns=0)
    for number in range(30):
        if number not in (7, 8):
            stamp = START_NS + number * SECOND // 30
            statistics.picture(stamp, stamp + 20_000_000)
    report = statistics.report()
    assert report['images'] | {'seconds': 0} == {
        'received': 28, 'seconds': 0, 'rate': pytest.approx(27 / (29 / 30), abs=0.01), 'dropped': 2, 'out_of_order': 0,
    }  # fmt: skip
    assert report['sound']['missing_samples'] == 160 and report['sound']['late_chunks'] == 0
    assert report['latency_ms']['stamp_to_image']['median'] == 20
    assert 370 <= report['latency_ms']['audio_to_image']['median'] <= 380
    write_report(str(tmp_path / 'report.json'), report)
    assert json.loads((tmp_path / 'report.json').read_text()) == report


@pytest.mark.parametrize('rate', [11025, 22050, 44100, 48000])
def test_a_card_of_another_rate_plays_the_same_sound_at_the_same_time(rate):
    """Whatever blocks a card asks for, what it plays at a moment is what was fetched for that moment."""
    rng = np.random.default_rng(rate)
    sound = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    asked, early = [0], []

    def fetch(count: int, delay: float) -> np.ndarray:
        early.append(asked[0] / 16000 - now / rate - delay)
        asked[0] += count
        return sound[asked[0] - count : asked[0]].astype(np.float32)

    card, played, now = AtRate(fetch, rate), [], 0
    while now < rate * 0.9:
        count = int(rng.integers(1, rate // 50))
        played.append(card(count, 0.02))
        assert played[-1].shape == (count,)
        now += count
    heard = np.concatenate(played)
    late = rate // 200  # the first sound after 5 ms of silence, which fetch is told of
    true = np.sin(2 * np.pi * 440 * np.arange(len(heard) - late) / rate)
    assert np.abs(heard[late:] - true)[100:].max() < 1e-3
    assert not heard[: late - 20].any()
    np.testing.assert_allclose(early, -0.025, atol=2e-4)
