"""What some processes cost: processor time and memory over time (``lsp bench --live``)."""

import time
from collections.abc import Mapping
from typing import Any

import psutil

from lsp_ros.benchmark.soak import memory, slope

SECONDS_BETWEEN_SAMPLES = 10.0
"""Of memory: the kernel walks all pages of a process for it."""


class Meter:
    """Processor time and memory of some processes, from ``begin`` to the last ``sample``."""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._began: float | None = None
        self._before: dict[int, float] = {}
        self._busy_before = 0.0
        self._sampled = self._remembered = 0.0
        self._seconds: dict[str, float] = {}
        self._busy = 0.0
        self._restarts = 0
        self.memory: dict[str, dict[str, float]] = {}
        self.course: list[dict[str, Any]] = []

    def sample(self, pids: Mapping[str, int], measuring: bool) -> None:
        """Looks at the processes {name: number}; counts from the first look at which ``measuring`` is true."""
        now, busy = time.monotonic(), busy_seconds()
        spent: dict[int, tuple[str, float]] = {}
        for name, pid in pids.items():
            try:
                process = self._processes.setdefault(pid, psutil.Process(pid))
                times = process.cpu_times()
            except psutil.Error:  # it has just ended
                continue
            spent[pid] = name, times.user + times.system
        if not measuring:
            return
        if self._began is None:
            self._began, self._busy_before = now, busy
            self._before = {pid: seconds for pid, (_, seconds) in spent.items()}
        self._sampled, self._busy = now, busy
        for pid, (name, seconds) in spent.items():
            if pid not in self._before:  # started again: what its predecessor took is lost
                self._before[pid] = 0.0
                self._restarts += 1
            self._seconds[name] = seconds - self._before[pid]
        if not self.course or now - self._remembered >= SECONDS_BETWEEN_SAMPLES:
            self._remembered = now
            self._remember(now - self._began, {name: self._processes[pid] for pid, (name, _) in spent.items()})

    def _remember(self, seconds: float, processes: dict[str, psutil.Process]) -> None:
        for name, process in processes.items():
            try:
                self.memory[name] = memory(process)
            except psutil.Error:
                continue
        own = {name: sizes['uss_mb'] for name, sizes in self.memory.items()}
        self.course.append({'seconds': seconds, **self._total_memory(), 'own_mb': own})

    def _total_memory(self) -> dict[str, float]:
        return {kind: sum(sizes[kind] for sizes in self.memory.values()) for kind in ('rss_mb', 'pss_mb', 'uss_mb')}

    def report(self) -> dict[str, Any]:
        """Rows by process and their sum; 'cpu' is per cent of one core. Empty before anything was measured."""
        elapsed = self._sampled - (self._began or 0.0)
        if self._began is None or elapsed <= 0:
            return {}
        hours = [row['seconds'] / 3600 for row in self.course]
        rows: list[dict[str, Any]] = [
            {
                'process': name,
                'cpu': 100 * seconds / elapsed,
                **self.memory.get(name, {}),
                'uss_mb_per_hour': slope(hours, [row['own_mb'].get(name, 0.0) for row in self.course]),
            }
            for name, seconds in self._seconds.items()
        ]
        cpu = sum(row['cpu'] for row in rows)
        return {
            'seconds': elapsed,
            'processes': rows,
            'total': {'process': 'all', 'cpu': cpu, **self._total_memory()},
            'others_cpu': max(0.0, 100 * (self._busy - self._busy_before) / elapsed - cpu),
            'restarts': self._restarts,
            'memory_course': self.course,
            'pss_mb_per_hour': slope(hours, [row['pss_mb'] for row in self.course]),
        }


def busy_seconds() -> float:
    """Processor seconds that all programs of the machine have used since it started."""
    times = psutil.cpu_times()
    return (
        sum(times)
        - times.idle
        - getattr(times, 'iowait', 0.0)
        - getattr(times, 'guest', 0.0)
        - getattr(times, 'guest_nice', 0.0)
    )
