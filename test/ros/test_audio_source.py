"""The audio source as a process: microphone, file, topic, and all that may be wrong with them."""

import numpy as np
import pytest
import soundfile
from ros_messages import speech
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Empty, UInt8MultiArray

from lsp_ros import timeline
from lsp_ros.live.pcm import LOWEST_RATE
from lsp_ros.msg import AudioChunk, FaceMotion, SpeechFeatures
from lsp_ros.nodes.conversions import stamp_ns
from lsp_ros.nodes.qos import AUDIO_QOS, LOSSY_QOS

nan = float('nan')


def assert_unbroken(chunks):
    position = chunks[0].first_sample
    start = stamp_ns(chunks[0].header) - timeline.samples_to_ns(position)
    for chunk in chunks:
        assert chunk.first_sample == position and chunk.stream_id == chunks[0].stream_id
        assert stamp_ns(chunk.header) == start + timeline.samples_to_ns(position)
        assert 160 <= len(chunk.samples) <= 320 and chunk.sample_rate == 16_000
        position += len(chunk.samples)


def test_a_missing_microphone_is_told_and_silence_goes_on(graph):
    chunks = graph.collect(AudioChunk, 'audio')
    source = graph.start('audio_source', source='microphone', device='no such microphone')
    graph.until(lambda: len(chunks) > 100, 'no audio')
    assert_unbroken(chunks)
    assert not any(np.any(chunk.samples) for chunk in chunks)
    graph.until_counted('audio_source', 'missing microphone', 2)  # it tries again
    assert "no microphone 'no such microphone'" in source.said()
    assert source.end() == 0


@pytest.fixture
def sound_file(tmp_path):
    """0.4 s of numbered samples at another rate than ours, in two channels."""
    path = tmp_path / 'sound.wav'
    tone = 0.5 * np.sin(np.arange(19_200) * 2 * np.pi * 440 / 48_000)
    soundfile.write(path, np.stack([tone, tone], axis=1), 48_000)
    return path


def test_a_file_is_played_once_ahead_of_its_stamps(graph, sound_file):
    chunks = graph.collect(AudioChunk, 'audio')
    leads = []
    graph.node.create_subscription(
        AudioChunk,
        'audio',
        lambda chunk: leads.append(stamp_ns(chunk.header) - graph.node.get_clock().now().nanoseconds),
        10,
    )
    graph.start('audio_source', source='file', file=sound_file, lead=3.0, wait_for_picture=3600.0)
    camera = graph.publisher(CameraInfo, 'camera_info')
    graph.until(lambda: len(chunks) > 30, 'no audio')
    assert not any(np.any(chunk.samples) for chunk in chunks)  # it waits for the picture
    camera.publish(CameraInfo())
    graph.until(lambda: 'the file is at its end' in graph.logs(), 'the file is not played')
    graph.spin(0.5)
    assert_unbroken(chunks)
    samples = np.concatenate([chunk.samples for chunk in chunks])
    heard = np.flatnonzero(samples)
    assert abs(heard[-1] - heard[0] - 6400) < 20
    assert np.sqrt(np.mean(np.square(samples[heard[0] + 100 : heard[-1] - 100]))) == pytest.approx(0.354, abs=0.01)
    assert np.median(leads) > 2e9


def test_a_file_may_loop(graph, sound_file):
    chunks = graph.collect(AudioChunk, 'audio')
    graph.start('audio_source', source='file', file=sound_file, loop=True, wait_for_picture=0.0)
    graph.until(lambda: sum(np.count_nonzero(chunk.samples) for chunk in chunks) > 20_000, 'the file does not loop')
    assert_unbroken(chunks)


@pytest.mark.parametrize(
    ('parameters', 'sentence'),
    [
        ({'source': 'file'}, 'name a sound file'),
        ({'source': 'file', 'file': '/no/such/file.wav'}, 'no such file'),
        ({'source': 'file', 'file': __file__}, 'cannot be read as sound'),
        ({'source': 'radio'}, "source is 'radio': microphone, file, topic, silence are allowed"),
        ({'lead': 99.0}, 'lead'),
        ({'lead': 1}, 'lead'),
    ],
)
def test_wrong_parameters_end_the_node_with_a_sentence(graph, parameters, sentence):
    source = graph.start('audio_source', **parameters)
    assert source.wait() == 1
    assert sentence in source.said()
    assert 'Traceback' not in source.said()


@pytest.fixture
def topic_source(graph):
    """(list of chunks, publisher of audio_in) of a running source that waits for no picture."""
    chunks = graph.collect(AudioChunk, 'audio')
    graph.start('audio_source', source='topic', lead=0.0, wait_for_picture=0.0)
    return chunks, graph.publisher(AudioChunk, 'audio_in')


