"""A film's frames as they are meant to be seen: whole pictures, turned and mirrored as the camera says, with square
pixels, in the colours of a standard display."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import av
import cv2
import numpy as np
from av.filter import Graph

# FFmpeg's numbers of transfers and primaries (libavutil/pixfmt.h).
PQ, HLG, BT2020 = 16, 18, 9
UNKNOWN_MATRICES = (2, 0, 3)
# Linear light from BT.2020's primaries to BT.709's.
TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
# What is white in an ordinary film, in a film of high dynamic range (ITU-R BT.2408): 75 % of the HLG signal, 203 cd/m2.
WHITE_HLG, WHITE_PQ = 0.265, 203 / 10_000
KNEE = 0.75  # of white: what is brighter is compressed, up to the brightest light of all
STEPS = 1 << 12  # of the table of output levels


class Deinterlacer:
    """Whole pictures of interlaced frames; others pass as they are."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._form: tuple[int, int, str] | None = None
        self._times: deque[float | None] = deque()

    def frames(
        self, given: Iterable[tuple[av.VideoFrame, float | None]]
    ) -> Iterator[tuple[av.VideoFrame, float | None]]:
        """Frames with their seconds, each of them again. From the first interlaced frame on they come one later."""
        for frame, time in given:
            form = (frame.width, frame.height, frame.format.name)
            if self._graph is None and not frame.interlaced_frame:
                yield frame, time
                continue
            if self._form != form:
                yield from self._rest()
                self._graph, self._form = _deinterlacing(frame), form
            assert self._graph
            self._times.append(time)
            self._graph.vpush(frame)
            yield from self._ready()
        yield from self._rest()

    def _ready(self) -> Iterator[tuple[av.VideoFrame, float | None]]:
        assert self._graph
        while self._times:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield frame, self._times.popleft()

    def _rest(self) -> Iterator[tuple[av.VideoFrame, float | None]]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
        self._graph, self._form = None, None
        self._times.clear()


def _deinterlacing(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1_000_000)
    )
    filters = [source, graph.add('bwdif', 'mode=send_frame:deint=interlaced'), graph.add('buffersink')]
    graph.link_nodes(*filters).configure()
    return graph


def as_shown(frame: av.VideoFrame, aspect: float) -> np.ndarray:
    """A decoded frame as (height, width, 3) uint8 RGB: turned and mirrored as its display matrix says, of square pixels
    (``aspect`` is theirs in the file), and in the colours of BT.709 if it is of high dynamic range or wide gamut."""
    # Where the file does not say which YCbCr it is, high definition is BT.709; swscale would take all for BT.601.
    matrix: int | str = frame.colorspace
    if int(matrix) in UNKNOWN_MATRICES and frame.format.name.startswith('yuv'):
        matrix = 'ITU709' if frame.height >= 720 else 'ITU601'
    if int(frame.color_trc) in (PQ, HLG) or int(frame.color_primaries) == BT2020:
        signal = frame.reformat(format='rgb48le', src_colorspace=matrix).to_ndarray()
        image = to_standard_range(signal, int(frame.color_trc))
    else:
        image = frame.reformat(format='rgb24', src_colorspace=matrix).to_ndarray()
    if aspect != 1:
        image = cv2.resize(image, (round(image.shape[1] * aspect), image.shape[0]), interpolation=cv2.INTER_LINEAR)
    return turned(image, frame)


def turned(image: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """A picture as the display matrix of its frame shows it: one of eight ways to turn and mirror it."""
    given: Any = frame.side_data  # PyAV's stubs call it a mapping; it holds one after the other
    stated = next((bytes(data) for data in given if data.type.name == 'DISPLAYMATRIX'), None)
    if stated is None:
        return image
    # A point (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(stated, '=i4')[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.swapaxes(0, 1)
        a, d = c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def to_standard_range(signal: np.ndarray, transfer: int) -> np.ndarray:
    """(height, width, 3) uint16 RGB with the primaries of BT.2020 -> uint8 RGB (BT.709, sRGB curve).

    ``transfer`` is HLG, PQ or that of an ordinary film, by FFmpeg's number. Ordinary white stays white and what is
    darker than it keeps its light; brighter light is compressed.
    """
    light, table, largest = _tables(transfer)
    linear = cv2.transform(light[signal], TO_709)
    index = np.sqrt(np.clip(linear / largest, 0, 1)) * (STEPS - 1) + 0.5
    return table[index.astype(np.int32)]


@cache
def _tables(transfer: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Signal (65536 levels) -> linear light, 1 is white; square root of light -> level (``STEPS``); brightest light."""
    signal = np.linspace(0, 1, 1 << 16)
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12) / WHITE_HLG
    elif transfer == PQ:
        root = signal ** (1 / 78.84375)
        light = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
        light = np.minimum(light ** (1 / 0.1593017578125) / WHITE_PQ, 4000 / 203)
    else:
        light = signal**2.2
    largest = float(light[-1])
    linear = largest * np.linspace(0, 1, STEPS) ** 2
    if largest > 1:  # from the knee on towards 1, which is reached by the brightest light
        above = (linear - KNEE) / (1 - KNEE)
        room = (largest - KNEE) / (1 - KNEE)
        # Reinhard's curve, which begins with slope 1 and ends at 1.
        bent = above * (1 + above / room**2) / (1 + above)
        linear = np.where(linear > KNEE, KNEE + (1 - KNEE) * bent, linear)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return light.astype(np.float32), np.round(255 * shown.clip(0, 1)).astype(np.uint8), largest
