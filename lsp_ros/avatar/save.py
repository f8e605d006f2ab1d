"""An avatar to its folder: whole, or with a renderer in 8 bits or an agreement put in; always all or nothing."""

import io
import os
import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import safetensors.numpy
import yaml

from lsp_ros.avatar.architecture import CANDIDATES, PICTURE
from lsp_ros.avatar.consent import RECORD
from lsp_ros.avatar.files import (
    CANDIDATE_FILES,
    FACE_FILE,
    MANIFEST_FILE,
    MANIFOLD_FILE,
    Face,
    numbers_file,
    read_manifest,
    renderer_content,
    weight_files,
)
from lsp_ros.avatar.load import Avatar
from lsp_ros.avatar.manifest import AvatarError, Manifest, read_section
from lsp_ros.storage import sha256, whole_folder, write_file
from lsp_ros.validation import as_mapping


def write_avatar(
    folder: str | os.PathLike[str],
    manifest: Manifest | Mapping[str, Any],
    weights: Mapping[str, Mapping[str, Any]],
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
    for name, file in weight_files(plan).items():
        if name not in weights:
            raise AvatarError(f'{where}: the weights of {name!r} were not given.')
        files[file] = safetensors.numpy.save({key: np.array(value, order='C') for key, value in weights[name].items()})
    files[MANIFOLD_FILE] = _npy_bytes(np.asarray(manifold))
    arrays = {entry.name: getattr(face, entry.name) for entry in fields(Face)}
    packed = io.BytesIO()
    given = {key: np.asarray(value, np.float32) for key, value in arrays.items() if value is not None}
    np.savez_compressed(packed, **given)  # type: ignore[arg-type]  # takes them for ``allow_pickle``, too
    files[FACE_FILE] = packed.getvalue()
    candidates = np.asarray(candidates)
    if candidates.shape != (CANDIDATES, PICTURE, PICTURE, 3) or candidates.dtype != np.uint8:
        raise AvatarError(
            f'{where}: candidates must be ({CANDIDATES}, {PICTURE}, {PICTURE}, 3) uint8, '
            f'not {candidates.shape} {candidates.dtype}.'
        )
    for name, image in zip(CANDIDATE_FILES, candidates, strict=True):
        files[name] = cv2.imencode('.png', np.ascontiguousarray(image[..., ::-1]))[1].tobytes()
    checksums = {name: sha256(data) for name, data in sorted(files.items())}
    sections = {key: value for key, value in mapping.items() if key != 'files'}
    files[MANIFEST_FILE] = _manifest_text(sections, checksums)

    with whole_folder(folder) as fresh:
        for name, data in files.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(data)
        Avatar.load(fresh)
        if old.is_file():
            _carry_over(folder, fresh)


def add_int8_renderer(
    folder: str | os.PathLike[str], graph: bytes, numbers: bytes, psnr_mean: float, psnr_least: float
) -> None:
    """Puts the renderer in 8 bits into an avatar's folder, in the place of any that is there. Raises AvatarError."""
    path = Path(folder) / MANIFEST_FILE
    manifest = read_manifest(path)
    file = f'renderer_{manifest.renderer.size}.int8.xml'
    files = {file: graph, numbers_file(file): numbers}
    mapping = as_mapping(manifest)
    mapping['files'].update({name: sha256(data) for name, data in files.items()})
    mapping['renderer']['int8'] = {
        'file': file,
        'made_from': renderer_content(manifest),
        'psnr_mean': round(float(psnr_mean), 2),
        'psnr_least': round(float(psnr_least), 2),
    }
    _put(path.parent, files, mapping)


def add_consent(folder: str | os.PathLike[str], consent: Mapping[str, Any], record: str) -> None:
    """Puts an agreement and its record (``lsp_ros.capture.consent.bind``) into an avatar's folder, in the place of any
    that is there. Raises AvatarError, also for a synthetic person, who cannot agree."""
    folder = Path(folder)
    mapping = as_mapping(read_manifest(folder / MANIFEST_FILE))
    if mapping['person']['kind'] == 'synthetic':
        raise AvatarError(f'{folder}: shows a computer-generated person, who cannot agree and need not.')
    mapping['person']['consent'] = dict(consent)
    _put(folder, {RECORD: record.encode()}, mapping)


def _put(folder: Path, files: Mapping[str, bytes], mapping: dict[str, Any]) -> None:
    """Files into an avatar's folder, then its manifest: whatever interrupts, it lists only what is there."""
    checksums = mapping.pop('files')
    for name, data in {**files, MANIFEST_FILE: _manifest_text(mapping, checksums)}.items():
        write_file(folder / name, data)


def _manifest_text(sections: Mapping[str, Any], checksums: Mapping[str, str]) -> bytes:
    return (
        yaml.safe_dump(dict(sections), sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)
        + yaml.safe_dump({'files': dict(checksums)}, default_flow_style=False)
    ).encode()


def _carry_over(folder: Path, fresh: Path) -> None:
    """Copies what no manifest lists, so that a model card survives a rewrite."""
    try:
        listed = set(read_manifest(folder / MANIFEST_FILE).files)
    except AvatarError:
        listed = set()
    for path in folder.rglob('*'):
        name = path.relative_to(folder)
        if path.is_file() and name.as_posix() not in listed and not (fresh / name).exists():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, fresh / name)


def _npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()
