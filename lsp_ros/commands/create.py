"""``lsp create``: videos of a person become an avatar."""

import argparse
import re
from pathlib import Path

from rich import progress as bars
from rich.console import Console
from rich.table import Table

from lsp_ros.capture.landmarks import Detector
from lsp_ros.capture.pipeline import Capture
from lsp_ros.capture.quality_report import write_report
from lsp_ros.capture.video import file_sha256
from lsp_ros.capture.work import CaptureConfig, Progress
from lsp_ros.commands.loading import load
from lsp_ros.machine import peak_memory


def run_create(options: argparse.Namespace) -> None:
    if not re.fullmatch('[A-Za-z0-9][A-Za-z0-9_-]{0,63}', options.name):
        raise ValueError(f'--name {options.name}: up to 64 letters, digits, - and _ are possible.')
    if options.synthetic and options.consent:
        raise ValueError('--synthetic and --consent exclude one another: a computer-generated person cannot agree.')
    console = Console()
    folder = options.output or Path(options.name)
    capture(options, folder, console)
    if options.dataset_only:
        return
    learn = load('lsp_ros.training.fine_tune:learn [train]')
    learn(
        folder / 'dataset',
        folder / 'runs',
        folder / 'avatar',
        options.minutes,
        backbone=options.backbone,
        tell=lambda text: console.print(text, markup=False, highlight=False),
    )
    console.print(f'the avatar is {folder / "avatar"}', markup=False, highlight=False)


def capture(options: argparse.Namespace, folder: Path, console: Console) -> None:
    """Videos to dataset folder and report, with progress bars and a table of what each step took."""
    config = CaptureConfig(
        options.name,
        options.licence,
        options.source,
        options.focal or None,
        options.synthetic,
        file_sha256(options.landmarker) if options.landmarker else None,
        tuple(options.held_out),
    )
    if not (options.consent or options.synthetic):
        console.print('No consent is on record (--consent): the avatar will be marked unconsented.', style='bold red')
    columns = (
        bars.TextColumn('{task.description}'),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TimeElapsedColumn(),
    )
    with bars.Progress(*columns, console=console) as display:
        tasks: list[bars.TaskID] = []

        def step(name: str) -> None:
            if tasks:
                display.update(tasks[-1], completed=1.0)
                display.stop_task(tasks[-1])
            tasks.append(display.add_task(name, total=1.0))

        progress = Progress(step, lambda share: display.update(tasks[-1], completed=share))
        with Capture(
            options.videos,
            folder,
            config,
            lambda: Detector(options.detector, options.landmarker),
            options.consent,
            progress,
        ) as work:
            result = work.run()
            with progress.during('report: one page'):
                figures = write_report(result, folder / 'report.html')
        display.update(tasks[-1], completed=1.0)
    table = Table('step', 'seconds', title='Time', title_justify='left')
    for name, seconds in progress.seconds.items():
        table.add_row(name, f'{seconds:.1f}')
    console.print(table)
    for sentence in (*(f'left out: {text}' for text in work.left_out), *work.remarks):
        console.print(sentence, markup=False, highlight=False)
    console.print(
        f'{figures["known minutes"]:.1f} minutes and {figures["pictures"]} pictures -> {folder / "dataset"}; '
        f'most memory: {peak_memory():.0f} MB; read {folder / "report.html"}',
        markup=False,
        highlight=False,
    )
