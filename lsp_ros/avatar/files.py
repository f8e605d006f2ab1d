"""The files of an avatar: their names, and the bytes of each one to arrays.

    avatar.yaml                                         the manifest (lsp_ros/avatar/manifest.py)
    apc, mouth, head_pose, renderer_<size>.safetensors  network weights, float16 or float32
    manifold.npy                                        (rows, 512) the person's speech features
    renderer_<size>.int8.xml, .bin                      optional: the renderer in 8 bits, from ``lsp quantize``
    face.npz                                            mean face, mouth at rest, eyes, brows, shoulders
    candidates/0..3.png                                 four pictures of the person
    consent.json                                        a real person's agreement (lsp_ros/avatar/consent.py)

Everything is checked (types, shapes, finite values), and nothing is unpickled; what is wrong is said in one sentence
that names the file.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import safetensors.numpy
import yaml

from lsp_ros.avatar import architecture
from lsp_ros.avatar.architecture import CANDIDATES, FEATURE_SIZE, PICTURE
from lsp_ros.avatar.landmarks import BROWS, EYES, MOUTH_OUTPUT
from lsp_ros.avatar.manifest import AvatarError, Manifest, read_section
from lsp_ros.signals import LANDMARKS, SHOULDER_POINTS
from lsp_ros.storage import sha256

MANIFEST_FILE = 'avatar.yaml'
MANIFOLD_FILE = 'manifold.npy'
FACE_FILE = 'face.npz'
CANDIDATE_FILES = tuple(f'candidates/{index}.png' for index in range(CANDIDATES))
_LARGEST_MANIFEST = 1 << 20
_NETWORK_NAMES = {'apc': 'APC', 'mouth': 'mouth', 'head_pose': 'head-pose'}

_FACE_SHAPES = {
    'mean_points': (LANDMARKS, 3),
    'mouth_mean': (LANDMARKS, 3),
    'mouth_rest': (len(MOUTH_OUTPUT), 3),
    'eyes': (None, len(EYES), 3),
    'brows': (None, len(BROWS), 3),
    'translation_mean': (3,),
    'shoulders': (SHOULDER_POINTS, 3),
    'shoulder_translation': (3,),
    'scale': (),
    'posture': (None, 6),
}
_FACE_OPTIONAL = ('brows', 'posture')


@dataclass(frozen=True, eq=False)
class Face:
    """The person's face, float32, in the avatar's unit (paper section 3.3).

    mean_points           (73, 3) where every point stands that nothing moves
    mouth_mean            (73, 3) base of the mouth displacement
    mouth_rest            (25, 3) mouth displacement of the closed mouth at rest
    eyes                  (N, 16, 3) footage of the points ``landmarks.EYES`` at 60 fps, N >= 2
    brows                 (N, 12, 3) footage of the points ``landmarks.BROWS``, same frames; None: they stay
    translation_mean      (3,) mean head translation in the camera frame
    shoulders             (18, 3) shoulder reference in the camera frame
    shoulder_translation  (3,) head translation that belongs to ``shoulders``
    scale                 multiplies rotated head-frame points
    posture               (M, 6) slow head motion, degrees and unit, 6 rows a second; None: the network's motion is all
    """

    mean_points: np.ndarray
    mouth_mean: np.ndarray
    mouth_rest: np.ndarray
    eyes: np.ndarray
    brows: np.ndarray | None
    translation_mean: np.ndarray
    shoulders: np.ndarray
    shoulder_translation: np.ndarray
    scale: float = 1.0
    posture: np.ndarray | None = None


def weight_files(manifest: Manifest) -> dict[str, str]:
    """The file of each network: 'apc', 'mouth', 'head_pose' and 'renderer'."""
    networks = {name: f'{name}.safetensors' for name in architecture.NETWORKS}
    return {**networks, 'renderer': manifest.renderer.file}


def numbers_file(graph: str) -> str:
    """The file of an OpenVINO graph's numbers, which lies beside that of the graph."""
    return graph.removesuffix('.xml') + '.bin'


def renderer_content(manifest: Manifest) -> str:
    """SHA-256 of what draws an avatar's pictures: renderer size, weights and candidate images."""
    names = [manifest.renderer.file, *CANDIDATE_FILES]
    content = ' '.join([manifest.renderer.size, *(manifest.files.get(name, 'missing') for name in names)])
    return sha256(content)


def read_manifest(path: Path) -> Manifest:
    """Raises AvatarError for a file that is missing, no YAML, or wrong in a key."""
    try:
        if path.stat().st_size > _LARGEST_MANIFEST:
            raise AvatarError(f'{path}: is larger than 1 MiB, which no manifest is.')
        mapping = yaml.safe_load(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise AvatarError(f'{path}: the file is missing.') from None
    except OSError as error:
        raise AvatarError(f'{path}: cannot be read ({error.strerror}).') from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, AvatarError):
            raise
        raise AvatarError(f'{path}: is not valid YAML ({" ".join(str(error).split())}).') from None
    try:
        return read_section(Manifest, mapping)
    except AvatarError as error:
        raise AvatarError(f'{path}: {error}.') from None


