"""The node that measures for ``lsp bench --live``, fed by hand, and what it is made of."""

import json

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lsp_ros import timeline
from lsp_ros.live.recorder import Durations
from lsp_ros.msg import AudioChunk, FaceMotion, SpeechFeatures
from lsp_ros.nodes.conversions import Audio, audio_to_message, header_at, stamp_ns
from lsp_ros.nodes.monitor import Journeys, missing, stamp_of
from lsp_ros.nodes.node import IMAGE_QOS

SECOND = timeline.NANOSECONDS_PER_SECOND
MS = 1_000_000


@pytest.mark.parametrize('message_type', [SpeechFeatures, FaceMotion, Image])
def test_the_stamp_is_read_off_the_wire(message_type):
    header = header_at(1_700_000_000 * SECOND + 987_654_321)
    message = message_type(header=Header(stamp=header.stamp, frame_id='a frame'))
    assert stamp_of(serialize_message(message)) == stamp_ns(header)


def test_a_frame_is_followed_from_its_sound_to_its_picture():
    journeys = Journeys()
    for number in range(2):
        stamp = SECOND + number * SECOND // 60
        journeys.heard(stamp - 5 * MS, 0)
        journeys.heard(stamp + 5 * MS, 7 * MS)  # holds a later part of the frame
        journeys.passed('speech_features', stamp, 20 * MS)
        journeys.passed('face_motion', stamp, 320 * MS)
        journeys.passed('image', stamp, 330 * MS)
    journeys.passed('image', 5 * SECOND, 400 * MS)  # of which nothing is known
    assert [step['ms']['median'] for step in journeys.report()] == [20, 300, 10]
    assert len(journeys.steps['face_motion', 'image']) == 2
    journeys.begin()
    assert [step['ms'] for step in journeys.report()] == [None] * 3


def test_a_standstill_costs_the_pictures_that_did_not_come():
    assert missing(3600, 60 * SECOND, 60) == missing(3601, 60 * SECOND, 60) == 0
    assert missing(3240, 60 * SECOND, 60) == 360


def test_journeys_are_forgotten_after_a_while():
    journeys = Journeys()
    for frame in range(3000):
        journeys.heard(frame * MS, 0)
        journeys.passed('face_motion', frame * MS, 0)
    assert len(journeys._arrivals) == len(journeys._heard) < 1000


def test_durations_of_any_number_are_summed_up_in_little_memory():
    durations, given = Durations(), np.random.default_rng(0).normal(0.3, 0.02, 50_000)
    assert durations.summary() is None and not durations
    for seconds in given:
        durations.append(seconds)
    assert len(durations) == len(given)
    exact = 1000 * np.percentile(given, [50, 95, 99, 100])
    np.testing.assert_allclose(list(durations.summary().values()), exact, atol=0.1)
    assert list(durations.summary()) == ['median', 'p95', 'p99', 'max']
    assert len(durations._counts) < 5000


def feed(graph, until):
    """Sound, features, motion and pictures, of which every tenth is missing, until something is true."""
    publishers = [
        graph.publisher(*topic)
        for topic in (
            (AudioChunk, 'audio'),
            (SpeechFeatures, 'speech_features'),
            (FaceMotion, 'face_motion'),
            (Image, 'image', IMAGE_QOS),
        )
    ]
    frame = 0
    while not until():
        stamp = 10**18 + frame * SECOND // 30
        if frame % 10 != 9:  # every tenth picture is missing
            publishers[0].publish(audio_to_message(Audio('s', frame * 533, stamp, np.zeros(533, np.float32))))
            for publisher, message_type in zip(publishers[1:], (SpeechFeatures, FaceMotion, Image)):
                publisher.publish(message_type(header=header_at(stamp)))
        graph.spin(0.01)
        frame += 1
        assert frame < 10_000, 'it does not come'


def test_the_monitor_writes_what_it_saw(graph, tmp_path):
    report = tmp_path / 'report.json'
    monitor = graph.start('monitor', report=report, warm_up=0.0, duration=1e6, interval=0.1, frame_rate=30)

    def seen():
        return json.loads(report.read_text()) if report.is_file() else {'measured_from_ns': None}

    feed(
        graph,
        until=lambda: (
            monitor.popen.poll() is not None
            or (seen()['measured_from_ns'] and seen()['images']['received'] > 20 and seen()['course'])
        ),
    )
    assert monitor.end() == 0, monitor.said()
    assert seen()['images']['dropped'] > 1 and seen()['sound']['missing_samples'] > 0
    assert all(step['ms']['median'] >= 0 for step in seen()['steps'])


def test_the_monitor_ends_by_itself(graph, tmp_path):
    report = tmp_path / 'report.json'
    monitor = graph.start('monitor', report=report, warm_up=0.0, duration=0.1)
    feed(graph, until=lambda: monitor.popen.poll() is not None)
    assert monitor.popen.returncode == 0, monitor.said()
    seen = json.loads(report.read_text())
    assert seen['written_ns'] - seen['measured_from_ns'] >= SECOND // 10


def test_a_monitor_without_a_report_says_so(graph):
    monitor = graph.start('monitor', report='')
    assert monitor.wait() == 1 and 'the parameter report is empty' in monitor.said()
