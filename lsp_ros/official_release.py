"""The authors' released avatars: their data folder in, an ordinary avatar folder out.

    <folder>/data/APC_epoch_160.model            the speech network of all subjects
    <folder>/data/<ID>/checkpoints/*.pkl         mouth, head pose and renderer of one subject
    <folder>/data/<ID>/*.npy, *.npz, *.mat, ...  the person
    <folder>/config/<ID>.yaml                    the person's settings

Reading is strict where the authors' program is not: every tensor is accounted for, nothing is unpickled
but tensors, and what does not fit is said in one sentence that names file and key. What the release does
differently from the paper becomes values of the manifest; nothing that runs knows where an avatar came from.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.io
import torch
import yaml

from lsp_ros.avatar.architecture import APC_LAYERS, CANDIDATES, FEATURE_SIZE, MEL_BANDS, PICTURE
from lsp_ros.avatar.files import Face
from lsp_ros.avatar.landmarks import EYES, MOUTH_OUTPUT, lip_gap
from lsp_ros.avatar.save import write_avatar
from lsp_ros.errors import LspError
from lsp_ros.motion.head_pose import HeadPoseNet
from lsp_ros.motion.mouth import MouthNet
from lsp_ros.motion.pose_limits import KNEE
from lsp_ros.rendering.generator import Generator
from lsp_ros.signals import LANDMARKS, SHOULDER_POINTS
from lsp_ros.speech.apc import APC

MOUTH_LOOK_AHEAD = 18
HEAD_LOOK_AHEAD = 15
NOISE_SCALE = 0.3  # a literal in the authors' program; the `sigma` of their configuration is read and not used
FIRST_EYE_FRAME = 10
SHOULDER_FRAME = 1  # the tracked frame whose shoulders and head translation are the reference
PUPIL_DISTANCE = 0.063  # metres, of an adult: the release does not say how long its unit is
CLOSED_SHARE = 10  # percent of the tracked frames whose lips are taken to be closed

NO_CONSENT = """\
This avatar shows a real person, and no consent is on record. Before anybody but you sees it:
  - Ask the person. Who shows them saying what they never said needs their agreement; write who agreed, to what,
    until when and how to withdraw it into a file (docs/capture.md); lsp avatar consent FOLDER FILE puts it into
    avatar.yaml.
  - Ask the authors. Their program is under the MIT licence; we know of no licence of the footage and the weights.
  - Say that it is generated. The visible mark and the films' metadata do; leave them on. Many countries' laws ask
    for it, the EU's AI Act (article 50) among them.
  - Never use it to deceive, to impersonate, or in the name of the person."""


class ReleaseError(LspError, ValueError):
    """A release that cannot be imported; one sentence that names the file, the key and what is wrong."""


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
    person = data / subject
    if not person.is_dir():
        found = sorted(path.parent.name for path in data.glob('*/checkpoints')) or ['none']
        raise ReleaseError(f'{person}: there is no such folder (subjects in {data}: {", ".join(found)}).')
    if config is None:
        places = [place / 'config' / f'{subject}.yaml' for place in (folder, data, data.resolve().parent)]
        config = next((place for place in places if place.is_file()), places[0])
    settings = _Settings(config)
    size = settings.one_of('Image2Image.size', 'normal', 'large')
    face, pose_range, metres_per_unit = _person(person)
    manifest = {
        'format': 1,
        'name': subject.lower(),
        'licence': "program: MIT, the authors of Live Speech Portraits; the person's footage and weights: not stated",
        'source': f'official release of Live Speech Portraits (Lu, Chai and Cao, 2021), subject {subject}',
        'person': {'kind': 'real', 'consent': None},
        'landmarks': 'lsp73',
        'camera': {
            'matrix': _array(person / 'camera_intrinsic.npy', (3, 3)).astype(np.float32).tolist(),
            'metres_per_unit': metres_per_unit,
        },
        **_networks_settings(settings),
        'upper_body': {'amplitude': settings.number('Headpose.shoulder_AMP'), 'offset': _shoulder_offset(person)},
        'eyes': {'first': FIRST_EYE_FRAME, 'seamless': False},
        'pose_range': pose_range,
        'renderer': {'size': size, 'file': f'renderer_{size}.safetensors'},
    }
    manifold = _array(person / 'APC_feature_base.npy', (None, FEATURE_SIZE), np.float32)
    candidates = _candidates(person / 'candidates')
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
    write_avatar(output, manifest, weights, manifold, face, candidates)
    return Imported(output, manifest, skipped + settings.unused())


def _networks_settings(settings: '_Settings') -> dict:
    """The manifest's sections on speech, mouth and head."""
    for key, value in (
        ('APC.mel_dim', MEL_BANDS),
        ('APC.hidden_size', FEATURE_SIZE),
        ('APC.num_layers', APC_LAYERS),
        ('APC.residual', False),
    ):
        settings.one_of(key, value)
    method, *factors = settings.value(
        'Audio2Mouth.AMP',
        "['XYZ', x, y, z]",
        lambda value: (
            isinstance(value, list) and len(value) == 4 and value[0] == 'XYZ' and all(map(_is_number, value[1:]))
        ),
    )
    return {
        'speech': {
            'neighbours': settings.whole_number('APC.Knear'),
            'projection': settings.number('APC.LLE_percent') if settings.one_of('APC.use_LLE', 0, 1) else 0.0,
        },
        'mouth': {
            'look_ahead': MOUTH_LOOK_AHEAD,
            'amplitude': [float(factor) for factor in factors],
            'smoothing': settings.number('Audio2Mouth.smooth'),
            'contour': False,
            'rests': False,
        },
        'head_pose': {
            'look_ahead': HEAD_LOOK_AHEAD,
            'noise_scale': NOISE_SCALE,
            'amplitude': settings.numbers('Headpose.AMP', 2),
            'smoothing': settings.numbers('Headpose.smooth', 2),
        },
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


class _Settings:
    """``model_params`` of a subject's yaml; keys as 'APC.Knear'. Remembers which keys were asked for."""

    _IDLE = {'Headpose.sigma', 'Image2Image.save_input'}  # known, and without an effect in the authors' program too

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            table = yaml.safe_load(path.read_text(encoding='utf-8'))
        except OSError as error:
            raise ReleaseError(
                f'{path}: cannot be read ({error.strerror}); the configuration files are in the folder '
                "config of the authors' repository."
            ) from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ReleaseError(f'{path}: is not valid YAML ({_line(error)}).') from None
        sections = table.get('model_params') if isinstance(table, dict) else None
        if not isinstance(sections, dict):
            raise ReleaseError(f'{path}: the key model_params is missing.')
        self._values = {
            f'{name}.{key}': value
            for name, section in sections.items()
            if isinstance(section, dict)
            for key, value in section.items()
        }
        self._used: set[str] = set()

    def value(self, key: str, allowed: str, fits: Callable[[Any], bool]) -> Any:
        self._used.add(key)
        if key not in self._values:
            raise ReleaseError(f'{self._path}: the key model_params.{key} is missing.')
        value = self._values[key]
        if not fits(value):
            raise ReleaseError(f'{self._path}: model_params.{key} must be {allowed}, not {value!r:.60}.')
        return value

    def one_of(self, key: str, *allowed: Any) -> Any:
        names = ' or '.join(map(repr, allowed))
        return self.value(
            key, names, lambda value: any(value == each and type(value) is type(each) for each in allowed)
        )

    def text(self, key: str) -> str:
        return self.value(key, 'a text', lambda value: isinstance(value, str) and bool(value))

    def number(self, key: str) -> float:
        return float(self.value(key, 'a number', _is_number))

    def whole_number(self, key: str) -> int:
        return self.value(key, 'a whole number', lambda value: _is_number(value) and isinstance(value, int))

    def numbers(self, key: str, count: int) -> list[float]:
        value = self.value(
            key,
            f'a list of {count} numbers',
            lambda value: isinstance(value, list) and len(value) == count and all(map(_is_number, value)),
        )
        return [float(number) for number in value]

    def unused(self) -> list[str]:
        return [
            f'{self._path}: model_params.{key}'
            for key in self._values
            if key not in self._used and key not in self._IDLE
        ]


# A tensor's name here -> its name in the release, without `module.`.
_RENAMING: dict[str, list[tuple[str, str]]] = {
    'apc': [(r'gru\.(\w+)_l(\d)', r'rnns.\2.\1_l0')],
    'mouth': [('encoder', 'downsample'), ('lstm', 'LSTM'), ('decoder', 'fc')],
    'head_pose': [
        ('encoder', 'audio_downsample'),
        (r'(start)(\d)', r'WaveNet.\1_conv\2'),
        (r'(end)(\d)', r'WaveNet.\1_conv_\2'),
        (r'layers\.(\d+)\.(\w+)', r'WaveNet.residual_blocks.\1.\2_conv'),
    ],
    'renderer': [('unet', 'netG.model')],
}
# What training leaves in a checkpoint and no picture needs: the head that predicts mel frames, the discriminator,
# and the networks inside losses.
_TRAINING_ONLY = {'apc': ('postnet.',), 'renderer': ('netD.', 'criterion', 'vgg')}


def expected_tensors(network: str, size: str = 'normal', width: int = 64) -> dict[str, tuple[str, torch.Tensor]]:
    """Names in the release (without ``module.``) -> our name and a tensor without storage of the shape and type."""
    with torch.device('meta'):
        made = {'apc': APC, 'mouth': MouthNet, 'head_pose': HeadPoseNet, 'renderer': lambda: Generator(size, width)}[
            network
        ]()
    expected = {}
    for name, tensor in made.state_dict().items():
        for ours, theirs in _RENAMING[network]:
            renamed, changes = re.subn(f'^{ours}', theirs, name)
            if changes:
                expected[renamed] = (name, tensor)
                break
    return expected


def read_network(
    path: Path, network: str, size: str = 'normal', skip_unknown: bool = False
) -> tuple[dict[str, np.ndarray], list[str]]:
    """One checkpoint of the release: tensors by our names, and the file's names of those left out.

    network  'apc', 'mouth', 'head_pose' or 'renderer' (of ``size``; its width is the one of the first tensor)

    Raises ReleaseError naming the first tensor that is missing, unknown, of another shape or type, or not finite.
    """
    found = _load(path)
    width = 64
    if network == 'renderer':
        _, first = found.get('netG.model.model.0.weight', ('', torch.empty(64)))
        width = first.shape[0] if first.ndim == 4 and 1 <= first.shape[0] <= 256 else width
    expected = expected_tensors(network, size, width)
    missing = [name for name in expected if name not in found]
    if missing:
        raise ReleaseError(f'{path}: the tensor {missing[0]} is missing{_more(missing)}.')
    unknown = [name for name in found if name not in expected]
    surplus = [name for name in unknown if not name.startswith(_TRAINING_ONLY.get(network, ()))]
    if surplus and not skip_unknown:
        raise ReleaseError(
            f'{path}: the tensor {found[surplus[0]][0]} is in no network of this kind'
            f'{_more(surplus)}; --skip-unknown-tensors leaves such tensors out.'
        )
    tensors = {ours: _checked(path, *found[name], wanted) for name, (ours, wanted) in expected.items()}
    return tensors, [found[name][0] for name in unknown]


def _load(path: Path) -> dict[str, tuple[str, torch.Tensor]]:
    """Tensors of a file by their names without ``module.``, each with its full name."""
    try:
        table = torch.load(path, map_location='cpu', weights_only=True)
    except OSError as error:
        raise ReleaseError(f'{path}: cannot be read ({error.strerror or _line(error)}).') from None
    except Exception as error:  # zip, pickle and torch errors of many kinds, one for each way to be damaged
        if 'weights only' in str(error).lower() and 'unsupported' in str(error).lower():
            raise ReleaseError(f'{path}: holds Python objects besides tensors, which are never loaded.') from None
        raise ReleaseError(f'{path}: is damaged or not a PyTorch checkpoint ({_line(error)}).') from None
    if not isinstance(table, Mapping):
        raise ReleaseError(f'{path}: holds a {type(table).__name__}, not a table of tensors.')
    found: dict[str, tuple[str, torch.Tensor]] = {}
    for key, tensor in table.items():
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            raise ReleaseError(f'{path}: the entry {key!r:.60} is a {type(tensor).__name__}, not a tensor.')
        name = re.sub(r'^(module\.)+', '', key)
        if name in found:
            raise ReleaseError(f'{path}: the tensors {found[name][0]} and {key} are the same one twice.')
        found[name] = (key, tensor)
    return found


def _checked(path: Path, key: str, tensor: torch.Tensor, wanted: torch.Tensor) -> np.ndarray:
    if tensor.dtype != wanted.dtype or tensor.layout != torch.strided or tensor.is_quantized:
        raise ReleaseError(f'{path}: the tensor {key} has the type {_type(tensor)}, not {_type(wanted)}.')
    if tensor.shape != wanted.shape:
        raise ReleaseError(f'{path}: the tensor {key} has the shape {tuple(tensor.shape)}, not {tuple(wanted.shape)}.')
    array = tensor.detach().contiguous().numpy()
    if not np.isfinite(array).all():
        raise ReleaseError(f'{path}: the tensor {key} has values that are not finite.')
    if key.endswith('running_var') and (array < 0).any():
        raise ReleaseError(f'{path}: the tensor {key} is a variance with values below 0.')
    return array


def _type(tensor: torch.Tensor) -> str:
    layout = '' if tensor.layout == torch.strided else f' ({str(tensor.layout).removeprefix("torch.")})'
    return str(tensor.dtype).removeprefix('torch.') + layout


def _more(names: list) -> str:
    return f', and {len(names) - 1} more' if len(names) > 1 else ''


def _line(error: Exception) -> str:
    return (' '.join(str(error).split()) or type(error).__name__)[:150]


def _person(person: Path) -> tuple[Face, dict, float]:
    """The face, the manifest's ``pose_range`` and the length of a unit in metres."""
    tracked = _array(person / 'tracked3D_normalized_pts_fix_contour.npy', (None, LANDMARKS, 3))
    if len(tracked) < FIRST_EYE_FRAME + 2:
        raise ReleaseError(
            f'{person}/tracked3D_normalized_pts_fix_contour.npy: has {len(tracked)} frames; '
            f'at least {FIRST_EYE_FRAME + 2} are needed.'
        )
    mouth_mean = _array(person / 'mean_pts3d.npy', (LANDMARKS, 3))
    # In single precision, the means too: theirs are, and at a distance of 1000 units that shows.
    translation = _array(person / '3d_fit_data.npz', (None, 3, 1), key='trans')[:, :, 0].astype(np.float32)
    euler = _array(person / '3d_fit_data.npz', (None, 3), key='rot_angles').astype(np.float64)
    shoulders = _array(person / 'shoulder_points3D.npy', (None, SHOULDER_POINTS, 3))
    for name, array in (('3d_fit_data.npz', translation), ('shoulder_points3D.npy', shoulders)):
        if len(array) <= SHOULDER_FRAME:
            raise ReleaseError(f'{person}/{name}: has {len(array)} frames; at least {SHOULDER_FRAME + 1} are needed.')
    scale = _scale(person / 'id_scale.mat')
    mean = tracked.mean(axis=0)
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


def _scale(path: Path) -> float:
    try:
        value = scipy.io.loadmat(_present(path), variable_names=['scale']).get('scale')
    except ReleaseError:
        raise
    except Exception as error:  # SciPy's reader raises what its parts raise
        raise ReleaseError(f'{path}: is damaged or not a MATLAB file ({_line(error)}).') from None
    if value is None:
        raise ReleaseError(f'{path}: the array scale is missing.')
    number = _finite(path, 'scale', value, (1, 1)).item()
    if number <= 0:
        raise ReleaseError(f'{path}: scale must be above 0, not {number}.')
    return float(number)


def _shoulder_offset(person: Path) -> list[float]:
    """Where the authors' cut-out around the face left the footage, they shift the drawn shoulders (x, y) pixels."""
    path = person / 'change_paras.npz'
    x, y = (float(_array(path, (), key=key)) for key in ('xc', 'yc'))
    height, width = _picture(person / 'example.png').shape[:2]
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


def _candidates(folder: Path) -> np.ndarray:
    pictures = []
    for number in range(CANDIDATES):
        path = folder / f'normalized_full_{number}.jpg'
        picture = _picture(path)
        if picture.shape != (PICTURE, PICTURE, 3):
            raise ReleaseError(f'{path}: has the shape {picture.shape}, not ({PICTURE}, {PICTURE}, 3).')
        pictures.append(picture[..., ::-1])
    return np.stack(pictures)


def _picture(path: Path) -> np.ndarray:
    data = np.frombuffer(_present(path).read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise ReleaseError(f'{path}: is not a readable picture.')
    return picture


def _array(path: Path, shape: tuple, dtype: type | None = None, key: str | None = None) -> np.ndarray:
    """An array of an npy or, with ``key``, an npz file; None in ``shape`` stands for any length."""
    try:
        loaded = np.load(_present(path), allow_pickle=False)
        if key is not None:
            with loaded:
                if key not in loaded.files:
                    raise ReleaseError(f'{path}: the array {key} is missing.')
                loaded = loaded[key]
    except ReleaseError:
        raise
    except Exception as error:  # a damaged zip or header raises BadZipFile, zlib.error, KeyError, ValueError, ...
        if 'allow_pickle' in str(error):
            raise ReleaseError(f'{path}: {key or "the array"} is a pickle (Python objects), never loaded.') from None
        raise ReleaseError(f'{path}: is damaged or not a NumPy file ({_line(error)}).') from None
    return _finite(path, key or 'the array', loaded, shape, dtype)


def _finite(path: Path, name: str, array: Any, shape: tuple, dtype: type | None = None) -> np.ndarray:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in 'fiu' or (dtype and array.dtype != dtype):
        kind = getattr(array, 'dtype', type(array).__name__)
        raise ReleaseError(f'{path}: {name} has the type {kind}, not {np.dtype(dtype) if dtype else "numbers"}.')
    if array.ndim != len(shape) or any(want not in (None, have) for have, want in zip(array.shape, shape)):
        wanted = ', '.join('N' if want is None else str(want) for want in shape)
        raise ReleaseError(f'{path}: {name} has the shape {array.shape}, not ({wanted}).')
    if not array.size or not np.isfinite(array).all():
        raise ReleaseError(f'{path}: {name} {"has values that are not finite" if array.size else "is empty"}.')
    return array


def _present(path: Path) -> Path:
    if not path.is_file():
        raise ReleaseError(f'{path}: the file is missing.')
    return path


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
