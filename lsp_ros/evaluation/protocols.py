"""How the figures of a model card are measured: a finished avatar, run as it runs live, against true recordings.

Every protocol returns numbers and the sentence that says how they were made. What it is given must not
have been trained on; the functions choose the right part of a dataset where that is in their power.
"""

import copy
import csv
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import torch

from lsp_ros.avatar.avatar import Avatar
from lsp_ros.avatar.landmarks import EYES, MOUTH, MOUTH_OUTPUT, lip_gap
from lsp_ros.evaluation.metrics import (
    BILABIALS,
    NASALS,
    HeadDistances,
    closures,
    head_distances,
    known_phones,
    l1,
    loudness,
    offset,
    point_error_mm,
    psnr,
    ssim,
)
from lsp_ros.geometry import project, to_camera
from lsp_ros.motion.stage import MotionStage
from lsp_ros.rendering.engines import make_engine
from lsp_ros.rendering.feature_map import draw
from lsp_ros.rendering.sizes import PICTURE, SIZES
from lsp_ros.signals import FaceMotion, SpeechFeatures
from lsp_ros.speech.stage import SpeechStage
from lsp_ros.timeline import FRAME_RATE
from lsp_ros.training.dataset import Dataset, runs
from lsp_ros.training.perceptual import Backbone, perceptual_distance
from lsp_ros.training.pictures import read_picture

WARM_UP = 5 * FRAME_RATE
"""Frames that the head moves before it is judged."""

WHOLE_PICTURE = ('l1', 'psnr', 'ssim', 'perceptual')


def with_settings(avatar: Avatar, **sections) -> Avatar:
    """The same avatar with other sections of its manifest."""
    other = copy.copy(avatar)
    other.manifest = replace(avatar.manifest, **sections)
    return other


def with_networks(avatar: Avatar, **networks: dict[str, np.ndarray]) -> Avatar:
    """The same avatar with other weights of 'apc', 'mouth', 'head_pose' or 'renderer'."""
    other = copy.copy(avatar)
    other.weights = lambda name: networks[name] if name in networks else avatar.weights(name)
    return other


def with_projection(avatar: Avatar, share: float) -> Avatar:
    """The same avatar with another share of manifold projection (0: raw speech features)."""
    return with_settings(avatar, speech=replace(avatar.manifest.speech, projection=share))


def hear(avatar: Avatar, samples: np.ndarray) -> SpeechFeatures:
    """The speech features of a clip, by the live stage."""
    stage = SpeechStage(avatar)
    return SpeechFeatures.join([stage.push(samples), stage.flush()])


def move(avatar: Avatar, features: SpeechFeatures, seed: int = 0) -> FaceMotion:
    """The face motion of a clip, by the live stage."""
    stage = MotionStage(avatar, seed=seed)
    return FaceMotion.join([stage.push(features), stage.flush()])


def evaluate_mouth(
    avatar: Avatar, dataset: Dataset, projection: float | None = None, heard: SpeechFeatures | None = None
) -> dict:
    """The mouth on a recording with true points and phone times that nothing was trained on.

    Frames whose truth is not known (``Dataset.known_mask``) do not count, nor do phones that lie in them.

    'closed' is with the avatar's soft lips (``mouth.seal``), 'closed_by_hard_lips' without; 'nasals_closed' the share
    of N and NG, near which true lips stay apart, that close, too: what closing more costs.

    ``heard`` is the recording's speech features where they are known already (``hear``).
    """
    if projection is not None:
        avatar = with_projection(avatar, projection)
    heard = hear(avatar, dataset.read_audio()) if heard is None else heard
    motion = move(avatar, heard)
    hard = move(with_settings(avatar, mouth=replace(avatar.manifest.mouth, seal=0.0)), heard)
    length = min(len(motion), len(dataset))
    points, truth, known = motion.points[:length], dataset.points[:length], dataset.known_mask[:length]
    speech = np.zeros(length, bool)
    for phone, start, end in dataset.phones():
        if phone != 'pau':
            speech[int(start * FRAME_RATE) : int(end * FRAME_RATE)] = True
    speech &= known
    if not speech.any():
        raise ValueError(f'{dataset.path}: there is no speech whose true mouth is known')
    phones = known_phones(dataset.phones(), known)
    gap, true_gap = lip_gap(points), lip_gap(truth)
    largest = float(true_gap[known].max())
    still = np.broadcast_to(avatar.face.mouth_mean, points.shape)
    strict, seen = (closures(gap, phones, largest, share) for share in (0.01, 0.03))
    apart = [phone for phone in phones if not closures(true_gap, [phone], largest, of=NASALS).closed]
    nasals = closures(gap, apart, largest, of=NASALS)
    return {
        'seconds': int(known.sum()) / FRAME_RATE,
        'error_mm': point_error_mm(
            points[known][:, MOUTH_OUTPUT], truth[known][:, MOUTH_OUTPUT], dataset.metres_per_unit
        ),
        'error_in_speech_mm': point_error_mm(
            points[speech][:, MOUTH_OUTPUT], truth[speech][:, MOUTH_OUTPUT], dataset.metres_per_unit
        ),
        'error_of_a_still_mouth_mm': point_error_mm(
            still[speech][:, MOUTH_OUTPUT], truth[speech][:, MOUTH_OUTPUT], dataset.metres_per_unit
        ),
        'gap_correlation': float(np.corrcoef(gap[speech], true_gap[speech])[0, 1]),
        'bilabials': strict.total,
        'closed': strict.share,
        'closed_3_percent': seen.share,
        'closed_by_hard_lips': closures(lip_gap(hard.points[:length]), phones, largest).share,
        'nasals': nasals.total,
        'nasals_closed': nasals.share,
        'largest_opening_mm': largest * dataset.metres_per_unit * 1000,
    }


