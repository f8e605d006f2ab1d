"""``lsp bench``: how fast it is, what it costs, and whether that stays so; tables as Markdown, figures as JSON."""

import argparse
from collections.abc import Callable
from pathlib import Path

from lsp_ros.avatar.architecture import RENDERER_SIZES
from lsp_ros.cli.arguments import Commands, amount, command, whole_number
from lsp_ros.graph.configuration import setting
from lsp_ros.rendering.engines import ENGINES

STAGES = ('mel', 'apc', 'projection', 'speech', 'mouth', 'head-pose', 'eyes', 'motion', 'drawing', 'renderer')
MEASURED_ENGINES = tuple(name for name in ENGINES if name != 'auto')


def add_commands(commands: Commands) -> None:
    parser = command(
        commands,
        'bench',
        'lsp_ros.commands.bench:run_bench',
        'measure each stage and engine, the running graph (--live) or simulated hours (--soak)',
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--live', action='store_true', help='measure the running graph of five processes')
    kind.add_argument(
        '--soak',
        type=amount,
        default=None,
        metavar='HOURS',
        help='push simulated hours through the stages as fast as they go; watch memory and speed',
    )
    avatar = setting('avatar')
    parser.add_argument('--avatar', default=avatar.default, metavar='NAME', help=avatar.description)
    parser.add_argument('--speech', type=Path, default=None, metavar='FILE', help='instead of the bundled recording')
    parser.add_argument(
        '--threads',
        type=whole_number,
        default=0,
        metavar='N',
        help='CPU threads of the renderers; 0: as many as there are cores',
    )
    parser.add_argument('--json', type=Path, default=None, metavar='FILE', help='write all figures to this file')
    parser.add_argument(
        '--markdown',
        type=Path,
        default=None,
        metavar='FILE',
        help='put the tables into this page, each in its place; what was not measured stays',
    )

    parts = parser.add_argument_group('stages and engines')
    parts.add_argument(
        '--stages',
        type=several(STAGES),
        default=STAGES,
        metavar='A,B',
        help=f'some of {", ".join(STAGES)}; default: all',
    )
    parts.add_argument(
        '--engines',
        type=several(MEASURED_ENGINES),
        default=MEASURED_ENGINES,
        metavar='A,B',
        help=f'some of {", ".join(MEASURED_ENGINES)}; default: all, and PyTorch in any case; with '
        '--live, the one that draws',
    )
    parts.add_argument(
        '--sizes',
        type=several(tuple(RENDERER_SIZES)),
        default=(),
        metavar='A,B',
        help=f"renderer sizes, some of {', '.join(RENDERER_SIZES)}; default: the avatar's own",
    )
    parts.add_argument(
        '--frames',
        type=positive,
        default=600,
        metavar='N',
        help='frames to time; of renderers, which are slower, a sixth',
    )
    parts.add_argument(
        '--streams',
        type=counts,
        default=(),
        metavar='1,2,4',
        help='measure the renderer on batches of so many streams as well',
    )

    live = parser.add_argument_group('the running graph')
    live.add_argument('--minutes', type=amount, default=1.0, metavar='M', help='how long to measure')
    live.add_argument(
        '--warm-up', type=amount, default=5.0, metavar='SECONDS', help='from the first picture, not measured'
    )
    rate = setting('frame_rate')
    live.add_argument('--frame-rate', type=int, default=60, choices=rate.choices, help=rate.description)
    sources = live.add_mutually_exclusive_group()
    sources.add_argument(
        '--future',
        dest='source',
        action='store_const',
        const='future',
        default='future',
        help='sound comes ahead of its time, as from a file or a TTS engine (default)',
    )
    sources.add_argument(
        '--microphone-like', dest='source', action='store_const', const='microphone', help='sound comes when it sounds'
    )

    soak = parser.add_argument_group('simulated hours')
    soak.add_argument(
        '--render-every', type=whole_number, default=60, metavar='N', help='draw every such picture as well; 0: none'
    )


def several(names: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """A type for a list of names with commas between."""

    def parse(text: str) -> tuple[str, ...]:
        given = tuple(part.strip() for part in text.split(','))
        for name in given:
            if name not in names:
                raise argparse.ArgumentTypeError(f'{name!r} is not one of {", ".join(names)}')
        return given

    return parse


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text} is below 1')
    return number


def counts(text: str) -> tuple[int, ...]:
    return tuple(positive(part) for part in text.split(','))
