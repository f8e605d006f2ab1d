"""How anything here is timed: contenders take turns, warm-up is apart, percentiles are what is told."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np


def take_turns(
    contenders: Mapping[str, Callable[[int], object]],
    frames: int,
    warm_up: int,
    turn: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, float]]:
    """Times ``step(frame)`` of each contender for frames 0, 1, .. after ``warm_up`` of them: {name: ``summary``}.

    They take turns of ``turn`` frames, so that whatever else the machine does hits all of them. ``clock`` counts
    seconds; ``tick`` is called between the turns, untimed.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for first in range(0, warm_up + frames, turn):
        for name, step in contenders.items():
            for frame in range(first, min(first + turn, warm_up + frames)):
                began = clock()
                step(frame)
                took = clock() - began
                if frame >= warm_up:
                    times[name].append(took)
            tick()
    return {name: summary(taken) for name, taken in times.items()}


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile and least of some durations in milliseconds, and how many they were."""
    values = 1e3 * np.asarray(seconds, float)
    median, p95, p99 = (float(value) for value in np.percentile(values, [50, 95, 99]))
    return {'median': median, 'p95': p95, 'p99': p99, 'least': float(values.min()), 'count': len(values)}
