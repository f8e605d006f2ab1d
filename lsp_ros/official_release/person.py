"""The person: face, poses, camera and pictures of one subject."""

from pathlib import Path

import numpy as np

from lsp_ros.avatar.architecture import CANDIDATES, PICTURE
from lsp_ros.avatar.files import Face
from lsp_ros.avatar.landmarks import EYES, MOUTH_OUTPUT, lip_gap
from lsp_ros.motion.pose_limits import KNEE
from lsp_ros.official_release.files import ReleaseError, read_array, read_picture, read_scale
from lsp_ros.signals import LANDMARKS, SHOULDER_POINTS

FIRST_EYE_FRAME = 10
SHOULDER_FRAME = 1  # the tracked frame whose shoulders and head translation are the reference
PUPIL_DISTANCE = 0.063  # metres, of an adult: the release does not say how long its unit is
CLOSED_SHARE = 10  # percent of the tracked frames whose lips are taken to be closed


def read_person(person: Path) -> tuple[Face, dict, float]:
    """The face, the manifest's ``pose_range`` and the length of a unit in metres."""
    tracked = read_array(person / 'tracked3D_normalized_pts_fix_contour.npy', (None, LANDMARKS, 3))
    if len(tracked) < FIRST_EYE_FRAME + 2:
        raise ReleaseError(
            f'{person}/tracked3D_normalized_pts_fix_contour.npy: has {len(tracked)} frames; '
            f'at least {FIRST_EYE_FRAME + 2} are needed.'
        )
    mouth_mean = read_array(person / 'mean_pts3d.npy', (LANDMARKS, 3))
    # In single precision, the means too: theirs are, and at a distance of 1000 units that shows.
    translation = read_array(person / '3d_fit_data.npz', (None, 3, 1), key='trans')[:, :, 0].astype(np.float32)
    euler = read_array(person / '3d_fit_data.npz', (None, 3), key='rot_angles').astype(np.float64)
    shoulders = read_array(person / 'shoulder_points3D.npy', (None, SHOULDER_POINTS, 3))
    for name, array in (('3d_fit_data.npz', translation), ('shoulder_points3D.npy', shoulders)):
        if len(array) <= SHOULDER_FRAME:
            raise ReleaseError(f'{person}/{name}: has {len(array)} frames; at least {SHOULDER_FRAME + 1} are needed.')
    scale = read_scale(person / 'id_scale.mat')
    mean = tracked.mean(axis=0)
    radius = scale * float(np.linalg.norm(mean, axis=1).max())
    for where, vector in (
        ('on average', translation.mean(axis=0)),
        (f'in row {SHOULDER_FRAME}', translation[SHOULDER_FRAME]),
    ):
        distance = float(np.linalg.norm(vector))
        if distance <= radius:
            raise ReleaseError(
                f'{person}/3d_fit_data.npz: trans puts the head into the camera: it is {distance:.4g} units away '
                f'{where}, and the face reaches {radius:.4g} units from its middle.'
            )
    # The release knows no mouth at rest: it is where the most closed lips of the footage are.
    gap = np.abs(lip_gap(tracked))
    closed = tracked[gap <= np.percentile(gap, CLOSED_SHARE)]
    face = Face(
        mean_points=mean,
        mouth_mean=mouth_mean,
        mouth_rest=np.median(closed, axis=0)[MOUTH_OUTPUT] - mouth_mean[MOUTH_OUTPUT],
        eyes=tracked[:, EYES],
        brows=None,
        translation_mean=translation.mean(axis=0),
        shoulders=shoulders[SHOULDER_FRAME],
        shoulder_translation=translation[SHOULDER_FRAME],
        scale=scale,
    )
    # Tracked x angles of a head that faces the camera straddle +-180 degrees; ours straddle 0.
    euler[:, 0] = np.where(euler[:, 0] < 0, euler[:, 0] + 360, euler[:, 0]) - 180
    limits = {**_limits('euler', euler), **_limits('translation', translation - translation.mean(axis=0))}
    left, right = mean[EYES[:8]].mean(axis=0), mean[EYES[8:]].mean(axis=0)
    distance = scale * float(np.linalg.norm(left - right))
    if distance == 0:
        raise ReleaseError(f'{person}/tracked3D_normalized_pts_fix_contour.npy: both eyes are in the same place.')
    return face, limits, PUPIL_DISTANCE / distance


def _limits(name: str, values: np.ndarray) -> dict[str, list[float]]:
    """All that was tracked, and so much more that the soft edge of the live bounds begins behind it."""
    low, high = values.min(axis=0), values.max(axis=0)
    centre, half = (low + high) / 2, (high - low) / 2 / KNEE
    return {f'{name}_min': (centre - half).tolist(), f'{name}_max': (centre + half).tolist()}


def read_camera(path: Path) -> list[list[float]]:
    """The pinhole matrix. Raises ReleaseError where it is none."""
    matrix = read_array(path, (3, 3)).astype(np.float32)
    if not (matrix[0, 0] > 0 and matrix[1, 1] > 0 and matrix[1, 0] == 0 and matrix[2].tolist() == [0, 0, 1]):
        raise ReleaseError(
            f'{path}: must be a pinhole matrix, [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with fx and fy above 0.'
        )
    return [[float(value) for value in row] for row in matrix]


def shoulder_offset(person: Path) -> list[float]:
    """Where the authors' cut-out around the face left the footage, they shift the drawn shoulders (x, y) pixels."""
    path = person / 'change_paras.npz'
    x, y = (float(read_array(path, (), key=key)) for key in ('xc', 'yc'))
    height, width = read_picture(person / 'example.png').shape[:2]
    return picture_offset(x, y, width, height)


def picture_offset(x: float, y: float, width: int, height: int) -> list[float]:
    """Shoulder shift (dx, dy) in pixels of a cut-out of 512x512 pixels centred at (x, y) of a width x height picture.

    The right and bottom edges count where the picture is 512 wide or high, and only there, as in the release.
    """
    half = PICTURE / 2
    left, right = max(0.0, half - x), max(0.0, x + half - width)
    top, bottom = max(0.0, half - y), max(0.0, y + half - height)
    edges = (x - half <= 0, min(x + half, width) == PICTURE, y - half <= 0, min(y + half, height) == PICTURE)
    return [right - left, top - bottom] if any(edges) else [0.0, 0.0]


def read_candidates(folder: Path) -> np.ndarray:
    pictures = []
    for number in range(CANDIDATES):
        path = folder / f'normalized_full_{number}.jpg'
        picture = read_picture(path)
        if picture.shape != (PICTURE, PICTURE, 3):
            raise ReleaseError(f'{path}: has the shape {picture.shape}, not ({PICTURE}, {PICTURE}, 3).')
        pictures.append(picture[..., ::-1])
    return np.stack(pictures)