def parse_weights(data: bytes, path: Path) -> dict[str, np.ndarray]:
    """Tensors as they are in a safetensors file, every float finite."""
    try:
        tensors = safetensors.numpy.load(data)
    except Exception as error:  # safetensors raises its own and NumPy's kinds, one for each way to be wrong
        raise _unreadable(data, path, 'safetensors file', error) from None
    if not tensors:
        raise AvatarError(f'{path}: holds no tensors.')
    for name, tensor in tensors.items():
        if tensor.dtype.kind == 'f':
            _check_finite(tensor, path, f'tensor {name}')
        elif tensor.dtype.kind not in 'iub':
            raise AvatarError(f'{path}: tensor {name} has the type {tensor.dtype}, which no network here uses.')
    return tensors


def parse_network(data: bytes, path: Path, name: str, size: str) -> dict[str, np.ndarray]:
    """Tensors of one of the networks of ``weight_files``, checked against the table of the architecture.

    size  of the renderer: 'live', 'normal' or 'large'
    """
    tensors = parse_weights(data, path)
    found = {key: tensor.shape for key, tensor in tensors.items()}
    expected = architecture.network(name, size, found)
    wrong = architecture.wrong_tensor(expected, found, _NETWORK_NAMES.get(name, f"'{size}' renderer"))
    if wrong:
        raise AvatarError(f'{path}: {wrong}.')
    for key in expected:
        if tensors[key].dtype.kind != 'f':
            raise AvatarError(f'{path}: tensor {key} has the type {tensors[key].dtype}, not a float.')
    return tensors


def parse_manifold(data: bytes, path: Path, neighbours: int) -> np.ndarray:
    """Speech features (rows, 512) in the type of the file, at least as many as there are ``neighbours``."""
    try:
        rows = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise _unreadable(data, path, 'npy file', error) from None
    _check_array(rows, (None, FEATURE_SIZE), path, 'the array')
    if len(rows) < neighbours:
        raise AvatarError(
            f'{path}: has {len(rows)} rows, fewer than the {neighbours} neighbours that the manifest asks for.'
        )
    return rows


def parse_face(data: bytes, path: Path) -> Face:
    """The face of an npz archive, as float32."""
    arrays: dict[str, np.ndarray] = {}
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            for key in archive.files:
                if key not in _FACE_SHAPES:
                    raise AvatarError(f'{path}: {key} is not a known array (known: {", ".join(_FACE_SHAPES)}).')
                arrays[key] = np.asarray(archive[key])  # a member that is no array comes as bytes
    except AvatarError:
        raise
    except Exception as error:  # a damaged zip raises BadZipFile, zlib.error, KeyError, ValueError, ...
        raise _unreadable(data, path, 'npz archive', error) from None
    for key, shape in _FACE_SHAPES.items():
        if key in arrays:
            _check_array(arrays[key], shape, path, key)
            arrays[key] = arrays[key].astype(np.float32)
        elif key not in _FACE_OPTIONAL:
            raise AvatarError(f'{path}: the array {key} is missing.')
    if len(arrays['eyes']) < 2:
        raise AvatarError(f'{path}: eyes has {len(arrays["eyes"])} frames; at least 2 are needed.')
    if 'brows' in arrays and len(arrays['brows']) != len(arrays['eyes']):
        raise AvatarError(
            f'{path}: brows has {len(arrays["brows"])} frames and eyes has {len(arrays["eyes"])}; '
            'they must be the same frames.'
        )
    scale = float(arrays.pop('scale'))
    if not scale > 0:
        raise AvatarError(f'{path}: scale must be above 0, not {scale}.')
    return Face(brows=arrays.pop('brows', None), posture=arrays.pop('posture', None), **arrays, scale=scale)


def parse_image(data: bytes, path: Path) -> np.ndarray:
    """A candidate image, (512, 512, 3) uint8 RGB."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None:
        raise AvatarError(f'{path}: is not a readable picture.')
    if image.shape != (PICTURE, PICTURE, 3) or image.dtype != np.uint8:
        raise AvatarError(f'{path}: must be {PICTURE}x{PICTURE} pixels, 8-bit RGB, not {image.shape} {image.dtype}.')
    return np.ascontiguousarray(image[..., ::-1])


def _unreadable(data: bytes, path: Path, what: str, error: Exception) -> AvatarError:
    # torch.save writes a zip archive or, in its old form, a bare pickle; both can run code when loaded.
    zipped = data[:4] == b'PK\x03\x04' and path.suffix != '.npz'
    if zipped or (data[:1] == b'\x80' and data[1:2] in b'\x02\x03\x04\x05') or 'allow_pickle' in str(error):
        return AvatarError(f'{path}: holds a pickle (Python objects), which is never loaded.')
    return AvatarError(f'{path}: is not a readable {what} ({" ".join(str(error).split()) or "empty"}).')


def _check_array(array: np.ndarray, shape: tuple[int | None, ...], path: Path, what: str) -> None:
    """Real numbers of the right shape (None: any length), every one finite."""
    if array.dtype.kind != 'f':
        raise AvatarError(f'{path}: {what} has the type {array.dtype}, not a float.')
    fits = array.ndim == len(shape) and all(want in (None, have) for have, want in zip(array.shape, shape, strict=True))
    if not fits:
        wanted = ', '.join('N' if want is None else str(want) for want in shape)
        raise AvatarError(f'{path}: {what} has the shape {array.shape}, not ({wanted}).')
    _check_finite(array, path, what)


def _check_finite(array: np.ndarray, path: Path, what: str) -> None:
    if not np.isfinite(array).all():
        raise AvatarError(f'{path}: {what} has values that are not finite.')
