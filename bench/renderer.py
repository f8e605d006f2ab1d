"""How long each engine needs for a picture, and how that compares with PyTorch as it comes.

    python bench/renderer.py                        every size with random weights
    python bench/renderer.py --avatar presenter     the avatar's own renderer
    python bench/renderer.py --sizes live --threads 1 --runs 300

Weights do not change the time. Engines take turns, run after run, so that whatever else the machine does
hits all of them; still, figures are worth quoting only from a quiet machine (see the load in the heading).
"""

import argparse
import os
import time
from collections.abc import Mapping

import numpy as np
import torch

from lsp_ros.avatar.avatar import Avatar, find_avatar
from lsp_ros.machine import processor
from lsp_ros.rendering.engines import Engine, build_engine
from lsp_ros.rendering.engines.torch import TorchEngine
from lsp_ros.rendering.generator import build_generator, parameter_count
from lsp_ros.rendering.sizes import CANDIDATES, PICTURE, SIZES

WARM_UP = 3


def random_weights(size: str) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return {key: value.numpy() for key, value in build_generator(size).state_dict().items()}


def engines(
    size: str, weights: Mapping[str, np.ndarray], candidates: np.ndarray, threads: int, cuda: bool
) -> list[Engine]:
    chosen: list[Engine] = [TorchEngine(weights, size, candidates, threads, device='cpu')]
    for precision in ('f32', 'auto'):
        engine = build_engine('openvino', weights, size, candidates, threads=threads, precision=precision)
        if engine.description not in [other.description for other in chosen]:
            chosen.append(engine)
    if cuda:
        chosen.append(TorchEngine(weights, size, candidates, threads, device='cuda'))
    return chosen


def measure(chosen: list[Engine], runs: int) -> np.ndarray:
    """(engines, runs) milliseconds."""
    generator = np.random.default_rng(0)
    maps = [np.where(generator.random((PICTURE, PICTURE)) < 0.03, 255, 0).astype(np.uint8) for _ in range(8)]
    times = np.zeros((len(chosen), runs))
    for run in range(-WARM_UP, runs):
        for row, engine in enumerate(chosen):
            start = time.perf_counter()
            engine.render(maps[run % len(maps)])
            if run >= 0:
                times[row, run] = (time.perf_counter() - start) * 1e3
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--avatar', help='folder or name; its own size is measured')
    parser.add_argument('--sizes', nargs='+', choices=list(SIZES), default=list(SIZES))
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--runs', type=int, default=20)
    given = parser.parse_args()

    cases = []
    if given.avatar:
        avatar = Avatar.load(find_avatar(given.avatar), parts=['rendering'])
        cases.append((avatar.manifest.renderer.size, avatar.weights('renderer'), avatar.candidates()))
    else:
        candidates = np.random.default_rng(0).integers(0, 256, (CANDIDATES, PICTURE, PICTURE, 3), np.uint8)
        cases += [(size, random_weights(size), candidates) for size in given.sizes]

    print(f'{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start; '
          f'{given.threads} threads, {given.runs} runs after {WARM_UP} for warm-up, {PICTURE}x{PICTURE}\n')
    print('| renderer | parameters | engine | median ms | p95 ms | least ms | times as fast as PyTorch f32 |')
    print('|---|---|---|---|---|---|---|')
    for size, weights, candidates in cases:
        count = parameter_count(build_generator(size))
        chosen = engines(size, weights, candidates, given.threads, torch.cuda.is_available())
        times = measure(chosen, given.runs)
        medians = np.median(times, axis=1)
        for engine, row, median in zip(chosen, times, medians, strict=True):
            print(f'| {size} | {count:,} | {engine.description} | {median:.1f} | {np.percentile(row, 95):.1f} '
                  f'| {row.min():.1f} | {medians[0] / median:.1f} |')


if __name__ == '__main__':
    main()
