"""The ``lsp`` command: its sub-commands, its exit statuses, and what ends it."""

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence

from lsp_ros import __version__, blas
from lsp_ros.cli import avatar, bench, create, demo, evaluate, import_release, quantize, render, train, up
from lsp_ros.commands.loading import load

blas.use_one_thread()

USER_ERROR = 2
INTERRUPTED = 130
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='lsp', description='Speech in, a live talking head out.')
    parser.add_argument('--version', action='version', version=f'lsp_ros {__version__}')
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    for group in (demo, up, render, train, create, avatar, import_release, quantize, evaluate, bench):
        group.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command: 0 when done, 2 with one sentence for what the user can mend, 130 when interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='surrogateescape')  # a file's name may be any bytes: they come out as they are
    options = build_parser().parse_args(arguments)
    for number in ENDINGS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
    try:
        target = options.run if isinstance(options.run, str) else options.run(options)
        return load(target)(options) or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ValueError, OSError, RuntimeError) as error:
        # Other people's RuntimeErrors are not written for users; LSP_DEBUG shows where any error comes from.
        ours = type(error).__module__.startswith('lsp_ros')
        if os.environ.get('LSP_DEBUG') or (isinstance(error, RuntimeError) and not ours):
            raise
        print(f'lsp: {_sentence(error)}', file=sys.stderr)
        return USER_ERROR


def _sentence(error: Exception) -> str:
    """What an error says, without the system's number for it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f'{os.fsdecode(error.filename)}: {error.strerror}.'
    return str(error)


def _interrupt(*_: object) -> None:
    """As Ctrl-C, once: a closed terminal sends several signals, and a film needs its time to be finished."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == '__main__':
    sys.exit(main())
