"""An avatar from its folder: what is there is read and checked at once, and handed to the stages.

Loading checks everything (presence, SHA-256, shapes, finite values) and never unpickles; what is
wrong is said in one sentence that names the file.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lsp_ros.avatar.consent import RECORD, ConsentError, check_record, ran_out
from lsp_ros.avatar.files import (
    CANDIDATE_FILES,
    FACE_FILE,
    MANIFEST_FILE,
    MANIFOLD_FILE,
    Face,
    numbers_file,
    parse_face,
    parse_image,
    parse_manifold,
    parse_network,
    read_manifest,
    renderer_content,
    weight_files,
)
from lsp_ros.avatar.manifest import AvatarError, Camera, Manifest, PoseRange
from lsp_ros.resources import shipped_folders
from lsp_ros.storage import sha256

PARTS = ('speech', 'motion', 'rendering')

T = TypeVar('T')


@dataclass(frozen=True, eq=False)
class Int8Renderer:
    """The whole renderer in 8 bits as an OpenVINO graph (XML text and numbers), and its PSNR against float32 in dB."""

    graph: bytes
    numbers: bytes
    psnr: float


class Avatar:
    """One person, ready to be driven. Made by :meth:`load`; everything it returns is NumPy.

    What ``load`` read is kept until it is asked for, so that each file is read and hashed once; asked for again, it
    is read and checked again.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._ready: dict[str, Any] = {}  # what was read and nobody took yet

    @classmethod
    def load(cls, path: str | os.PathLike[str], parts: Iterable[str] = PARTS) -> 'Avatar':
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
        avatar = cls(folder, read_manifest(folder / MANIFEST_FILE))
        ready = avatar._ready
        if 'speech' in parts:
            ready['apc'] = avatar._read_network('apc')
            ready['manifold'] = avatar._read_manifold()
            if not avatar.manifest.speech.projection:
                del ready['manifold']  # checked, but tens of megabytes that no stage will ask for
        if 'motion' in parts:
            ready['mouth'] = avatar._read_network('mouth')
            ready['head_pose'] = avatar._read_network('head_pose')
            avatar.face  # noqa: B018  (reading it is checking it)
        if 'rendering' in parts:
            avatar.face  # noqa: B018  (its scale places the landmarks)
            ready['renderer'] = avatar._read_network('renderer')
            ready['candidates'] = avatar._read_candidates()
            if avatar.manifest.renderer.int8:
                ready['int8'] = avatar._read_int8(avatar.manifest.renderer.int8.file)
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
        return {name: self.manifest.files.get(name, '') for name in CANDIDATE_FILES}

    @cached_property
    def face(self) -> Face:
        return parse_face(self._read(FACE_FILE), self.path / FACE_FILE)

    def weights(self, name: str) -> dict[str, np.ndarray]:
        """Tensors of 'apc', 'mouth', 'head_pose' or 'renderer': floats as float32, integer buffers as they are."""
        tensors = self._take(name, lambda: self._read_network(name))
        return {
            key: tensor.astype(np.float32) if tensor.dtype.kind == 'f' else tensor for key, tensor in tensors.items()
        }

    def manifold(self) -> np.ndarray:
        """The person's speech features, (rows, 512) float32."""
        return self._take('manifold', self._read_manifold).astype(np.float32)

    def candidates(self) -> np.ndarray:
        """The candidate images, (4, 512, 512, 3) uint8 RGB."""
        return self._take('candidates', self._read_candidates)

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
        graph, numbers = self._take('int8', lambda: self._read_int8(settings.file))
        return Int8Renderer(graph, numbers, settings.psnr_mean)

    def _take(self, name: str, read: Callable[[], T]) -> T:
        """What ``load`` read, once: whoever takes it owns it, and the avatar does not hold its memory any longer."""
        return self._ready.pop(name) if name in self._ready else read()

    def _read_network(self, name: str) -> dict[str, np.ndarray]:
        file = weight_files(self.manifest).get(name)
        if file is None:
            raise ValueError(f"{name!r} is not a network of an avatar; use 'apc', 'mouth', 'head_pose' or 'renderer'.")
        return parse_network(self._read(file), self.path / file, name, self.manifest.renderer.size)

    def _read_manifold(self) -> np.ndarray:
        return parse_manifold(self._read(MANIFOLD_FILE), self.path / MANIFOLD_FILE, self.manifest.speech.neighbours)

    def _read_candidates(self) -> np.ndarray:
        return np.stack([parse_image(self._read(name), self.path / name) for name in CANDIDATE_FILES])

    def _read_int8(self, file: str) -> tuple[bytes, bytes]:
        return self._read(file), self._read(numbers_file(file))

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
        if sha256(data) != digest:
            raise AvatarError(
                f'{path}: the checksum differs from the one in {MANIFEST_FILE}; '
                'the file is damaged, truncated or was exchanged.'
            )
        return data


def built_in_avatars() -> list[Path]:
    """Folders of the avatars that come with the package: of a source checkout, then of the installed tree."""
    return [path.parent for folder in shipped_folders('avatars') for path in sorted(folder.glob(f'*/{MANIFEST_FILE}'))]


def find_avatar(name_or_path: str | os.PathLike[str]) -> Path:
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
