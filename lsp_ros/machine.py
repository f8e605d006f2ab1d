"""What a measured figure has to be quoted with: the machine. Standard library only."""

import platform
from pathlib import Path


def processor() -> str:
    """The processor's name as the system gives it; its architecture where it gives none."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    return next(names, '') or platform.processor() or platform.machine()
