"""What Fast DDS leaves in shared memory when all processes of a graph are killed at once."""

import contextlib
import fcntl
import time
from pathlib import Path

SHARED_MEMORY = Path('/dev/shm')
SECONDS_TO_BE_LOCKED = 60.0  # who makes a lock file locks it at once


def clear_shared_memory(folder: Path = SHARED_MEMORY) -> None:
    """Removes the segments of Fast DDS, 34 MB each, whose processes are dead.

    As long as one node lives, it does so itself for the others; of nodes that were all killed, everything stays. Each
    process holds a lock on a file beside its segment, which goes with it.
    """
    for lock in folder.glob('fast*_el'):
        segment = lock.with_name(lock.name.removesuffix('_el'))
        with contextlib.suppress(OSError), open(lock, 'rb') as file:
            if '_port' in lock.name or time.time() - lock.stat().st_mtime < SECONDS_TO_BE_LOCKED:
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where its process lives
            segment.unlink(missing_ok=True)
            lock.unlink()
