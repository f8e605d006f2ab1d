"""A text as speech, through the text-to-speech programs that a Linux machine may have. Standard library only."""

import codecs
import os
import shutil
import subprocess
import sys
from pathlib import Path

# The longer ones first: UTF-32's begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
    (codecs.BOM_UTF8, 'utf-8-sig'),
)
SPEAKERS = ('flite', 'espeak-ng')


def read_text(text: str) -> str:
    """What is to be said: the text itself, or for ``-`` what standard input holds. Raises ValueError for no text.

    Bytes that are not UTF-8 are read as what editors write otherwise: UTF-16 with its mark, or Windows-1252, which
    Latin-1 is part of.
    """
    return decode_text(sys.stdin.buffer.read() if text == '-' else os.fsencode(text))


def decode_text(content: bytes) -> str:
    """Text in UTF-8, in UTF-16 or UTF-32 with a byte order mark, or in Windows-1252. Raises ValueError for no text."""
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), 'utf-8')
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        if encoding != 'utf-8':
            raise ValueError(f'The text is said to be {encoding} by its first bytes, but is not.') from None
        text = content.decode('cp1252', 'replace')
    odd = [character for character in text if character < ' ' and character not in '\t\n\v\f\r']
    if odd or text.count('\ufffd') * 20 > len(text):
        raise ValueError('What is to be said is no text: it holds bytes of a binary file.')
    return text


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
        words.write_text(text, encoding='utf-8')
        arguments = ['flite', '-voice', voice, '-f', str(words), '-o', str(path)]
    else:
        arguments = ['espeak-ng', '-b', '1', '-v', voice or 'en-us', '--stdin', '-w', str(path)]  # 1: UTF-8
    result = subprocess.run(arguments, input=text, capture_output=True, encoding='utf-8', errors='replace')
    if result.returncode or not path.is_file():
        reason = ' '.join(result.stderr.split()) or f'exit status {result.returncode}'
        raise ValueError(f'{program} did not speak the text: {reason}')
