"""One run folder from first to last: train each network, then put an avatar together.

    <run>/apc/  mouth/  head_pose/  renderer/   a folder for each training (lsp_ros.training.trainer)
    <run>/manifold.npy  manifold.sha256         the person's speech features, and what they were made of
    <run>/features/                             what the motion networks hear, kept between trainings

Later steps read what earlier ones left, so each can be repeated by itself.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from scipy.ndimage import gaussian_filter1d

from lsp_ros.avatar.consent import RECORD
from lsp_ros.avatar.files import Face
from lsp_ros.avatar.landmarks import BROWS, EYES, MOUTH_OUTPUT, lip_gap
from lsp_ros.avatar.save import write_avatar
from lsp_ros.motion.footage import POSTURE_STEP
from lsp_ros.rendering.engines.engine import EngineError
from lsp_ros.speech.activity import speech_frames
from lsp_ros.speech.apc import APC
from lsp_ros.speech.manifold import Manifold
from lsp_ros.training.apc import APCSettings, train_apc
from lsp_ros.training.dataset import Dataset, load_dataset, runs
from lsp_ros.training.features import Listener
from lsp_ros.training.head_pose import HeadPoseSettings, train_head_pose
from lsp_ros.training.manifold import person_manifold
from lsp_ros.training.mouth import MouthSettings, train_mouth
from lsp_ros.training.quantize import quantize_avatar
from lsp_ros.training.renderer import RendererSettings, train_renderer
from lsp_ros.training.trainer import SETTINGS_FILE, Settings, checkpoint_weights, cpu_precision

log = logging.getLogger(__name__)

SETTINGS: dict[str, type[Settings]] = {
    'apc': APCSettings,
    'mouth': MouthSettings,
    'head_pose': HeadPoseSettings,
    'renderer': RendererSettings,
}
# What stands for the network in its checkpoint.
PREFIX = {'apc': 'apc', 'mouth': 'net', 'head_pose': 'net', 'renderer': 'generator'}

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


def settings_on_cpu(network: str, minutes: float) -> Settings:
    """Settings for a few CPU cores and a time in minutes: what we chose, not the paper's."""
    many = {'epochs': 10_000, 'max_minutes': minutes, 'lr_end': 1e-5, 'precision': cpu_precision()}
    if network == 'apc':
        return APCSettings(lr=1e-3, batch=128, segment=60, validate_every=0.25, **many)
    if network == 'mouth':
        return MouthSettings(lr=1e-3, batch=48, sequence=120, **many)
    if network == 'head_pose':
        # Not in bfloat16: at ten degrees it steps by 0.06, more than a head moves from frame to frame.
        many['precision'] = '32-true'
        return HeadPoseSettings(lr=1e-3, batch=2, sequence=720, windows=400, dropout=0.1, history_noise=1.5, **many)
    return RendererSettings.on_cpu(minutes)


def trained(run: Path, network: str) -> dict[str, torch.Tensor]:
    """The best weights of a training in the run folder, rounded to float16, which is what an avatar ships."""
    checkpoint = run / network / 'best.ckpt'
    if not checkpoint.is_file():
        raise ValueError(f'{checkpoint}: missing; train {network} first')
    weights = checkpoint_weights(checkpoint, PREFIX[network])
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}


def listener(run: Path, datasets: list[Path]) -> Listener:
    """What the motion networks hear with: the run's APC, and the manifold of the datasets' speech."""
    apc = APC().eval()
    apc.load_state_dict({name: tensor.float() for name, tensor in trained(run, 'apc').items()})
    file, origin = run / 'manifold.npy', run / 'manifold.sha256'
    loaded = [load_dataset(path) for path in datasets]
    key = manifold_key(apc, loaded)
    if not file.is_file() or not origin.is_file() or origin.read_text().strip() != key:
        for network in ('mouth', 'head_pose') if file.is_file() else ():
            if (run / network / 'best.ckpt').is_file():
                log.warning(
                    '%s was made by another APC or of other datasets and is made again; %s learned with the '
                    'old one: train it anew, in a run folder of its own',
                    file,
                    network,
                )
        rows = person_manifold(apc, [clip for data in loaded for clip in data.training_audio()])
        part = run / f'manifold.{os.getpid()}.part.npy'
        np.save(part, rows.astype(np.float16))
        part.replace(file)
        origin.write_text(f'{key}\n')
    return Listener(apc, Manifold(np.load(file, allow_pickle=False).astype(np.float32)), run / 'features')


