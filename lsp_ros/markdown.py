"""Tables as Markdown, for cards, reports and pages."""

from collections.abc import Iterable, Sequence

Row = Sequence[object]


def markdown_table(titles: Row, rows: Iterable[Row]) -> str:
    """A Markdown table of anything that ``str`` can write."""
    return _table(titles, ['---'] * len(titles), rows)


def numbers_table(titles: Row, rows: Iterable[Row]) -> str:
    """A Markdown table whose columns, but for the first, are set to the right."""
    return _table(titles, ['---', *['---:'] * (len(titles) - 1)], rows)


def _table(titles: Row, rule: Row, rows: Iterable[Row]) -> str:
    return '\n'.join('| ' + ' | '.join(map(str, line)) + ' |' for line in (titles, rule, *rows))
