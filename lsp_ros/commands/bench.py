"""``lsp bench``: how fast it is, what it costs, and whether that stays so; tables as Markdown, figures as JSON."""

import argparse
import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.benchmark import engines, live_report, pages, performance_report, provenance, stages
from lsp_ros.benchmark.live import LiveMeasurement, measure_live
from lsp_ros.benchmark.soak import measure_soak
from lsp_ros.graph.avatar_graph import LONGEST_LOADING, avatar_graph, speech_values
from lsp_ros.graph.configuration import MONITOR, Value
from lsp_ros.graph.supervisor import Graph
from lsp_ros.media.sound import read_audio
from lsp_ros.resources import find_sample

Figures = dict[str, Any]
SECONDS_BETWEEN_LINES = 0.25
SECTIONS: dict[str, Callable[[Any], str]] = {
    'stages': performance_report.stages_section,
    'renderers': performance_report.renderers_section,
    'streams': performance_report.streams_section,
    'soak': performance_report.soak_section,
}


class ProgressLine(Protocol):
    """Shows a sentence about what goes on; at once where ``now`` is set, else when the last one is old enough."""

    def __call__(self, sentence: str, now: bool = False) -> None: ...


def run_bench(options: argparse.Namespace) -> None:
    for file in filter(None, (options.json, options.markdown)):
        if not file.resolve().parent.is_dir():
            raise ValueError(f'{file}: the folder {file.parent} does not exist.')
    options.speech = options.speech or find_sample()
    samples = read_audio(options.speech)
    avatar = Avatar.load(find_avatar(options.avatar))
    console = Console(stderr=True)
    figures: Figures = {'command': provenance.this_command(), 'machine': provenance.machine()}
    measure = measure_graph if options.live else measure_offline if options.soak is None else measure_hours
    interrupted = None
    try:
        measure(options, avatar, samples, console, figures)
    except KeyboardInterrupt as interrupt:
        interrupted = interrupt
    sections = as_sections(figures)
    over = provenance.heading(figures['command'], figures['machine'])
    for name, body in sections.items():
        title, _, rest = body.partition('\n')
        cut = ' Interrupted: what had been measured until then.' if interrupted else ''
        sections[name] = f'{title}\n\n{over}{cut}\n{rest}'
        print(sections[name], end='\n\n', flush=True)
    if sections and options.markdown:
        pages.update_markdown(options.markdown, sections)
    if sections and options.json:
        pages.write_json(options.json, figures)
    if interrupted:
        raise interrupted


def as_sections(figures: Figures) -> dict[str, str]:
    """{name: Markdown} of what was measured."""
    sections = {name: make(figures[name]) for name, make in SECTIONS.items() if figures.get(name)}
    if live := figures.get('live'):
        sections[f'live {live["source"]} {live["frame_rate"]}'] = live_report.live_section(live)
    return sections


def measure_offline(
    options: argparse.Namespace, avatar: Avatar, samples: np.ndarray, console: Console, figures: Figures
) -> None:
    """Stages, renderers and batches; rows are added to ``figures`` as they come."""
    names = [name for name in options.stages if name != 'renderer']
    threads = options.threads or os.cpu_count() or 1
    pictures = max(1, options.frames // 6)
    figures.update(threads=threads, stages=[], renderers=[], streams=[])
    with progress_line(console) as tell:
        if names:
            figures['stages'].extend(
                stages.measure_stages(
                    avatar, samples, names, options.frames, tick=lambda: tell(f'stages: {len(figures["stages"])} rows')
                )
            )
        if 'renderer' not in options.stages and not options.streams:
            return
        motion = stages.some_motion(avatar, samples)
        for renderer in engines.renderers(avatar, motion, options.sizes or (avatar.manifest.renderer.size,)):
            tell(f'the {renderer.size} renderer: loading', now=True)
            turns = itertools.count(1)

            def tick(size: str = renderer.size, turns: Iterator[int] = turns) -> None:
                tell(f'the {size} renderer: turn {next(turns)}')

            if 'renderer' in options.stages:
                figures['renderers'].extend(
                    engines.measure_engines(renderer, options.engines, threads, pictures, tick=tick)
                )
            if options.streams:
                figures['streams'].extend(
                    engines.measure_streams(renderer, options.engines, threads, options.streams, pictures, tick=tick)
                )


def measure_hours(
    options: argparse.Namespace, avatar: Avatar, samples: np.ndarray, console: Console, figures: Figures
) -> None:
    """Simulated hours in this process."""
    if not options.soak:
        raise ValueError('--soak is 0: give the hours to simulate.')
    figures['soak'] = []
    began = time.monotonic()

    def tick(hours: float) -> None:
        left = (time.monotonic() - began) * (options.soak / hours - 1)
        tell(f'{hours:.2f} of {options.soak:g} simulated hours, about {left / 60:.0f} min to go')

    with progress_line(console) as tell:
        for row in measure_soak(avatar, samples, options.soak, options.render_every, options.threads or None, tick):
            figures['soak'].append(row)


def measure_graph(
    options: argparse.Namespace, avatar: Avatar, samples: np.ndarray, console: Console, figures: Figures
) -> None:
    """The running graph, in processes of its own."""
    if not options.minutes:
        raise ValueError('--minutes is 0: give the time to measure.')
    wanted = LiveMeasurement(
        options.source, options.frame_rate, options.minutes, options.warm_up, longest_start=LONGEST_LOADING
    )

    def make_graph(file: Path, log: Path) -> Graph:
        values: dict[str, Value | None] = {
            'avatar': options.avatar,
            'seed': 0,
            'idle_amplitude': 1.0,
            'engine': options.engines[0] if len(options.engines) == 1 else 'auto',
            'frame_rate': options.frame_rate,
            'threads': options.threads,
            'mark': True,
            'sound': False,
            'lead': 0.0 if options.source == 'microphone' else None,
        }
        values |= speech_values(options.speech, loop=True)
        graph = avatar_graph(values, f'/bench_{os.getpid()}')
        graph.parameters[MONITOR] = wanted.monitor_parameters(file)
        graph.output, graph.tell = log, tell
        return graph

    def tell(sentence: str) -> None:
        console.print(sentence, markup=False, highlight=False)

    with progress_line(console) as line:
        measure_live(wanted, avatar, make_graph, figures, lambda sentence: line(sentence, now=True), tell)


@contextlib.contextmanager
def progress_line(console: Console) -> Iterator[ProgressLine]:
    """A line about what goes on, written anew four times a second at most: a thread that did so would be timed too."""
    written = 0.0
    with Live(Text(''), console=console, auto_refresh=False, transient=True) as line:

        def tell(sentence: str, now: bool = False) -> None:
            nonlocal written
            if console.is_terminal and (now or time.monotonic() - written > SECONDS_BETWEEN_LINES):
                written = time.monotonic()
                line.update(Text(sentence), refresh=True)

        yield tell
