"""What engines make once and keep on disk: each in a folder with a name made from its content."""

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from lsp_ros.avatar.architecture import renderer_size

log = logging.getLogger(__name__)

KEPT = 8
_CHECKSUM = 'sha256'
_WRITING = '.writing-'
_temporary: ContextVar[Path | None] = ContextVar('temporary', default=None)
_LONGEST_WRITING_SECONDS = 24 * 3600  # after which whoever wrote is taken for dead


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
    digest = hashlib.sha256(f'{made_with} {size} {renderer_size(size)}'.encode())
    here = Path(__file__).parent
    for source in (here / 'baked.py', here.parent / 'generator.py', *(here / name for name in sources)):
        digest.update(source.read_bytes())
    for name, value in [*sorted(weights.items()), ('candidates', candidates)]:
        digest.update(f'{name} {value.dtype} {value.shape}'.encode())
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()[:32]


def is_kept(folder: Path) -> bool:
    """Whether the folder is there and whole; a damaged one is removed."""
    try:
        if (folder / _CHECKSUM).read_text() == _checksum(folder):
            with contextlib.suppress(OSError):  # a cache that others fill and this user only reads
                os.utime(folder)
            return True
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        log.warning('the converted renderer in %s cannot be read (%s)', folder, error)
    shutil.rmtree(folder, ignore_errors=True)
    return False


def keep(folder: Path, write: Callable[[Path], object]) -> None:
    """Lets ``write`` fill a folder beside the place and renames it, so that nobody reads half a network; drops the
    longest unused, and what was never finished. Where that fails, the next start converts again: a warning.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_WRITING))
        try:
            write(scratch)
            (scratch / _CHECKSUM).write_text(_checksum(scratch))
            try:
                scratch.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was quicker: its network is the same
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        log.warning('the converted renderer cannot be kept in %s (%s); the next start converts it again', folder, error)
        return
    networks = sorted((path for path in folder.parent.glob('[!.]*') if path.is_dir()), key=lambda p: p.stat().st_mtime)
    for old in [*networks[:-KEPT], *_unfinished(folder.parent)]:
        shutil.rmtree(old, ignore_errors=True)


def _unfinished(folder: Path) -> Iterator[Path]:
    """What a process that was killed has left behind."""
    for path in folder.glob(f'{_WRITING}*'):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _LONGEST_WRITING_SECONDS:
                yield path


def _checksum(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != _CHECKSUM:
            digest.update(path.read_bytes())
    return digest.hexdigest()
