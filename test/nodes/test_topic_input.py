"""Where an audio source looks for another package's audio, and how it is told to read it."""

import array
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from encoded_sound import coded, encoded, tone
from std_msgs.msg import Empty
from stream_pieces import Observed

from lsp_ros.nodes.audio_inputs import topic_input
from lsp_ros.nodes.audio_inputs.topic_input import TopicInput, info_topic

VALUES = {
    'topic_rate': 16_000,
    'topic_channels': 1,
    'topic_encoding': 'S16LE',
    'lead': 0.35,
    'wait_for_picture': 0.0,
    'topic_type': '',
}
NOISE = np.random.default_rng(0).integers(0, 256, 32_000).astype(np.uint8)


class AudioData:
    """ros-drivers' message, which need not be installed."""

    def __init__(self, data=()):
        self.data = array.array('B', bytes(data))


def info(coding='wave', encoding='S16LE', rate=16_000, channels=1):
    return SimpleNamespace(coding_format=coding, sample_format=encoding, sample_rate=rate, channels=channels)


class Node(Observed):
    """What a topic input asks of its node."""

    def __init__(self):
        super().__init__()
        self.infos = 0  # publishers of audio_info
        self.heard = {}  # topic: (decode, receive)

    def value(self, name):
        return VALUES[name]

    def resolve_topic_name(self, name, only_expand=False):
        return '/avatar/' + name

    def call_every(self, seconds, callback):
        self.look = callback

    def get_publishers_info_by_topic(self, topic):
        return []

    def count_publishers(self, topic):
        return self.infos

    def get_logger(self):
        return SimpleNamespace(warning=self.said.append)

    def subscribe(self, message_type, topic, qos, decode, receive):
        self.heard[topic] = decode, receive


class Listening:
    """An input that has found AudioData on audio_in; `hear` is what a message says, in samples."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(topic_input, 'find_message_type', lambda name: AudioData)
        self.node = Node()
        self.input = TopicInput(self.node)
        self.input._subscribe(AudioData, None)

    def learn(self, message):
        decode, receive = self.node.heard['/avatar/audio_info']
        receive(decode(message))

    def hear(self, data):
        decode, receive = self.node.heard['audio_in']
        receive(decode(AudioData(data)))

    def heard(self):
        """All that can be played by now."""
        buffer = self.input._buffer
        return buffer._take(buffer._level)


@pytest.fixture
def listening(monkeypatch):
    return Listening(monkeypatch)


@pytest.mark.parametrize(
    ('refused', 'sentence'),
    [
        (info('opus'), "audio coded as 'opus': wave, mp3, aac are allowed"),
        (info(encoding='S20LE'), "audio sample format 'S20LE'"),
        (info(rate=10**6), '1000000 Hz'),
    ],
)
def test_of_a_refused_format_nothing_is_heard_until_a_readable_one_is_announced(listening, refused, sentence):
    listening.learn(refused)
    for _ in range(3):
        listening.hear(NOISE)
    assert not len(listening.heard())
    assert listening.node.problems == {'refused audio formats': 1}
    assert listening.node.counts == {'unread audio_in messages': 3}
    (said,) = listening.node.said
    assert sentence in said and said.endswith('audio_in is not heard until audio_info names another')
    listening.learn(info(encoding='S24LE'))
    listening.hear(encoded(tone(1600), 'S24LE'))
    np.testing.assert_allclose(listening.heard(), tone(1600), atol=1e-6)


def test_coded_sound_that_is_announced_is_decoded(listening):
    listening.learn(info('mp3'))
    for piece in np.array_split(coded('mp3', 'mp3'), 50):
        listening.hear(piece)
    heard = listening.heard()
    assert 16_000 <= len(heard) <= 18_000 and not listening.node.problems
    assert np.sqrt(np.mean(heard[2000:-2000] ** 2)) == pytest.approx(0.1414, abs=0.01)


@pytest.mark.parametrize('announced', [info(encoding='F32LE'), info('opus')])
def test_bytes_that_come_before_the_info_that_explains_them_wait_for_it(listening, announced):
    listening.node.infos = 1
    listening.hear(encoded(tone(1600), 'F32LE'))
    assert not len(listening.heard())
    listening.learn(announced)
    heard = listening.heard()
    if announced.coding_format == 'opus':
        assert not len(heard)
    else:
        np.testing.assert_array_equal(heard, tone(1600))


def test_bytes_whose_info_never_comes_are_read_as_assumed_and_that_is_told(listening, monkeypatch):
    listening.node.infos = 1
    listening.hear(encoded(tone(1600), 'S16LE'))
    listening.node.look()
    assert not len(listening.heard())
    listening.input._doubt_at = 0.0
    listening.node.look()
    assert len(listening.heard()) == 1600
    assert 'no audio_info says how the bytes of audio_in are to be read: 16000 Hz' in listening.node.said[-1]


def test_without_anybody_to_announce_a_format_bytes_are_read_as_assumed_at_once(listening):
    listening.hear(encoded(tone(1600), 'S16LE'))
    assert len(listening.heard()) == 1600


@pytest.mark.parametrize(
    ('remapped', 'topic'),
    [
        ([], '/robot/audio_info'),
        (['audio_in:=/microphone/audio'], '/microphone/audio_info'),
        (['audio_in:=audio_capture/audio'], '/robot/audio_capture/audio_info'),
        (['audio_in:=/audio'], '/audio_info'),
        (['audio_in:=/microphone/audio', 'audio_info:=/elsewhere/info'], '/elsewhere/info'),
    ],
)
def test_audio_info_is_looked_for_beside_the_audio(ros, remapped, topic):
    rules = [word for rule in remapped for word in ('-r', rule)]
    node = rclpy.create_node('source', namespace='robot', cli_args=['--ros-args', *rules])
    try:
        subscription = node.create_subscription(Empty, info_topic(node), lambda message: None, 1)
        assert subscription.topic_name == topic
    finally:
        node.destroy_node()
