"""Each node as the process that a user starts: parameters, life cycle, and all that may be wrong with its input."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool, Empty, UInt8MultiArray

from lsp_ros import signals, timeline
from lsp_ros.avatar.consent import record_text
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.save import add_consent
from lsp_ros.live.pcm import LOWEST_RATE
from lsp_ros.live.stamped import AudioBlock, FrameStamp
from lsp_ros.msg import AudioChunk, FaceMotion, HeadPoseCommand, SpeechFeatures
from lsp_ros.nodes.conversions import audio_to_message, features_to_message, header_at, image_to_message, stamp_ns
from lsp_ros.nodes.qos import AUDIO_QOS, IMAGE_QOS, LOSSY_QOS, STATE_QOS

nan = float('nan')


def speech(count, seed=0):
    """Something loud enough to count as speech, (count,) float32."""
    return np.random.default_rng(seed).normal(0, 0.1, count).astype(np.float32).clip(-1, 1)


def send_audio(graph, publisher, first=0, seconds=1.0, samples=None, stream_id='s', start_ns=0):
    """Chunks of 20 ms, as fast as they are taken."""
    samples = np.zeros(int(seconds * 16_000), np.float32) if samples is None else samples
    for position in range(0, len(samples), 320):
        stamp = start_ns + timeline.samples_to_ns(first + position)
        piece = samples[position : position + 320]
        publisher.publish(audio_to_message(AudioBlock(stream_id, first + position, stamp, piece)))
        graph.spin(0.001)


def features_message(frame, stream_id='s', start_ns=0, **changes):
    block = signals.SpeechFeatures(frame, np.zeros((1, 2, 512), np.float32), np.float32([-90]), np.array([False]))
    message = features_to_message(FrameStamp(stream_id, frame, start_ns + timeline.frame_start_ns(frame)), block, 0)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


# Audio source


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


# Speech features


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


# Motion


@pytest.fixture
def motion(graph, tiny_avatar):
    """(publisher of features, list of motion messages) of a running node."""
    moved = graph.collect(FaceMotion, 'face_motion')
    graph.start('motion', avatar=tiny_avatar)
    return graph.publisher(SpeechFeatures, 'speech_features'), moved


def assert_in_order(messages):
    stamps = [stamp_ns(message.header) for message in messages]
    assert all(before < after for before, after in zip(stamps, stamps[1:], strict=False))


def test_the_face_lives_without_any_audio_and_takes_up_a_stream(graph, motion):
    features, moved = motion
    graph.until(lambda: len(moved) > 60, 'no idle motion')
    assert_in_order(moved)
    assert not any(message.speaking for message in moved)
    start_ns = graph.node.get_clock().now().nanoseconds
    for frame in range(120):
        features.publish(features_message(frame, start_ns=start_ns))
        graph.spin(0.001)
    graph.until(lambda: moved[-1].stream_id == 's', 'the stream is not taken up')
    graph.until(lambda: moved[-1].frame > 200, 'the face stops with the stream')  # by the clock, on its timeline
    assert_in_order(moved)
    own = [message for message in moved if message.stream_id == 's']
    for message in own:
        assert stamp_ns(message.header) == start_ns + timeline.frame_start_ns(message.frame)
    graph.until_counted('motion', 'pauses of speech_features')


def test_bad_features_do_not_stop_the_face(graph, motion):
    features, moved = motion
    for frame in range(60):
        if frame in (30, 31):
            features.publish(features_message(frame, features=np.full(1024, nan, np.float32)))
        elif frame == 40:
            features.publish(features_message(frame, level_db=nan))
        else:
            features.publish(features_message(frame))
        graph.spin(0.001)
    graph.until(lambda: moved and moved[-1].stream_id == 's' and moved[-1].frame >= 41, 'the face stopped')
    assert all(np.isfinite(message.landmarks).all() for message in moved)
    graph.until_counted('motion', 'invalid speech_features messages', 3)
    graph.until_counted('motion', 'healed frames', 3)


def test_of_two_streams_of_features_by_mistake_one_moves_the_face(graph, motion):
    features, moved = motion
    for frame in range(120):
        for stream_id in ('one', 'two'):
            features.publish(features_message(frame, stream_id=stream_id))
        graph.spin(0.001)
    graph.until_counted('motion', 'frames of a second source', 110)
    graph.until(lambda: any(message.frame >= 100 for message in moved if message.stream_id == 'two'), 'not followed')
    assert graph.logs().count('moving to stream') == 2


def test_bad_commands_are_counted_and_good_ones_obeyed(graph, motion):
    _, moved = motion
    commands = graph.publisher(HeadPoseCommand, 'head_pose_command')
    graph.until(lambda: moved, 'no motion')
    bad = [HeadPoseCommand(mode=HeadPoseCommand.ABSOLUTE, timeout=30.0) for _ in range(4)]
    bad[0].orientation.x = nan
    bad[1].orientation.w = 0.0
    bad[2].translation.z = nan
    bad[3].mode = 200
    for message in bad:
        commands.publish(message)
    graph.until_counted('motion', 'invalid head_pose_command messages', 4)
    assert {message.head_source for message in moved} == {FaceMotion.AUTONOMOUS}

    far = HeadPoseCommand(mode=HeadPoseCommand.ABSOLUTE, timeout=0.0, transition_time=0.1)  # a turn of 80 degrees
    far.orientation.z, far.orientation.w = np.sin(np.radians(40)), np.cos(np.radians(40))
    commands.publish(far)
    held = graph.until(
        lambda: moved[-1] if moved[-1].head_source == FaceMotion.COMMAND else None, 'the command is not obeyed'
    )
    assert held.clamped
    commands.publish(HeadPoseCommand(mode=HeadPoseCommand.AUTONOMOUS))
    graph.until(lambda: moved[-1].head_source == FaceMotion.AUTONOMOUS, 'the head is not given back')
    assert_in_order(moved)


# Player


def test_ctrl_c_leaves_a_whole_film_and_a_report(graph, tmp_path):
    """Without a loudspeaker, which is told, and without a window."""
    film, report = tmp_path / 'film.mp4', tmp_path / 'report.json'
    player = graph.start('player', record=film, report=report, window=False, device='none')
    images, audio = graph.publisher(Image, 'image', IMAGE_QOS), graph.publisher(AudioChunk, 'audio')
    start_ns = graph.node.get_clock().now().nanoseconds
    frames = iter(range(10_000))

    def shown():
        frame = next(frames)
        samples = np.full(533, 0.1, np.float32)
        first = frame * len(samples)
        audio.publish(audio_to_message(AudioBlock('s', first, start_ns + timeline.samples_to_ns(first), samples)))
        header = header_at(start_ns + frame * timeline.NANOSECONDS_PER_SECOND // 30)
        images.publish(image_to_message(np.full((512, 512, 3), frame % 256, np.uint8), header))
        return float(graph.diagnostics.get('player', {}).get('images per second', 0)) > 0

    graph.until(shown, 'the player gets no pictures')
    graph.until(lambda: "no loudspeaker 'none'" in player.said(), 'the missing loudspeaker is not told')
    assert player.end() == 0
    figures = json.loads(report.read_text())
    assert figures['images']['received'] > 0 and figures['sound']['chunks'] > 0
    with av.open(str(film)) as opened:
        shown = sum(1 for _ in opened.decode(video=0))
    assert shown == figures['images']['received'] + figures['film']['repeated'] - figures['film']['skipped']


# Transport


def largest_segment_of(graph, environment: dict) -> int:
    """Bytes of the largest shared-memory segment that Fast DDS makes for a node; it also maps those of others."""
    before = set(Path('/dev/shm').iterdir())
    chunks = graph.collect(AudioChunk, 'audio')
    source = graph.start('audio_source', environment=environment, source='silence')
    graph.until(lambda: chunks, 'no audio')
    lines = [line.split() for line in Path(f'/proc/{source.popen.pid}/maps').read_text().splitlines()]
    segments = {Path(line[-1]) for line in lines if line[-1].startswith('/dev/shm/fastdds_')} - before
    sizes = [segment.stat().st_size for segment in segments]
    assert source.end() == 0
    return max(sizes)


def test_every_node_makes_room_for_pictures_unless_the_user_has_a_profile(graph, tmp_path):
    profile = 'FASTDDS_DEFAULT_PROFILES_FILE'
    bare = {name: value for name, value in os.environ.items() if name != profile}
    assert largest_segment_of(graph, bare) >= 32 * 2**20
    own = tmp_path / 'own.xml'
    own.write_text('<profiles xmlns="http://www.eprosima.com"/>')
    assert largest_segment_of(graph, {**bare, profile: str(own)}) < 2 * 2**20


# Avatars that cannot be used


def damage(folder: Path, how: str) -> Path:
    weights = folder / 'mouth.safetensors'
    if how == 'missing':
        shutil.rmtree(folder)
    elif how == 'truncated':
        weights.write_bytes(weights.read_bytes()[:1000])
    elif how == 'checksum':
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    elif how == 'pickle':
        import hashlib
        import pickle

        data = pickle.dumps({'weight': [1.0]})
        manifest = folder / 'avatar.yaml'
        old = hashlib.sha256(weights.read_bytes()).hexdigest()
        weights.write_bytes(data)
        manifest.write_text(manifest.read_text().replace(old, hashlib.sha256(data).hexdigest()))
    return folder


@pytest.mark.parametrize(
    ('how', 'sentence'),
    [('missing', 'no such avatar'), ('truncated', 'checksum'), ('checksum', 'checksum'), ('pickle', 'pickle')],
)
def test_an_avatar_that_cannot_be_used_ends_the_node_with_a_sentence(graph, tiny_avatar_copy, how, sentence):
    node = graph.start('motion', avatar=damage(tiny_avatar_copy, how))
    assert node.wait() == 1
    assert sentence in node.said()
    fatal = [line for line in node.said().splitlines() if 'FATAL' in line]
    assert len(fatal) == 1


@pytest.mark.parametrize('name', ['speech_features', 'renderer'])
def test_the_other_nodes_check_their_avatar_too(graph, name):
    node = graph.start(name, avatar='nobody')
    assert node.wait() == 1
    assert 'nobody: there is no such avatar' in node.said()


# Life cycle and parameters


def test_diagnostics_say_that_a_node_is_not_running(graph):
    said = []
    graph.node.create_subscription(
        DiagnosticArray, '/diagnostics',
        lambda message: said.extend(status.message for status in message.status if 'audio_source' in status.name), 10,
    )  # fmt: skip
    graph.start('audio_source', source='silence', autostart=False)
    for transition, message in (
        (None, 'unconfigured'),
        (Transition.TRANSITION_CONFIGURE, 'inactive'),
        (Transition.TRANSITION_ACTIVATE, 'running'),
    ):
        if transition:
            assert change_state(graph, 'audio_source', transition)
        graph.until(lambda message=message: said and said[-1] == message, f'{message} is not told')


def call(graph, service_type, name, request):
    client = graph.node.create_client(service_type, name)
    graph.until(client.service_is_ready, f'no service {name}')
    future = client.call_async(request)
    graph.until(future.done, f'no answer from {name}')
    return future.result()


def change_state(graph, node, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return call(graph, ChangeState, f'{node}/change_state', request).success


def state(graph, node):
    return call(graph, GetState, f'{node}/get_state', GetState.Request()).current_state.id


def set_parameter(graph, node, name, value):
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    return call(graph, SetParameters, f'{node}/set_parameters', request).results[0]


def test_the_life_cycle_can_be_walked_by_hand(graph, tiny_avatar):
    moved = graph.collect(FaceMotion, 'face_motion')
    graph.start('motion', autostart=False, avatar='nobody')
    assert not change_state(graph, 'motion', Transition.TRANSITION_CONFIGURE)  # it says why, and can be helped
    assert state(graph, 'motion') == State.PRIMARY_STATE_UNCONFIGURED
    assert set_parameter(graph, 'motion', 'avatar', str(tiny_avatar)).successful
    for _ in range(2):
        assert change_state(graph, 'motion', Transition.TRANSITION_CONFIGURE)
        assert not set_parameter(graph, 'motion', 'avatar', 'presenter').successful
        assert change_state(graph, 'motion', Transition.TRANSITION_ACTIVATE)
        count = len(moved)
        graph.until(lambda count=count: len(moved) > count + 10, 'no motion while active')
        assert change_state(graph, 'motion', Transition.TRANSITION_DEACTIVATE)
        graph.spin(0.3)
        count = len(moved)
        graph.spin(0.7)
        assert len(moved) == count
        assert change_state(graph, 'motion', Transition.TRANSITION_CLEANUP)
    assert state(graph, 'motion') == State.PRIMARY_STATE_UNCONFIGURED


def test_parameters_are_described_and_refuse_what_makes_no_sense(graph):
    graph.start('audio_source', source='silence', autostart=False)
    request = DescribeParameters.Request(names=['lead', 'source'])
    lead, source = call(graph, DescribeParameters, 'audio_source/describe_parameters', request).descriptors
    assert lead.floating_point_range[0].to_value == 5.0 and 'seconds' in lead.description
    assert 'microphone' in source.additional_constraints
    for name, value in [('lead', nan), ('lead', -1.0), ('source', 'radio'), ('loop', 'yes')]:
        result = set_parameter(graph, 'audio_source', name, value)
        assert not result.successful and result.reason
    request = GetParameters.Request(names=['lead', 'source'])
    values = call(graph, GetParameters, 'audio_source/get_parameters', request).values
    assert (values[0].double_value, values[1].string_value) == (0.35, 'silence')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_cleanly(graph, number):
    chunks = graph.collect(AudioChunk, 'audio')
    source = graph.start('audio_source', source='silence')
    graph.until(lambda: chunks, 'no audio')
    assert source.end(number) == 0
    assert 'Traceback' not in source.said()


@pytest.mark.parametrize('name', ['audio_source', 'speech_features', 'motion', 'renderer', 'player'])
def test_a_node_starts_without_torch(name):
    """A node that was killed is back in a moment; importing torch alone takes two seconds."""
    code = f'import sys, lsp_ros.nodes.{name}; sys.exit("torch" in sys.modules or "sklearn" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 0


@pytest.mark.parametrize(
    'agreed, told',
    [
        (None, 'consent is not on record'),
        ({'until': '2001-01-01'}, 'consent ran out on 2001-01-01'),
        ({'until': None, 'record': 'exchanged'}, 'SHA-256 is another'),
    ],
)
def test_whoever_starts_a_real_person_without_consent_is_told(graph, renderable_avatar, tmp_path, agreed, told):
    unasked = shutil.copytree(renderable_avatar, tmp_path / 'unasked')
    manifest = unasked / 'avatar.yaml'
    manifest.write_text(manifest.read_text().replace('kind: synthetic', 'kind: real'))
    if agreed:
        consent = {'who': 'A. Person', 'purpose': 'a test', 'means': 'a word', 'until': agreed['until']}
        record = record_text(consent, b'', None, Avatar.load(unasked, parts=()).footage)
        add_consent(
            unasked,
            {**consent, 'record_sha256': hashlib.sha256(record.encode()).hexdigest()},
            agreed.get('record', record),
        )
    renderer = graph.start('renderer', avatar=unasked)
    graph.until(lambda: told in renderer.said(), 'nothing was said')


HALF_STARTED = """
import os, signal
from lsp_ros.nodes.lifecycle import StreamNode
from lsp_ros.nodes.process import run

