"""The real face detector, where it is installed (make setup-capture)."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from lsp_ros.avatar.avatar import Avatar, find_avatar
from lsp_ros.avatar.landmarks import CONTOUR
from lsp_ros.capture import detector as flags
from lsp_ros.capture.landmarks import PYTHON, Detector, DetectorError, to_lsp73

installed = Path(os.environ.get('LSP_DETECTOR_PYTHON') or PYTHON).is_file()
needs_it = pytest.mark.skipif(not installed, reason='the face detector is not installed (make setup-capture)')


@pytest.fixture(scope='module')
def picture():
    """The built-in avatar's first candidate image: mouth small, head about straight."""
    return Avatar.load(find_avatar('presenter'), ('rendering',)).candidates()[0]


@needs_it
def test_a_face_and_its_body_are_seen(picture):
    with Detector() as detector:
        nothing = detector.see(np.zeros_like(picture), flags.HANDS)
        sight = detector.see(picture, flags.FORGET | flags.HANDS | flags.BODY)
    assert nothing.face is None and nothing.hands == [] and nothing.body is None
    assert sight.hands == []
    face = to_lsp73(sight.face)[:, :2]
    eyes, nose, mouth, chin = face[[27, 29, 31, 33]].mean(0), face[39], face[46:64].mean(0), face[7]
    assert eyes[1] < nose[1] < mouth[1] < chin[1]
    assert (np.diff(face[CONTOUR[1:14], 0]) > -2).all()  # the head is turned a little
    hull = cv2.convexHull(np.ascontiguousarray(sight.face[:468, :2]))
    assert all(cv2.pointPolygonTest(hull, (float(x), float(y)), True) > -3 for x, y in face)
    body = cv2.resize(sight.body, (512, 512))
    assert body[500, 256] > 200 and body[int(chin[1]), int(chin[0])] > 200 and body[20, 20] < 60


@needs_it
def test_what_lies_between_the_named_places_has_equal_distances(picture):
    with Detector() as detector:
        face = to_lsp73(detector.see(picture, flags.FORGET).face)

    def unevenness(*points):
        steps = np.linalg.norm(np.diff(face[list(points)], axis=0), axis=1)
        return steps.max() / steps.min()

    assert unevenness(*CONTOUR) < 1.3
    assert unevenness(46, 47, 48) < 1.3 and unevenness(50, 51, 52) < 1.3
    assert unevenness(35, 36, 37) < 1.5 and unevenness(41, 42, 43) < 1.5
    assert unevenness(52, 53, 54, 55, 56, 57, 46) < 1.5
    # The lower points of a brow lie under its upper ones, and the base of the nose is a line.
    for upper, lower in ((16, 20), (17, 19), (22, 26), (23, 25)):
        assert abs(face[upper, 0] - face[lower, 0]) < 0.09 * np.linalg.norm(face[15] - face[18])
    assert abs(face[[38, 40], 1].mean() - face[39, 1]) < 0.05 * np.linalg.norm(face[37] - face[41])


@needs_it
def test_a_detector_that_cannot_work_says_so(tmp_path):
    task = tmp_path / 'broken.task'
    task.write_bytes(b'not a model')
    with Detector(landmarker=task) as detector, pytest.raises(DetectorError, match='the face detector ended'):
        detector.see(np.zeros((64, 64, 3), np.uint8))


def test_without_a_detector_the_remedy_is_named(tmp_path):
    with pytest.raises(DetectorError, match='make setup-capture'):
        Detector(tmp_path / 'no-python')
