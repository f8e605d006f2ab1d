"""One subject of the release to an avatar folder."""

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lsp_ros.avatar.architecture import APC_LAYERS, FEATURE_SIZE, MEL_BANDS
from lsp_ros.avatar.manifest import AvatarError
from lsp_ros.avatar.save import write_avatar
from lsp_ros.official_release.checkpoints import read_network
from lsp_ros.official_release.files import ReleaseError, line, read_array
from lsp_ros.official_release.person import (
    FIRST_EYE_FRAME,
    PUPIL_DISTANCE,
    read_camera,
    read_candidates,
    read_person,
    shoulder_offset,
)
from lsp_ros.official_release.settings import GAIN, Limits, Settings

MOUTH_LOOK_AHEAD = 18
HEAD_LOOK_AHEAD = 15
NOISE_SCALE = 0.3  # a literal in the authors' program; the `sigma` of their configuration is read and not used

NO_CONSENT = """\
This avatar shows a real person, and no consent is on record. Before anybody but you sees it:
  - Ask the person. Who shows them saying what they never said needs their agreement; write who agreed, to what,
    until when and how to withdraw it into a file (docs/capture.md); lsp avatar consent FOLDER FILE puts it into
    avatar.yaml.
  - Ask the authors. Their program is under the MIT licence; we know of no licence of the footage and the weights.
  - Say that it is generated. The visible mark and the films' metadata do; leave them on. Many countries' laws ask
    for it, the EU's AI Act (article 50) among them.
  - Never use it to deceive, to impersonate, or in the name of the person."""


@dataclass
class Imported:
    """What an import wrote, and what whoever asked for it should know."""

    folder: Path
    manifest: dict
    skipped: list[str] = field(default_factory=list)


def import_release(
    folder: Path, subject: str, output: Path, config: Path | None = None, skip_unknown: bool = False
) -> Imported:
    """Writes the avatar of one subject ('May', 'Obama1', ...) of the downloaded release.

    folder        holds ``data`` and ``config``, or is ``data`` itself with ``config`` in or beside it
    config        the subject's yaml where it lies elsewhere
    skip_unknown  leave out tensors that no network here knows, as the authors' program does, instead of refusing

    Raises ReleaseError for what does not fit and AvatarError where the output cannot be written.
    """
    data = folder / 'data' if (folder / 'data').is_dir() else folder
    person = _subject_folder(folder, data, subject)
    if config is None:
        places = [place / 'config' / f'{subject}.yaml' for place in (folder, data, data.resolve().parent)]
        config = next((place for place in places if place.is_file()), places[0])
    settings = Settings(config)
    size = settings.one_of('Image2Image.size', 'normal', 'large')
    face, pose_range, metres_per_unit = read_person(person)
    readable = subject.encode('utf-8', 'replace').decode()
    manifest: dict[str, Any] = {
        'format': 1,
        'name': re.sub('[^a-z0-9_-]', '-', subject.lower()).strip('-_')[:64] or 'imported',
        'licence': "program: MIT, the authors of Live Speech Portraits; the person's footage and weights: not stated",
        'source': f'official release of Live Speech Portraits (Lu, Chai and Cao, 2021), subject {readable}',
        'person': {'kind': 'real', 'consent': None},
        'landmarks': 'lsp73',
        'camera': {
            'matrix': read_camera(person / 'camera_intrinsic.npy'),
            'metres_per_unit': metres_per_unit,
        },
        **_networks_settings(settings),
        'upper_body': {
            'amplitude': settings.number('Headpose.shoulder_AMP', Limits(0, 10)),
            'offset': shoulder_offset(person),
        },
        'eyes': {'first': FIRST_EYE_FRAME, 'seamless': False},
        'pose_range': pose_range,
        'renderer': {'size': size, 'file': f'renderer_{size}.safetensors'},
    }
    manifold = read_array(person / 'APC_feature_base.npy', (None, FEATURE_SIZE), np.float32)
    neighbours = manifest['speech']['neighbours']
    if len(manifold) < neighbours:
        raise ReleaseError(
            f'{person}/APC_feature_base.npy: has {len(manifold)} rows; model_params.APC.Knear in {config} wants at '
            f'least {neighbours}.'
        )
    candidates = read_candidates(person / 'candidates')
    skipped, weights = [], {}
    for name, key, place in (
        ('apc', 'APC', data),
        ('mouth', 'Audio2Mouth', person / 'checkpoints'),
        ('head_pose', 'Headpose', person / 'checkpoints'),
        ('renderer', 'Image2Image', person / 'checkpoints'),
    ):
        # Of the authors' path only the file's name counts: a download may lie anywhere.
        path = place / settings.text(f'{key}.ckp_path').replace('\\', '/').rpartition('/')[2]
        weights[name], left_out = read_network(path, name, size, skip_unknown)
        skipped += [f'{path}: {tensor}' for tensor in left_out]
    try:
        write_avatar(output, manifest, weights, manifold, face, candidates)
    except OSError as error:
        raise ReleaseError(f'{output}: cannot be written ({line(error)}).') from None
    except AvatarError as error:  # of the scratch folder, which is gone
        raise AvatarError(re.sub(r'[^ ]*\.writing-[^/ ]*', lambda _: str(output), str(error))) from None
    return Imported(output, manifest, skipped + settings.unused())


