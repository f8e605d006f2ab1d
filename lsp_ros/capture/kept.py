"""Files of a work folder that are believed: whole, and made with the key that is wanted now."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

VERSION = 1  # of what the steps compute: another one makes all of it anew


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


def kept(file: Path, key: str) -> dict[str, np.ndarray] | None:
    """What ``keep`` wrote under that key; None if it was another key, or the file is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files} if str(stored['key']) == key else None
    except Exception:  # noqa: BLE001  (zip, zlib and format errors of a damaged file; it is simply made again)
        return None
