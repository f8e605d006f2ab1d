"""The trained networks of a run folder and the person of a dataset -> an avatar folder."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lsp_ros.avatar.consent import RECORD
from lsp_ros.avatar.files import Face
from lsp_ros.avatar.landmarks import BROWS, EYES, MOUTH_OUTPUT, lip_gap
from lsp_ros.avatar.save import write_avatar
from lsp_ros.motion.footage import POSTURE_STEP
from lsp_ros.speech.activity import speech_frames
from lsp_ros.training.dataset import Dataset, load_dataset, runs
from lsp_ros.training.recipes import CONFIGS, config_of
from lsp_ros.training.run_folder import trained

# How far the head is sampled from its mean motion, and how it is smoothed (sigma in frames, rotation and translation):
# what a head learned in minutes on a CPU needs to move gently. One that learned for hours can do with 0.3 and (3, 8).
NOISE_SCALE = 0.5
SMOOTHING = (8.0, 12.0)
# Of the footage's slow turns and shifts. Where a head has shifted far, a small renderer shows what it left behind.
POSTURE = (0.7, 0.4)

# Share of the poses on either side that the trained range leaves out: a single stretch is no habit.
POSE_OUTLIERS = 0.5  # percent

# Frames of the Gaussian that leaves half of 0.25 Hz: slower is the footage's part of the head's motion.
POSTURE_SIGMA = 45


def build_avatar(
    run: Path,
    dataset: Path,
    folder: Path,
    size: str | None = None,
    mouth_look_ahead: int | None = None,
    head_look_ahead: int | None = None,
    projection: float = 1.0,
) -> None:
    """Puts the trained networks of a run and the person of a dataset together as an avatar folder.

    Size of the renderer and look-aheads: where None, what the run's networks were trained with.
    ``projection`` is the share of manifold projection: 1 for a mouth that learned from few voices; one that learned
    from hundreds hears a stranger better without (0).
    """
    data = load_dataset(dataset)
    size = config_of(run, 'renderer').size if size is None else size
    mouth_look_ahead = config_of(run, 'mouth').look_ahead if mouth_look_ahead is None else mouth_look_ahead
    head_look_ahead = config_of(run, 'head_pose').look_ahead if head_look_ahead is None else head_look_ahead
    networks = {
        network: {name: tensor.numpy() for name, tensor in trained(run, network).items()} for network in CONFIGS
    }
    manifest = {
        'format': 1,
        **{key: data.manifest[key] for key in ('name', 'licence', 'source', 'landmarks')},
        'person': person(data),
        'camera': {'matrix': data.camera_matrix.tolist(), 'metres_per_unit': data.metres_per_unit},
        'speech': {'neighbours': 10, 'projection': projection},
        'mouth': {
            'look_ahead': mouth_look_ahead,
            'amplitude': [1.0, 1.0, 1.0],
            'smoothing': 0.0,
            'contour': True,
            'seal': pixel_size(data),
        },
        'head_pose': {
            'look_ahead': head_look_ahead,
            'noise_scale': NOISE_SCALE,
            'amplitude': [1.0, 1.0],
            'smoothing': list(SMOOTHING),
            'posture': list(POSTURE),
        },
        'upper_body': {'amplitude': 0.5},
        'eyes': {'first': 0},
        'pose_range': pose_range(data),
        'renderer': {'size': size, 'file': f'renderer_{size}.safetensors'},
    }
    write_avatar(
        folder,
        manifest,
        networks,
        np.load(run / 'manifold.npy', allow_pickle=False),
        face(data),
        np.load(run / 'renderer' / 'candidates.npy', allow_pickle=False),
    )
    if (dataset / RECORD).is_file():
        shutil.copyfile(dataset / RECORD, folder / RECORD)


def person(data: Dataset) -> dict[str, Any]:
    """Whom an avatar shows: as the dataset says, and of which videos, so that an agreement to others does not do."""
    videos = (data.manifest.get('capture') or {}).get('videos') or {}
    return {'footage': sorted(videos.values()), **data.manifest['person']}


def pixel_size(data: Dataset) -> float:
    """How long one pixel of the 512x512 picture is at the head, in the dataset's unit: a slit that nobody sees."""
    return float(data.translation[data.training_mask, 2].mean() / data.camera_matrix[0, 0])


def pose_range(data: Dataset) -> dict[str, list[float]]:
    """The poses that the person's training footage holds, but for the outliers."""
    limits: dict[str, list[float]] = {}
    mean = data.translation[data.training_mask].mean(axis=0)
    for key, values in (('euler', data.euler), ('translation', data.translation - mean)):
        low, high = np.percentile(values[data.training_mask], [POSE_OUTLIERS, 100 - POSE_OUTLIERS], axis=0)
        limits |= {f'{key}_min': low.tolist(), f'{key}_max': high.tolist()}
    return limits


def face(data: Dataset) -> Face:
    """The parts of the face that no network makes, from the person's training footage."""
    mean = data.mean_points()
    first, stop = max(runs(data.training_mask), key=lambda pair: pair[1] - pair[0])
    translation = data.translation[data.training_mask].mean(axis=0)
    return Face(
        mean_points=mean,
        mouth_mean=mean,
        mouth_rest=mouth_at_rest(data, mean),
        eyes=data.points[first:stop, EYES],
        brows=data.points[first:stop, BROWS],
        translation_mean=translation,
        shoulders=data.shoulders[data.training_mask].mean(axis=0),
        shoulder_translation=translation,
        posture=postures(np.concatenate([data.euler, data.translation - translation], axis=1)[first:stop]),
    )


def postures(pose: np.ndarray) -> np.ndarray:
    """The slow part of head motion (N, 6) at 60 fps -> (M, 6) float32 rows for ``motion.footage.Posture``, around
    their mean."""
    slow = gaussian_filter1d(np.asarray(pose, np.float64), POSTURE_SIGMA, axis=0)[::POSTURE_STEP]
    return (slow - slow.mean(axis=0)).astype(np.float32)


def mouth_at_rest(data: Dataset, mean: np.ndarray) -> np.ndarray:
    """(25, 3) mouth displacement of the closed mouth: the median over the more closed half of the silent frames."""
    silent = ~speech_frames(data.read_audio()) & data.training_mask
    if not silent.any():
        raise ValueError(f'{data.path}: nobody is ever silent, so the mouth at rest is unknown; add a pause')
    points = data.points[silent]
    gap = lip_gap(points)
    closed = points[np.abs(gap) <= np.median(np.abs(gap))]
    return np.median(closed[:, MOUTH_OUTPUT] - mean[MOUTH_OUTPUT], axis=0)
