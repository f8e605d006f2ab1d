"""``lsp render`` and ``lsp say``: speech to a film, offline, with the stages that also run live."""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from lsp_ros.cli.arguments import add_avatar_arguments, command, whole_number

SPEAKERS = ('flite', 'espeak-ng')


def add_commands(commands) -> None:
    render = command(commands, 'render', run_render, 'make a film of the avatar speaking a recording')
    render.add_argument('speech', type=Path, help='any file with sound that FFmpeg reads')
    say = command(
        commands,
        'say',
        run_say,
        'make a film of the avatar speaking a text, through an installed text-to-speech program',
    )
    say.add_argument('text', help="what to say; '-' reads it from standard input")
    say.add_argument('--tts', choices=('auto', *SPEAKERS), default='auto', help='the program that speaks')
    say.add_argument('--voice', default=None, help="a voice of that program, such as 'slt' or 'de'")
    say.add_argument(
        '--live',
        action='store_true',
        help='speak through the live ROS graph, the one that '
        'runs with --source topic or one of its own, instead of making a film',
    )
    say.add_argument('--namespace', default='/avatar', help='--live: of the graph')
    for parser in (render, say):
        parser.add_argument('-o', '--output', type=Path, default=Path('out.mp4'), metavar='FILE', help='the film')
        add_avatar_arguments(parser, frame_rate=60)
        parser.add_argument(
            '--crf', type=whole_number, default=18, metavar='N', help='quality of the film: 0 is lossless, 51 the worst'
        )
        parser.add_argument(
            '--whole-clip',
            action='store_true',
            help="process motion as the authors' program does, which has the whole clip at hand; "
            'default: as it is live',
        )


def run_render(options: argparse.Namespace) -> int:
    from lsp_ros.media import read_audio

    if options.output.exists() and options.speech.exists() and options.output.samefile(options.speech):
        raise ValueError(f'{options.output}: the film would overwrite its own sound.')
    return make_film(read_audio(options.speech), options.speech.stem, options)


def run_say(options: argparse.Namespace) -> int:
    import sys

    from lsp_ros.media import read_audio

    text = sys.stdin.read() if options.text == '-' else options.text
    with tempfile.TemporaryDirectory(prefix='lsp_say_') as folder:
        speech = Path(folder) / 'speech.wav'
        synthesize(text, speech, options.tts, options.voice)
        if options.live:
            from lsp_ros.cli.up import speak_live

            return speak_live(speech, options)
        return make_film(read_audio(speech), text.strip()[:80], options)


def synthesize(text: str, path: Path, program: str = 'auto', voice: str | None = None) -> None:
    """Speaks a text into a WAV file. Raises ValueError with a sentence where it cannot be spoken."""
    if not text.strip():
        raise ValueError('There is nothing to say: the text is empty.')
    installed = [name for name in SPEAKERS if shutil.which(name)]
    if program == 'auto':
        if not installed:
            raise ValueError('No text-to-speech program was found: install flite or espeak-ng (apt-get install flite).')
        program = installed[0]
    elif program not in installed:
        raise ValueError(f'{program} was not found: install it (apt-get install {program}).')
    if program == 'flite':
        voice = voice or 'rms'
        voices = subprocess.run(['flite', '-lv'], capture_output=True, text=True).stdout.partition(':')[2].split()
        if voices and voice not in voices and not Path(voice).is_file():  # flite would go on with another one
            raise ValueError(f'flite has no voice {voice!r}; it has {", ".join(voices)}.')
        # As a file: a text may begin with a dash, which would be taken for an option.
        words = path.with_suffix('.txt')
        words.write_text(text)
        arguments = ['flite', '-voice', voice, '-f', str(words), '-o', str(path)]
    else:
        arguments = ['espeak-ng', '-v', voice or 'en-us', '--stdin', '-w', str(path)]
    result = subprocess.run(arguments, input=text, capture_output=True, text=True)
    if result.returncode or not path.is_file():
        reason = ' '.join(result.stderr.split()) or f'exit status {result.returncode}'
        raise ValueError(f'{program} did not speak the text: {reason}')


def make_film(samples, title: str, options: argparse.Namespace) -> int:
    """Renders 16 kHz samples into options.output. What was made until Ctrl-C is a playable film."""
    import torch
    from rich import progress as bars
    from rich.console import Console

    from lsp_ros import timeline
    from lsp_ros.media import Mp4Writer
    from lsp_ros.portrait import Portrait

    if options.crf > 51:
        raise ValueError(f'--crf is {options.crf}; it must be from 0 to 51.')
    console = Console(stderr=True)
    if options.engine != 'torch':
        torch.set_num_threads(1)  # one short frame at a time: more threads only spin beside the renderer's
    with console.status('loading the avatar'):
        portrait = Portrait(
            options.avatar,
            options.engine,
            seed=options.seed,
            idle_amplitude=options.idle_amplitude,
            mark=options.mark,
            frame_rate=options.frame_rate,
            threads=options.threads or None,
            whole_clip=options.whole_clip,
        )
    step = timeline.FRAME_RATE // options.frame_rate
    total = portrait.pictures_in(len(samples))
    if not total:
        raise ValueError('The sound is too short for a single frame: there is nothing to show.')
    columns = (
        bars.TextColumn('{task.description}'),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn('frames,'),
        bars.TimeRemainingColumn(),
        bars.TextColumn('left'),
    )
    with (
        Mp4Writer(options.output, options.frame_rate, crf=options.crf, title=title) as film,
        bars.Progress(*columns, console=console) as progress,
    ):
        task = progress.add_task(options.output.name, total=total)
        try:
            for frame in portrait.film(samples):
                film.write_frame(frame.image, frame.frame // step)
                # The sound only as far as the picture: whatever interrupts, both end together.
                film.write_audio(samples[film.samples : timeline.frame_start(frame.frame + step)])
                progress.advance(task)
            film.write_audio(samples[film.samples :])
        except KeyboardInterrupt:
            console.print(f'interrupted: {options.output} holds {film.next_frame} of {total} frames')
            raise
    console.print(f'{options.output}: {total} frames, {len(samples) / timeline.SAMPLE_RATE:.1f} s')
    return 0
