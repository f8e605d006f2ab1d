"""The whole graph, five processes with the tiny avatar: pictures in order, in time with the sound, whatever dies."""

import json
import shutil
import signal
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile
from ros_messages import motion_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.media.film import digital_source_type
from lsp_ros.media.sound import read_audio
from lsp_ros.msg import AudioChunk, FaceMotion
from lsp_ros.nodes.conversions import image_from_message, stamp_ns
from lsp_ros.nodes.qos import IMAGE_QOS

PATIENCE = 120


class Seen:
    """What is remembered of an image."""

    def __init__(self, message):
        self.stamp = stamp_ns(message.header)
        self.frame_id = message.header.frame_id
        self.shape = image_from_message(message).shape
        self.mean = float(np.mean(image_from_message(message)))


def watch(graph, topic='image'):
    seen = []
    graph.node.create_subscription(Image, topic, lambda message: seen.append(Seen(message)), IMAGE_QOS)
    return seen


def assert_in_order(seen):
    stamps = [picture.stamp for picture in seen]
    assert all(before < after for before, after in zip(stamps, stamps[1:], strict=False))


def assert_on_the_frame_grid(seen, chunk):
    """Pictures stand at whole frames of the stream that the audio chunk belongs to."""
    start = stamp_ns(chunk.header) - timeline.samples_to_ns(chunk.first_sample)
    for picture in seen:
        frame = round((picture.stamp - start) * timeline.FRAME_RATE / timeline.NANOSECONDS_PER_SECOND)
        assert picture.stamp == start + timeline.frame_start_ns(frame)


@pytest.fixture
def sound_file(tmp_path):
    path = tmp_path / 'speech.wav'
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * 16_000) * (np.sin(np.arange(3 * 16_000) / 2500) > 0)
    soundfile.write(path, noise.clip(-1, 1), 16_000)
    return path


def test_speech_in_a_talking_head_out(graph, renderable_avatar, sound_file, tmp_path):
    """A file through the whole graph, recorded by the player with its report."""
    seen = watch(graph)
    infos = graph.collect(CameraInfo, 'camera_info', IMAGE_QOS)
    jpegs = graph.collect(CompressedImage, 'image/compressed', IMAGE_QOS)
    film, report_file = tmp_path / 'film.mp4', tmp_path / 'report.json'
    graph.start('speech_features', avatar=renderable_avatar)
    graph.start('motion', avatar=renderable_avatar)
    graph.start('renderer', avatar=renderable_avatar)
    chunks = graph.collect(AudioChunk, 'audio')
    graph.start('audio_source', source='file', file=sound_file, loop=True)
    graph.until(lambda: seen and chunks and np.any(chunks[-1].samples), 'no picture or no sound')
    player = graph.start('player', record=film, report=report_file, window=False, device='none', duration=6.0)
    graph.until(lambda: player.popen.poll() is not None, 'the player does not end')
    assert player.popen.returncode == 0

    assert_in_order(seen)
    assert_on_the_frame_grid(seen[-20:], chunks[-1])
    assert {picture.shape for picture in seen} == {(512, 512, 3)}
    assert {picture.frame_id for picture in seen} == {f'{graph.namespace.strip("/")}_camera_optical_frame'}
    matrix = Avatar.load(renderable_avatar, parts=()).camera.matrix
    np.testing.assert_allclose(np.reshape(infos[-1].k, (3, 3)), matrix)
    assert {stamp_ns(info.header) for info in infos[1:-1]} <= {picture.stamp for picture in seen}
    assert bytes(jpegs[-1].data[:2]) == b'\xff\xd8'

    report = json.loads(report_file.read_text())
    # How many pictures is the machine's business; each stands once, and in its place.
    assert report['images']['received'] > 1 and report['images']['out_of_order'] == 0
    assert report['sound']['missing_samples'] == 0
    assert report['latency_ms']['audio_to_image']['median'] > 280  # the look-ahead cannot be had for nothing
    assert report['film']['skipped'] == 0
    with av.open(str(film)) as opened:
        frames = sum(1 for _ in opened.decode(video=0))
    assert frames == report['images']['received'] + report['film']['repeated'] >= 6 * 30
    assert abs(len(read_audio(film)) / 16_000 - frames / 30) < 0.1
    assert np.abs(read_audio(film)).max() > 0.1
    assert "no loudspeaker 'none'" in player.said()
    assert digital_source_type(film).endswith('trainedAlgorithmicMedia')

    for name in ('audio_source', 'speech_features', 'motion', 'renderer'):
        graph.until(lambda name=name: name in graph.diagnostics, f'no diagnostics of {name}')
    assert float(graph.diagnostics['renderer']['rendering median ms']) > 0


