"""The speech features as a process: streams that are lost, late, bad, doubled, or stop."""

import numpy as np
import pytest
from ros_messages import send_audio, speech
from std_msgs.msg import Bool

from lsp_ros import timeline
from lsp_ros.live.stamped import AudioBlock
from lsp_ros.msg import AudioChunk, SpeechFeatures
from lsp_ros.nodes.conversions import audio_to_message, stamp_ns
from lsp_ros.nodes.qos import STATE_QOS

nan = float('nan')


@pytest.fixture
def speech_features(graph, tiny_avatar):
    """(publisher of audio, list of feature messages) of a running node."""
    features = graph.collect(SpeechFeatures, 'speech_features')
    graph.start('speech_features', avatar=tiny_avatar)
    return graph.publisher(AudioChunk, 'audio'), features


def test_features_come_with_the_numbers_and_times_of_the_audio(graph, speech_features):
    audio, features = speech_features
    start_ns, first = 1_700_000_000_000_000_000, 800 * 1000 + 100
    speaking = graph.collect(Bool, 'speaking', STATE_QOS)
    samples = np.concatenate([np.zeros(8000, np.float32), speech(8000), np.zeros(16_000, np.float32)])
    send_audio(graph, audio, first, samples=samples, start_ns=start_ns)
    graph.until(lambda: len(features) >= 110, 'no features')
    frames = [message.frame for message in features]
    assert frames == list(range(3003, 3003 + len(frames)))  # the first whole 50 ms of the stream, and no gap
    for message in features:
        assert message.stream_id == 's'
        assert stamp_ns(message.header) == start_ns + timeline.frame_start_ns(message.frame)
        assert np.isfinite(message.features).all()
    graph.until(lambda: len(speaking) >= 3, 'speaking is not told')
    assert [message.data for message in speaking[:3]] == [False, True, False]
    active = [message.active for message in features]
    assert not active[0] and any(active) and not active[-1]


def test_bad_late_and_lost_chunks_do_not_stop_the_features(graph, speech_features):
    audio, features = speech_features
    send_audio(graph, audio, 0, seconds=0.5)
    for bad in (
        AudioChunk(stream_id='s', sample_rate=44_100, samples=[0.0] * 100, first_sample=8000),
        AudioChunk(stream_id='s', sample_rate=16_000, first_sample=8000),
        AudioChunk(stream_id='s', sample_rate=16_000, samples=[nan] * 160, first_sample=8000),
        AudioChunk(stream_id='s', sample_rate=16_000, samples=[1e9] * 160, first_sample=8000),
    ):
        audio.publish(bad)
    send_audio(graph, audio, 8960, seconds=0.5)  # three chunks were lost in transit
    send_audio(graph, audio, 320, seconds=0.02)  # and one came again
    send_audio(graph, audio, 8960 + 8000, seconds=0.5)
    last = timeline.frame_at(8960 + 16_000) - 3
    graph.until(lambda: features and features[-1].frame >= last, 'the features stopped')
    assert [message.frame for message in features] == list(range(len(features)))
    graph.until_counted('speech_features', 'invalid audio messages', 4)
    graph.until_counted('speech_features', 'healed samples', 960)
    graph.until_counted('speech_features', 'late audio chunks')


def test_a_new_stream_is_followed(graph, speech_features):
    audio, features = speech_features
    send_audio(graph, audio, 16_000 * 3600, seconds=0.3, stream_id='old')
    send_audio(graph, audio, 0, seconds=0.3, stream_id='new')
    graph.until(lambda: features and features[-1].stream_id == 'new' and features[-1].frame >= 15, 'not followed')
    assert [message.frame for message in features if message.stream_id == 'new'][:3] == [0, 1, 2]


def test_of_two_sources_by_mistake_one_is_heard_and_the_other_counted(graph, speech_features):
    audio, features = speech_features
    for position in range(0, 32_000, 320):
        for stream_id in ('one', 'two'):
            audio.publish(audio_to_message(AudioBlock(stream_id, position, 0, np.zeros(320, np.float32))))
        graph.spin(0.001)
    graph.until(lambda: features and features[-1].frame >= 118, 'the features stopped')
    graph.until_counted('speech_features', 'chunks of a second source', 90)
    assert [message.frame for message in features if message.stream_id == 'two'] == list(range(119))
    assert graph.logs().count('listening to stream') == 2
    assert graph.logs().count('two sources publish on audio') < 90


def test_nobody_speaks_when_the_source_dies_within_a_word(graph, speech_features):
    audio, _ = speech_features
    speaking = graph.collect(Bool, 'speaking', STATE_QOS)
    send_audio(graph, audio, samples=np.concatenate([np.zeros(8000, np.float32), speech(8000)]))
    graph.until(lambda: len(speaking) >= 2 and speaking[-1].data, 'speech is not told')
    graph.until(lambda: not speaking[-1].data, 'it goes on speaking')
    graph.until_counted('speech_features', 'pauses of audio')
    send_audio(graph, audio, 16_000, samples=speech(8000))
    graph.until(lambda: speaking[-1].data, 'speech is not told when the sound is back')