def loud(chunks):
    """How many samples were not silent."""
    return sum(np.count_nonzero(chunk.samples) for chunk in chunks)


def test_audio_from_another_topic_is_resampled_by_its_own_rate(graph, topic_source):
    """A text-to-speech node that sends a whole sentence at once, at its own rate."""
    chunks, publisher = topic_source
    tone = np.sin(np.arange(22_050) * 2 * np.pi * 300 / 22_050).astype(np.float32) * 0.5
    publisher.publish(AudioChunk(sample_rate=22_050, samples=tone))
    graph.until(lambda: loud(chunks) > 15_500, 'the sentence is not spoken')
    assert_unbroken(chunks)


@pytest.mark.parametrize(
    'odd',
    [{'sample_rate': 22_050, 'samples': [nan]}, {'sample_rate': 1, 'samples': [0.1] * 10},
     {'sample_rate': 999, 'samples': [0.1] * 10}, {'sample_rate': 2**32 - 1, 'samples': [0.1] * 10}],
    ids=['NaN', '1 Hz', '999 Hz', '4 GHz'],
)  # fmt: skip
def test_one_odd_message_is_counted_and_the_next_sentence_is_spoken(graph, topic_source, odd):
    chunks, publisher = topic_source
    publisher.publish(AudioChunk(**odd))
    publisher.publish(AudioChunk(sample_rate=LOWEST_RATE, samples=[]))
    graph.until_counted('audio_source', 'invalid audio_in messages')
    assert graph.counted('audio_source', 'invalid audio_in messages') == 1
    assert not loud(chunks)
    publisher.publish(AudioChunk(sample_rate=LOWEST_RATE, samples=[0.1] * 500))
    graph.until(lambda: loud(chunks) > 7000, 'the sentence is not spoken')


def test_speech_that_is_cancelled_fades_out_and_the_next_sentence_is_spoken(graph, topic_source):
    """Barge-in: ten seconds at once, of which the first are heard."""
    chunks, publisher = topic_source
    cancel = graph.publisher(Empty, 'cancel')
    publisher.publish(AudioChunk(sample_rate=16_000, samples=np.ones(160_000, np.float32)))
    graph.until(lambda: loud(chunks) > 8000, 'the sentence is not spoken')
    cancel.publish(Empty())
    graph.until(lambda: not np.any(chunks[-1].samples), 'it goes on speaking')
    graph.spin(0.5)
    publisher.publish(AudioChunk(sample_rate=16_000, samples=np.full(8000, 0.25, np.float32)))
    graph.until(lambda: np.any(chunks[-1].samples), 'the next sentence is not spoken')
    graph.until(lambda: not np.any(chunks[-1].samples), 'the next sentence does not end')
    assert_unbroken(chunks)
    samples = np.concatenate([chunk.samples for chunk in chunks])
    first = np.flatnonzero(samples)[0]
    said = samples[first : first + np.flatnonzero(samples[first:] == 0)[0]]  # up to the first silence
    assert 8000 < len(said) < 160_000
    assert (said[:-128] == 1).all() and (np.diff(said[-129:]) < 0).all() and said[-1] < 0.02  # faded out in 8 ms
    rest = samples[first + len(said) :]
    assert set(rest[rest != 0]) == {np.float32(0.25)} and np.count_nonzero(rest) == 8000
    graph.until_counted('audio_source', 'cancels')


def test_the_face_is_at_rest_when_the_speech_is_cancelled_and_the_stream_goes_on(graph, tiny_avatar, topic_source):
    _, publisher = topic_source
    features, moved = graph.collect(SpeechFeatures, 'speech_features'), graph.collect(FaceMotion, 'face_motion')
    for name in ('speech_features', 'motion'):
        graph.start(name, avatar=tiny_avatar)
    cancel = graph.publisher(Empty, 'cancel')
    graph.until(lambda: features and moved and moved[-1].stream_id == features[-1].stream_id, 'the face hears nothing')
    publisher.publish(AudioChunk(sample_rate=16_000, samples=speech(160_000)))
    graph.until(lambda: moved[-1].speaking, 'the face does not speak')
    cancel.publish(Empty())
    graph.until(lambda: not moved[-1].speaking, 'the face goes on speaking')
    cancelled = moved[-1].frame
    graph.until(lambda: moved[-1].frame > cancelled + 60, 'the face stands still')
    assert not any(message.speaking for message in moved if message.frame > cancelled)
    assert len({message.stream_id for message in features}) == 1
    frames = [message.frame for message in features]
    assert frames == list(range(frames[0], frames[0] + len(frames)))


