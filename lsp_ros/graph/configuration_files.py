"""The files that repeat the table of settings, for people: ``config/avatar.yaml`` and the tables of ``docs/topics.md``.

    python -m lsp_ros.graph.configuration_files --write

writes them anew after a change of the table; without ``--write`` it says which of them no longer agree with it.
"""

import argparse
import json
import sys
import textwrap
from pathlib import Path

from lsp_ros.graph.configuration import NODES, Setting, Value, setting, settings_of

LINE = 120
SHARED_SECTION = ('autostart', 'avatar')
"""Parameters that the parameter file gives to all nodes at once."""
YAML_HEADER = """\
# Every parameter of every node with its default; docs and ranges: `ros2 param describe /avatar/NODE PARAMETER`.
# Use a copy of your own with `params_file:=` of the launch file, or `--ros-args --params-file` of one node.
# The /** before a name makes it fit in any namespace. Every node that loads the avatar must have the same one.
# Written by `python -m lsp_ros.graph.configuration_files --write` from the table in lsp_ros/graph/configuration.py.
"""
BEGIN = '<!-- settings: written by `python -m lsp_ros.graph.configuration_files --write` -->'
END = '<!-- end of settings -->'


def parameter_file() -> str:
    """The text of ``config/avatar.yaml``."""
    sections = [_section('/**', [setting(name) for name in SHARED_SECTION])]
    for node in NODES:
        rows = [row for row in settings_of(node) if row.name not in SHARED_SECTION]
        if rows:
            sections.append(_section(f'/**/{node}', rows))
    return '\n'.join([YAML_HEADER, *sections])


def parameter_tables() -> str:
    """The part of ``docs/topics.md`` between the two marks, with them."""
    lines = [BEGIN]
    for node in NODES:
        lines += ['', f'### {node}', '', '| parameter | default | allowed | meaning |', '|---|---|---|---|']
        for row in settings_of(node):
            if row.name == 'autostart':  # told once, above the tables
                continue
            live = ' (*live*)' if row.live else ''
            lines.append(f'| `{row.name}` | {_plain(row.default)} | {_allowed(row)} | {row.description}{live} |')
    return '\n'.join([*lines, '', END])


def with_tables(page: str) -> str:
    """``docs/topics.md`` with the tables in their place; ValueError where the page has none for them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f'the page has no place for the tables: {BEGIN} ... {END}')
    return before + parameter_tables() + after


def outdated(checkout: Path, write: bool = False) -> list[Path]:
    """The files of a source checkout that do not say what the table says; ``write`` mends them."""
    file, page = checkout / 'config' / 'avatar.yaml', checkout / 'docs' / 'topics.md'
    wrong = []
    for path, text in ((file, parameter_file()), (page, with_tables(page.read_text()))):
        if path.read_text() != text:
            wrong.append(path)
            if write:
                path.write_text(text)
    return wrong


def _section(name: str, rows: list[Setting]) -> str:
    return '\n'.join([f'{name}:', '  ros__parameters:', *(line for row in rows for line in _yaml_lines(row)), ''])


def _yaml_lines(row: Setting) -> list[str]:
    """One parameter with its meaning behind it; above it where the line would be too long."""
    choices = f' ({", ".join(map(str, row.choices))})' if row.choices else ''
    meaning, entry = f'{row.description}{choices}', f'    {row.name}: {_yaml(row.default)}'
    if len(line := f'{entry}  # {meaning}') <= LINE:
        return [line]
    return [*(f'    # {part}' for part in textwrap.wrap(meaning, LINE - 6)), entry]


def _yaml(value: Value) -> str:
    """Flow style; words without quotes, where YAML reads them as words."""
    return value if isinstance(value, str) and value else json.dumps(value)


def _plain(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or "''"


def _allowed(row: Setting) -> str:
    if row.choices:
        return ', '.join(map(str, row.choices))
    if row.low is not None and row.high is not None:
        return f'{row.low:.15g} to {row.high:.15g}' + (f' {row.unit}' if row.unit else '')
    if row.kind is bool:
        return 'true, false'
    if row.kind is str:
        return 'text'
    return 'two numbers' if row.default == [-1, -1] else 'NAMESPACE or NAMESPACE:AVATAR each'


def main(arguments: list[str] | None = None) -> int:
    """0 where the files agree with the table, or now do; 1 where they do not."""
    parser = argparse.ArgumentParser(prog='python -m lsp_ros.graph.configuration_files', description=__doc__)
    parser.add_argument('--write', action='store_true', help='write them anew')
    write = parser.parse_args(arguments).write
    wrong = outdated(Path(__file__).resolve().parents[2], write)
    for path in wrong:
        print(f'{path}: {"written" if write else "does not agree with lsp_ros/graph/configuration.py"}')
    return 0 if write or not wrong else 1


if __name__ == '__main__':
    sys.exit(main())
