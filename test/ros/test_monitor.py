"""The node that measures for ``lsp bench --live``, fed by hand."""

import json

import numpy as np
from sensor_msgs.msg import Image

from lsp_ros import timeline
from lsp_ros.live.stamped import AudioBlock
from lsp_ros.msg import AudioChunk, FaceMotion, SpeechFeatures
from lsp_ros.nodes.conversions import audio_to_message, header_at
from lsp_ros.nodes.qos import IMAGE_QOS

SECOND = timeline.NANOSECONDS_PER_SECOND


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
            publishers[0].publish(audio_to_message(AudioBlock('s', frame * 533, stamp, np.zeros(533, np.float32))))
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
