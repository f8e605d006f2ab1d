"""Audio stays whole on its way into the speech stage, whatever is lost, doubled or late; its frames keep their time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_pieces import SECOND, START_NS, FakeSpeechStage, Observed, chunks, numbered

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.live.speech_stream import SpeechStream
from lsp_ros.live.stamped import AudioBlock, FrameStamp
from lsp_ros.speech.stage import SpeechStage


class Listening:
    """A stream, its stage and its observer."""

    def __init__(self):
        self.stage, self.observed = FakeSpeechStage(), Observed()
        self.stream = SpeechStream(self.stage, self.observed)
        self.frames = []

    @staticmethod
    def now_ns(steady):
        """The ROS clock."""
        return START_NS + round(steady * SECOND)

    def push(self, block, steady=0.0):
        """What the stage was given; None where it was not."""
        resets, pieces = self.stage.resets, len(self.stage.pieces)
        self.frames += self.stream.push(block, self.now_ns(steady), steady)
        new = self.stage.resets > resets
        return self.stage.pieces[-1] if new or len(self.stage.pieces) > pieces else None


@pytest.mark.slow
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
    listening, got, resets = Listening(), [], 0
    for chunk in arriving:
        listening.push(chunk)
        if listening.stage.resets > resets:
            # Too much was lost in a row: the stage begins anew, on the stream's own timeline.
            resets = listening.stage.resets
            start = 800 * -(-chunk.first_sample // 800)
        got = np.concatenate([np.zeros(start, np.float32), listening.stage.samples])
    heard = got != 0
    np.testing.assert_array_equal(got[heard], samples[: len(got)][heard])
    for frame in listening.frames:
        assert frame.stamp.stamp_ns == START_NS + timeline.frame_start_ns(frame.stamp.frame)
    missing = sum(np.count_nonzero(piece == 0) for piece in listening.stage.pieces)
    if listening.stage.resets == 2:  # one when it was made, one for the first chunk
        assert listening.observed.problems['healed samples'] == missing
        assert [frame.stamp.frame for frame in listening.frames] == list(range(len(listening.frames)))


def test_a_lost_chunk_is_replaced_with_silence_of_its_length():
    sent = chunks(numbered(800), [200] * 4)
    listening = Listening()
    listening.push(sent[0])
    piece = listening.push(sent[2])
    assert listening.observed.problems['healed samples'] == 200
    np.testing.assert_array_equal(piece, np.concatenate([np.zeros(200), sent[2].samples]))
    assert listening.push(sent[1]) is None
    assert listening.observed.problems['late audio chunks'] == 1


def test_a_chunk_that_overlaps_gives_only_its_new_part():
    listening = Listening()
    samples = numbered(500)
    listening.push(AudioBlock('a', 0, START_NS, samples[:300]))
    piece = listening.push(AudioBlock('a', 200, START_NS + timeline.samples_to_ns(200), samples[200:]))
    np.testing.assert_array_equal(piece, samples[300:])


@given(st.integers(0, 2**45), st.integers(0, 10))
def test_who_joins_a_running_stream_keeps_its_timeline(first_sample, frame):
    """A restarted node numbers and stamps its frames exactly as if it had listened from the beginning."""
    listening = Listening()
    for chunk in chunks(numbered(4000), [200] * 20, first_sample):
        listening.push(chunk)
    assert listening.stage.resets == 2 and not listening.observed.problems
    start = 800 * -(-first_sample // 800)
    np.testing.assert_array_equal(listening.stage.samples, numbered(4000)[start - first_sample :])
    stamp = listening.frames[frame].stamp
    assert timeline.frame_start(stamp.frame) - start == timeline.frame_start(frame)
    assert stamp.stamp_ns == START_NS + timeline.frame_start_ns(stamp.frame)


def test_a_new_stream_begins_anew():
    listening = Listening()
    listening.push(AudioBlock('a', 0, START_NS, numbered(1600)))
    listening.frames.clear()
    piece = listening.push(AudioBlock('b', 0, START_NS + 77, numbered(400)), steady=1.0)
    assert listening.stage.resets == 3 and len(piece) == 400 and not listening.observed.problems
    assert listening.frames[0].stamp == FrameStamp('b', 0, START_NS + 77)
    assert listening.observed.said[-1] == "listening to stream 'b' from sample 0"


@pytest.mark.parametrize('jump', [-timeline.SAMPLE_RATE * 3, timeline.SAMPLE_RATE])
def test_a_jump_is_not_filled(jump):
    listening = Listening()
    listening.push(AudioBlock('a', 160_000, START_NS, numbered(800)))
    piece = listening.push(AudioBlock('a', 160_800 + jump, START_NS, numbered(800)))
    assert listening.stage.resets == 3 and len(piece) <= 800
    assert listening.observed.problems == {'jumps of audio': 1}


def test_of_two_sources_one_is_heard_and_the_other_counted():
    listening = Listening()
    for number in range(100):
        for stream_id in ('one', 'two'):
            listening.push(AudioBlock(stream_id, 320 * number, 0, np.ones(320, np.float32)), number / 50)
    assert listening.observed.problems == {'chunks of a second source': 99}
    assert [frame.stamp.frame for frame in listening.frames if frame.stamp.stream_id == 'two'] == list(range(119))


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20), st.integers(0, 10**6))
def test_streaming_in_any_chunking_equals_one_push_of_everything(sizes, first_sample):
    samples = np.random.default_rng(0).normal(0, 0.3, sum(sizes)).astype(np.float32)
    pieces, whole = Listening(), Listening()
    for chunk in chunks(samples, sizes, first_sample):
        pieces.push(chunk)
    for chunk in chunks(samples, [len(samples)], first_sample):
        whole.push(chunk)
    assert [frame.stamp for frame in pieces.frames] == [frame.stamp for frame in whole.frames]
    for one, other in zip(pieces.frames, whole.frames):
        np.testing.assert_allclose(one.block.values[one.row], other.block.values[other.row], atol=1e-3)


def test_the_real_stage_gives_live_what_it_gives_at_once(tiny_avatar):
    """A stream that is joined while it runs, of which a chunk is lost: as all samples with silence in its place."""
    avatar = Avatar.load(tiny_avatar, parts=('speech',))
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    stream, live = SpeechStream(SpeechStage(avatar), Observed()), []
    for number, chunk in enumerate(chunks(samples, [320] * 50, 8000)):
        if number != 20:
            live += stream.push(chunk, Listening.now_ns(number / 50), number / 50)
    samples[20 * 320 : 21 * 320] = 0
    offline = SpeechStage(avatar).push(samples)
    assert [frame.stamp.frame for frame in live] == list(range(30, 30 + len(offline)))
    np.testing.assert_allclose([frame.block.values[frame.row] for frame in live], offline.values, atol=1e-5)


def test_a_source_that_dies_within_a_word_speaks_no_longer_after_a_while():
    listening = Listening()
    stream = listening.stream
    assert not stream.speaking and stream.seconds_to_tick(0.0) is None
    listening.push(AudioBlock('a', 0, START_NS, np.ones(1600, np.float32)), 10.0)
    assert stream.speaking and stream.seconds_to_tick(10.1) == pytest.approx(0.2)
    stream.tick(10.2)
    assert stream.speaking and not listening.observed.problems
    listening.push(AudioBlock('a', 1600, START_NS, np.ones(1600, np.float32)), 10.25)
    stream.tick(10.3)
    assert stream.speaking and stream.seconds_to_tick(10.3) == pytest.approx(0.25)
    stream.tick(10.56)
    assert not stream.speaking and listening.observed.problems == {'pauses of audio': 1}
    stream.tick(11.0)
    assert listening.observed.problems == {'pauses of audio': 1} and stream.seconds_to_tick(11.0) is None
    listening.push(AudioBlock('a', 3200, START_NS, np.ones(1600, np.float32)), 12.0)
    assert stream.speaking


def test_a_clock_that_was_set_moves_the_stamps_and_a_reset_forgets_the_stream():
    listening = Listening()
    listening.push(AudioBlock('a', 0, START_NS, numbered(800)))
    listening.push(AudioBlock('a', 800, START_NS - 10**12, numbered(800)))
    assert listening.frames[-1].stamp.stamp_ns < START_NS - 10**11
    assert [frame.stamp.frame for frame in listening.frames] == list(range(len(listening.frames)))
    listening.stream.reset()
    listening.frames.clear()
    listening.push(AudioBlock('a', 0, START_NS, numbered(800)))
    assert listening.frames[0].stamp == FrameStamp('a', 0, START_NS)


@pytest.mark.parametrize('joined', [0, 8000])
def test_a_source_that_goes_back_a_little_is_followed_within_three_tenths(joined):
    """A short recording that is played again under the name of its stream: no late chunks, a new beginning."""
    listening = Listening()
    for number in range(40):
        listening.push(chunks(numbered(320), [320], joined + number * 320)[0], number / 50)
    before = listening.observed.problems['late audio chunks']
    taken = [listening.push(chunks(numbered(320), [320], number * 320)[0], 0.8 + number / 50) for number in range(30)]
    first = next(number for number, piece in enumerate(taken) if piece is not None and len(piece))
    assert first <= 16
    assert listening.observed.problems['late audio chunks'] - before == first
    assert listening.observed.problems['jumps of audio'] == 1


def test_audio_without_stamps_is_of_now():
    listening = Listening()
    for number in range(50):
        (block,) = chunks(np.zeros(320, np.float32), [320], number * 320)
        listening.push(AudioBlock('a', block.first_sample, 0, block.samples), number / 50)
    stamps = [frame.stamp for frame in listening.frames]
    assert len(stamps) > 50
    assert [stamp.stamp_ns for stamp in stamps] == [START_NS + timeline.frame_start_ns(each.frame) for each in stamps]
