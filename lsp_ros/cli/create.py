"""``lsp create``: videos of a person become an avatar."""

import argparse
import re
from pathlib import Path

from lsp_ros.cli.arguments import amount, command


def add_commands(commands) -> None:
    parser = command(
        commands,
        'create',
        run_create,
        'make an avatar from videos of a person; the same command goes on where it was stopped',
    )
    parser.add_argument('videos', type=Path, nargs='+', metavar='VIDEO', help='footage of one person with one camera')
    parser.add_argument('--name', required=True, help='of the avatar: letters, digits, - and _')
    parser.add_argument(
        '--consent',
        type=Path,
        default=None,
        metavar='FILE',
        help='the agreement of the person shown (docs/capture.md); without one the avatar is marked',
    )
    parser.add_argument('--synthetic', action='store_true', help='the person is computer-generated')
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        default=None,
        metavar='FOLDER',
        help='for dataset, report and avatar; default: a folder of that name',
    )
    parser.add_argument('--licence', default='all rights reserved by the person shown', help='of pictures and sound')
    parser.add_argument('--source', default=None, metavar='TEXT', help='where the footage is from; default: file names')
    parser.add_argument(
        '--focal',
        type=amount,
        default=None,
        metavar='PIXELS',
        help="the camera's focal length in pixels of the video; default: searched",
    )
    parser.add_argument(
        '--detector',
        type=Path,
        default=None,
        metavar='PYTHON',
        help='a Python that has mediapipe; default: what `make setup-capture` installed',
    )
    parser.add_argument(
        '--landmarker',
        type=Path,
        default=None,
        metavar='FILE',
        help='a face_landmarker.task instead of the models in the mediapipe wheel',
    )
    parser.add_argument(
        '--held-out',
        type=Path,
        action='append',
        default=[],
        metavar='VIDEO',
        help='one of the videos that nothing learns from, to see the avatar on it; may be repeated',
    )
    parser.add_argument('--dataset-only', action='store_true', help='stop before the training')
    parser.add_argument(
        '--minutes', type=amount, default=50.0, help='of each training on the CPU; of the mouth 10 at most'
    )
    parser.add_argument('--backbone', default=None, metavar='FILE', help='weights of the perceptual loss (lsp train)')


def run_create(options: argparse.Namespace) -> int:
    from rich.console import Console

    if not re.fullmatch('[A-Za-z0-9][A-Za-z0-9_-]{0,63}', options.name):
        raise ValueError(f'--name {options.name}: up to 64 letters, digits, - and _ are possible.')
    if options.synthetic and options.consent:
        raise ValueError('--synthetic and --consent exclude one another: a computer-generated person cannot agree.')
    console = Console()
    folder = options.output or Path(options.name)
    capture(options, folder, console)
    if options.dataset_only:
        return 0
    from lsp_ros.cli.train import import_training

    import_training()
    from lsp_ros.training.fine_tune import learn

    learn(
        folder / 'dataset',
        folder / 'runs',
        folder / 'avatar',
        options.minutes,
        backbone=options.backbone,
        tell=lambda text: console.print(text, markup=False, highlight=False),
    )
    console.print(f'the avatar is {folder / "avatar"}', markup=False, highlight=False)
    return 0


def capture(options: argparse.Namespace, folder: Path, console) -> None:
    """Videos to dataset folder and report, with progress bars and a table of what each step took."""
    from rich import progress as bars
    from rich.table import Table

    from lsp_ros.capture.landmarks import Detector
    from lsp_ros.capture.pipeline import Capture
    from lsp_ros.capture.quality_report import write_report
    from lsp_ros.capture.video import file_sha256
    from lsp_ros.capture.work import CaptureConfig, Progress
    from lsp_ros.machine import peak_memory

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
        tasks: list = []

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
