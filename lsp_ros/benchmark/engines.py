"""How long each renderer engine needs for a picture, and for a batch of pictures of several streams."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from lsp_ros.avatar.architecture import RENDERER_SIZES
from lsp_ros.avatar.load import Avatar, Int8Renderer
from lsp_ros.benchmark.timing import take_turns
from lsp_ros.rendering.engines.cache import temporary_cache
from lsp_ros.rendering.engines.engine import Engine, EngineError
from lsp_ros.rendering.engines.factory import build_engine
from lsp_ros.rendering.feature_map import draw
from lsp_ros.rendering.generator import build_generator, load_generator, parameter_count
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.signals import FaceMotion

FRAMES, WARM_UP = 100, 5
RANDOM = 'random weights'
LEAST_BATCHES = 10
VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    # The reference first: every other row's ratio is to it.
    ('torch', {'device': 'cpu'}),
    ('torch', {'device': 'cuda'}),
    ('openvino', {'precision': 'f32'}),
    ('openvino', {'measure': True}),
    ('tensorrt', {}),
)


@dataclass(frozen=True)
class Renderer:
    """What an engine is built from: a size, its weights, candidate images, and feature maps to draw."""

    size: str
    weights: dict[str, np.ndarray]
    candidates: np.ndarray
    maps: list[np.ndarray]
    origin: str
    int8: 'Int8Renderer | None' = None
    """The same in 8 bits, as OpenVINO takes it, where it could be had."""
    no_int8: str = ''
    """Else why not."""


def renderers(avatar: Avatar, motion: FaceMotion, sizes: Sequence[str]) -> Iterator[Renderer]:
    """The renderer of each size: the avatar's own, or one with random weights, which takes the same time.

    Until the next is asked for, what is converted of random weights goes to a cache that is thrown away.
    """
    for size in sizes:
        maps = feature_maps(avatar, motion, size)
        if size == avatar.manifest.renderer.size:
            int8 = avatar.int8_renderer()
            why = '' if int8 else f'{avatar.name} has no renderer in 8 bits: lsp quantize makes one'
            yield Renderer(size, avatar.weights('renderer'), avatar.candidates(), maps, avatar.name, int8, why)
            continue
        weights = random_weights(size)
        with temporary_cache():
            int8, why = in_eight_bits(size, weights, avatar.candidates(), maps)
            yield Renderer(size, weights, avatar.candidates(), maps, RANDOM, int8, why)


def in_eight_bits(
    size: str, weights: dict[str, Any], candidates: np.ndarray, maps: Sequence[np.ndarray]
) -> tuple['Int8Renderer | None', str]:
    """Random weights in 8 bits, calibrated on next to nothing, good for the time alone; or why there are none."""
    from lsp_ros.training.quantize import quantize

    try:
        return quantize(weights, size, candidates, maps[:2], maps[:1]).renderer, ''
    except EngineError as error:  # NNCF is not installed
        return None, one_line(error)


def random_weights(size: str) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return {name: tensor.numpy() for name, tensor in build_generator(size).state_dict().items()}


def feature_maps(avatar: Avatar, motion: FaceMotion, size: str) -> list[np.ndarray]:
    """The feature maps (512, 512) of a motion, as a renderer of that size is fed."""
    projected = RenderStage(avatar, engine=None).project(motion)
    return [draw(*pair, RENDERER_SIZES[size].subpixel) for pair in zip(*projected, strict=True)]


def _draw_batch(engine: Engine, batch: np.ndarray, _: int) -> np.ndarray:
    return engine.render_batch(batch)


def build_engines(
    renderer: Renderer, names: Sequence[str], threads: int, reference: bool = True
) -> tuple[dict[str, Engine], list[dict[str, Any]]]:
    """{description: engine} of all variants of the engines named, and what is missing here: {'engine', 'reason'}.

    The first is PyTorch in float32 on the CPU, with ``reference`` whether it was named or not.
    """
    engines: dict[str, Engine] = {}
    missing = []
    variants = list(VARIANTS)
    if renderer.int8 is not None:
        variants.append(('openvino', {'precision': 'int8', 'int8': renderer.int8}))
    for number, (name, options) in enumerate(variants):
        if name not in names and not (reference and number == 0):
            continue
        try:
            engine = build_engine(name, renderer.weights, renderer.size, renderer.candidates, threads, **options)
        except (RuntimeError, ValueError, OSError, ImportError) as error:  # whatever a driver or a library lacks
            label = ' '.join([name, *(value for value in options.values() if isinstance(value, str))])
            missing.append({'engine': label, 'reason': one_line(error)})
            continue
        engines.setdefault(engine.description, engine)
    if 'openvino' in names and renderer.no_int8:
        missing.append({'engine': f'openvino int8, {renderer.size}', 'reason': renderer.no_int8})
    return engines, missing


def measure_engines(
    renderer: Renderer,
    names: Sequence[str],
    threads: int,
    frames: int = FRAMES,
    warm_up: int = WARM_UP,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[dict[str, Any]]:
    """A row of figures for each engine: wall milliseconds a picture, ratio to and difference from PyTorch f32."""
    engines, missing = build_engines(renderer, names, threads)
    count = parameter_count(load_generator(renderer.size, renderer.weights))
    about = {'size': renderer.size, 'weights': renderer.origin, 'parameters': count}

    def draw_with(engine: Engine, frame: int) -> np.ndarray:
        return engine.render(renderer.maps[frame % len(renderer.maps)])

    contenders = {name: partial(draw_with, engine) for name, engine in engines.items()}
    taken = take_turns(contenders, frames, warm_up, tick=tick)
    reference = None
    for description, engine in engines.items():
        pictures = np.stack([engine.render(each) for each in renderer.maps[:2]]).astype(int)
        reference = pictures if reference is None else reference
        first = next(iter(taken.values()))
        row = {
            **about,
            'engine': description,
            'time': taken[description],
            'ratio': first['median'] / taken[description]['median'],
        }
        if renderer.origin != RANDOM:  # untrained networks draw next to nothing that could differ
            row['difference'] = {
                'mean': float(np.abs(pictures - reference).mean()),
                'largest': int(np.abs(pictures - reference).max()),
            }
        yield row
    for row in missing:
        yield {**about, **row}


def measure_streams(
    renderer: Renderer,
    names: Sequence[str],
    threads: int,
    streams: Sequence[int],
    frames: int = FRAMES,
    warm_up: int = WARM_UP,
    tick: Callable[[], None] = lambda: None,
    least: int = LEAST_BATCHES,
) -> Iterator[dict[str, Any]]:
    """A row for each engine and number of streams, whose pictures are drawn as one batch.

    ``frames`` are pictures, which make ``least`` batches at least; the warm-up is counted in batches.
    """
    engines, missing = build_engines(renderer, names, threads, reference=False)
    yield from measure_batches(renderer, engines, streams, frames, warm_up, tick, least)
    for row in missing:
        yield {'size': renderer.size, **row}


def measure_batches(
    renderer: Renderer,
    engines: Mapping[str, Engine],
    streams: Sequence[int],
    frames: int = FRAMES,
    warm_up: int = WARM_UP,
    tick: Callable[[], None] = lambda: None,
    least: int = LEAST_BATCHES,
) -> Iterator[dict[str, Any]]:
    """The rows of ``measure_streams`` for engines that are there."""
    for description, engine in engines.items():
        for count in streams:
            batch = np.stack([renderer.maps[k % len(renderer.maps)] for k in range(count)])
            began = time.perf_counter()
            try:
                engine.render_batch(batch)  # a new shape may be compiled or recorded first
                ready = time.perf_counter() - began
                taken = take_turns(
                    {'batch': partial(_draw_batch, engine, batch)},
                    max(frames // count, least),
                    warm_up,
                    tick=tick,
                )['batch']
            except (RuntimeError, ValueError) as error:  # the memory of the device, or more than it takes
                yield {'size': renderer.size, 'engine': f'{description}, {count} streams', 'reason': one_line(error)}
                break
            yield {
                'size': renderer.size,
                'engine': description,
                'streams': count,
                'ready_s': ready,
                'time': taken,
                'picture_ms': taken['median'] / count,
                'pictures_per_second': 1e3 * count / taken['median'],
            }


def one_line(error: Exception) -> str:
    return ' '.join(str(error).split())[:300] or type(error).__name__
