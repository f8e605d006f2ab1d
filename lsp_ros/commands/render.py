"""``lsp render`` and ``lsp say``: speech to a film, offline."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from rich import progress as bars
from rich.console import Console

from lsp_ros import timeline
from lsp_ros.media.film import Mp4Writer
from lsp_ros.media.sound import read_audio
from lsp_ros.portrait import Portrait
from lsp_ros.text_to_speech import read_text, synthesize


def run_render(options: argparse.Namespace) -> None:
    if options.output.exists() and options.speech.exists() and options.output.samefile(options.speech):
        raise ValueError(f'{options.output}: the film would overwrite its own sound.')
    make_film(read_audio(options.speech), options.speech.stem, options)


def run_say(options: argparse.Namespace) -> None:
    text = read_text(options.text)
    with tempfile.TemporaryDirectory(prefix='lsp_say_') as folder:
        speech = Path(folder) / 'speech.wav'
        synthesize(text, speech, options.tts, options.voice)
        make_film(read_audio(speech), text.strip()[:80], options)


def make_film(samples: np.ndarray, title: str, options: argparse.Namespace) -> None:
    """Renders 16 kHz samples into options.output. What was made until Ctrl-C is a playable film."""
    if options.crf > 51:
        raise ValueError(f'--crf is {options.crf}; it must be from 0 to 51.')
    console = Console(stderr=True, markup=False)
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
        bars.TextColumn('{task.description}', markup=False),  # the name of a file may hold brackets
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
