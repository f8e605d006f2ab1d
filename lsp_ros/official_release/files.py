"""Files of the release, read strictly: what a file is not is said in one sentence."""

import textwrap
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.io

from lsp_ros.errors import LspError


class ReleaseError(LspError, ValueError):
    """A release that cannot be imported; one sentence that names the file, the key and what is wrong."""


def short(value: object) -> str:
    """A value as it stands in a sentence; a long one ends with dots."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + '...'


def line(error: Exception) -> str:
    """An error of a library or of the system in one line: its words, without numbers and paths."""
    text = getattr(error, 'strerror', None) or str(error) or type(error).__name__
    return textwrap.shorten(text, 150, placeholder=' ...')


def present(path: Path) -> Path:
    """That file, if it is there and what was meant to be downloaded. Raises ReleaseError."""
    if not path.is_file():
        raise ReleaseError(f'{path}: the file is missing.')
    check_download(path)
    return path


def check_download(path: Path) -> None:
    """Raises ReleaseError where a file holds what a browser or git saves in the place of a download."""
    try:
        with open(path, 'rb') as file:
            begins = file.read(512).lstrip(b'\xef\xbb\xbf \t\r\n').lower()
    except OSError as error:
        raise ReleaseError(f'{path}: cannot be read ({line(error)}).') from None
    if begins.startswith((b'<!doctype', b'<html', b'<head', b'<script', b'<?xml')):
        raise ReleaseError(
            f'{path}: is a web page, not the file: the page that offers the download was saved in its place; '
            'download the file itself.'
        )
    if begins.startswith(b'version https://git-lfs'):
        raise ReleaseError(
            f'{path}: is a git-lfs pointer, not the file itself: run `git lfs pull` where it was cloned.'
        )


def read_scale(path: Path) -> float:
    """The face's scale from a MATLAB file. Raises ReleaseError."""
    try:
        value = scipy.io.loadmat(present(path), variable_names=['scale']).get('scale')
    except ReleaseError:
        raise
    except Exception as error:  # SciPy's reader raises what its parts raise
        raise ReleaseError(f'{path}: is damaged or not a MATLAB file ({line(error)}).') from None
    if value is None:
        raise ReleaseError(f'{path}: the array scale is missing.')
    number = _finite(path, 'scale', value, (1, 1)).item()
    if number <= 0:
        raise ReleaseError(f'{path}: scale must be above 0, not {number}.')
    return float(number)


def read_picture(path: Path) -> np.ndarray:
    """(height, width, 3) uint8 BGR. Raises ReleaseError."""
    try:
        data = np.frombuffer(present(path).read_bytes(), np.uint8)
    except OSError as error:
        raise ReleaseError(f'{path}: cannot be read ({line(error)}).') from None
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise ReleaseError(f'{path}: is not a readable picture.')
    return picture


def read_array(path: Path, shape: tuple, dtype: type | None = None, key: str | None = None) -> np.ndarray:
    """An array of an npy or, with ``key``, an npz file; None in ``shape`` stands for any length."""
    try:
        loaded = np.load(present(path), allow_pickle=False)
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
        raise ReleaseError(f'{path}: is damaged or not a NumPy file ({line(error)}).') from None
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
