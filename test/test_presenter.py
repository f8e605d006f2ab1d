"""The built-in avatar keeps its promises: small, sharp, at rest in silence, alive, nowhere flickering."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lsp_ros.avatar.landmarks import LEFT_EYE_LIDS, MOUTH_OUTPUT, lip_gap
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.media.sound import read_audio
from lsp_ros.motion.lips import join_lips
from lsp_ros.motion.stage import MotionStage
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.resources import find_sample
from lsp_ros.signals import FaceMotion
from lsp_ros.speech.stage import SpeechStage
from lsp_ros.timeline import FRAME_RATE, SAMPLE_RATE

pytestmark = pytest.mark.slow

HELD_OUT = Path(__file__).parent / 'golden' / 'presenter_held_out.npz'
"""Four pictures of a sentence that nothing was trained on, with the true motion."""
SILENCE_SECONDS = 2


@pytest.fixture(scope='module')
def avatar() -> Avatar:
    return Avatar.load(find_avatar('presenter'))


@pytest.fixture(scope='module')
def motion(avatar) -> FaceMotion:
    """The bundled recording, then silence."""
    samples = np.concatenate([read_audio(find_sample()), np.zeros(SILENCE_SECONDS * SAMPLE_RATE, np.float32)])
    speech, stage = SpeechStage(avatar), MotionStage(avatar, seed=1)
    blocks = [stage.push(block) for block in (speech.push(samples), speech.flush()) if block is not None]
    return FaceMotion.join([*blocks, stage.flush()])


def test_it_is_small_and_nobody_real(avatar):
    assert sum(file.stat().st_size for file in avatar.path.rglob('*') if file.is_file()) < 60e6
    assert avatar.manifest.person.kind == 'synthetic'
    assert (avatar.path / 'LICENSES.md').is_file() and (avatar.path / 'MODEL_CARD.md').is_file()


def test_it_draws_pictures_that_it_never_saw(avatar):
    held_out = np.load(HELD_OUT)
    count = len(held_out['points'])
    stage = RenderStage(avatar, engine='torch', mark=False)
    still = np.zeros(count, bool)
    motion = FaceMotion(
        0,
        held_out['points'],
        held_out['euler'],
        held_out['translation'],
        held_out['shoulders'],
        still,
        still.astype(np.uint8),
        still,
    )
    for k, frame in enumerate(stage.render(motion)):
        truth = cv2.imdecode(held_out[f'picture_{k}'], cv2.IMREAD_COLOR)[..., ::-1]
        error = np.mean((frame.image.astype(float) - truth) ** 2)
        assert 10 * np.log10(255**2 / error) > 30


def test_the_mouth_speaks_and_rests_in_silence(avatar, motion):
    gap = lip_gap(motion.points) * avatar.camera.metres_per_unit * 1000
    speaking = motion.speaking
    assert gap[speaking].std() > 2.0  # millimetres
    at_rest = avatar.face.mean_points.copy()
    at_rest[MOUTH_OUTPUT] = avatar.face.mouth_mean[MOUTH_OUTPUT] + avatar.face.mouth_rest
    at_rest = join_lips(at_rest, avatar.manifest.mouth.seal)[MOUTH_OUTPUT]
    end = int(np.flatnonzero(speaking)[-1]) + 1
    silent = motion.points[end + int(0.15 * FRAME_RATE) : -20][:, MOUTH_OUTPUT]
    assert len(silent) > FRAME_RATE
    np.testing.assert_allclose(silent, np.broadcast_to(at_rest, silent.shape), atol=1e-3)


def test_the_head_moves_within_its_range_and_the_eyes_blink(avatar, motion):
    limits = avatar.pose_range
    assert (motion.euler >= limits.euler_min - 1e-3).all() and (motion.euler <= limits.euler_max + 1e-3).all()
    assert motion.euler.std(axis=0).max() > 0.3
    upper, lower = LEFT_EYE_LIDS
    opening = motion.points[:, upper, 1] - motion.points[:, lower, 1]
    assert opening.min() < 0.4 * np.median(opening)


def test_the_background_stands_still(avatar, motion):
    stage = RenderStage(avatar, engine='torch', mark=False)
    pictures = [frame.image for first in range(60, 420, 60) for frame in stage.render(motion[first : first + 1])]
    corners = np.stack([picture[:60, :60] for picture in pictures])
    assert np.ptp(corners.astype(int), axis=0).max() <= 1
