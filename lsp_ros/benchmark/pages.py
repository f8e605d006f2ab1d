"""Figures into files.

A Markdown section stands between two comments that name it, so that a run writes only what it measured into a page
of many (docs/performance.md).
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def update_markdown(path: Path, sections: Mapping[str, str]) -> None:
    """Writes each section {name: body} between its comments in the page, in its old place or at the end."""
    page = path.read_text() if path.is_file() else '# Performance\n'
    for name, body in sections.items():
        begin, end = f'<!-- lsp bench: {name} -->', f'<!-- end of {name} -->'
        block = f'{begin}\n\n{body}\n\n{end}'
        pattern = re.escape(begin) + '.*?' + re.escape(end)
        # Backslashes doubled: a body is no template.
        page, count = re.subn(pattern, block.replace('\\', '\\\\'), page, flags=re.DOTALL)
        if not count:
            page = f'{page.rstrip()}\n\n{block}\n'
    path.write_text(page)


def write_json(path: Path, figures: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(figures, indent=1) + '\n')