class Node(StreamNode):
    PARAMETERS = ()

    def __init__(self):
        super().__init__('half_started')

    def open(self): ...

    def start(self):
        os.kill(os.getpid(), signal.SIGINT)
        print('started')

    def stop(self):
        print('stopped')

raise SystemExit(run(Node))
"""


WHOLE_PROCESS = """
import gc, os, threading
from lsp_ros.nodes.lifecycle import Finished, StreamNode
from lsp_ros.nodes.process import run

class Node(StreamNode):
    PARAMETERS = ()

    def __init__(self):
        super().__init__('whole_process')

    def open(self):
        self.call_every(0.01, self.tell_all)

    def tell_all(self):
        worker = threading.Thread(target=threading.Event().wait, daemon=True)
        worker.start()
        self.lower_priority([worker.native_id])
        before, after = (os.getpriority(os.PRIO_PROCESS, thread) for thread in (0, worker.native_id))
        print(gc.get_freeze_count() > 1000, after - before)
        raise Finished

raise SystemExit(run(Node))
"""


def test_a_process_of_our_own_is_tuned_once_its_node_is_active(ros):
    """Which a node in somebody else's program leaves alone (test/nodes/test_lifecycle.py)."""
    done = subprocess.run([sys.executable, '-c', WHOLE_PROCESS], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ['True', '5']), done.stderr


def test_a_signal_while_a_node_starts_stops_what_was_started(ros):
    """Or its threads would keep the process for ever."""
    done = subprocess.run([sys.executable, '-c', HALF_STARTED], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ['started', 'stopped']), done.stderr
