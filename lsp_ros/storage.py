"""Files and folders that are whole or not there, and the hashes and keys under which results are kept.

What is written appears under its name only when it is complete: it is written beside that place, under a name that
begins with ``.writing-``, and renamed. So a process may be killed at any moment, and whoever reads meets the old
content or the new, never half of it.

    whole_file, write_file          one file
    whole_folder                    one folder, in the place of any that is there
    sha256, sha256_of_file, key_of  hashes of bytes, text, arrays, files and of anything that JSON can write
    store_arrays, stored_arrays, has_arrays
                                    arrays in one file, believed only under the key that they were stored with
    store_folder, has_folder        folders with names made from their content: checked by their checksum, the longest
                                    unused removed

Standard library and NumPy only.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

STORED_FOLDERS = 8  # that ``store_folder`` leaves beside one another
UNFINISHED_SECONDS = 24 * 3600.0  # after which whoever was writing is taken for dead
_WRITING = '.writing-'
_CHECKSUM = 'sha256'  # file of a stored folder that holds the checksum of all others
_BLOCK = 1 << 20  # bytes of a file that are hashed at once


# Whole files and folders ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def whole_file(path: Path, sync: bool = False) -> Iterator[Path]:
    """A scratch path to write to, in the folder of ``path`` and with its suffix; at the end it takes the place of
    ``path``. Where the body raises, ``path`` stays as it was and the scratch file goes.

    sync  waits until the content is on the disk before it gets its name: for what took long to make, or what another
          file will refer to, since else a power cut may leave the name without the content

    Makes the folder where it is missing. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = _beside(path)
    try:
        yield scratch
        if sync:
            _flush(scratch)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_file(path: Path, content: bytes | str, sync: bool = False) -> None:
    """Writes bytes or text (UTF-8) to a file all or not at all; see ``whole_file``. Raises OSError."""
    with whole_file(path, sync) as scratch:
        scratch.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty scratch folder to fill, beside ``path``; at the end it takes the place of ``path``, all of it.

    A folder that is there already is moved aside whole and only then deleted, so that what has this name is never half
    of one. Where the body raises, ``path`` stays as it was and the scratch folder goes. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch, aside = _beside(path), _beside(path)
    scratch.mkdir()
    try:
        yield scratch
        if path.exists():
            path.rename(aside)
        try:
            scratch.rename(path)
        except OSError:
            if aside.exists():
                aside.rename(path)
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def remove_unfinished(folder: Path, older_than: float = UNFINISHED_SECONDS) -> None:
    """Removes what killed processes have left half written in a folder, if it was not touched for so many seconds."""
    for path in folder.glob(f'{_WRITING}*'):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime >= older_than:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A new name in the same folder. It ends like the path: some libraries choose the format by the suffix."""
    return path.with_name(f'{_WRITING}{secrets.token_hex(6)}-{path.name}')


def _flush(path: Path) -> None:
    with open(path, 'rb+') as file:
        os.fsync(file.fileno())


# Hashes and keys ------------------------------------------------------------------------------------------------------


def sha256(*parts: 'str | bytes | np.ndarray[Any, Any]') -> str:
    """SHA-256 in 64 hexadecimal digits of the parts one after the other: text as UTF-8, arrays as their values in C
    order, without dtype and shape. Nothing marks where a part ends."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
        elif isinstance(part, np.ndarray):
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(part)
    return digest.hexdigest()


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's content in 64 hexadecimal digits, without holding it in memory. Raises OSError."""
    digest = hashlib.sha256()
    _update_with_file(digest, path)
    return digest.hexdigest()


def _update_with_file(digest: 'hashlib._Hash', path: Path) -> None:
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK):  # hashlib.file_digest wants Python 3.11
            digest.update(block)


def key_of(value: object) -> str:
    """SHA-256 in 64 hexadecimal digits of anything that JSON can write; the order of a mapping's keys does not count.

    What JSON does not know, as a path, stands as ``str`` writes it.
    """
    return sha256(json.dumps(value, sort_keys=True, default=str))


# Arrays under a key ---------------------------------------------------------------------------------------------------


def store_arrays(file: Path, key: str, **arrays: Any) -> None:
    """Writes arrays to a file (.npz) under a key; the file is whole, and on the disk, or not there. Raises OSError."""
    with whole_file(file, sync=True) as scratch, open(scratch, 'wb') as out:
        np.savez(out, key=np.array(key), **arrays)


def stored_arrays(file: Path, key: str, names: tuple[str, ...] | None = None) -> 'dict[str, np.ndarray] | None':
    """What ``store_arrays`` wrote under that key, all or only the arrays of these names; None if it was another key, or
    the file is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            if str(stored['key']) != key:
                return None
            wanted = [name for name in stored.files if name != 'key'] if names is None else names
            return {name: stored[name] for name in wanted}
    except Exception:  # whatever zip, zlib and format errors a damaged file raises: its content is made again
        return None


def has_arrays(file: Path, key: str) -> bool:
    """Whether ``stored_arrays`` would return all of it; reads the file through without holding it."""
    try:
        with zipfile.ZipFile(file) as stored:
            return stored.testzip() is None and stored_arrays(file, key, ()) is not None
    except Exception:  # as in ``stored_arrays``
        return False


# Folders with names made from their content ---------------------------------------------------------------------------


def has_folder(folder: Path) -> bool:
    """Whether ``store_folder`` has filled this folder and all of it is as it was; if so, it counts as used now.

    A damaged or unfinished one is removed. Raises OSError where what is there cannot be read, after removing it too.
    """
    try:
        if (folder / _CHECKSUM).read_bytes() == _checksum(folder).encode():
            with contextlib.suppress(OSError):  # a cache that others fill and this user only reads
                os.utime(folder)
            return True
    except FileNotFoundError:
        pass
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return False


def store_folder(folder: Path, write: Callable[[Path], object], limit: int = STORED_FOLDERS) -> None:
    """Lets ``write`` fill a scratch folder, adds its checksum and renames it to ``folder``, whose name says what it is
    made from: where another process was quicker, its folder stays, since it is the same.

    Of all folders in the same place only the ``limit`` last used stay, and what was never finished goes. Raises
    OSError where it cannot be stored.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = _beside(folder)
    scratch.mkdir()
    try:
        write(scratch)
        (scratch / _CHECKSUM).write_text(_checksum(scratch))
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    stored = sorted((path for path in folder.parent.glob('[!.]*') if path.is_dir()), key=lambda p: p.stat().st_mtime)
    for old in stored[: max(0, len(stored) - limit)]:
        shutil.rmtree(old, ignore_errors=True)
    remove_unfinished(folder.parent)


def _checksum(folder: Path) -> str:
    """SHA-256 of the content of all files, by name, without the checksum's own."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != _CHECKSUM:
            _update_with_file(digest, path)
    return digest.hexdigest()