@pytest.mark.parametrize('loop', [False, True])
def test_a_file_that_is_cancelled_is_at_its_end(graph, sound_file, loop):
    chunks = graph.collect(AudioChunk, 'audio')
    graph.start(
        'audio_source',
        source='file',
        file=sound_file,
        loop=loop,
        start_delay=0.0 if loop else 3600.0,
        wait_for_picture=0.0,
    )
    cancel = graph.publisher(Empty, 'cancel')
    graph.until(lambda: loud(chunks) if loop else chunks, 'no audio')
    cancel.publish(Empty())
    graph.until(lambda: 'the file is at its end' in graph.logs(), 'the file is not given up')
    graph.spin(0.1)
    silent = len(chunks)
    graph.until(lambda: len(chunks) > silent + 60, 'the stream ends')
    assert not loud(chunks[silent:])
    assert_unbroken(chunks)


@pytest.mark.parametrize('wait, comes', [(3600.0, True), (1.0, False)], ids=['picture', 'patience'])
def test_a_sentence_that_comes_before_the_first_picture_waits_for_it(graph, wait, comes):
    chunks = graph.collect(AudioChunk, 'audio')
    graph.start('audio_source', source='topic', lead=0.0, wait_for_picture=wait)
    publisher = graph.publisher(AudioChunk, 'audio_in')
    camera = graph.publisher(CameraInfo, 'camera_info')
    said = np.linspace(0.1, 0.2, 8000, dtype=np.float32)
    publisher.publish(AudioChunk(sample_rate=16_000, samples=said))
    if comes:
        before = len(chunks)
        graph.until(lambda: len(chunks) > before + 60, 'no audio')
        assert not loud(chunks)
        camera.publish(CameraInfo())
    graph.until(lambda: loud(chunks) >= 8000, 'the sentence is not spoken')
    samples = np.concatenate([chunk.samples for chunk in chunks])
    np.testing.assert_array_equal(samples[samples != 0], said)  # whole, from its first sample on


def test_a_publisher_that_comes_back_with_another_type_or_quality_of_service_is_heard(graph):
    """A text-to-speech node is started again, as another version of itself. Plain bytes are read as assumed."""
    chunks = graph.collect(AudioChunk, 'audio')
    source = graph.start('audio_source', source='topic', lead=0.0, wait_for_picture=0.0)

    def speak(message, qos):
        before = loud(chunks)
        publisher = graph.node.create_publisher(type(message), 'audio_in', qos)
        graph.until(lambda: publisher.get_subscription_count(), f'nobody listens: {type(message)}, {qos}')

        def heard():
            publisher.publish(message)
            return loud(chunks) > before

        graph.until(heard, f'not heard: {type(message)}, {qos}')
        graph.node.destroy_publisher(publisher)

    chunk = AudioChunk(sample_rate=16_000, samples=[0.5] * 1600)
    speak(chunk, AUDIO_QOS)
    speak(chunk, LOSSY_QOS)
    speak(UInt8MultiArray(data=[0, 64] * 1600), AUDIO_QOS)
    speak(chunk, AUDIO_QOS)
    assert source.said().count('audio_in carries') >= 4


def test_plain_bytes_without_an_audio_info_are_told_once(graph):
    source = graph.start('audio_source', source='topic', wait_for_picture=0.0, topic_rate=8000)
    publisher = graph.publisher(UInt8MultiArray, 'audio_in')
    warning = 'no audio_info says how the bytes of audio_in are to be read: 8000 Hz, 1 channels, S16LE is assumed'

    def told():
        publisher.publish(UInt8MultiArray(data=[0, 64] * 160))
        return warning in source.said()

    graph.until(told, 'it is not told')
    for _ in range(50):
        assert told()
        graph.spin(0.01)
    assert source.said().count('no audio_info') == 1


@pytest.mark.slow
def test_a_simulated_clock_that_nobody_publishes_is_told_once(graph):
    source = graph.start('audio_source', source='silence', use_sim_time=True)
    graph.until(lambda: 'use_sim_time is set and nobody publishes /clock' in source.said(), 'it is not told')
    graph.spin(6.0)
    assert source.said().count('/clock') == 1
    assert source.end() == 0


def test_without_a_clock_the_duration_of_a_player_ends_by_the_time_on_the_wall(graph):
    player = graph.start('player', sound=False, window=False, duration=1.0, use_sim_time=True)
    assert player.wait() == 0
