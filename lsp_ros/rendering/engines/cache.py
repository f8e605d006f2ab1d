"""The cache of the engines: converted networks on disk, each in a folder with a name made from its content."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from lsp_ros.avatar.architecture import renderer_size
from lsp_ros.storage import has_folder, sha256, store_folder

log = logging.getLogger(__name__)

_temporary: ContextVar[Path | None] = ContextVar('temporary', default=None)


def cache_folder() -> Path:
    """Where converted networks are kept: $LSP_CACHE_DIR, or lsp_ros in the user's cache folder."""
    temporary = _temporary.get()
    if temporary:
        return temporary
    chosen = os.environ.get('LSP_CACHE_DIR')
    if chosen:
        return Path(chosen)
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'lsp_ros'


@contextlib.contextmanager
def temporary_cache() -> Iterator[None]:
    """A cache folder of its own until the end, for networks that nobody meets again: the user's stay where they are.

    For this thread alone, and not for processes that it starts.
    """
    with tempfile.TemporaryDirectory(prefix='lsp_cache_', ignore_cleanup_errors=True) as folder:
        before = _temporary.set(Path(folder))
        try:
            yield
        finally:
            _temporary.reset(before)


def content_name(
    weights: Mapping[str, np.ndarray], size: str, candidates: np.ndarray, made_with: str, *sources: str
) -> str:
    """A name for everything that a network is made from, this program's code included.

    made_with  versions and settings
    sources    the files of this folder that make it, besides baked.py
    """
    here = Path(__file__).parent
    parts: list[str | bytes | np.ndarray] = [f'{made_with} {size} {renderer_size(size)}']
    for source in (here / 'baked.py', here.parent / 'generator.py', *(here / name for name in sources)):
        parts.append(source.read_bytes())
    for name, value in [*sorted(weights.items()), ('candidates', candidates)]:
        parts += [f'{name} {value.dtype} {value.shape}', value]
    return sha256(*parts)[:32]


def is_kept(folder: Path) -> bool:
    """Whether the folder is there and whole; a damaged one is removed."""
    try:
        return has_folder(folder)
    except OSError as error:
        log.warning('the converted renderer in %s cannot be read (%s)', folder, error)
        return False


def keep(folder: Path, write: Callable[[Path], object]) -> None:
    """Lets ``write`` fill the folder, so that nobody reads half a network, and drops the longest unused ones.

    Where that fails, the next start converts again: a warning.
    """
    try:
        store_folder(folder, write)
    except OSError as error:
        log.warning('the converted renderer cannot be kept in %s (%s); the next start converts it again', folder, error)
