"""All errors of the package can be caught as one, and as what they were."""

import importlib
import pkgutil

import pytest

import lsp_ros
from lsp_ros.errors import LspError

CONTROL_FLOW = {'Finished'}  # ends a node, and never leaves it


def error_classes() -> dict[str, type[Exception]]:
    found = {}
    for module in pkgutil.walk_packages(lsp_ros.__path__, 'lsp_ros.'):
        if '.msg' in module.name or module.name == 'lsp_ros.capture.detector':  # generated; of another environment
            continue
        try:
            names = vars(importlib.import_module(module.name))
        except ImportError:  # an optional package: its module's errors are looked at where it is installed
            continue
        found |= {
            name: thing
            for name, thing in names.items()
            if isinstance(thing, type) and issubclass(thing, Exception) and thing.__module__ == module.name
        }
    return found


def test_every_error_has_one_base():
    errors = error_classes()
    assert {'AvatarError', 'EngineError', 'CaptureError', 'DatasetError', 'MediaError'} <= set(errors)
    for name, error in errors.items():
        if name not in CONTROL_FLOW:
            assert issubclass(error, LspError), name


@pytest.mark.parametrize('kind', ['AvatarError', 'ConsentError', 'MediaError', 'ReleaseError'])
def test_what_does_not_fit_is_a_value_error(kind):
    assert issubclass(error_classes()[kind], ValueError)
