"""Where the files that come with the package lie: avatars, configuration, samples."""

import os
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]


def shipped_folders(kind: str) -> list[Path]:
    """Folders of one kind (``avatars``, ``config``, ``launch``, ``samples``) that exist, nearest first.

    A source checkout keeps them at its top level; an installed tree, pip's or colcon's, keeps
    them under ``<prefix>/share/lsp_ros``.
    """
    folders = []
    if (_CHECKOUT / 'package.xml').is_file():
        folders.append(_CHECKOUT / kind)
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    # colcon installs to <prefix>/lib/python3.x/site-packages/lsp_ros, pip --user likewise under its own prefix.
    prefixes += [str(parent) for parent in _CHECKOUT.parents[:3]]
    folders += [Path(prefix) / 'share' / 'lsp_ros' / kind for prefix in prefixes if prefix]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def shipped_file(kind: str, name: str) -> Path:
    """The nearest shipped file of that name; FileNotFoundError with a plain sentence where there is none."""
    for folder in shipped_folders(kind):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f'{kind}/{name} was not found in the source checkout nor under <prefix>/share/lsp_ros.')


def find_sample() -> Path:
    """The bundled human recording (see ``samples/LICENSE.md``)."""
    return shipped_file('samples', 'speech.ogg')
