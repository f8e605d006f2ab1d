"""Tables of keys and values, as YAML and JSON give them, to dataclasses, read strictly by msgspec.

The declaration is the documentation and the validation:

    @dataclass(frozen=True)
    class Speech:
        neighbours: Annotated[int, whole(1, 1000)]
        projection: Annotated[float, number(0, 1)] = 0.0

    read(Speech, {'neighbours': 0}, 'speech')
    InvalidError: speech.neighbours must be a whole number from 1 to 1000, not 0

Nothing is converted but a whole number where any number is wanted, and lists to tuples and arrays. Unknown keys,
missing keys, wrong types and numbers out of range are refused in one sentence that names the key.
"""

import datetime
import re
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

from lsp_ros.errors import LspError

T = TypeVar('T')

Vector3 = np.ndarray[tuple[Literal[3]], np.dtype[np.float64]]
"""A read-only array (3,). The shape of any array type of this form is checked."""
Matrix3x3 = np.ndarray[tuple[Literal[3], Literal[3]], np.dtype[np.float64]]
"""A read-only array (3, 3)."""


class InvalidError(LspError, ValueError):
    """A table that does not fit; one sentence, without its full stop, that names the key."""


class Day(str):
    """A date as YYYY-MM-DD, also where YAML has made a date of it."""


def words(description: str, pattern: str | None = None) -> msgspec.Meta:
    """What a value must be, as it stands in a sentence; for texts also a pattern that must be found in them."""
    return msgspec.Meta(description=description, pattern=pattern)


def number(low: float | None = None, high: float | None = None) -> msgspec.Meta:
    """Of a float: finite, and within limits that belong to it."""
    limits = '' if low is None else f' of at least {low:g}' if high is None else f' from {low:g} to {high:g}'
    least, most = (-sys.float_info.max if low is None else low), (sys.float_info.max if high is None else high)
    return msgspec.Meta(ge=least, le=most, description=f'a finite number{limits}')


def whole(low: int, high: int) -> msgspec.Meta:
    """Of an int: within limits that belong to it."""
    return msgspec.Meta(ge=low, le=high, description=f'a whole number from {low} to {high}')


def one_of(*names: str) -> msgspec.Meta:
    """Of a str: one of those names."""
    return words(' or '.join(map(repr, names)), rf'\A({"|".join(map(re.escape, names))})\Z')


Text = Annotated[str, words('a text that is not empty', r'\S')]
Sha256 = Annotated[str, words('a SHA-256 in 64 hexadecimal digits', r'\A[0-9a-f]{64}\Z')]
Date = Annotated[Day, words('a date (YYYY-MM-DD) or null')]
RelativePath = Annotated[
    str,
    words(
        "a relative path inside the avatar's folder",
        r'\A(?!\.{1,2}(/|\Z))[A-Za-z0-9_.-]+(/(?!\.{1,2}(/|\Z))[A-Za-z0-9_.-]+)*\Z',
    ),
]


def read(kind: type[T], table: object, where: str = '', what: str = 'the table') -> T:
    """A dataclass from a table; ``where`` is the key that the table stands under, ``what`` it is if it has none.

    Raises InvalidError, and what a ``__post_init__`` raises of the package's own errors.
    """
    for unknown, known in _unknown_keys(kind, table, where):
        raise InvalidError(f'{unknown} is not a known key (known: {", ".join(known)})')
    try:
        return msgspec.convert(table, kind, dec_hook=_read_special)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, LspError):
            raise error.__cause__ from None
        raise InvalidError(_sentence(kind, table, where, what, str(error))) from None


def as_mapping(section: Any) -> Any:
    """The plain lists, tables, texts and numbers that ``read`` reads back."""
    if is_dataclass(section):
        return {entry.name: as_mapping(getattr(section, entry.name)) for entry in fields(section)}
    if isinstance(section, np.ndarray):
        return section.tolist()
    if isinstance(section, tuple):
        return list(section)
    if isinstance(section, str):
        return str(section)
    return dict(section) if isinstance(section, Mapping) else section


