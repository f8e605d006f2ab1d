"""What an avatar is on disk: a folder with a manifest, three networks, a renderer and the person's data.

    avatar.yaml                                         the manifest (lsp_ros/avatar/manifest.py)
    apc, mouth, head_pose, renderer_<size>.safetensors  network weights, float16 or float32
    manifold.npy                                        (rows, 512) the person's speech features
    renderer_<size>.int8.xml, .bin                      optional: the renderer in 8 bits, from ``lsp quantize``
    face.npz                                            mean face, mouth at rest, eyes, brows, shoulders
    candidates/0..3.png                                 four pictures of the person
    consent.json                                        a real person's agreement (lsp_ros/avatar/consent.py)

Loading checks everything (presence, SHA-256, shapes, finite values) and never unpickles; what is
wrong is said in one sentence that names the file.
"""

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import safetensors.numpy
import yaml

from lsp_ros.avatar.consent import RECORD, ConsentError, check_record, ran_out
from lsp_ros.avatar.manifest import AvatarError, Camera, Manifest, PoseRange, as_mapping, read_section
from lsp_ros.resources import shipped_folders
from lsp_ros.signals import FEATURE_SIZE, LANDMARKS, SHOULDER_POINTS

__all__ = [
    'Avatar',
    'AvatarError',
    'Camera',
    'Face',
    'Manifest',
    'PoseRange',
    'built_in_avatars',
    'find_avatar',
    'write_avatar',
]

MANIFEST_FILE = 'avatar.yaml'
MANIFOLD_FILE = 'manifold.npy'
FACE_FILE = 'face.npz'
CANDIDATES = 4
IMAGE_SIZE = 512
PARTS = ('speech', 'motion', 'rendering')
_LARGEST_MANIFEST = 1 << 20

