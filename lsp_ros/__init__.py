"""Live Speech Portraits: speech in, a live talking head out.

A source checkout holds the code, an installed tree holds the generated ``lsp_ros.msg``;
extending the path lets both halves stand in one package.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = '0.1.0'
