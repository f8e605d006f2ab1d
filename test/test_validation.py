"""What does not fit is refused in one sentence that names the key, what it must be and what it is."""

import datetime
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pytest

from lsp_ros.errors import LspError
from lsp_ros.validation import (
    Date,
    InvalidError,
    Matrix3x3,
    RelativePath,
    Sha256,
    Text,
    Vector3,
    as_mapping,
    number,
    one_of,
    read,
    whole,
    words,
)


@dataclass(frozen=True, eq=False)
class Part:
    count: Annotated[int, whole(1, 5)]
    share: Annotated[float, number(0, 1)] = 0.5
    at_least: Annotated[float, number(2)] = 2.0
    any: Annotated[float, number()] = 0.0
    pair: tuple[Annotated[float, number()], Annotated[float, number()]] = (0.0, 1.0)
    kind: Literal['a', 'b'] = 'a'
    size: Annotated[str, one_of('s', 'xl')] = 's'
    yes: bool = False
    text: Text = 'x'
    day: Date | None = None
    place: Vector3 | None = None
    turn: Matrix3x3 | None = None
    hashes: Annotated[tuple[Sha256, ...], words('a list of SHA-256')] = ()

    def __post_init__(self) -> None:
        if self.any == 13:
            raise InvalidError('13 is not liked')


@dataclass(frozen=True, eq=False)
class Whole:
    part: Part
    more: Part | None = None
    files: Annotated[Mapping[RelativePath, Sha256] | None, words('a table of paths')] = None


def part(**values) -> dict:
    return {'part': {'count': 1, **values}}