def evaluate_lips(avatar: Avatar, samples: np.ndarray, truth: Dataset | None = None) -> dict:
    """Do the lips close when they should, and open when the sound says so? Of speech that nothing was trained on.

    ``truth`` is the recording that the sound belongs to, with the true motion and phone times; without it, only the
    offset to the sound can be told. A true mouth does not open exactly when it sounds, so 'offset_to_sound_ms' means
    something beside that of the true mouth. Frames whose truth is not known do not count beside the true mouth.
    """
    motion = move(avatar, hear(avatar, samples))
    gap, heard = lip_gap(motion.points), loudness(samples)
    length = min(len(gap), len(heard))
    late = offset(gap[:length], heard[:length])
    figures = {
        'seconds': length / FRAME_RATE,
        'offset_to_sound_ms': late.ms,
        'correlation_with_sound': late.correlation,
    }
    if truth is None:
        return figures
    known = truth.known_mask[:length]
    true_gap = np.where(known, lip_gap(truth.points[:length]), np.nan)
    phones = known_phones(truth.phones(), known)
    late, natural = offset(gap[:length], true_gap), offset(true_gap, heard[:length])
    largest = float(np.nanmax(true_gap))
    closed = {phone: closures(gap, [p for p in phones if p[0] == phone], largest) for phone in BILABIALS}
    return figures | {
        'offset_to_truth_ms': late.ms,
        'correlation_with_truth': late.correlation,
        'true_offset_to_sound_ms': natural.ms,
        'true_correlation_with_sound': natural.correlation,
        'closures': {phone.upper(): asdict(found) for phone, found in closed.items()},
        'closed': closures(gap, phones, largest).share,
        'closed_3_percent': closures(gap, phones, largest, 0.03).share,
        'true_closed': closures(true_gap, phones, largest).share,
    }


def film_opening(pictures: Iterable[tuple[float, np.ndarray]], avatar: Avatar) -> tuple[np.ndarray, np.ndarray]:
    """How far a mouth that is filmed stands open: times (N,) in seconds and a measure (N,) that grows with it.

    pictures  (seconds, (512, 512, 3) uint8 RGB) of a film that this avatar made

    The measure is the spread (standard deviation) of the grey levels in the box around the mouth at the mean
    pose: what is inside a mouth is darker than lips, teeth are lighter. On a film of the presenter it went with the
    opening that was drawn at r = 0.97, without delay. ValueError for pictures of another size.
    """
    face = avatar.face
    camera = to_camera(face.mean_points[MOUTH], np.zeros(3), face.translation_mean, face.scale)
    box = _box(project(camera, avatar.camera.matrix))
    seen = []
    for seconds, picture in pictures:
        if picture.shape != (PICTURE, PICTURE, 3):
            raise ValueError(
                f'the film is {picture.shape[1]}x{picture.shape[0]}, not the {PICTURE}x{PICTURE} of an '
                'avatar: its mouth cannot be found'
            )
        seen.append((seconds, picture[box].mean(axis=-1).std()))
    times, spread = np.array(seen).T
    return times, spread


