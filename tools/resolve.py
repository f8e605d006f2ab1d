"""Looks up whether every promised Python can install the versions that were tested (``make resolve``).

With uv, which resolves for a Python that is not installed, from the index that pip uses. Exit status 1 where versions
contradict one another; 0 with a sentence where the index cannot be reached, since that says nothing about them.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ('3.10', '3.11', '3.12', '3.13')
GROUPS = ('build', 'run', 'train', 'test', 'lint', 'tensorrt', 'tensorrt-rtx')
UNREACHABLE = re.compile(
    r'failed to fetch|error sending request|dns error|connection (refused|reset)|timed? ?out|connectivity is disabled',
    re.IGNORECASE,
)


def index_of_pip() -> dict[str, str]:
    """uv's environment variable for pip's main index, where pip was given another than PyPI."""
    said = subprocess.run(
        [sys.executable, '-m', 'pip', 'config', 'get', 'global.index-url'], text=True, capture_output=True
    )
    index = os.environ.get('PIP_INDEX_URL') or said.stdout.strip()
    return {'UV_DEFAULT_INDEX': index} if index else {}


def main() -> int:
    needed = subprocess.run(
        [sys.executable, ROOT / 'tools' / 'requirements.py', *GROUPS], check=True, text=True, capture_output=True
    ).stdout
    environment = index_of_pip() | dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / 'requirements.txt'
        requirements.write_text(needed)
        for python in PYTHONS:
            command = [Path(sys.executable).parent / 'uv', 'pip', 'compile', '--quiet', '--python-version', python]
            command += ['--python-platform', 'x86_64-manylinux_2_28', requirements]
            command += [
                '--constraints',
                ROOT / 'requirements' / 'constraints.txt',
                '--output-file',
                Path(folder) / 'out',
            ]
            ran = subprocess.run(command, env=environment, text=True, capture_output=True)
            if ran.returncode and UNREACHABLE.search(ran.stderr):
                reason = ' '.join(ran.stderr.split())[:300]
                print(f'make resolve: the package index cannot be reached, nothing was looked up ({reason})')
                return 0
            if ran.returncode:
                print(f'Python {python} cannot install the tested versions:\n{ran.stderr}', file=sys.stderr)
                return 1
            print(
                f'Python {python}: {len(re.findall("^[a-z].*==", (Path(folder) / "out").read_text(), re.M))} packages'
            )
    return 0


if __name__ == '__main__':
    sys.exit(main())
