"""The real face detector, where it is installed (make setup-capture)."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.avatar.landmarks import CONTOUR, MOUTH, lip_gap
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.capture import detector as flags
from lsp_ros.capture.detection import WARM
from lsp_ros.capture.landmarks import PYTHON, Detector, DetectorError, to_lsp73
from lsp_ros.cli.main import main
from lsp_ros.geometry import project, to_camera
from lsp_ros.media.film import Mp4Writer
from lsp_ros.media.sound import read_audio
from lsp_ros.motion.stage import MotionStage
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.resources import find_sample
from lsp_ros.signals import FaceMotion, SpeechFeatures
from lsp_ros.speech.stage import SpeechStage
from lsp_ros.timeline import SAMPLE_RATE
from lsp_ros.training.dataset import load_dataset, runs

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


@pytest.mark.slow
@needs_it
def test_the_built_in_avatar_is_captured_as_it_moved(tmp_path):
    """Three seconds of it, drawn by its own stages, through the whole of ``lsp create``: its motion is the truth."""
    samples = read_audio(find_sample())[: 3 * SAMPLE_RATE]
    avatar = Avatar.load(find_avatar('presenter'))
    speech, motion = SpeechStage(avatar), MotionStage(avatar)
    rendering = RenderStage(avatar, mark=False)
    features = SpeechFeatures.join([speech.push(samples), speech.flush()])
    truth = FaceMotion.join([motion.push(features), motion.flush()])
    film = tmp_path / 'presenter.mp4'
    with Mp4Writer(film, 30, crf=8) as out:
        for frame in range(0, len(truth), 2):
            out.write_frame(rendering.render(truth[frame : frame + 1])[0].image, frame // 2)
        out.write_audio(samples)
    assert (
        main(
            [
                'create',
                str(film),
                '--name',
                'presenter',
                '--synthetic',
                '--dataset-only',
                '--detector',
                str(os.environ.get('LSP_DETECTOR_PYTHON') or PYTHON),
                '-o',
                str(tmp_path / 'out'),
            ]
        )
        == 0
    )
    data = load_dataset(tmp_path / 'out' / 'dataset')
    (known,) = runs(data.known_mask)
    assert known[0] == 0 and known[1] >= len(truth) - 1 and len(data.pictures) == len(truth) // 2
    rows = slice(*known)
    crop = data.manifest['capture']['crop']
    seen = project(to_camera(data.points[rows], data.euler[rows], data.translation[rows]), data.camera_matrix)
    seen = seen * crop['side'] / PICTURE + [crop['left'], crop['top']]
    true, shoulders = rendering.project(truth[rows])
    off = seen - true
    # Where a landmark lies on a face its maker and the detector see in different ways: that is the same all the time.
    assert np.linalg.norm(off.mean(axis=0), axis=-1).mean() < 4
    noise = np.linalg.norm(off - off.mean(axis=0), axis=-1)
    assert noise.mean() < 2 and noise[:, MOUTH].mean() < 2
    turn = data.euler[rows] - truth.euler[rows]
    assert (np.abs(turn - np.median(turn, axis=0)).mean(axis=0) < 1.5).all()
    gap, true_gap = lip_gap(data.points[rows]), lip_gap(truth.points[rows])
    assert np.corrcoef(gap, true_gap)[0, 1] > 0.9
    # Along the edge of plain clothes nothing shows how far they went.
    moved = project(data.shoulders[rows], data.camera_matrix) * crop['side'] / PICTURE
    height = (moved - shoulders)[..., 1].mean(axis=1)
    assert np.abs(height - height.mean()).max() < 3


@needs_it
def test_a_piece_is_seen_as_in_one_go(picture):
    """The four pictures before a piece warm the detector up: what it then says does not depend on the piece's edge."""
    sway = [np.roll(picture, round(6 * np.sin(k / 5)), axis=1) for k in range(24)]
    with Detector() as detector:
        detector.see(sway[0], flags.FORGET)
        whole = [detector.see(image).face for image in sway]
        detector.see(sway[16 - WARM], flags.FORGET)
        for image in sway[17 - WARM : 16]:
            detector.see(image)
        piece = [detector.see(image).face for image in sway[16:]]
    off = np.linalg.norm((np.array(whole[16:]) - np.array(piece))[:, :468, :2], axis=-1).mean(axis=1)
    assert off.max() < 0.3


@needs_it
def test_a_detector_that_cannot_work_says_so(tmp_path):
    task = tmp_path / 'broken.task'
    task.write_bytes(b'not a model')
    with Detector(landmarker=task) as detector, pytest.raises(DetectorError, match='the face detector ended'):
        detector.see(np.zeros((64, 64, 3), np.uint8))


def test_without_a_detector_the_remedy_is_named(tmp_path):
    with pytest.raises(DetectorError, match='make setup-capture'):
        Detector(tmp_path / 'no-python')
