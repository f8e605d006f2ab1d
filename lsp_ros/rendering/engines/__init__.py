"""Renderer engines: different machines, the same picture. ``factory.make_engine`` makes one by its name.

Only the names stand here, and nothing is imported: commands show them before they start.
"""

ENGINES = ('auto', 'torch', 'openvino', 'tensorrt')
