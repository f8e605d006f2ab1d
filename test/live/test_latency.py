"""Frames are followed from topic to topic."""

from stream_pieces import SECOND

from lsp_ros.live.latency import LatencyMeasurement

MS = 1_000_000


def test_a_frame_is_followed_from_its_sound_to_its_picture():
    latencies = LatencyMeasurement()
    for number in range(2):
        stamp = SECOND + number * SECOND // 60
        latencies.heard(stamp - 5 * MS, 0)
        latencies.heard(stamp + 5 * MS, 7 * MS)  # holds a later part of the frame
        latencies.passed('speech_features', stamp, 20 * MS)
        latencies.passed('face_motion', stamp, 320 * MS)
        latencies.passed('image', stamp, 330 * MS)
    latencies.passed('image', 5 * SECOND, 400 * MS)  # of which nothing is known
    assert [step['ms']['median'] for step in latencies.report()] == [20, 300, 10]
    assert len(latencies.steps['face_motion', 'image']) == 2
    latencies.begin()
    assert [step['ms'] for step in latencies.report()] == [None] * 3


def test_frames_are_forgotten_after_a_while():
    latencies = LatencyMeasurement()
    for frame in range(3000):
        latencies.heard(frame * MS, 0)
        latencies.passed('face_motion', frame * MS, 0)
    assert len(latencies._arrivals) == len(latencies._heard) < 1000