_FACE_SHAPES = {
    'mean_points': (LANDMARKS, 3),
    'mouth_mean': (LANDMARKS, 3),
    'mouth_rest': (25, 3),
    'eyes': (None, 16, 3),
    'brows': (None, 12, 3),
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


@dataclass(frozen=True, eq=False)
class Int8Renderer:
    """The whole renderer in 8 bits as an OpenVINO graph (XML text and numbers), and its PSNR against float32 in dB."""

    graph: bytes
    numbers: bytes
    psnr: float


class Avatar:
    """One person, ready to be driven. Made by :meth:`load`; everything it returns is NumPy."""

    def __init__(self, path: Path, manifest: Manifest):
        self.path = path
        self.manifest = manifest

    @classmethod
    def load(cls, path: str | os.PathLike, parts: Iterable[str] = PARTS) -> 'Avatar':
        """The avatar in that folder, after checking every file of the named parts.

        ``parts`` are 'speech', 'motion' and 'rendering': a process that runs one stage need not
        have the files of the others. Raises AvatarError.
        """
        parts = tuple(parts)
        for part in parts:
            if part not in PARTS:
                raise ValueError(f'{part!r} is not a part of an avatar; the parts are {", ".join(PARTS)}.')
        folder = Path(path)
        if not folder.is_dir():
            raise AvatarError(f'{folder}: there is no such avatar folder.')
        avatar = cls(folder, _read_manifest(folder / MANIFEST_FILE))
        if 'speech' in parts:
            avatar.weights('apc')
            avatar.manifold()
        if 'motion' in parts:
            avatar.weights('mouth')
            avatar.weights('head_pose')
            avatar.face  # noqa: B018  (reading it is checking it)
        if 'rendering' in parts:
            avatar.face  # noqa: B018  (its scale places the landmarks)
            avatar.weights('renderer')
            avatar.candidates()
            if avatar.manifest.renderer.int8:
                avatar._read_int8(avatar.manifest.renderer.int8.file)
        return avatar

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def camera(self) -> Camera:
        return self.manifest.camera

    @property
    def pose_range(self) -> PoseRange:
        return self.manifest.pose_range

    @property
    def consented(self) -> bool:
        """True for a synthetic person, and for a real one whose consent is on record and has not run out."""
        return self.unconsented is None

    @property
    def unconsented(self) -> str | None:
        """What is wrong with the person's consent, as the end of a sentence that begins with it; None: nothing.

        The record is read and compared anew each time.
        """
        person = self.manifest.person
        if person.kind == 'synthetic':
            return None
        if person.consent is None:
            return 'is not on record'
        try:
            check_record(self.path / RECORD, person.consent, self.footage)
        except ConsentError as error:
            return f'does not hold ({str(error).rstrip(".")})'
        return f'ran out on {person.consent.until}' if ran_out(person.consent.until) else None

    @property
    def footage(self) -> dict[str, str]:
        """{name: SHA-256} of what shows the person and must be agreed to: the videos, or the candidate images."""
        videos = self.manifest.person.footage
        if videos:
            return {f'video {digest[:8]}': digest for digest in videos}
        return {name: self.manifest.files.get(name, '') for name in _candidate_files()}

    @cached_property
    def face(self) -> Face:
        return _parse_face(self._read(FACE_FILE), self.path / FACE_FILE)

    def weights(self, name: str) -> dict[str, np.ndarray]:
        """Tensors of 'apc', 'mouth', 'head_pose' or 'renderer': floats as float32, integer buffers as they are."""
        file = _weight_files(self.manifest).get(name)
        if file is None:
            raise ValueError(f"{name!r} is not a network of an avatar; use 'apc', 'mouth', 'head_pose' or 'renderer'.")
        return _parse_weights(self._read(file), self.path / file)

    def manifold(self) -> np.ndarray:
        """The person's speech features, (rows, 512) float32."""
        path = self.path / MANIFOLD_FILE
        data = self._read(MANIFOLD_FILE)
        try:
            rows = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise _unreadable(data, path, 'npy file', error) from None
        _check_array(rows, (None, FEATURE_SIZE), path, 'the array')
        if len(rows) < self.manifest.speech.neighbours:
            raise AvatarError(
                f'{path}: has {len(rows)} rows, fewer than the {self.manifest.speech.neighbours} '
                'neighbours that the manifest asks for.'
            )
        return rows.astype(np.float32)

    def candidates(self) -> np.ndarray:
        """The candidate images, (4, 512, 512, 3) uint8 RGB."""
        return np.stack([_parse_image(self._read(name), self.path / name) for name in _candidate_files()])

    def int8_renderer(self) -> Int8Renderer | None:
        """The renderer in 8 bits, or None where the avatar has none.

        Raises AvatarError for one that was made from other weights or candidate images than the avatar's.
        """
        settings = self.manifest.renderer.int8
        if settings is None:
            return None
        if settings.made_from != renderer_content(self.manifest):
            raise AvatarError(
                f'{self.path / settings.file}: was made from other renderer weights or candidate images '
                f"than this avatar's; make it anew with: lsp quantize {self.path}."
            )
        return Int8Renderer(*self._read_int8(settings.file), settings.psnr_mean)

    def _read_int8(self, file: str) -> tuple[bytes, bytes]:
        return self._read(file), self._read(_numbers_file(file))

    def _read(self, name: str) -> bytes:
        """The bytes of one listed file, after comparing their SHA-256."""
        path = self.path / name
        digest = self.manifest.files.get(name)
        if digest is None:
            raise AvatarError(f'{self.path / MANIFEST_FILE}: files does not list {name}.')
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise AvatarError(f'{path}: the file is missing.') from None
        except OSError as error:
            raise AvatarError(f'{path}: cannot be read ({error.strerror}).') from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise AvatarError(
                f'{path}: the checksum differs from the one in {MANIFEST_FILE}; '
                'the file is damaged, truncated or was exchanged.'
            )
        return data


def built_in_avatars() -> list[Path]:
    """Folders of the avatars that come with the package: of a source checkout, then of the installed tree."""
    return [path.parent for folder in shipped_folders('avatars') for path in sorted(folder.glob(f'*/{MANIFEST_FILE}'))]


def find_avatar(name_or_path: str | os.PathLike) -> Path:
    """Folder of an avatar, given its path or the name of a built-in one. Raises AvatarError."""
    given = Path(name_or_path).expanduser()
    if (given / MANIFEST_FILE).is_file():
        return given
    built_in = built_in_avatars()
    for folder in built_in:
        if folder.name == str(name_or_path):
            return folder
    if given.is_dir():
        raise AvatarError(f'{given}: the folder holds no {MANIFEST_FILE}.')
    names = ', '.join(sorted({folder.name for folder in built_in})) or 'none'
    raise AvatarError(
        f'{name_or_path}: there is no such avatar folder, nor a built-in avatar of that name (built in: {names}).'
    )


def renderer_content(manifest: Manifest) -> str:
    """SHA-256 of what draws an avatar's pictures: renderer size, weights and candidate images."""
    names = [manifest.renderer.file, *_candidate_files()]
    content = ' '.join([manifest.renderer.size, *(manifest.files.get(name, 'missing') for name in names)])
    return hashlib.sha256(content.encode()).hexdigest()


def add_int8_renderer(
    folder: str | os.PathLike, graph: bytes, numbers: bytes, psnr_mean: float, psnr_least: float
) -> None:
    """Puts the renderer in 8 bits into an avatar's folder, in the place of any that is there. Raises AvatarError."""
    path = Path(folder) / MANIFEST_FILE
    manifest = _read_manifest(path)
    file = f'renderer_{manifest.renderer.size}.int8.xml'
    files = {file: graph, _numbers_file(file): numbers}
    mapping = as_mapping(manifest)
    mapping['files'].update({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    mapping['renderer']['int8'] = {
        'file': file,
        'made_from': renderer_content(manifest),
        'psnr_mean': round(float(psnr_mean), 2),
        'psnr_least': round(float(psnr_least), 2),
    }
    _put(path.parent, files, mapping)


def add_consent(folder: str | os.PathLike, consent: Mapping, record: str) -> None:
    """Puts an agreement and its record (``lsp_ros.capture.consent.bind``) into an avatar's folder, in the place of any
    that is there. Raises AvatarError, also for a synthetic person, who cannot agree."""
    folder = Path(folder)
    mapping = as_mapping(_read_manifest(folder / MANIFEST_FILE))
    if mapping['person']['kind'] == 'synthetic':
        raise AvatarError(f'{folder}: shows a computer-generated person, who cannot agree and need not.')
    mapping['person']['consent'] = dict(consent)
    _put(folder, {RECORD: record.encode()}, mapping)


def _put(folder: Path, files: Mapping[str, bytes], mapping: dict) -> None:
    """Files into an avatar's folder, then its manifest: whatever interrupts, it lists only what is there."""
    checksums = mapping.pop('files')
    for name, data in {**files, MANIFEST_FILE: _manifest_text(mapping, checksums)}.items():
        scratch = folder / f'.{name}.writing'
        scratch.write_bytes(data)
        scratch.replace(folder / name)


def write_avatar(
    folder: str | os.PathLike,
    manifest: Manifest | Mapping,
    weights: Mapping[str, Mapping],
    manifold: np.ndarray,
    face: Face,
    candidates: np.ndarray,
) -> None:
    """Writes an avatar folder, all or nothing, and checks it by loading it before it takes its place.

    manifest    a Manifest, or the mapping that avatar.yaml will hold; ``files`` is computed here
    weights     'apc', 'mouth', 'head_pose' and 'renderer', each {tensor name: array}; written in
                the precision given, so pass float16 for a smaller folder
    manifold    (rows, 512);  face  a Face;  candidates  (4, 512, 512, 3) uint8 RGB

    An avatar that is already there is replaced; files beside it that no manifest lists (a model
    card) stay. A renderer in 8 bits is left out: it belongs to other weights. Raises AvatarError.
    """
    folder = Path(folder)
    mapping = as_mapping(manifest) if isinstance(manifest, Manifest) else dict(manifest)
    if isinstance(mapping.get('renderer'), Mapping):
        mapping['renderer'] = {key: value for key, value in mapping['renderer'].items() if key != 'int8'}
    old = folder / MANIFEST_FILE
    if folder.exists() and not old.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise AvatarError(f'{folder}: is not empty and not an avatar, so it is not overwritten.')
    where = f'the manifest of {folder}'
    try:
        plan = read_section(Manifest, {**mapping, 'files': {}})
    except AvatarError as error:
        raise AvatarError(f'{where}: {error}.') from None
    files = {}
    for name, file in _weight_files(plan).items():
        if name not in weights:
            raise AvatarError(f'{where}: the weights of {name!r} were not given.')
        files[file] = safetensors.numpy.save({key: np.array(value, order='C') for key, value in weights[name].items()})
    files[MANIFOLD_FILE] = _npy_bytes(np.asarray(manifold))
    arrays = {entry.name: getattr(face, entry.name) for entry in fields(Face)}
    packed = io.BytesIO()
    np.savez_compressed(packed, **{key: np.float32(value) for key, value in arrays.items() if value is not None})
    files[FACE_FILE] = packed.getvalue()
    candidates = np.asarray(candidates)
    if candidates.shape != (CANDIDATES, IMAGE_SIZE, IMAGE_SIZE, 3) or candidates.dtype != np.uint8:
        raise AvatarError(
            f'{where}: candidates must be (4, 512, 512, 3) uint8, not {candidates.shape} {candidates.dtype}.'
        )
    for name, image in zip(_candidate_files(), candidates, strict=True):
        files[name] = cv2.imencode('.png', np.ascontiguousarray(image[..., ::-1]))[1].tobytes()
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    sections = {key: value for key, value in mapping.items() if key != 'files'}
    files[MANIFEST_FILE] = _manifest_text(sections, checksums)

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f'.{folder.name}.') as scratch:
        fresh = Path(scratch) / 'fresh'
        for name, data in files.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(data)
        Avatar.load(fresh)
        if old.is_file():
            _carry_over(folder, fresh)
        if folder.exists():
            folder.rename(Path(scratch) / 'replaced')
        fresh.rename(folder)


def _manifest_text(sections: Mapping, checksums: Mapping[str, str]) -> bytes:
    return (
        yaml.safe_dump(dict(sections), sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)
        + yaml.safe_dump({'files': dict(checksums)}, default_flow_style=False)
    ).encode()


def _numbers_file(graph: str) -> str:
    return graph.removesuffix('.xml') + '.bin'


def _carry_over(folder: Path, fresh: Path) -> None:
    """Copies what no manifest lists, so that a model card survives a rewrite."""
    try:
        listed = set(_read_manifest(folder / MANIFEST_FILE).files)
    except AvatarError:
        listed = set()
    for path in folder.rglob('*'):
        name = path.relative_to(folder)
        if path.is_file() and name.as_posix() not in listed and not (fresh / name).exists():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, fresh / name)


def _weight_files(manifest: Manifest) -> dict[str, str]:
    networks = {name: f'{name}.safetensors' for name in ('apc', 'mouth', 'head_pose')}
    return {**networks, 'renderer': manifest.renderer.file}


def _candidate_files() -> list[str]:
    return [f'candidates/{index}.png' for index in range(CANDIDATES)]


def _read_manifest(path: Path) -> Manifest:
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


def _unreadable(data: bytes, path: Path, what: str, error: Exception) -> AvatarError:
    # torch.save writes a zip archive or, in its old form, a bare pickle; both can run code when loaded.
    zipped = data[:4] == b'PK\x03\x04' and path.suffix != '.npz'
    if zipped or (data[:1] == b'\x80' and data[1:2] in b'\x02\x03\x04\x05') or 'allow_pickle' in str(error):
        return AvatarError(f'{path}: holds a pickle (Python objects), which is never loaded.')
    return AvatarError(f'{path}: is not a readable {what} ({" ".join(str(error).split()) or "empty"}).')


def _parse_weights(data: bytes, path: Path) -> dict[str, np.ndarray]:
    try:
        tensors = safetensors.numpy.load(data)
    except Exception as error:  # safetensors raises its own and NumPy's kinds, one for each way to be wrong
        raise _unreadable(data, path, 'safetensors file', error) from None
    if not tensors:
        raise AvatarError(f'{path}: holds no tensors.')
    for name, tensor in tensors.items():
        if tensor.dtype.kind == 'f':
            _check_array(tensor, tensor.shape, path, f'tensor {name}')
            tensors[name] = tensor.astype(np.float32)
        elif tensor.dtype.kind not in 'iub':
            raise AvatarError(f'{path}: tensor {name} has the type {tensor.dtype}, which no network here uses.')
    return tensors


def _check_array(array: np.ndarray, shape: tuple[int | None, ...], path: Path, what: str) -> None:
    """Real numbers of the right shape (None: any length), every one finite."""
    if array.dtype.kind != 'f':
        raise AvatarError(f'{path}: {what} has the type {array.dtype}, not a float.')
    fits = array.ndim == len(shape) and all(want in (None, have) for have, want in zip(array.shape, shape, strict=True))
    if not fits:
        wanted = ', '.join('N' if want is None else str(want) for want in shape)
        raise AvatarError(f'{path}: {what} has the shape {array.shape}, not ({wanted}).')
    if not np.isfinite(array).all():
        raise AvatarError(f'{path}: {what} has values that are not finite.')


def _parse_face(data: bytes, path: Path) -> Face:
    arrays = {}
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
        if key not in arrays:
            if key in _FACE_OPTIONAL:
                arrays[key] = None
                continue
            raise AvatarError(f'{path}: the array {key} is missing.')
        _check_array(arrays[key], shape, path, key)
        arrays[key] = arrays[key].astype(np.float32)
    if len(arrays['eyes']) < 2:
        raise AvatarError(f'{path}: eyes has {len(arrays["eyes"])} frames; at least 2 are needed.')
    if arrays['brows'] is not None and len(arrays['brows']) != len(arrays['eyes']):
        raise AvatarError(
            f'{path}: brows has {len(arrays["brows"])} frames and eyes has {len(arrays["eyes"])}; '
            'they must be the same frames.'
        )
    if not arrays['scale'] > 0:
        raise AvatarError(f'{path}: scale must be above 0, not {arrays["scale"]}.')
    arrays['scale'] = float(arrays['scale'])
    return Face(**arrays)


def _parse_image(data: bytes, path: Path) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None:
        raise AvatarError(f'{path}: is not a readable picture.')
    if image.shape != (IMAGE_SIZE, IMAGE_SIZE, 3) or image.dtype != np.uint8:
        raise AvatarError(f'{path}: must be 512x512 pixels, 8-bit RGB, not {image.shape} {image.dtype}.')
    return np.ascontiguousarray(image[..., ::-1])


def _npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()
