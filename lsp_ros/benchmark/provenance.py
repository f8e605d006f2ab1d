"""Where figures come from: the machine, and the command that measured them."""

import datetime
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import psutil

from lsp_ros import __version__
from lsp_ros.machine import instructions, processor

GIGABYTE = 2**30


def machine() -> dict[str, Any]:
    """Where and beside what the figures of this run are measured; to be asked before it starts."""
    import torch

    return {
        'processor': processor(),
        'cores': os.cpu_count(),
        'memory_gb': round(psutil.virtual_memory().total / GIGABYTE, 1),
        'instructions': instructions(),
        'gpu': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        'load_before': round(os.getloadavg()[0], 2),
        'system': f'{platform.system()} {platform.release()}',
        'python': platform.python_version(),
        'versions': {'lsp_ros': __version__, **{name: version(name) for name in ('numpy', 'torch', 'openvino')}},
        'date': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
    }


def heading(command: str, machine: Mapping[str, Any]) -> str:
    """The sentence over a table: what printed it, when, and on which machine."""
    quick = f' ({", ".join(machine["instructions"])})' if machine['instructions'] else ''
    hardware = f'{machine["processor"]}, {machine["cores"]} cores{quick}'
    hardware += f', {machine["gpu"]}' if machine['gpu'] else ', no GPU'
    versions = ', '.join(f'{name} {number}' for name, number in machine['versions'].items() if name != 'lsp_ros')
    return (
        f'`{command}`, {machine["date"]}. {hardware}, {machine["memory_gb"]:.0f} GB; load before the start '
        f'{machine["load_before"]:.1f}; Python {machine["python"]}, {versions}.'
    )


def this_command(arguments: Sequence[str] | None = None) -> str:
    """The command line that is running, without where its figures are written."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    kept, skip = [], False
    for word in words:
        if skip or word.split('=')[0] in ('--json', '--markdown'):
            skip = not skip and '=' not in word
            continue
        kept.append(word)
    return ' '.join(['lsp', *kept])
