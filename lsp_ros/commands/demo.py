"""``lsp demo``: the bundled recording through the live graph in real time, filmed and measured."""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lsp_ros.graph.avatar_graph import avatar_graph, speech_values
from lsp_ros.graph.configuration import flagged
from lsp_ros.graph.errors import GraphError
from lsp_ros.media.sound import read_audio
from lsp_ros.resources import find_sample
from lsp_ros.timeline import SAMPLE_RATE

SECONDS_AFTER_SPEECH = 2.0  # the last word is seen and the mouth closes


def run_demo(options: argparse.Namespace) -> None:
    console = Console()
    speech = options.speech or find_sample()
    seconds = len(read_audio(speech)) / SAMPLE_RATE + SECONDS_AFTER_SPEECH
    values = {row.name: getattr(options, row.name) for row in flagged() if row.shared}
    with tempfile.TemporaryDirectory(prefix='lsp_demo_') as folder:
        report, log = Path(folder) / 'report.json', Path(folder) / 'nodes.log'
        values |= speech_values(speech, end_after=SECONDS_AFTER_SPEECH)
        graph = avatar_graph(values | {'record': str(options.output), 'report': str(report)}, options.namespace)
        graph.output, graph.tell = log, console.print
        began = time.monotonic()
        interrupted = None
        try:
            with console.status('') as status:
                graph.run(
                    lambda: status.update(
                        f'the avatar speaks: {time.monotonic() - began:.0f} s of about {seconds + 5:.0f} s'
                    )
                )
        except GraphError:
            if log.is_file():  # otherwise nothing was started
                console.print(log.read_text(errors='replace')[-3000:], markup=False, highlight=False)
            raise
        except KeyboardInterrupt as interrupt:
            interrupted = interrupt
        figures = json.loads(report.read_text()) if report.is_file() else {}
        if figures.get('images', {}).get('received'):
            print_table(console, figures, options.output, options.frame_rate)
        elif not interrupted:
            console.print(log.read_text(errors='replace')[-3000:], markup=False, highlight=False)
            raise GraphError('The graph ended without a picture; what the nodes said stands above.')
    if options.report and figures:
        options.report.write_text(json.dumps(figures, indent=2) + '\n')
    if interrupted:
        raise interrupted


def print_table(console: Console, figures: Mapping[str, Any], film: Path, frame_rate: int) -> None:
    """The player's report for people."""
    images, sound = figures['images'], figures['sound']
    latency, lateness = figures['latency_ms']['audio_to_image'], figures.get('film', {}).get('picture_late_ms')
    title = f'{film}: live at 512x512, {frame_rate} frames a second asked for'
    table = Table('figure', 'value', title=title, title_justify='left')
    table.add_row('frames published', str(images['received']))
    table.add_row('rate', f'{images["rate"]:.1f} per second over {images["seconds"]:.1f} s')
    table.add_row('frames dropped', str(images['dropped']))
    table.add_row('latency audio to image', _milliseconds(latency))
    table.add_row('sound/image offset in the film', _milliseconds(lateness))
    offsets = figures['offset_ms']
    if offsets['shown_late']:
        table.add_row('picture late on the screen', _milliseconds(offsets['shown_late']))
    missing = 1000 * sound['missing_samples'] / SAMPLE_RATE
    table.add_row('sound missing', f'{missing:.0f} ms in {sound["chunks"]} chunks')
    console.print(table)


def _milliseconds(summary: Mapping[str, float] | None) -> str:
    return f'median {summary["median"]:.1f} ms, p95 {summary["p95"]:.1f} ms' if summary else 'not measured'
