"""OpenVINO, imported so that it does not report to its makers, which it otherwise does on import, unasked.

    from lsp_ros.openvino_import import op, openvino

Whoever imported OpenVINO before has had it report already; nothing of ours makes it report again.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

REPORTER = 'openvino_telemetry'


@contextmanager
def without_reports() -> Iterator[None]:
    """For imports of packages that report through ``openvino_telemetry`` (OpenVINO, NNCF).

    Each of them looks for it when it is imported, does not find it and keeps a silent stand-in for good. Afterwards
    ``sys.modules`` is as it was: the program around may use that package.
    """
    there = {name: sys.modules.pop(name) for name in list(sys.modules) if f'{name}.'.startswith(f'{REPORTER}.')}
    sys.modules[REPORTER] = None  # type: ignore[assignment]  # so Python is told that a module is not to be found
    try:
        yield
    finally:
        del sys.modules[REPORTER]
        sys.modules.update(there)


with without_reports():
    import openvino as openvino
    import openvino.opset13 as op

__all__ = ['op', 'openvino', 'without_reports']
