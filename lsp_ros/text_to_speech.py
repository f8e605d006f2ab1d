"""A text as speech, through the text-to-speech programs that a Linux machine may have. Standard library only."""

import shutil
import subprocess
import sys
from pathlib import Path

SPEAKERS = ('flite', 'espeak-ng')


def read_text(text: str) -> str:
    """What is to be said: the text itself, or for ``-`` what standard input holds."""
    return sys.stdin.read() if text == '-' else text


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
