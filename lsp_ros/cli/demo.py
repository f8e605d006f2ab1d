"""``lsp demo``: the bundled recording through the live graph in real time, filmed and measured."""

import argparse
import json
import tempfile
import time
from pathlib import Path

from lsp_ros.cli.arguments import add_avatar_arguments, command

SECONDS_AFTER_SPEECH = 2.0  # the last word is seen and the mouth closes


def add_commands(commands) -> None:
    parser = command(
        commands,
        'demo',
        run_demo,
        'film the avatar speaking a real recording, live through the ROS 2 '
        'graph, and print a table of rates and latencies',
    )
    parser.add_argument('--speech', type=Path, default=None, metavar='FILE', help='instead of the bundled recording')
    parser.add_argument('-o', '--output', type=Path, default=Path('demo.mp4'), metavar='FILE', help='the film')
    parser.add_argument('--report', type=Path, default=None, metavar='FILE', help='write all figures as JSON')
    parser.add_argument('--namespace', default='/avatar', help='of all nodes and topics')
    add_avatar_arguments(parser, frame_rate=30)


def run_demo(options: argparse.Namespace) -> int:
    from rich.console import Console

    from lsp_ros.cli.up import LONGEST_LOADING, model_parameters, namespace, player_parameters
    from lsp_ros.graph.errors import GraphError
    from lsp_ros.graph.supervisor import Graph
    from lsp_ros.media import read_audio
    from lsp_ros.resources import find_sample
    from lsp_ros.timeline import SAMPLE_RATE

    console = Console()
    home = namespace(options.namespace)
    speech = options.speech or find_sample()
    seconds = len(read_audio(speech)) / SAMPLE_RATE + SECONDS_AFTER_SPEECH
    with tempfile.TemporaryDirectory(prefix='lsp_demo_') as folder:
        report, log = Path(folder) / 'report.json', Path(folder) / 'nodes.log'
        parameters = model_parameters(options)
        parameters['audio_source'] = {
            'source': 'file',
            'file': str(speech.resolve()),
            'wait_for_picture': LONGEST_LOADING,
            'end_after': SECONDS_AFTER_SPEECH,
        }
        parameters['player'] = player_parameters(options, options.output, report)
        began = time.monotonic()
        interrupted = None
        try:
            with console.status('') as status:
                Graph(parameters, home, output=log, tell=console.print).run(
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
            print_table(console, figures, options)
        elif not interrupted:
            console.print(log.read_text(errors='replace')[-3000:], markup=False, highlight=False)
            raise GraphError('The graph ended without a picture; what the nodes said stands above.')
    if options.report and figures:
        options.report.write_text(json.dumps(figures, indent=2) + '\n')
    if interrupted:
        raise interrupted
    return 0


def print_table(console, figures: dict, options: argparse.Namespace) -> None:
    """The player's report for people."""
    from rich.table import Table

    from lsp_ros.timeline import SAMPLE_RATE

    images, sound = figures['images'], figures['sound']
    latency, film = figures['latency_ms']['audio_to_image'], figures.get('film', {}).get('picture_late_ms')
    title = f'{options.output}: live at 512x512, {options.frame_rate} frames a second asked for'
    table = Table('figure', 'value', title=title, title_justify='left')
    table.add_row('frames published', str(images['received']))
    table.add_row('rate', f'{images["rate"]:.1f} per second over {images["seconds"]:.1f} s')
    table.add_row('frames dropped', str(images['dropped']))
    table.add_row('latency audio to image', _milliseconds(latency))
    table.add_row('sound/image offset in the film', _milliseconds(film))
    offsets = figures['offset_ms']
    if offsets['shown_late']:
        table.add_row('picture late on the screen', _milliseconds(offsets['shown_late']))
    missing = 1000 * sound['missing_samples'] / SAMPLE_RATE
    table.add_row('sound missing', f'{missing:.0f} ms in {sound["chunks"]} chunks')
    console.print(table)


def _milliseconds(summary: dict | None) -> str:
    return f'median {summary["median"]:.1f} ms, p95 {summary["p95"]:.1f} ms' if summary else 'not measured'
