"""Files of a work folder that are believed: whole, and made with the key that is wanted now."""

import hashlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np

VERSION = 2  # of what the steps compute: another one makes all of it anew


def key_of(*parts) -> str:
    """A short hash of anything that JSON can write."""
    return hashlib.sha256(json.dumps([VERSION, *parts], sort_keys=True, default=str).encode()).hexdigest()[:32]


def keep(file: Path, key: str, **arrays) -> None:
    """Writes arrays under a key; the file is whole or not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f'.{file.name}.{os.getpid()}')
    try:
        with open(scratch, 'wb') as out:
            np.savez(out, key=np.array(key), **arrays)
            out.flush()
            os.fsync(out.fileno())
        os.replace(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)


def kept(file: Path, key: str, names: tuple[str, ...] | None = None) -> dict[str, np.ndarray] | None:
    """What ``keep`` wrote under that key, all or only the arrays of these names; None if it was another key, or the
    file is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            if str(stored['key']) != key:
                return None
            return {name: stored[name] for name in (stored.files if names is None else names)}
    except Exception:  # noqa: BLE001  (zip, zlib and format errors of a damaged file; it is simply made again)
        return None


def is_kept(file: Path, key: str) -> bool:
    """Whether ``kept`` would return all of it; reads the file through without holding it."""
    try:
        with zipfile.ZipFile(file) as stored:
            return stored.testzip() is None and kept(file, key, ()) is not None
    except Exception:  # noqa: BLE001  (as above)
        return False
