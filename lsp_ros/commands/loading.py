"""The one way in which a command gets at what takes long to import: by name, when it runs."""

import importlib
from collections.abc import Callable
from typing import Any

TRAINING = ' [train]'
"""Behind a name, as in an entry point: it needs the packages of the extra ``train``."""


def load(target: str) -> Callable[..., Any]:
    """The function that ``'module:function'`` names.

    Raises ValueError with the remedy where it needs the training packages (``TRAINING``) and they are absent.
    """
    name, training, _ = target.partition(TRAINING)
    module, _, function = name.partition(':')
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if not training or (error.name or '').startswith('lsp_ros'):
            raise
        raise ValueError(f"Training needs the package {error.name}: pip install 'lsp_ros[train]'.") from None
    return found