def evaluate_film(avatar: Avatar, opening: tuple[np.ndarray, np.ndarray], samples: np.ndarray) -> dict:
    """Is the sound (n,) of a finished film of this avatar in time with its pictures (``film_opening``)?

    The film's sound is heard anew: 'offset_to_motion_ms' is how much later the filmed mouth opens than the one
    that the avatar makes to this sound. That is the film's own error, whatever the avatar's.
    """
    times, seen = opening
    motion, heard = move(avatar, hear(avatar, samples)), loudness(samples)
    length = min(len(motion), len(heard), int(times[-1] * FRAME_RATE))
    seen = np.interp(np.arange(length) / FRAME_RATE, times, seen)
    late, sound = offset(seen, lip_gap(motion.points[:length])), offset(seen, heard[:length])
    return {
        'seconds': length / FRAME_RATE,
        'offset_to_motion_ms': late.ms,
        'correlation_with_motion': late.correlation,
        'offset_to_sound_ms': sound.ms,
        'correlation_with_sound': sound.correlation,
    }


def judged_part(dataset: Dataset, held_out: bool) -> tuple[int, int]:
    """Frames [first, stop) to judge head motion on: all of a recording that was held out, else the longest run of
    the part that validates."""
    if held_out:
        return 0, len(dataset)
    return max(runs(dataset.validation_mask), key=lambda pair: pair[1] - pair[0])


def compare_heads(shown: list[tuple[Dataset, slice, list[tuple[np.ndarray, np.ndarray]]]]) -> dict:
    """D-L, D-V, D-Rot and D-Pos of head motions to the true ones, means over known frames and over motions.

    shown  recordings, each with the frames that are judged and what was done in them: (euler, translation), (n, 3)
           each, as often as there were draws
    """
    found, weights, spread, true_spread = [], [], [], []
    for dataset, part, motions in shown:
        known = dataset.known_mask[part]
        if not (known[1:] & known[:-1]).any():
            raise ValueError(f'{dataset.path}: in the judged part the true head pose is not known')
        points, truth = dataset.points[part], (dataset.euler[part], dataset.translation[part])
        distances = [asdict(head_distances(points, pose, truth, known)) for pose in motions]
        found.append({name: np.mean([one[name] for one in distances]) for name in distances[0]})
        weights.append(int(known.sum()))
        spread.append(np.mean([euler[known].std(axis=0) for euler, _ in motions], axis=0))
        true_spread.append(truth[0][known].std(axis=0))
    return {
        'seconds': sum(weights) / FRAME_RATE,
        'seeds': len(shown[0][2]),
        **{name: float(np.average([one[name] for one in found], weights=weights)) for name in found[0]},
        'euler_std': np.average(spread, axis=0, weights=weights).tolist(),
        'true_euler_std': np.average(true_spread, axis=0, weights=weights).tolist(),
    }


