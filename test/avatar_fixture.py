"""A complete avatar with random weights: every network in its real size, the same on every machine.

It speaks nonsense with a face of ellipses, but everything that an avatar does can be tried on it.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lsp_ros.avatar import landmarks
from lsp_ros.avatar.files import Face
from lsp_ros.avatar.save import write_avatar
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.rendering.generator import build_generator
from lsp_ros.speech.apc import APC

DISTANCE = 60.0


def tiny_manifest() -> dict:
    return {
        'format': 1,
        'name': 'tiny',
        'licence': 'CC0-1.0',
        'source': 'random numbers',
        'person': {'kind': 'synthetic', 'consent': None},
        'landmarks': 'lsp73',
        'camera': {'matrix': [[1536.0, 0, 256], [0, 1536.0, 256], [0, 0, 1]], 'metres_per_unit': 0.01},
        'speech': {'neighbours': 10, 'projection': 1.0},
        'mouth': {'look_ahead': 18, 'amplitude': [1.0, 1.0, 1.0], 'smoothing': 0.0, 'contour': True},
        'head_pose': {'look_ahead': 15, 'noise_scale': 0.3, 'amplitude': [1.0, 1.0], 'smoothing': [3.0, 8.0]},
        'upper_body': {'amplitude': 0.5},
        'eyes': {'first': 0},
        'pose_range': {
            'euler_min': [-12.0, -15.0, -8.0],
            'euler_max': [12.0, 15.0, 8.0],
            'translation_min': [-1.5, -1.5, -2.0],
            'translation_max': [1.5, 1.5, 2.0],
        },
        'renderer': {'size': 'live', 'file': 'renderer_live.safetensors'},
    }


def tiny_face(frames: int = 240) -> Face:
    """A head 14 cm wide; the eyes blink once in the footage, and the head looks slowly to one side and the other."""
    points = np.zeros((landmarks.LANDMARKS, 3))

    def ring(indices, centre, width, height, start=np.pi, turn=2 * np.pi):
        angle = start - np.linspace(0, turn, len(indices), endpoint=turn < 2 * np.pi)
        x, y = centre[0] + width * np.cos(angle), centre[1] + height * np.sin(angle)
        points[list(indices)] = np.stack([x, y, np.full_like(x, 2.0)], axis=1)

    ring(range(0, 15), (0, 1), 7.0, 9.0, start=np.pi, turn=-np.pi)
    ring(range(15, 21), (-3, 4.5), 2.0, 0.4)
    ring(range(21, 27), (3, 4.5), 2.0, 0.4)
    ring([27, 65, 28, 68, 29, 67, 30, 66], (-3, 3), 1.4, 0.6)
    ring([33, 69, 32, 72, 31, 71, 34, 70], (3, 3), 1.4, 0.6)
    ring(range(35, 46), (0, 0), 1.2, 2.0)
    ring(range(46, 58), (0, -4), 2.5, 1.0)
    ring([46, 63, 62, 61, 52, 60, 59, 58], (0, -4), 2.2, 0.2)
    points[64] = (0, -4, 2)

    blink = np.exp(-0.5 * ((np.arange(frames) - frames / 2) / 4) ** 2)[:, None]
    eyes = np.repeat(points[None, landmarks.EYES], frames, axis=0)
    eyes[..., 1] += (3 - eyes[..., 1]) * blink
    brows = np.repeat(points[None, landmarks.BROWS], frames, axis=0)
    brows[..., 1] -= 0.1 * blink
    side = np.stack([np.linspace(-10, -2.5, 9), np.linspace(10, 8, 9), np.full(9, DISTANCE + 2)], axis=1)
    translation = np.array([0, 0, DISTANCE])
    return Face(
        mean_points=points,
        mouth_mean=points,
        mouth_rest=np.zeros((25, 3)),
        eyes=eyes,
        brows=brows,
        translation_mean=translation,
        shoulders=np.concatenate([side, side[::-1] * (-1, 1, 1)]),
        shoulder_translation=translation,
        posture=np.sin(np.arange(120)[:, None] / 12) * (1, 3, 1, 0.2, 0.1, 0.2),
    )


def tiny_weights(seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    torch.manual_seed(seed)
    networks = {'apc': APC(), 'mouth': MouthNet(), 'head_pose': HeadPoseNet(), 'renderer': build_generator('live')}
    for parameter in networks['renderer'].parameters():
        if not parameter.any():  # layers that training starts at zero would draw nothing
            torch.nn.init.normal_(parameter.data, std=0.01)
    return {
        name: {key: _half(tensor) for key, tensor in network.state_dict().items()} for name, network in networks.items()
    }


def _half(tensor: torch.Tensor) -> np.ndarray:
    return (tensor.half() if tensor.is_floating_point() else tensor).numpy()


def tiny_candidates(seed: int = 0) -> np.ndarray:
    """Four smooth pictures that agree in the background and differ where a face would be."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:512, 0:512]
    background = np.stack([rows // 4, columns // 4, (rows + columns) // 8], axis=-1)
    face = ((rows - 230) ** 2 / 220**2 + (columns - 256) ** 2 / 180**2 < 1)[..., None]
    tones = generator.integers(120, 200, (4, 1, 1, 3))
    return np.where(face, tones, background).astype(np.uint8)


def write_tiny_avatar(folder: Path, seed: int = 0, **changes) -> Path:
    """Writes it into ``folder``; ``changes`` replace whole sections of the manifest."""
    manifold = np.tanh(np.random.default_rng(seed).normal(0, 0.3, (64, 512))).astype(np.float16)
    write_avatar(
        folder, {**tiny_manifest(), **changes}, tiny_weights(seed), manifold, tiny_face(), tiny_candidates(seed)
    )
    return folder


@pytest.fixture(scope='session')
def tiny_avatar(tmp_path_factory) -> Path:
    """Folder of a valid avatar. Shared: copy it (``tiny_avatar_copy``) to damage it."""
    return write_tiny_avatar(tmp_path_factory.mktemp('avatars') / 'tiny')


@pytest.fixture
def tiny_avatar_copy(tiny_avatar, tmp_path) -> Path:
    """A copy of one's own to damage."""
    return Path(shutil.copytree(tiny_avatar, tmp_path / 'tiny'))