def test_whoever_is_killed_is_started_again_and_nothing_else_has_to_be(graph, renderable_avatar):
    seen = watch(graph)
    parameters = {'audio_source': {'source': 'silence'}}
    parameters |= {name: {'avatar': renderable_avatar} for name in ('speech_features', 'motion', 'renderer')}
    running = {name: graph.start(name, **values) for name, values in parameters.items()}
    graph.until(lambda: len(seen) > 20, 'no picture')
    for victim, values in parameters.items():
        running[victim].kill()
        graph.spin(0.5)
        before = len(seen)
        if victim in ('audio_source', 'speech_features'):
            graph.until(lambda before=before: len(seen) > before + 5, 'the picture stops with the sound')
        graph.start(victim, **values)
        before = len(seen)
        graph.until(lambda before=before: len(seen) > before + 20, f'no picture after {victim} was killed')
        graph.until(lambda: seen[-1].stamp > graph.node.get_clock().now().nanoseconds - 10**10, 'an old picture')


def test_motion_that_cannot_be_drawn_is_left_out(graph, renderable_avatar):
    avatar = Avatar.load(renderable_avatar, parts=('motion',))
    seen = watch(graph)
    graph.start('renderer', avatar=renderable_avatar, frame_rate=60)
    motion = graph.publisher(FaceMotion, 'face_motion')
    graph.until_active('renderer')
    behind = motion_message(2, avatar)
    behind.head_pose.position.z = -1.0
    no_turn = motion_message(3, avatar)
    no_turn.head_pose.orientation.w = no_turn.head_pose.orientation.x = 0.0
    for bad, node_counter in (
        (motion_message(1, avatar, landmarks=np.full(219, np.nan, np.float32)), 'invalid face_motion messages'),
        (behind, 'frames that cannot be drawn'),
        (no_turn, 'invalid face_motion messages'),
    ):
        motion.publish(bad)
        graph.until_counted('renderer', node_counter)
    motion.publish(motion_message(4, avatar))
    graph.until(lambda: seen, 'the picture does not go on')
    assert [picture.stamp for picture in seen] == [stamp_ns(motion_message(4, avatar).header)]


