"""Only what nobody uses any longer is removed from shared memory."""

import os
import subprocess

import pytest

from lsp_ros.graph.shared_memory import clear_shared_memory


@pytest.mark.slow
def test_only_shared_memory_of_the_dead_is_removed(tmp_path):
    for name in ('fastdds_1', 'fastdds_2', 'fastrtps_3', 'fastdds_port4', 'fastdds_5', 'another'):
        for path in (tmp_path / name, tmp_path / f'{name}_el'):
            path.touch()
            os.utime(path, (0, 0))
    os.utime(tmp_path / 'fastdds_5_el')  # just made: its process may be about to lock it
    holder = subprocess.Popen(
        ['flock', tmp_path / 'fastdds_2_el', 'sh', '-c', 'echo held; cat'],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    holder.stdout.readline()
    clear_shared_memory(tmp_path)
    holder.communicate()
    kept = {path.name.removesuffix('_el') for path in tmp_path.iterdir()}
    assert kept == {'fastdds_2', 'fastdds_port4', 'fastdds_5', 'another'}
    clear_shared_memory(tmp_path)
    assert not (tmp_path / 'fastdds_2').exists()
