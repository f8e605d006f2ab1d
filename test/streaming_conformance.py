"""The contract of ``lsp_ros/streaming.py``, to be checked on whatever streams."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lsp_ros.signals import Block
from lsp_ros.streaming import Streaming


@dataclass
class Case:
    """Something that streams, as new, and a stream to push.

    pieces     (begin, end) -> that part of the input, positions in its own unit
    length     of the input
    complete   how many outputs must be there when the input has come that far, before ``flush``
    total      how many there are in all
    tolerance  of rounding between one push and many
    """

    stream: Streaming
    pieces: Callable[[int, int], Any]
    length: int
    complete: Callable[[int], int]
    total: int
    tolerance: float = 2e-5

    def __post_init__(self) -> None:
        self.expected = joined([self.stream.push(self.pieces(0, self.length)), self.stream.flush()])

    def run(self, cuts: Iterable[int] = ()) -> dict[str, np.ndarray]:
        """The whole stream, cut there."""
        bounds = [0, *sorted(cuts), self.length]
        return joined([*(self.stream.push(self.pieces(a, b)) for a, b in pairwise(bounds)), self.stream.flush()])

    def assert_expected(self, found: dict[str, np.ndarray]) -> None:
        """What came out is what one push of everything gave an object that was new."""
        assert found.keys() == self.expected.keys()
        for name, value in self.expected.items():
            assert found[name].dtype == value.dtype
            np.testing.assert_allclose(found[name], value, rtol=0, atol=self.tolerance, err_msg=name)


def joined(outputs: Iterable[Any]) -> dict[str, np.ndarray]:
    """Blocks or arrays that came out one after the other, as arrays by name."""
    found = [output for output in outputs if output is not None and len(output)]
    if not found:
        return {}
    if not isinstance(found[0], Block):
        return {'rows': np.concatenate(found)}
    assert all(a.first_frame + len(a) == b.first_frame for a, b in pairwise(found))
    whole = type(found[0]).join(found)
    frames = np.arange(whole.first_frame, whole.first_frame + len(whole))
    return {'frame': frames, **{name: getattr(whole, name) for name in whole.columns()}}


def count(outputs: Iterable[Any]) -> int:
    """How many frames or rows came out."""
    return sum(len(output) for output in outputs if output is not None)


def check_any_chunking(case: Case, cuts: Iterable[int]) -> None:
    """Cutting a stream changes nothing, and a part without anything in it is none."""
    case.assert_expected(case.run(cuts))


def check_look_ahead(case: Case, step: int) -> None:
    """An output comes as soon as its look-ahead is in, and all of them in the end."""
    came = 0
    for begin in range(0, case.length, step):
        end = min(begin + step, case.length)
        came += count([case.stream.push(case.pieces(begin, end))])
        assert came == case.complete(end)
    assert came + count([case.stream.flush()]) == case.total


def check_reset(case: Case, at: int) -> None:
    """After ``reset`` nothing is left of the stream before."""
    case.stream.push(case.pieces(0, at))
    case.stream.reset()
    assert count([case.stream.flush()]) == 0
    case.assert_expected(case.run())


def check_flush(case: Case, at: int) -> None:
    """``flush`` ends a stream, whatever its length, and the next one is not touched by it."""
    case.stream.push(case.pieces(0, at))
    case.stream.flush()
    assert count([case.stream.flush()]) == 0
    case.assert_expected(case.run())


def check_snapshot(case: Case, at: int) -> None:
    """A stream goes on from a snapshot as if nothing had come after it, as often as one wants."""
    before = case.stream.push(case.pieces(0, at))
    snapshot = case.stream.snapshot()
    for _ in range(2):
        case.stream.push(case.pieces(at, min(case.length, at + 7)))
        case.stream.restore(snapshot)
    case.assert_expected(joined([before, case.stream.push(case.pieces(at, case.length)), case.stream.flush()]))


def check_batch(start: Callable[[np.ndarray], Any], step: Callable[[Any, np.ndarray], np.ndarray], rows: np.ndarray):
    """A network says of each stream of a batch what it says of the stream alone.

    rows   (T, B, C) input, ``start`` gets the first row (B, C) of all streams, ``step`` a row -> (B, C')
    """

    def said(streams: list[int]) -> np.ndarray:
        state = start(rows[0, streams])
        return np.stack([step(state, row[streams]) for row in rows])

    everybody = list(range(rows.shape[1]))
    together = said(everybody)
    for stream in everybody:
        np.testing.assert_allclose(together[:, [stream]], said([stream]), atol=1e-5)
    assert np.abs(np.diff(together, axis=1)).max() > 1e-4  # the streams differ
