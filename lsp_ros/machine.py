"""What a measured figure has to be quoted with: the machine. Standard library only."""

import platform
import resource
from pathlib import Path

# Instructions that make neural networks quick on a CPU, by the names that Linux gives them.
QUICK_INSTRUCTIONS = ('avx2', 'avx512f', 'avx_vnni', 'avx512_vnni', 'avx512_bf16', 'amx_int8', 'amx_bf16')


def processor() -> str:
    """The processor's name as the system gives it; its architecture where it gives none."""
    return _processor_field('model name') or platform.processor() or platform.machine()


def instructions() -> list[str]:
    """Which of ``QUICK_INSTRUCTIONS`` the processor has; none where the system does not tell."""
    flags = _processor_field('flags').split()
    return [name for name in QUICK_INSTRUCTIONS if name in flags]


def peak_memory() -> float:
    """MB that this process and the largest of those it started have held at most."""
    own, others = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + others) / 1024


def _processor_field(field: str) -> str:
    """What /proc/cpuinfo says of the first processor under that name; empty where it says nothing."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(':')[2].strip() for line in lines if line.startswith(field)), '')
