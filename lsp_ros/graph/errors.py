"""What goes wrong with a graph."""

from lsp_ros.errors import LspError


class GraphError(LspError, RuntimeError):
    """The graph cannot run; one sentence."""