def still_head(dataset: Dataset, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A head that rests at the mean pose of a person's training footage: euler and translation, (frames, 3) each."""
    rows = dataset.training_mask
    return tuple(np.broadcast_to(part[rows].mean(axis=0), (frames, 3)) for part in (dataset.euler, dataset.translation))


def evaluate_head_pose(avatar: Avatar, dataset: Dataset, seeds: Iterable[int] = range(8)) -> dict:
    """Head motion on the validation part of the person's recording, averaged over seeds.

    Two lines to compare with: a head that holds still at its mean pose, and the person's own true
    motion from other times, which moves as naturally as can be but hears nothing.
    """
    features = hear(avatar, dataset.read_audio())
    first, stop = judged_part(dataset, held_out=False)
    begin, stop = max(0, first - WARM_UP), min(stop, len(features))
    heard, part, count = features[begin:stop], slice(first, stop), stop - first
    seeds = list(seeds)
    moved = [move(avatar, heard, seed)[first - begin :] for seed in seeds]
    usable = [start for a, b in runs(dataset.training_mask) for start in range(a, b - count + 1)]
    pieces = count
    while not usable:  # no training run is as long as the judged part: compare piecewise
        pieces //= 2
        usable = [start for a, b in runs(dataset.training_mask) for start in range(a, b - pieces + 1)]
    rng = np.random.default_rng(0)
    other = []
    for _ in seeds:
        taken = np.concatenate([np.arange(s, s + pieces) for s in rng.choice(usable, -(-count // pieces))])[:count]
        other.append((dataset.euler[taken], dataset.translation[taken]))

    def compared(motions: list) -> dict:
        return compare_heads([(dataset, part, motions)])

    def distances(figures: dict) -> dict:
        return {entry.name: figures[entry.name] for entry in fields(HeadDistances)}

    own = compared([(motion.euler[:count], motion.translation[:count]) for motion in moved])
    return {
        'seconds': own['seconds'],
        'seeds': len(seeds),
        'ours': distances(own),
        'still_head': distances(compared([still_head(dataset, count)])),
        'true_motion_of_another_time': distances(compared(other)),
        'euler_std': own['euler_std'],
        'true_euler_std': own['true_euler_std'],
    }


def evaluate_renderer(avatar: Avatar, dataset: Dataset, backbone: Backbone | None, engine: str = 'torch') -> dict:
    """Pictures drawn from the true landmarks of the validation pictures, against the true ones."""
    drawer = make_engine(engine, avatar)
    subpixel = SIZES[avatar.manifest.renderer.size].subpixel
    figures = compare_pictures(drawer.render, avatar.candidates(), dataset, backbone, subpixel)
    return {'engine': engine, **figures}


def compare_pictures(
    render: Callable[[np.ndarray], np.ndarray],
    candidates: np.ndarray,
    dataset: Dataset,
    backbone: Backbone | None,
    subpixel: bool,
    upper_body: bool = True,
) -> dict:
    """The validation pictures, drawn from their true landmarks, against the true ones: means, and for whole
    pictures the standard deviation over them ('..._deviation'), which the paper takes for how unsteady they are.

    render      feature map (512, 512) uint8 -> picture (512, 512, 3) uint8 RGB
    candidates  (4, 512, 512, 3): beside it the PSNR of showing their mean
    upper_body  whether feature maps show the shoulders
    """
    frames = dataset.validation_pictures()
    mean_candidate = candidates.mean(axis=0).round().astype(np.uint8)
    figures: dict[str, list[float]] = {}

    def note(**values: float) -> None:
        for name, value in values.items():
            figures.setdefault(name, []).append(value)

    for frame in frames:
        camera = to_camera(dataset.points[frame], dataset.euler[frame], dataset.translation[frame])
        landmarks = project(camera, dataset.camera_matrix)
        shoulders = project(dataset.shoulders[frame], dataset.camera_matrix) if upper_body else None
        picture = render(draw(landmarks, shoulders, subpixel))
        truth = read_picture(dataset.pictures[frame])
        note(l1=l1(picture, truth), psnr=psnr(picture, truth), ssim=ssim(picture, truth))
        note(psnr_of_mean_candidate=psnr(mean_candidate, truth))
        for name, points in (('mouth', MOUTH), ('eyes', EYES)):
            box = _box(landmarks[points])
            note(**{f'psnr_{name}': psnr(picture[box], truth[box]), f'ssim_{name}': ssim(picture[box], truth[box])})
        if backbone is not None:
            device = next(backbone.parameters()).device
            pair = [torch.from_numpy(p).to(device).permute(2, 0, 1)[None] / 127.5 - 1 for p in (picture, truth)]
            with torch.inference_mode():
                note(perceptual=float(perceptual_distance(backbone, *pair)))
    found = {name: float(np.mean(values)) for name, values in figures.items()}
    whole = {f'{name}_deviation': float(np.std(figures[name])) for name in WHOLE_PICTURE if name in figures}
    return {'pictures': len(frames), 'backbone': backbone.name if backbone else None, **found, **whole}


def _box(points: np.ndarray, margin: int = 12) -> tuple[slice, slice]:
    """Rows and columns of the box around pixel points, with a margin, at least as large as SSIM's window."""
    low = np.floor(points.min(axis=0)).astype(int) - margin
    high = np.ceil(points.max(axis=0)).astype(int) + margin
    low, high = low.clip(0, 500), high.clip(12, 512)
    return slice(low[1], high[1]), slice(low[0], high[0])


def apc_figures(run: Path) -> dict:
    """The best validation loss of an APC training and the loss of predicting the last frame again, from its tables."""
    best: dict[str, float] | None = None
    for table in sorted((run / 'csv').rglob('metrics.csv')):
        with table.open() as file:
            for row in csv.DictReader(file):
                if not row.get('val_loss'):
                    continue
                found = {'val_loss': float(row['val_loss']), 'predict_last_frame': float(row['val_repeat_last'])}
                if best is None or found['val_loss'] < best['val_loss']:
                    best = found
    if best is None:
        raise ValueError(f'{run}: its tables hold no validation loss')
    return best
