"""How mouths, lips and films are measured: a finished avatar, run as it runs live, against true recordings.

What a protocol is given must not have been trained on.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.avatar.landmarks import MOUTH, MOUTH_OUTPUT, lip_gap
from lsp_ros.avatar.load import Avatar
from lsp_ros.evaluation.metrics import BILABIALS, NASALS, closures, known_phones, loudness, offset, point_error_mm
from lsp_ros.evaluation.picture_protocols import box_around
from lsp_ros.evaluation.playback import hear, move, with_projection, with_settings
from lsp_ros.geometry import project, to_camera
from lsp_ros.signals import SpeechFeatures
from lsp_ros.timeline import FRAME_RATE
from lsp_ros.training.dataset import Dataset


def evaluate_mouth(
    avatar: Avatar, dataset: Dataset, projection: float | None = None, heard: SpeechFeatures | None = None
) -> dict[str, Any]:
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


def evaluate_lips(avatar: Avatar, samples: np.ndarray, truth: Dataset | None = None) -> dict[str, Any]:
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
    box = box_around(project(camera, avatar.camera.matrix))
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


def evaluate_film(avatar: Avatar, opening: tuple[np.ndarray, np.ndarray], samples: np.ndarray) -> dict[str, Any]:
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