def manifold_key(apc: APC, datasets: list[Dataset]) -> str:
    """Hash of what a manifold is made of: the APC's weights, the datasets' sound and what of it is learned from."""
    digest = hashlib.sha256()
    for tensor in apc.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    for data in datasets:
        digest.update(hashlib.sha256(data.read_audio().tobytes()).digest())
        digest.update(np.packbits(data.training_time).tobytes())
    return digest.hexdigest()


def settings_of(run: Path, network: str) -> Settings:
    """The settings that a network of the run was trained with; the defaults where the run does not say."""
    file = run / network / SETTINGS_FILE
    kind = SETTINGS[network]
    stored = json.loads(file.read_text()) if file.is_file() else {}
    return kind(**{name: value for name, value in stored.items() if name in kind.__dataclass_fields__})


def train(network: str, run: Path, sources: list[Path], settings: Settings) -> None:
    """Trains one network in the run folder.

    sources  for 'apc' folders of speech; else dataset folders, the person's own first: 'mouth' and
             'head_pose' learn from all of them, 'renderer' from the first
    """
    if network == 'apc':
        train_apc(sources, run / 'apc', settings)
    elif network == 'mouth':
        train_mouth(sources, run / 'mouth', listener(run, sources), settings, load_dataset(sources[0]).mean_points())
    elif network == 'head_pose':
        train_head_pose(sources, run / 'head_pose', listener(run, sources), settings)
    else:
        train_renderer(sources[0], run / 'renderer', settings)


def train_all(run: Path, corpus: list[Path], datasets: list[Path], settings: dict[str, Settings], folder: Path) -> None:
    """Trains the four networks one after the other and writes the avatar; goes on where it was stopped."""
    for network in SETTINGS:
        train(network, run, corpus if network == 'apc' else datasets, settings[network])
    if rank_zero_only.rank == 0:  # of the processes that train together
        build_avatar(run, datasets[0], folder)
        quantise(folder)


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
    size = settings_of(run, 'renderer').size if size is None else size
    mouth_look_ahead = settings_of(run, 'mouth').look_ahead if mouth_look_ahead is None else mouth_look_ahead
    head_look_ahead = settings_of(run, 'head_pose').look_ahead if head_look_ahead is None else head_look_ahead
    networks = {
        network: {name: tensor.numpy() for name, tensor in trained(run, network).items()} for network in SETTINGS
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


def person(data: Dataset) -> dict:
    """Whom an avatar shows: as the dataset says, and of which videos, so that an agreement to others does not do."""
    videos = (data.manifest.get('capture') or {}).get('videos') or {}
    return {'footage': sorted(videos.values()), **data.manifest['person']}


def quantise(folder: Path, tell: Callable[[str], None] = print) -> None:
    """Puts the renderer in 8 bits into a finished avatar, as ``lsp quantize`` does, so that it is quick at once.

    Where that cannot be done, as without NNCF, ``tell`` hears why in a sentence, and the avatar works without.
    """
    try:
        with Console(stderr=True).status('quantising the renderer') as status:
            tell(f'{folder}: {quantize_avatar(folder, status.update)}')
    except EngineError as error:
        tell(
            f'{folder} works, but without a renderer in 8 bits it is slower on a CPU: {error}; '
            f'`lsp quantize {folder}` makes one.'
        )


def pixel_size(data: Dataset) -> float:
    """How long one pixel of the 512x512 picture is at the head, in the dataset's unit: a slit that nobody sees."""
    return float(data.translation[data.training_mask, 2].mean() / data.camera_matrix[0, 0])


def pose_range(data: Dataset) -> dict[str, list[float]]:
    """The poses that the person's training footage holds, but for the outliers."""
    limits = {}
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


def changed(settings: Settings, **values) -> Settings:
    """Settings with other values; ValueError naming the one that does not exist or has the wrong type."""
    for name, value in values.items():
        if not hasattr(settings, name):
            known = ', '.join(sorted(vars(settings)))
            raise ValueError(f'{name} is not a setting of {type(settings).__name__} (known: {known})')
        present = getattr(settings, name)
        if isinstance(present, tuple) and isinstance(value, list) and len(value) == len(present):
            values[name] = tuple(value)
        elif isinstance(present, float) and isinstance(value, int) and not isinstance(value, bool):
            values[name] = float(value)
        elif present is not None and value is not None and type(value) is not type(present) and name != 'devices':
            raise ValueError(f'{name} must be like {present!r}, not {value!r}')
    return replace(settings, **values)
