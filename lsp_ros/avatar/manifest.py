"""``avatar.yaml``: what an avatar says about itself, read strictly.

Each section is a frozen dataclass, so the declaration is the documentation and the validation
(:mod:`lsp_ros.validation`). Unknown keys, missing keys, wrong types and numbers out of
range are refused in one sentence that names the key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import numpy as np

from lsp_ros.avatar.architecture import RENDERER_SIZES
from lsp_ros.errors import LspError
from lsp_ros.validation import (
    Date,
    InvalidError,
    Matrix3x3,
    RelativePath,
    Sha256,
    Text,
    Vector3,
    number,
    one_of,
    read,
    whole,
    words,
)

T = TypeVar('T')

Gain = Annotated[float, number(0)]
Decibels = Annotated[float, number(0, 200)]
_PINHOLE = 'a pinhole matrix of 3 x 3 numbers, [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with fx and fy above 0'


class AvatarError(LspError, ValueError):
    """An avatar that cannot be used; one sentence that names the file and what is wrong with it."""


def read_section(kind: type[T], table: object, where: str = '') -> T:
    """One dataclass from one YAML table; AvatarError naming the key that is wrong."""
    try:
        return read(kind, table, where, 'the manifest')
    except InvalidError as error:
        raise AvatarError(str(error)) from None


@dataclass(frozen=True)
class Consent:
    """A real person's agreement: who gave it, for what, until when (null: no end), and how to withdraw it."""

    who: Text
    purpose: Text
    until: Date | None
    means: Text
    record_sha256: Annotated[str, words('the SHA-256 of the record (consent.json)', r'\A[0-9a-f]{64}\Z')]


@dataclass(frozen=True)
class Person:
    """Who is shown, and the SHA-256 of the videos that show them; none: the candidate images stand for them."""

    kind: Literal['synthetic', 'real']
    consent: Consent | None
    footage: Annotated[tuple[Sha256, ...], words('a list of SHA-256')] = ()


@dataclass(frozen=True, eq=False)
class Camera:
    """Pinhole camera of the 512x512 pictures: ``matrix`` (3, 3) float64 pixels, and the size of one unit."""

    matrix: Annotated[Matrix3x3, words(_PINHOLE)]
    metres_per_unit: Annotated[float, number(1e-9, 1e9)]

    def __post_init__(self) -> None:
        (fx, _, _), (below_fx, fy, _), last = np.asarray(self.matrix).tolist()
        if fx <= 0 or fy <= 0 or below_fx != 0 or last != [0, 0, 1]:
            raise AvatarError(f'camera.matrix must be {_PINHOLE}, not {np.asarray(self.matrix).tolist()!r:.60}')


@dataclass(frozen=True, eq=False)
class PoseRange:
    """The poses that the person showed; (3,) float64 each.

    Euler angles in degrees; translations in the avatar's unit, relative to the mean translation.
    """

    euler_min: Vector3
    euler_max: Vector3
    translation_min: Vector3
    translation_max: Vector3

    def __post_init__(self) -> None:
        for low, high in (('euler_min', 'euler_max'), ('translation_min', 'translation_max')):
            if not np.all(getattr(self, low) <= getattr(self, high)):
                raise AvatarError(f'pose_range.{low} must nowhere be above pose_range.{high}')


@dataclass(frozen=True)
class SpeechSettings:
    """Manifold projection (paper section 3.1): K nearest neighbours, and the share that is projected."""

    neighbours: Annotated[int, whole(1, 1000)]
    projection: Annotated[float, number(0, 1)]


@dataclass(frozen=True)
class MouthSettings:
    """Look-ahead in frames, gain per axis, Gaussian sigma in frames.

    contour  the predicted jaw line moves as well; false, as in the authors' release: lips only
    rests    the mouth goes to rest while nobody speaks; false: it always does what the network says
    seal     lip opening, in the avatar's unit of length, that soft lips close; 0: lips only do not cross
    """

    look_ahead: Annotated[int, whole(0, 120)]
    amplitude: tuple[Gain, Gain, Gain]
    smoothing: Annotated[float, number(0, 30)]
    contour: bool = True
    rests: bool = True
    seal: Annotated[float, number(0, 10)] = 0.0


@dataclass(frozen=True)
class HeadPoseSettings:
    """Look-ahead in frames and share of the learned noise; of rotation and translation: gain and sigma (frames) of what
    the network makes, and share of the footage's slow motion (``Face.posture``) that is added."""

    look_ahead: Annotated[int, whole(0, 120)]
    noise_scale: Annotated[float, number(0, 10)]
    amplitude: tuple[Gain, Gain]
    smoothing: tuple[Gain, Gain]
    posture: tuple[Gain, Gain] = (1.0, 1.0)


@dataclass(frozen=True)
class UpperBodySettings:
    """Share of the head's translation that the shoulders follow; shift of the drawn shoulders (x, y) in pixels."""

    amplitude: Annotated[float, number(0, 10)]
    offset: tuple[Annotated[float, number()], Annotated[float, number()]] = (0.0, 0.0)


@dataclass(frozen=True)
class EyeSettings:
    """Footage row that frame 0 shows; ``seamless``: fade the end of the footage into its beginning, else cut."""

    first: Annotated[int, whole(0, 10**9)]
    seamless: bool = True


@dataclass(frozen=True)
class Int8Settings:
    """The renderer in 8 bits, made by ``lsp quantize``.

    file       an OpenVINO graph; its numbers lie beside it, with the ending .bin
    made_from  of which weights and candidate images (``avatar.files.renderer_content``)
    psnr_mean, psnr_least  dB against float32, on feature maps that were not calibrated on
    """

    file: RelativePath
    made_from: Sha256
    psnr_mean: Decibels
    psnr_least: Decibels


@dataclass(frozen=True)
class RendererSettings:
    """Its size, the file of its weights, and the renderer in 8 bits."""

    size: Annotated[str, one_of(*RENDERER_SIZES)]
    file: RelativePath
    int8: Int8Settings | None = None


@dataclass(frozen=True, eq=False)
class Manifest:
    """The whole of ``avatar.yaml``; ``files`` is the SHA-256 of every other file by its path."""

    format: Literal[1]
    name: Annotated[str, words('up to 64 letters, digits, - and _', r'\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z')]
    licence: Text
    source: Text
    person: Person
    landmarks: Literal['lsp73']
    camera: Camera
    speech: SpeechSettings
    mouth: MouthSettings
    head_pose: HeadPoseSettings
    upper_body: UpperBodySettings
    eyes: EyeSettings
    pose_range: PoseRange
    renderer: RendererSettings
    files: Annotated[Mapping[RelativePath, Sha256], words('a table of relative paths and their SHA-256')]