def test_at_30_pictures_a_second_every_other_frame_is_drawn_and_only_that_is_looked_at(graph, renderable_avatar):
    avatar = Avatar.load(renderable_avatar, parts=('motion',))
    seen = watch(graph)
    graph.start('renderer', avatar=renderable_avatar, frame_rate=30)
    motion = graph.publisher(FaceMotion, 'face_motion')
    graph.until_active('renderer')
    nowhere = np.full(219, np.nan, np.float32)
    for frame in (0, 2, 4):
        motion.publish(motion_message(frame + 1, avatar, landmarks=nowhere))
        motion.publish(motion_message(frame, avatar))
        graph.until(lambda frame=frame: len(seen) > frame // 2, f'frame {frame} is not drawn')
    motion.publish(motion_message(6, avatar, landmarks=nowhere))
    graph.until_counted('renderer', 'invalid face_motion messages')
    graph.spin(1.5)  # until the next report
    assert graph.counted('renderer', 'invalid face_motion messages') == 1
    assert [picture.stamp for picture in seen] == [stamp_ns(motion_message(k, avatar).header) for k in (0, 2, 4)]


def test_one_renderer_draws_for_several_namespaces_and_a_bad_one_harms_no_other(graph, renderable_avatar, tmp_path):
    """Two robots with the same avatar, one with a copy of it, and one of the four sends nonsense."""
    avatar = Avatar.load(renderable_avatar, parts=('motion',))
    copy = shutil.copytree(renderable_avatar, tmp_path / 'copy')
    robots = ('one', 'two', 'three', 'bad')
    seen = {robot: watch(graph, f'{robot}/image') for robot in robots}
    graph.start('renderer', avatar=renderable_avatar, frame_rate=60, streams=f"['one','two','three:{copy}','bad']")
    motion = {robot: graph.publisher(FaceMotion, f'{robot}/face_motion') for robot in robots}
    graph.until_active('renderer')
    starts = {robot: 10**18 + 10**15 * number for number, robot in enumerate(robots)}
    nowhere = {'landmarks': np.full(219, np.nan, np.float32)}
    for frame in range(30):
        for robot in robots:
            wrong = nowhere if robot == 'bad' and frame % 2 else {}
            motion[robot].publish(motion_message(frame, avatar, start_ns=starts[robot], **wrong))
        if frame % 3 == 0:
            behind = motion_message(frame, avatar)
            behind.head_pose.position.z = -1.0
            motion['bad'].publish(behind)
        graph.spin(0.01)
    # What is behind the camera comes last once: on a slow machine each of the others may have given way to a newer one.
    behind = motion_message(30, avatar, start_ns=starts['bad'])
    behind.head_pose.position.z = -1.0
    motion['bad'].publish(behind)
    for robot in ('one', 'two', 'three'):
        last = stamp_ns(motion_message(29, avatar, start_ns=starts[robot]).header)
        graph.until(lambda robot=robot, last=last: seen[robot] and seen[robot][-1].stamp == last, f'no last {robot}')
    graph.until_counted('renderer', 'invalid bad/face_motion messages', 15)
    graph.until_counted('renderer', 'bad: frames that cannot be drawn')
    for robot in robots:
        assert_in_order(seen[robot])
        assert all(starts[robot] <= picture.stamp < starts[robot] + 10**15 for picture in seen[robot])
        if robot != 'bad':  # every frame was drawn, or is counted among those that were not
            graph.until(
                lambda robot=robot: graph.counted('renderer', f'{robot}: frames left out') == 30 - len(seen[robot]),
                f'frames of {robot} are missing',
            )
    assert sum(len(pictures) for pictures in seen.values()) > 4


@pytest.mark.parametrize(
    ('streams', 'sentence'),
    [
        ("['a b']", "streams holds 'a b'"),
        ("['a','a:presenter']", "the namespace 'a' twice"),
        ("['a:nobody']", 'nobody: there is no such avatar'),
    ],
)
def test_streams_that_make_no_sense_end_the_renderer_with_a_sentence(graph, renderable_avatar, streams, sentence):
    renderer = graph.start('renderer', avatar=renderable_avatar, streams=streams)
    assert renderer.wait() == 1
    assert sentence in renderer.said()


def test_a_player_far_from_its_renderer_takes_the_compressed_pictures(graph, renderable_avatar, tmp_path):
    film, report = tmp_path / 'film.mp4', tmp_path / 'report.json'
    for name in ('speech_features', 'motion', 'renderer'):
        graph.start(name, avatar=renderable_avatar)
    graph.start('audio_source', source='silence')
    player = graph.start('player', compressed=True, record=film, report=report, window=False, sound=False, duration=1.0)
    graph.until(lambda: player.popen.poll() is not None, 'the player does not end')
    assert json.loads(report.read_text())['images']['received'] > 1
    with av.open(str(film)) as opened:
        picture = next(opened.decode(video=0)).to_ndarray(format='rgb24')
    candidate = Avatar.load(renderable_avatar, parts=('rendering',)).candidates()
    assert picture.shape == candidate[0].shape


def test_a_robot_without_a_renderer_is_drawn_for_by_a_server(graph, renderable_avatar, tmp_path):
    """`lsp serve` and `lsp up --no-renderer`, as two people start them on two machines."""
    report, home = tmp_path / 'report.json', f'{graph.namespace}/robot'
    lsp = [sys.executable, '-m', 'lsp_ros.cli.main']
    avatar = ['--avatar', str(renderable_avatar)]
    server = subprocess.Popen(
        [*lsp, 'serve', home, f'{graph.namespace}/other', *avatar, '--namespace', f'{graph.namespace}/server']
    )
    try:
        robot = subprocess.run(
            [
                *lsp,
                'up',
                '--no-renderer',
                '--namespace',
                home,
                *avatar,
                '--source',
                'silence',
                '--no-window',
                '--no-sound',
                '--duration',
                '1',
                '--report',
                str(report),
            ],
            timeout=PATIENCE,
        )
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=PATIENCE) == 130
    assert robot.returncode == 0
    assert json.loads(report.read_text())['images']['received'] > 1


def test_a_slow_renderer_leaves_frames_out_and_never_falls_behind(graph, tiny_avatar):
    """Motion for two seconds comes at once; whatever was not drawn in time is counted, none is drawn late."""
    avatar = Avatar.load(tiny_avatar, parts=('motion',))
    seen = watch(graph)
    graph.start('renderer', avatar=tiny_avatar, engine='torch', threads=1, frame_rate=60)
    motion = graph.publisher(FaceMotion, 'face_motion')
    graph.until_active('renderer')
    for frame in range(120):
        motion.publish(motion_message(frame, avatar))
        graph.spin(0.002)
    last = stamp_ns(motion_message(119, avatar).header)
    graph.until(lambda: seen and seen[-1].stamp == last, 'the newest frame is not drawn')
    assert_in_order(seen)
    graph.until(lambda: graph.counted('renderer', 'frames left out') == 120 - len(seen), 'frames are missing')
