"""The ``lsp`` command: parses arguments, and imports what a command needs only when it runs.

A file declares a group of sub-commands and names, as ``'module:function'``, what runs each (``lsp_ros.commands``).
"""