@pytest.mark.parametrize(
    'table, sentence',
    [
        (None, 'the table must be a table of keys and values, not None'),
        ([1], 'the table must be a table of keys and values, not [1]'),
        ({}, 'the key part is missing'),
        ({'part': {}}, 'the key part.count is missing'),
        ({'part': [1]}, 'part must be a table of keys and values, not [1]'),
        ({**part(), 'colour': 1}, 'colour is not a known key (known: part, more, files)'),
        ({1: 2}, '1 is not a known key (known: part, more, files)'),
        ({**part(), 'more': {'colour': 1}}, 'more.colour is not a known key (known: count, share, at_least, any, pair, '
         'kind, size, yes, text, day, place, turn, hashes)'),
        ({**part(), 'more': {}}, 'the key more.count is missing'),
        (part(count=6), 'part.count must be a whole number from 1 to 5, not 6'),
        (part(count=1.0), 'part.count must be a whole number from 1 to 5, not 1.0'),
        (part(count=True), 'part.count must be a whole number from 1 to 5, not True'),
        (part(count='1'), "part.count must be a whole number from 1 to 5, not '1'"),
        (part(share=1.5), 'part.share must be a finite number from 0 to 1, not 1.5'),
        (part(share=False), 'part.share must be a finite number from 0 to 1, not False'),
        (part(share=float('nan')), 'part.share must be a finite number from 0 to 1, not nan'),
        (part(at_least=float('inf')), 'part.at_least must be a finite number of at least 2, not inf'),
        (part(any=float('nan')), 'part.any must be a finite number, not nan'),
        (part(any=float('-inf')), 'part.any must be a finite number, not -inf'),
        (part(any=10**400), f'part.any must be a finite number, not {str(10**400)[:57]}...'),
        (part(any=13), '13 is not liked'),
        (part(pair=[1]), 'part.pair must be 2 numbers, not [1]'),
        (part(pair=[1, 'x']), "part.pair must be a finite number, not 'x'"),
        (part(kind='c'), "part.kind must be 'a' or 'b', not 'c'"),
        (part(kind=['a']), "part.kind must be 'a' or 'b', not ['a']"),
        (part(size='s\n'), "part.size must be 's' or 'xl', not 's\\n'"),
        (part(yes=1), 'part.yes must be true or false, not 1'),
        (part(text=' '), "part.text must be a text that is not empty, not ' '"),
        (part(day='2028-13-01'), "part.day must be a date (YYYY-MM-DD) or null, not '2028-13-01'"),
        (part(day=3), 'part.day must be a date (YYYY-MM-DD) or null, not 3'),
        (part(day=datetime.datetime(2028, 1, 1)), 'part.day must be a date (YYYY-MM-DD) or null, not '
         'datetime.datetime(2028, 1, 1, 0, 0)'),
        (part(place=[1, 2]), 'part.place must be 3 numbers, not [1, 2]'),
        (part(place=[1, 2, float('nan')]), 'part.place must be 3 numbers, not [1, 2, nan]'),
        (part(place='123'), "part.place must be 3 numbers, not '123'"),
        (part(turn=[[1, 2, 3]]), 'part.turn must be 3 x 3 numbers, not [[1, 2, 3]]'),
        (part(hashes='x'), "part.hashes must be a list of SHA-256, not 'x'"),
        (part(hashes=['x']), "part.hashes must be a SHA-256 in 64 hexadecimal digits, not 'x'"),
        (part(hashes=[64 * '0', 65 * '0']), 'part.hashes must be a SHA-256 in 64 hexadecimal digits, not '
         f"'{56 * '0'}..."),
        ({**part(), 'files': 1}, 'files must be a table of paths, not 1'),
        ({**part(), 'files': {'a': 'x'}}, "files.a must be a SHA-256 in 64 hexadecimal digits, not 'x'"),
        ({**part(), 'files': {'../a': 64 * '0'}}, "files must be a relative path inside the avatar's folder, not "
         "'../a'"),
        ({**part(), 'files': {7: 64 * '0'}}, "files must be a relative path inside the avatar's folder, not 7"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(table, sentence):
    with pytest.raises(InvalidError) as caught:
        read(Whole, table)
    assert str(caught.value) == sentence
    assert isinstance(caught.value, LspError) and isinstance(caught.value, ValueError)


@pytest.mark.parametrize('name', ['/a', '..', '.', '', 'a/../b', 'a/./b', 'a//b', 'a/', './a', 'a\\b', 'a b', 'a\n'])
def test_no_path_leaves_its_folder(name):
    with pytest.raises(InvalidError, match='relative path'):
        read(Whole, {**part(), 'files': {name: 64 * '0'}})


@pytest.mark.parametrize('name', ['a', 'a/b.c', '..a', '.a', 'a..b/c-d_e', '...'])
def test_a_path_inside_is_taken(name):
    assert list(read(Whole, {**part(), 'files': {name: 64 * '0'}}).files) == [name]


def test_where_and_what_a_table_is_is_said():
    with pytest.raises(InvalidError, match='^up.here.count must be a whole number'):
        read(Part, {'count': 0}, 'up.here')
    with pytest.raises(InvalidError, match='^the key up.here.count is missing$'):
        read(Part, {}, 'up.here')
    with pytest.raises(InvalidError, match='^up.here must be a table'):
        read(Part, 1, 'up.here')
    with pytest.raises(InvalidError, match='^the recipe must be a table'):
        read(Part, 1, what='the recipe')


def test_what_is_read_has_the_types_that_are_declared_and_is_read_back():
    day, turn = datetime.date(2028, 1, 2), np.eye(3).tolist()
    given = OrderedDict(count=2, share=1, pair=(3, 4), day=day, place=[1, 2, 3], turn=turn)
    section = read(Part, given)
    assert section.share == 1.0 and isinstance(section.share, float) and section.pair == (3.0, 4.0)
    assert section.day == '2028-01-02' == read(Part, {'count': 2, 'day': '2028-01-02'}).day
    np.testing.assert_array_equal(section.turn, np.eye(3))
    assert section.place.dtype == np.float64 and not section.place.flags.writeable
    table = as_mapping(section)
    assert table['day'].__class__ is str and table['place'] == [1.0, 2.0, 3.0] and table['pair'] == [3.0, 4.0]
    assert as_mapping(read(Part, table)) == table