def _read_special(kind: Any, value: Any) -> Any:
    """The types that msgspec does not know: it turns a ValueError into one of its own, of which the key counts."""
    if kind is Day:
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            return Day(value.isoformat())
        return Day(datetime.date.fromisoformat(value).isoformat())
    rows: Any = Annotated[float, number()]
    for length in reversed(_shape(kind)):
        rows = types.GenericAlias(tuple, (rows,) * length)
    try:
        array = np.array(msgspec.convert(value, rows), np.float64)
    except msgspec.ValidationError as error:
        raise ValueError('not numbers of that shape') from error  # whose place msgspec then tells from the whole table
    array.flags.writeable = False
    return array


def _shape(kind: Any) -> tuple[int, ...]:
    """(3, 3) of ``Matrix3x3``."""
    return tuple(get_args(length)[0] for length in get_args(get_args(kind)[0]))


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _plain(hint: Any) -> Any:
    """A type without its annotations, and without None where it may be None."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return _plain(next(kind for kind in get_args(hint) if kind is not type(None)))
    return hint


def _unknown_keys(kind: Any, table: object, where: str) -> Iterator[tuple[str, list[str]]]:
    """Each with the keys that are known in its place."""
    kind = _plain(kind)
    if not is_dataclass(kind) or not isinstance(table, Mapping):
        return
    known: dict[str, Any] = _hints(kind)  # type: ignore[arg-type]  # classes can be hashed
    for name in table:
        if name not in known:
            yield _under(where, name), list(known)
    for name, hint in known.items():
        yield from _unknown_keys(hint, table.get(name), _under(where, name))


def _under(where: str, name: object) -> str:
    return f'{where}.{name}' if where else str(name)


def _sentence(kind: Any, table: Any, where: str, what: str, error: str) -> str:
    """One that names the key and what it must be, from where msgspec says that the error is."""
    place = re.search(r' - at (`key` in )?`\$(.*)`$', error)
    hint, value, key = kind, table, where
    for name, index in re.findall(r'\.(\w+)|\[(\d+|\.\.\.)\]', place[2] if place else ''):
        if name:
            hint, value, key = _hints(_plain(hint))[name], value[name], _under(key, name)
        elif index != '...':
            arguments = get_args(_plain(hint))
            hint, value = arguments[0 if arguments[-1] is Ellipsis else int(index)], value[int(index)]
    missing = re.match('Object missing required field `(.*?)`', error)
    if missing:
        return f'the key {_under(key, missing[1])} is missing'
    if isinstance(value, Mapping) and not is_dataclass(_plain(hint)):
        hint, value, key = _wrong_entry(_plain(hint), value, key)
    shown = repr(value)
    return f'{key or what} must be {_allowed(hint)}, not {shown if len(shown) <= 60 else f"{shown[:57]}..."}'


def _wrong_entry(kind: Any, table: Mapping[Any, Any], where: str) -> tuple[Any, Any, str]:
    """The first key or value of a table that does not fit, with its type and place: msgspec does not name it."""
    of_keys, of_values = get_args(kind)
    for name, value in table.items():
        for hint, each, key in ((of_keys, name, where), (of_values, value, _under(where, name))):
            try:
                msgspec.convert(each, hint, dec_hook=_read_special)
            except msgspec.ValidationError:
                return hint, each, key
    return kind, table, where


def _allowed(hint: Any) -> str:
    """What a value of a type must be."""
    for annotation in getattr(hint, '__metadata__', ()):
        if isinstance(annotation, msgspec.Meta) and annotation.description:
            return annotation.description
    arguments = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return _allowed(next(kind for kind in arguments if kind is not type(None)))
    if get_origin(hint) is Literal:
        return ' or '.join(map(repr, arguments))
    if get_origin(hint) is np.ndarray:
        return f'{" x ".join(map(str, _shape(hint)))} numbers'
    if get_origin(hint) is tuple:
        return f'{len(arguments)} numbers' if Ellipsis not in arguments else 'a list'
    names = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text'}
    return names.get(hint, 'a table of keys and values')
