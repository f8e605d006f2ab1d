"""What each sub-command of ``lsp`` does: reads its options, calls the room that does the work, and tells the result.

A module here is imported when its command runs (``loading``), so it imports at its top what it needs. None imports
another command, nor ``lsp_ros.cli``, which parses the options.
"""
