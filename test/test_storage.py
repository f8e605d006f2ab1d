"""What is kept on disk is whole or not there, and believed only under the key that it was stored with."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lsp_ros.storage import (
    STORED_FOLDERS,
    has_arrays,
    has_folder,
    key_of,
    remove_unfinished,
    sha256,
    sha256_of_file,
    store_arrays,
    store_folder,
    stored_arrays,
    whole_file,
    whole_folder,
    write_file,
)


class Killed(Exception):
    """Stands for whatever ends the writer."""


# Whole files and folders ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('sync', (False, True))
def test_a_file_appears_when_it_is_whole(tmp_path, sync):
    file = tmp_path / 'new folder' / 'array.npy'
    with whole_file(file, sync) as scratch:
        np.save(scratch, np.arange(3))  # which appends .npy to any other name
        assert not file.exists() and scratch.parent == file.parent
    assert np.load(file).tolist() == [0, 1, 2] and list(file.parent.iterdir()) == [file]


def test_who_is_interrupted_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / 'a.json'
    write_file(file, 'old')
    with pytest.raises(Killed), whole_file(file) as scratch:
        scratch.write_text('ne')
        raise Killed
    assert file.read_text() == 'old' and list(tmp_path.iterdir()) == [file]
    write_file(file, b'new', sync=True)
    assert file.read_text() == 'new' and list(tmp_path.iterdir()) == [file]


def test_a_body_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / 'a'):
        pass
    assert not list(tmp_path.iterdir())


def test_text_is_utf_8(tmp_path):
    write_file(tmp_path / 'a', 'für')
    assert (tmp_path / 'a').read_bytes() == 'für'.encode()


def test_a_file_has_the_rights_that_the_user_gives_new_files(tmp_path):
    write_file(tmp_path / 'a', 'x')
    (tmp_path / 'b').write_text('x')
    with whole_folder(tmp_path / 'c'):
        pass
    (tmp_path / 'd').mkdir()
    modes = [(tmp_path / name).stat().st_mode for name in 'abcd']
    assert modes[0] == modes[1] and modes[2] == modes[3]


def test_a_folder_takes_the_place_of_the_old_one(tmp_path):
    folder = tmp_path / 'deep' / 'dataset'
    for content in ('old', 'new'):
        with whole_folder(folder) as scratch:
            (scratch / content).write_text(content)
            assert not (folder / content).exists()
        assert [path.name for path in folder.iterdir()] == [content] and list(folder.parent.iterdir()) == [folder]


def test_who_is_interrupted_leaves_the_old_folder_and_nothing_else(tmp_path):
    folder = tmp_path / 'dataset'
    with whole_folder(folder) as scratch:
        (scratch / 'old').touch()
    with pytest.raises(Killed), whole_folder(folder) as scratch:
        (scratch / 'new').touch()
        raise Killed
    assert list(tmp_path.iterdir()) == [folder] and (folder / 'old').exists()


def test_a_folder_that_cannot_be_put_in_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    folder = tmp_path / 'dataset'
    with whole_folder(folder) as scratch:
        (scratch / 'old').touch()
    rename = Path.rename

    def fail(self, target):
        if (self / 'new').exists():
            raise OSError('disk gone')
        return rename(self, target)

    monkeypatch.setattr(Path, 'rename', fail)
    with pytest.raises(OSError, match='disk gone'), whole_folder(folder) as scratch:
        (scratch / 'new').touch()
    assert list(tmp_path.iterdir()) == [folder] and (folder / 'old').exists()


def test_what_killed_processes_left_is_removed_when_nobody_can_be_writing_it(tmp_path):
    old, older, new, other = (tmp_path / name for name in ('.writing-1-a', '.writing-2-b', '.writing-3-c', 'd'))
    for path in (old, new, other):
        path.touch()
    older.mkdir()
    (older / 'half').touch()
    for path in (old, older, other):
        os.utime(path, (1000, 1000))
    remove_unfinished(tmp_path)
    assert set(tmp_path.iterdir()) == {new, other}
    remove_unfinished(tmp_path, older_than=0)
    assert set(tmp_path.iterdir()) == {other}


# Hashes and keys ------------------------------------------------------------------------------------------------------


def test_parts_are_hashed_one_after_the_other():
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert sha256('für', b'x', array) == hashlib.sha256('für'.encode() + b'x' + array.tobytes()).hexdigest()
    assert sha256(array.T) == hashlib.sha256(array.T.tobytes()).hexdigest()
    assert sha256(np.float16(3), np.zeros((0, 4))) == hashlib.sha256(np.float16(3).tobytes()).hexdigest()


def test_a_file_is_hashed_in_blocks(tmp_path):
    file = tmp_path / 'a'
    file.write_bytes(bytes(range(256)) * 10_000)
    assert sha256_of_file(file) == sha256(file.read_bytes())
    with pytest.raises(FileNotFoundError):
        sha256_of_file(tmp_path / 'b')


def test_keys_are_those_of_earlier_versions():
    """Runs and captures of earlier versions are not done again."""
    value = {'b': [1, 2.5, None], 'a': 'x'}
    assert key_of(value) == hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    assert key_of(value) == key_of(dict(reversed(value.items()))) != key_of({**value, 'a': 'y'})
    assert key_of([Path('a/b')]) == key_of(['a/b'])


# Arrays under a key ---------------------------------------------------------------------------------------------------


def test_arrays_are_believed_under_their_key_alone(tmp_path):
    file = tmp_path / 'work' / 'track.npz'
    store_arrays(file, 'key', points=np.eye(3), name=np.array('x'))
    whole = stored_arrays(file, 'key')
    assert whole is not None and set(whole) == {'points', 'name'} and np.array_equal(whole['points'], np.eye(3))
    some = stored_arrays(file, 'key', ('name',))
    assert some is not None and set(some) == {'name'}
    assert has_arrays(file, 'key')
    assert stored_arrays(file, 'another') is None and not has_arrays(file, 'another')
    assert stored_arrays(file.with_name('none'), 'key') is None and not has_arrays(file.with_name('none'), 'key')
    assert list(file.parent.iterdir()) == [file]


def test_damaged_arrays_are_not_believed(tmp_path):
    file = tmp_path / 'track.npz'
    store_arrays(file, 'key', points=np.arange(1000))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    assert stored_arrays(file, 'key') is None and not has_arrays(file, 'key')
    file.write_bytes(content[:300])
    assert stored_arrays(file, 'key') is None and not has_arrays(file, 'key')


# Folders with names made from their content ---------------------------------------------------------------------------


def fill(folder: Path, text: str = 'network') -> None:
    store_folder(folder, lambda scratch: (scratch / 'model').write_text(text))


def used(folder: Path, when: float) -> None:
    """As if it had been used last at a time, in seconds."""
    os.utime(folder, (when, when))


def test_the_longest_unused_folder_goes(tmp_path):
    for number in range(STORED_FOLDERS):
        fill(tmp_path / f'{number}')
        used(tmp_path / f'{number}', 1000 + number)
    assert has_folder(tmp_path / '0')  # which is use
    fill(tmp_path / 'new')
    assert {path.name for path in tmp_path.iterdir()} == {'0', *map(str, range(2, STORED_FOLDERS)), 'new'}
    assert (tmp_path / '0' / 'model').read_text() == 'network'


def test_storing_removes_what_a_killed_process_left_but_not_what_another_writes(tmp_path):
    old, new = tmp_path / '.writing-old', tmp_path / '.writing-new'
    for folder in (old, new):
        folder.mkdir()
        (folder / 'model').write_text('half a net')
    used(old, 1000)
    fill(tmp_path / 'whole')
    assert not old.exists() and new.exists() and has_folder(tmp_path / 'whole')


def test_a_damaged_or_unfinished_folder_is_removed(tmp_path):
    fill(tmp_path / 'whole')
    (tmp_path / 'whole' / 'model').write_text('netwerk')
    (tmp_path / 'half').mkdir()
    (tmp_path / 'half' / 'model').write_text('half a net')
    assert not has_folder(tmp_path / 'whole') and not has_folder(tmp_path / 'half') and not has_folder(tmp_path / 'no')
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_read_is_an_error_once(tmp_path):
    fill(tmp_path / 'a')
    (tmp_path / 'a' / 'model').unlink()
    (tmp_path / 'a' / 'model').mkdir()  # not a file any more
    with pytest.raises(OSError):
        has_folder(tmp_path / 'a')
    assert not has_folder(tmp_path / 'a') and not list(tmp_path.iterdir())


def test_the_folder_of_a_quicker_process_stays(tmp_path):
    def write(scratch: Path) -> None:
        fill(tmp_path / 'a', 'quicker')
        (scratch / 'model').write_text('slower')

    store_folder(tmp_path / 'a', write)
    assert has_folder(tmp_path / 'a') and (tmp_path / 'a' / 'model').read_text() == 'quicker'
    assert list(tmp_path.iterdir()) == [tmp_path / 'a']


def test_what_cannot_be_stored_is_an_error(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError):
        fill(tmp_path / 'file' / 'a')


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be another user for a while')
def test_a_folder_that_another_user_stored_is_used():
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
            assert has_folder(folder)
        finally:
            os.seteuid(0)
        assert folder.is_dir()
