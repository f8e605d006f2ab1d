"""How many threads NumPy computes with: said where a process starts, never by an object that somebody else's program
makes."""

import os


def use_one_thread() -> None:
    """Products on one thread, unless the environment says otherwise. To be called before NumPy is first imported.

    The stages multiply small matrices frame by frame: more threads would only spin, on cores that the renderer needs.
    """
    os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
