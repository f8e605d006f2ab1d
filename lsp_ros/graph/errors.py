"""What goes wrong with a graph."""


class GraphError(RuntimeError):
    """The graph cannot run; one sentence."""
