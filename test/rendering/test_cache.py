"""What is kept on disk: whole, the last used of it, and no hindrance where the user may not write."""

import os
import tempfile
from pathlib import Path

import pytest

from lsp_ros.rendering.engines.cache import cache_folder, is_kept, keep, temporary_cache


def fill(folder, text='network'):
    keep(folder, lambda scratch: (scratch / 'model').write_text(text))


def used(folder, when):
    """As if it had been used last at a time, in seconds."""
    os.utime(folder, (when, when))


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be another user for a while')
def test_a_cache_that_another_user_filled_is_used():
    with tempfile.TemporaryDirectory() as shared:
        os.chmod(shared, 0o755)
        folder = Path(shared) / 'network'
        fill(folder)
        for path in (folder, *folder.iterdir()):
            path.chmod(path.stat().st_mode | 0o055)
        os.seteuid(65534)
        try:
            with pytest.raises(PermissionError):
                os.utime(folder)
            assert is_kept(folder)
        finally:
            os.seteuid(0)
        assert folder.is_dir()


def test_a_cache_to_throw_away_is_one_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setenv('LSP_CACHE_DIR', str(tmp_path))
    with temporary_cache():
        assert os.environ['LSP_CACHE_DIR'] == str(tmp_path)
        other = cache_folder()
        fill(other / 'network')
        assert other != tmp_path and is_kept(other / 'network')
    assert cache_folder() == tmp_path and not other.exists() and not list(tmp_path.iterdir())
