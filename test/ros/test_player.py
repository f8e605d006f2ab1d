"""What the player does with what it gets: waits, warns, plays and films."""

import json
import os

import av
import numpy as np
from sensor_msgs.msg import Image

from lsp_ros import timeline
from lsp_ros.live.stamped import AudioBlock
from lsp_ros.media.sound import read_audio
from lsp_ros.msg import AudioChunk
from lsp_ros.nodes.conversions import audio_to_message, header_at, image_to_message
from lsp_ros.nodes.qos import IMAGE_QOS

SECOND = timeline.NANOSECONDS_PER_SECOND
WITHOUT_DISPLAY = {name: value for name, value in os.environ.items() if name not in ('DISPLAY', 'WAYLAND_DISPLAY')}
PICTURE = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)


def test_pictures_that_come_too_late_are_counted_and_the_right_delay_is_told(graph):
    player = graph.start('player', environment=WITHOUT_DISPLAY, sound=False, presentation_delay=0.2)
    sounds, images = graph.publisher(AudioChunk, 'audio'), graph.publisher(Image, 'image', IMAGE_QOS)
    for frame in range(200):
        now = graph.node.get_clock().now().nanoseconds
        sounds.publish(audio_to_message(AudioBlock('s', frame * 533, now, np.zeros(533, np.float32))))
        if frame % 100 == 50:  # one that comes late is no reason to warn
            graph.spin(1.5)
            assert 'presentation_delay to' not in player.said()
        late = SECOND if frame >= 100 or frame == 50 else 0
        images.publish(image_to_message(PICTURE, header_at(now - SECOND // 10 - late)))
        graph.spin(0.005)
        if 'set presentation_delay to 1.' in player.said():
            break
    graph.until_counted('player', 'late pictures', 10)
    assert 'ms late; set presentation_delay to 1.' in player.said()


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


def film(graph, path, frames, **parameters):
    """A player that records, and so many pictures for it."""
    player = graph.start('player', record=path, window=False, sound=False, **parameters)
    images = graph.publisher(Image, 'image', IMAGE_QOS)
    graph.until_active('player')
    for frame in range(frames):
        picture = np.roll(PICTURE, frame * 7, axis=1)
        images.publish(image_to_message(picture, header_at(10**18 + frame * SECOND // 30)))
        graph.spin(0.01)
    return player, images


def test_a_full_disk_is_told_at_once_and_costs_the_film_alone(graph, tmp_path):
    (tmp_path / 'film.mp4').symlink_to('/dev/full')
    player, images = film(graph, tmp_path / 'film.mp4', 60)
    graph.until_counted('player', 'troubles of the recording')
    assert 'No space left on device' in player.said() and 'The recording ends here' in player.said()
    images.publish(image_to_message(PICTURE, header_at(10**18 + 100 * SECOND // 30)))
    graph.spin(1.0)
    assert player.end() == 1  # the film that was asked for is not there
    assert 'Traceback' not in player.said()


def test_a_picture_of_another_size_is_left_out_and_told(graph, tmp_path):
    player, images = film(graph, tmp_path / 'film.mp4', 30)
    images.publish(image_to_message(PICTURE[:100], header_at(10**18 + 40 * SECOND // 30)))
    graph.until_counted('player', 'troubles of the recording')
    images.publish(image_to_message(PICTURE, header_at(10**18 + 59 * SECOND // 30)))
    graph.spin(1.0)
    assert player.end() == 0
    assert 'a picture of 512x100 does not fit into the film of 512x512: left out' in player.said()
    with av.open(str(tmp_path / 'film.mp4')) as opened:
        assert sum(1 for _ in opened.decode(video=0)) > 50  # it went on, to place 59


def test_what_was_filmed_until_the_power_went_can_be_watched(graph, tmp_path):
    player, _ = film(graph, tmp_path / 'film.mp4', 300)
    graph.until(lambda: (tmp_path / 'film.mp4').stat().st_size > 2**20, 'no film is written')
    graph.spin(2.0)
    player.kill()
    with av.open(str(tmp_path / 'film.mp4')) as opened:
        assert sum(1 for _ in opened.decode(video=0)) >= 60
    assert len(read_audio(tmp_path / 'film.mp4'))