def _subject_folder(folder: Path, data: Path, subject: str) -> Path:
    """The folder of one subject. Raises ReleaseError, which says what there is instead."""
    if folder.is_file():
        if zipfile.is_zipfile(folder):
            raise ReleaseError(f'{folder}: is a zip archive: unpack it and name the folder that comes out.')
        raise ReleaseError(f'{folder}: is a file; name the folder that holds data and config.')
    if not folder.is_dir():
        raise ReleaseError(f'{folder}: there is no such folder.')
    person = data / subject
    if subject in ('', '.', '..') or '/' in subject or not person.is_dir():
        packed = data / f'{subject}.zip'
        if subject and packed.is_file():
            raise ReleaseError(f'{packed}: is a zip archive: unpack it into {data}.')
        found = sorted(path.parent.name for path in data.glob('*/checkpoints')) or ['none']
        what = f'{person}: there is no such folder' if subject else 'The subject is empty'
        raise ReleaseError(f'{what} (subjects in {data}: {", ".join(found)}).')
    return person


def _networks_settings(settings: 'Settings') -> dict:
    """The manifest's sections on speech, mouth and head."""
    for key, value in (
        ('APC.mel_dim', MEL_BANDS),
        ('APC.hidden_size', FEATURE_SIZE),
        ('APC.num_layers', APC_LAYERS),
        ('APC.residual', False),
    ):
        settings.one_of(key, value)
    _, *factors = settings.value(
        'Audio2Mouth.AMP',
        "['XYZ', x, y, z] with numbers of at least 0",
        lambda value: (
            isinstance(value, list) and len(value) == 4 and value[0] == 'XYZ' and all(map(GAIN.hold, value[1:]))
        ),
    )
    return {
        'speech': {
            'neighbours': settings.whole_number('APC.Knear', Limits(1, 1000)),
            'projection': settings.number('APC.LLE_percent', Limits(0, 1))
            if settings.one_of('APC.use_LLE', 0, 1)
            else 0.0,
        },
        'mouth': {
            'look_ahead': MOUTH_LOOK_AHEAD,
            'amplitude': [float(factor) for factor in factors],
            'smoothing': settings.number('Audio2Mouth.smooth', Limits(0, 30)),
            'contour': False,
            'rests': False,
        },
        'head_pose': {
            'look_ahead': HEAD_LOOK_AHEAD,
            'noise_scale': NOISE_SCALE,
            'amplitude': settings.numbers('Headpose.AMP', 2, GAIN),
            'smoothing': settings.numbers('Headpose.smooth', 2, GAIN),
        },
    }


def describe(imported: Imported) -> Iterable[str]:
    """Lines for people: what was written, what was left out, and what is asked of them."""
    manifest = imported.manifest
    yield f'{imported.folder}: {manifest["source"]}, {manifest["renderer"]["size"]} renderer'
    yield (
        f'one unit is taken to be {1000 * manifest["camera"]["metres_per_unit"]:.3g} mm '
        f'({1000 * PUPIL_DISTANCE:g} mm between the eyes): the release does not say'
    )
    if imported.skipped:
        yield f'left out, as no picture needs it ({len(imported.skipped)}):'
        yield from (f'  {name}' for name in imported.skipped)
    yield ''
    yield NO_CONSENT
