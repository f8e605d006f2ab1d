"""``avatar.yaml``: what an avatar says about itself, read strictly.

Each section is a frozen dataclass whose fields carry their own reader, so the declaration is
the documentation and the validation. Unknown keys, missing keys, wrong types and numbers out of
range are refused in one sentence that names the key.
"""

import datetime
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from lsp_ros.avatar.architecture import RENDERER_SIZES
from lsp_ros.errors import LspError

FORMAT = 1


class AvatarError(LspError, ValueError):
    """An avatar that cannot be used; one sentence that names the file and what is wrong with it."""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _wrong(key: str, allowed: str, value: Any) -> AvatarError:
    return AvatarError(f'{key} must be {allowed}, not {_shown(value)}')


def _number(low: float = -math.inf, high: float = math.inf) -> Callable:
    limits = '' if math.isinf(low) else f' of at least {low:g}' if math.isinf(high) else f' from {low:g} to {high:g}'

    def read(value: Any, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong(key, f'a number{limits}', value)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not (math.isfinite(number) and low <= number <= high):
            raise _wrong(key, f'a finite number{limits}', value)
        return number

    return read


def _integer(low: int, high: int) -> Callable:
    def read(value: Any, key: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(key, f'a whole number from {low} to {high}', value)
        return value

    return read


def _boolean(value: Any, key: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(key, 'true or false', value)
    return value


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(key, 'a text that is not empty', value)
    return value


def _one_of(*allowed: Any) -> Callable:
    def read(value: Any, key: str) -> Any:
        if isinstance(value, bool) or value not in allowed:
            raise _wrong(key, ' or '.join(map(repr, allowed)), value)
        return value

    return read


def _matching(pattern: str, meaning: str) -> Callable:
    def read(value: Any, key: str) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise _wrong(key, meaning, value)
        return value

    return read


def _numbers(*shape: int, low: float = -math.inf) -> Callable:
    """Nested lists of that shape: a tuple for one dimension, a read-only float64 array for two."""
    element = _number(low)

    def read(value: Any, key: str) -> Any:
        rows = value if len(shape) == 2 else [value]
        width = shape[-1]
        if not isinstance(rows, (list, tuple)) or len(rows) != (shape[0] if len(shape) == 2 else 1):
            raise _wrong(key, f'{" x ".join(map(str, shape))} numbers', value)
        for row in rows:
            if not isinstance(row, (list, tuple)) or len(row) != width:
                raise _wrong(key, f'{" x ".join(map(str, shape))} numbers', value)
        numbers = [tuple(element(item, key) for item in row) for row in rows]
        return _frozen(np.array(numbers)) if len(shape) == 2 else numbers[0]

    return read


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _vector(length: int) -> Callable:
    read = _numbers(length)
    return lambda value, key: _frozen(np.array(read(value, key), np.float64))


def _camera_matrix(value: Any, key: str) -> np.ndarray:
    matrix = _numbers(3, 3)(value, key)
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0 or matrix[1, 0] != 0 or list(matrix[2]) != [0, 0, 1]:
        raise _wrong(key, 'a pinhole matrix [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with fx and fy above 0', value)
    return matrix


def _date(value: Any, key: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    try:
        return datetime.date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise _wrong(key, 'a date (YYYY-MM-DD) or null', value) from None


def file_name(value: Any, key: str) -> str:
    """A relative path that stays inside the avatar's folder."""
    path = PurePosixPath(value) if isinstance(value, str) else None
    if (
        path is None
        or not path.parts
        or path.is_absolute()
        or '..' in path.parts
        or str(path) != value
        or not re.fullmatch(r'[A-Za-z0-9_./-]+', value)
    ):
        raise _wrong(key, "a relative path inside the avatar's folder", value)
    return value


def _files(value: Any, key: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _wrong(key, 'a table of relative paths and their SHA-256', value)
    checksum = _matching('[0-9a-f]{64}', 'a SHA-256 in 64 hexadecimal digits')
    return {file_name(name, key): checksum(digest, f'{key}.{name}') for name, digest in value.items()}


def _footage(value: Any, key: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise _wrong(key, 'a list of SHA-256', value)
    return tuple(_matching('[0-9a-f]{64}', 'a list of SHA-256 in 64 hexadecimal digits')(one, key) for one in value)


def _section(kind: type, optional: bool = False) -> Callable:
    def read(value: Any, key: str) -> Any:
        return None if optional and value is None else read_section(kind, value, key)

    return read


def _key(reader: Callable, **default: Any) -> Any:
    return field(metadata={'read': reader}, **default)


def read_section(kind: type, mapping: Any, where: str = '') -> Any:
    """One dataclass from one YAML mapping; AvatarError naming the key that is wrong."""
    if not isinstance(mapping, Mapping):
        raise _wrong(where or 'the manifest', 'a table of keys and values', mapping)
    prefix = f'{where}.' if where else ''
    known = {entry.name: entry for entry in fields(kind)}
    for name in mapping:
        if name not in known:
            raise AvatarError(f'{prefix}{name} is not a known key (known: {", ".join(known)})')
    values = {}
    for name, entry in known.items():
        if name in mapping:
            values[name] = entry.metadata['read'](mapping[name], prefix + name)
        elif entry.default is MISSING:
            raise AvatarError(f'the key {prefix}{name} is missing')
    return kind(**values)


def as_mapping(section: Any) -> Any:
    """The plain lists, tables and numbers that ``read_section`` reads back."""
    if hasattr(section, '__dataclass_fields__'):
        return {entry.name: as_mapping(getattr(section, entry.name)) for entry in fields(section)}
    if isinstance(section, np.ndarray):
        return section.tolist()
    if isinstance(section, tuple):
        return list(section)
    return dict(section) if isinstance(section, Mapping) else section


@dataclass(frozen=True)
class Consent:
    """A real person's agreement: who gave it, for what, until when (null: no end), and how to withdraw it."""

    who: str = _key(_text)
    purpose: str = _key(_text)
    until: str | None = _key(_date)
    means: str = _key(_text)
    record_sha256: str = _key(_matching('[0-9a-f]{64}', 'the SHA-256 of the record (consent.json)'))


@dataclass(frozen=True)
class Person:
    """Who is shown, and the SHA-256 of the videos that show them; none: the candidate images stand for them."""

    kind: str = _key(_one_of('synthetic', 'real'))
    consent: Consent | None = _key(_section(Consent, optional=True))
    footage: tuple[str, ...] = _key(_footage, default=())


@dataclass(frozen=True, eq=False)
class Camera:
    """Pinhole camera of the 512x512 pictures: ``matrix`` (3, 3) float64 pixels, and the size of one unit."""

    matrix: np.ndarray = _key(_camera_matrix)
    metres_per_unit: float = _key(_number(1e-9, 1e9))


@dataclass(frozen=True, eq=False)
class PoseRange:
    """The poses that the person showed; (3,) float64 each.

    Euler angles in degrees; translations in the avatar's unit, relative to the mean translation.
    """

    euler_min: np.ndarray = _key(_vector(3))
    euler_max: np.ndarray = _key(_vector(3))
    translation_min: np.ndarray = _key(_vector(3))
    translation_max: np.ndarray = _key(_vector(3))

    def __post_init__(self):
        for low, high in (('euler_min', 'euler_max'), ('translation_min', 'translation_max')):
            if not np.all(getattr(self, low) <= getattr(self, high)):
                raise AvatarError(f'pose_range.{low} must nowhere be above pose_range.{high}')


@dataclass(frozen=True)
class SpeechSettings:
    """Manifold projection (paper section 3.1): K nearest neighbours, and the share that is projected."""

    neighbours: int = _key(_integer(1, 1000))
    projection: float = _key(_number(0, 1))


@dataclass(frozen=True)
class MouthSettings:
    """Look-ahead in frames, gain per axis, Gaussian sigma in frames.

    contour  the predicted jaw line moves as well; false, as in the authors' release: lips only
    rests    the mouth goes to rest while nobody speaks; false: it always does what the network says
    seal     lip opening, in the avatar's unit of length, that soft lips close; 0: lips only do not cross
    """

    look_ahead: int = _key(_integer(0, 120))
    amplitude: tuple[float, ...] = _key(_numbers(3, low=0))
    smoothing: float = _key(_number(0, 30))
    contour: bool = _key(_boolean, default=True)
    rests: bool = _key(_boolean, default=True)
    seal: float = _key(_number(0, 10), default=0.0)


@dataclass(frozen=True)
class HeadPoseSettings:
    """Look-ahead in frames and share of the learned noise; of rotation and translation: gain and sigma (frames) of what
    the network makes, and share of the footage's slow motion (``Face.posture``) that is added."""

    look_ahead: int = _key(_integer(0, 120))
    noise_scale: float = _key(_number(0, 10))
    amplitude: tuple[float, ...] = _key(_numbers(2, low=0))
    smoothing: tuple[float, ...] = _key(_numbers(2, low=0))
    posture: tuple[float, ...] = _key(_numbers(2, low=0), default=(1.0, 1.0))


@dataclass(frozen=True)
class UpperBodySettings:
    """Share of the head's translation that the shoulders follow; shift of the drawn shoulders (x, y) in pixels."""

    amplitude: float = _key(_number(0, 10))
    offset: tuple[float, ...] = _key(_numbers(2), default=(0.0, 0.0))


@dataclass(frozen=True)
class EyeSettings:
    """Footage row that frame 0 shows; ``seamless``: fade the end of the footage into its beginning, else cut."""

    first: int = _key(_integer(0, 10**9))
    seamless: bool = _key(_boolean, default=True)


@dataclass(frozen=True)
class Int8Settings:
    """The renderer in 8 bits, made by ``lsp quantize``.

    file       an OpenVINO graph; its numbers lie beside it, with the ending .bin
    made_from  of which weights and candidate images (``avatar.renderer_content``)
    psnr_mean, psnr_least  dB against float32, on feature maps that were not calibrated on
    """

    file: str = _key(file_name)
    made_from: str = _key(_matching('[0-9a-f]{64}', 'a SHA-256 in 64 hexadecimal digits'))
    psnr_mean: float = _key(_number(0, 200))
    psnr_least: float = _key(_number(0, 200))


@dataclass(frozen=True)
class RendererSettings:
    size: str = _key(_one_of(*RENDERER_SIZES))
    file: str = _key(file_name)
    int8: Int8Settings | None = _key(_section(Int8Settings, optional=True), default=None)


@dataclass(frozen=True, eq=False)
class Manifest:
    format: int = _key(_one_of(FORMAT))
    name: str = _key(_matching('[A-Za-z0-9][A-Za-z0-9_-]{0,63}', 'up to 64 letters, digits, - and _'))
    licence: str = _key(_text)
    source: str = _key(_text)
    person: Person = _key(_section(Person))
    landmarks: str = _key(_one_of('lsp73'))
    camera: Camera = _key(_section(Camera))
    speech: SpeechSettings = _key(_section(SpeechSettings))
    mouth: MouthSettings = _key(_section(MouthSettings))
    head_pose: HeadPoseSettings = _key(_section(HeadPoseSettings))
    upper_body: UpperBodySettings = _key(_section(UpperBodySettings))
    eyes: EyeSettings = _key(_section(EyeSettings))
    pose_range: PoseRange = _key(_section(PoseRange))
    renderer: RendererSettings = _key(_section(RendererSettings))
    files: Mapping[str, str] = _key(_files)
