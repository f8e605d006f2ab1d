"""Pieces of streams for tests, and stand-ins for who receives them."""

from collections import Counter, deque

import numpy as np

from lsp_ros import timeline
from lsp_ros.live.stamped import AudioBlock, FrameStamp
from lsp_ros.signals import FaceMotion, HeadPoseCommand, SpeechFeatures

START_NS = 1_700_000_000_000_000_000
SECOND = timeline.NANOSECONDS_PER_SECOND


def chunks(samples, sizes, first_sample=0, stream_id='a', start_ns=START_NS):
    """Blocks of audio of these sizes, cut from samples (n,)."""
    made, position = [], 0
    for size in sizes:
        piece = samples[position : position + size]
        stamp = start_ns + timeline.samples_to_ns(first_sample + position)
        made.append(AudioBlock(stream_id, first_sample + position, stamp, piece))
        position += size
    return made


def numbered(count):
    """1, 2, 3, ... (count,): each sample says where it stood, and none is silent."""
    return np.arange(1, count + 1, dtype=np.float32)


def stamp_of(frame, stream_id='a', start_ns=START_NS):
    """Where a frame of a stream stands that began then."""
    return FrameStamp(stream_id, frame, start_ns + timeline.frame_start_ns(frame))


def features_of(frames, active=False):
    """Features that say of which frames they are: values (N, 2, 512)."""
    values = np.broadcast_to(np.float32(frames)[:, None, None], (len(frames), 2, 512)).copy()
    return SpeechFeatures(0, values, np.full(len(frames), -20, np.float32), np.full(len(frames), active, bool))


class Observed:
    """What a stream told its observer."""

    def __init__(self):
        self.problems, self.counts, self.said = Counter(), Counter(), []

    def report_problem(self, counter, sentence, count=1):
        self.problems[counter] += count
        self.said.append(sentence)

    def count(self, counter, amount=1):
        self.counts[counter] += amount

    def tell(self, sentence):
        self.said.append(sentence)


class FakeSpeechStage:
    """Stands for a speech stage: the values of a frame are the sum of all samples before its look-ahead ends."""

    look_ahead = 67

    def __init__(self):
        self.resets = 0
        self.loud = 0.5  # louder samples are speech

    def reset(self):
        self.resets += 1
        self.pieces = []  # since then
        self.frame = 0

    @property
    def samples(self):
        return np.concatenate([np.zeros(0, np.float32), *self.pieces])

    def push(self, samples):
        self.pieces.append(samples)
        heard = self.samples.astype(float)
        first, self.frame = self.frame, timeline.frames_in(max(0, len(heard) - self.look_ahead))
        frames = range(first, self.frame)
        if not frames:
            return None
        ends = [timeline.frame_start(frame + 1) for frame in frames]
        return SpeechFeatures(
            first,
            np.array([heard[: end + self.look_ahead].sum() for end in ends])[:, None, None],
            np.zeros(len(frames), np.float32),
            np.array([np.abs(heard[timeline.frame_start(t) : timeline.frame_start(t + 1)]).max() for t in frames])
            > self.loud,
        )


class FakeMotionStage:
    """Stands for a motion stage: after its look-ahead comes out what went in, unbroken, or it fails."""

    def __init__(self, look_ahead=0):
        self.look_ahead = look_ahead
        self.idle_amplitude = 1.0
        self.refused = set()  # values that it cannot take
        self.commands = []

    def reset(self):
        self.next_frame, self.waiting, self.next_out = None, deque(), 0

    def silence(self, frames):
        return SpeechFeatures(
            self.next_frame or 0,
            np.full((frames, 2, 512), -1, np.float32),
            np.full(frames, -120, np.float32),
            np.zeros(frames, bool),
        )

    def push(self, features):
        assert self.next_frame in (None, features.first_frame), 'the stage was given a gap'
        said = features.values[:, 0, 0].tolist()
        if self.refused & set(said):
            raise ValueError(f'{said} is refused')
        self.next_frame = features.first_frame + len(features)
        self.waiting.extend(said)
        count = len(self.waiting) - self.look_ahead
        if count <= 0:
            return None
        out = np.float32([self.waiting.popleft() for _ in range(count)])
        first, self.next_out = self.next_out, self.next_out + count
        rows = [out[:, None]] * 4
        return FaceMotion(first, *rows, np.zeros(count, bool), np.zeros(count, np.uint8), np.zeros(count, bool))

    def command(self, command, frame=None):
        if not isinstance(command, HeadPoseCommand):
            raise ValueError('no command')
        self.commands.append(command)
