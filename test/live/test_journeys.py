"""Frames are followed from topic to topic."""

from stream_pieces import SECOND

from lsp_ros.live.journeys import Journeys

MS = 1_000_000


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


def test_journeys_are_forgotten_after_a_while():
    journeys = Journeys()
    for frame in range(3000):
        journeys.heard(frame * MS, 0)
        journeys.passed('face_motion', frame * MS, 0)
    assert len(journeys._arrivals) == len(journeys._heard) < 1000
