"""``lsp bench``: how fast it is, what it costs, and whether that stays so; tables as Markdown, figures as JSON."""

import argparse
import contextlib
import itertools
import json
import os
import re
import tempfile
import time
from pathlib import Path

from lsp_ros.cli.arguments import amount, command, whole_number
from lsp_ros.rendering.sizes import ENGINES, SIZES

STAGES = ('mel', 'apc', 'projection', 'speech', 'mouth', 'head-pose', 'eyes', 'motion', 'drawing', 'renderer')
MEASURED_ENGINES = tuple(name for name in ENGINES if name != 'auto')


def add_commands(commands) -> None:
    parser = command(
        commands,
        'bench',
        run_bench,
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
    parser.add_argument('--avatar', default='presenter', metavar='NAME', help='a built-in avatar, or the folder of one')
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
        type=several(tuple(SIZES)),
        default=(),
        metavar='A,B',
        help=f"renderer sizes, some of {', '.join(SIZES)}; default: the avatar's own",
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
    live.add_argument('--frame-rate', type=int, default=60, choices=(30, 60), help='pictures a second')
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


def several(names: tuple[str, ...]):
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


def run_bench(options: argparse.Namespace) -> int:
    from rich.console import Console

    from lsp_ros.avatar.avatar import Avatar, find_avatar
    from lsp_ros.benchmark import report
    from lsp_ros.media import read_audio
    from lsp_ros.resources import find_sample

    for file in filter(None, (options.json, options.markdown)):
        if not file.resolve().parent.is_dir():
            raise ValueError(f'{file}: the folder {file.parent} does not exist.')
    options.speech = options.speech or find_sample()
    speech = read_audio(options.speech)
    avatar = Avatar.load(find_avatar(options.avatar))
    console = Console(stderr=True)
    figures = {'command': report.this_command(), 'machine': report.machine()}
    measure = measure_live if options.live else measure_offline if options.soak is None else measure_hours
    interrupted = None
    try:
        measure(options, avatar, speech, console, figures)
    except KeyboardInterrupt as interrupt:
        interrupted = interrupt
    sections = as_sections(figures)
    over = report.heading(figures['command'], figures['machine'])
    for name, body in sections.items():
        title, _, rest = body.partition('\n')
        cut = ' Interrupted: what had been measured until then.' if interrupted else ''
        sections[name] = f'{title}\n\n{over}{cut}\n{rest}'
        print(sections[name], end='\n\n', flush=True)
    if sections and options.markdown:
        report.update_markdown(options.markdown, sections)
    if sections and options.json:
        report.write_json(options.json, figures)
    if interrupted:
        raise interrupted
    return 0


def as_sections(figures: dict) -> dict[str, str]:
    """{name: Markdown} of what was measured."""
    from lsp_ros.benchmark import report

    makers = {
        'stages': report.stages_section,
        'renderers': report.renderers_section,
        'streams': report.streams_section,
        'soak': report.soak_section,
    }
    sections = {name: make(figures[name]) for name, make in makers.items() if figures.get(name)}
    if live := figures.get('live'):
        sections[f'live {live["source"]} {live["frame_rate"]}'] = report.live_section(live)
    return sections


def measure_offline(options, avatar, speech, console, figures) -> None:
    """Stages, renderers and batches; rows are added to ``figures`` as they come."""
    from lsp_ros.benchmark import engines, stages

    names = [name for name in options.stages if name != 'renderer']
    threads = options.threads or os.cpu_count()
    pictures = max(1, options.frames // 6)
    figures.update(threads=threads, stages=[], renderers=[], streams=[])
    with progress(console) as tell:
        if names:
            figures['stages'].extend(
                stages.measure_stages(
                    avatar, speech, names, options.frames, tick=lambda: tell(f'stages: {len(figures["stages"])} rows')
                )
            )
        if 'renderer' not in options.stages and not options.streams:
            return
        motion = stages.some_motion(avatar, speech)
        for renderer in engines.renderers(avatar, motion, options.sizes or (avatar.manifest.renderer.size,)):
            tell(f'the {renderer.size} renderer: loading', now=True)
            turns = itertools.count(1)
            given = renderer, options.engines, threads

            def tick(size=renderer.size, turns=turns) -> None:
                tell(f'the {size} renderer: turn {next(turns)}')

            if 'renderer' in options.stages:
                figures['renderers'].extend(engines.measure_engines(*given, pictures, tick=tick))
            if options.streams:
                figures['streams'].extend(engines.measure_streams(*given, options.streams, pictures, tick=tick))


def measure_hours(options, avatar, speech, console, figures) -> None:
    from lsp_ros.benchmark.soak import measure_soak

    if not options.soak:
        raise ValueError('--soak is 0: give the hours to simulate.')
    figures['soak'] = []
    began = time.monotonic()

    def tick(hours: float) -> None:
        left = (time.monotonic() - began) * (options.soak / hours - 1)
        tell(f'{hours:.2f} of {options.soak:g} simulated hours, about {left / 60:.0f} min to go')

    with progress(console) as tell:
        for row in measure_soak(avatar, speech, options.soak, options.render_every, options.threads or None, tick):
            figures['soak'].append(row)


def measure_live(options, avatar, speech, console, figures) -> None:
    """The graph of five nodes and the one that measures, in a namespace of its own."""
    from lsp_ros.benchmark.live import Meter
    from lsp_ros.cli.up import LONGEST_LOADING, model_parameters, player_parameters
    from lsp_ros.graph.errors import GraphError
    from lsp_ros.graph.supervisor import Graph

    if not options.minutes:
        raise ValueError('--minutes is 0: give the time to measure.')
    engine = options.engines[0] if len(options.engines) == 1 else 'auto'
    seconds = 60 * options.minutes
    meter = Meter()
    with tempfile.TemporaryDirectory(prefix='lsp_bench_') as folder:
        report, log = Path(folder) / 'report.json', Path(folder) / 'nodes.log'
        parameters = model_parameters(
            argparse.Namespace(
                avatar=options.avatar,
                seed=0,
                idle_amplitude=1.0,
                engine=engine,
                frame_rate=options.frame_rate,
                threads=options.threads,
                mark=True,
            )
        )
        parameters['audio_source'] = {
            'source': 'file',
            'file': str(options.speech.resolve()),
            'loop': True,
            'wait_for_picture': LONGEST_LOADING,
        }
        if options.source == 'microphone':
            parameters['audio_source']['lead'] = 0.0
        parameters['player'] = player_parameters(options) | {'sound': False}
        parameters['monitor'] = {
            'report': str(report),
            'frame_rate': options.frame_rate,
            'duration': seconds,
            'warm_up': options.warm_up,
            'interval': min(60.0, max(1.0, seconds / 12)),
        }
        graph = Graph(parameters, f'/bench_{os.getpid()}', output=log, tell=console.print)
        began_ns, looked = time.time_ns(), 0.0

        def watch() -> None:
            nonlocal looked
            if time.monotonic() - looked < 1.0:
                return
            looked = time.monotonic()
            seen = read(report)
            if not seen and time.time_ns() - began_ns > LONGEST_LOADING * 1e9:
                raise GraphError(f'No picture came within {LONGEST_LOADING:.0f} s.')
            meter.sample(graph.processes, measuring=bool(seen.get('measured_from_ns')))
            report.with_name('processes.json').write_text(json.dumps(meter.report()))  # beside the monitor's figures
            tell(progress_of(seen, seconds), now=True)

        try:
            with progress(console) as tell:
                graph.run(watch)
        except GraphError:
            console.print(log.read_text(errors='replace')[-3000:], markup=False, highlight=False)
            raise
        finally:
            seen = read(report)
            if seen.get('measured_from_ns') and seen['images']['received']:
                figures['live'] = {
                    'source': options.source,
                    'frame_rate': options.frame_rate,
                    'minutes': options.minutes,
                    'engine': engine_in(log),
                    'warm_up_s': options.warm_up,
                    'first_picture_s': (seen['first_picture_ns'] - began_ns) / 1e9,
                    'look_ahead_ms': look_ahead_ms(avatar),
                    **seen,
                    'processes': meter.report(),
                }
        if 'live' not in figures:
            console.print(log.read_text(errors='replace')[-3000:], markup=False, highlight=False)
            raise GraphError('The graph ended before anything was measured; what the nodes said stands above.')


def read(report: Path) -> dict:
    """What a file of figures holds; nothing where it is not there or not written to its end."""
    try:
        return json.loads(report.read_text())
    except (OSError, ValueError):
        return {}


def progress_of(seen: dict, seconds: float) -> str:
    if not seen.get('measured_from_ns'):
        return 'the graph warms up' if seen else 'the graph starts'
    done = (seen['written_ns'] - seen['measured_from_ns']) / 1e9
    latency = seen['latency_ms']['audio_to_image']
    return (
        f'{done:.0f} of {seconds:.0f} s: {seen["images"]["rate"]:.1f} pictures a second, '
        f'{seen["images"]["dropped"]} dropped'
        + (f', {latency["median"]:.0f} ms from sound to picture' if latency else '')
    )


def engine_in(log: Path) -> str:
    """The engine that the renderer said it draws with."""
    found = re.search('engine: (.+)', log.read_text(errors='replace'))
    return found[1] if found else 'unknown'


def look_ahead_ms(avatar) -> dict[str, float]:
    """What a frame waits for by design before it appears on a topic."""
    from lsp_ros import timeline
    from lsp_ros.motion.stage import MotionStage
    from lsp_ros.speech.stage import SpeechStage

    heard = timeline.frame_start(1) + SpeechStage.look_ahead
    return {
        'speech_features': 1e3 * heard / timeline.SAMPLE_RATE,
        'face_motion': 1e3 * MotionStage(avatar).look_ahead / timeline.FRAME_RATE,
    }


@contextlib.contextmanager
def progress(console):
    """A line about what goes on, written anew four times a second at most: a thread that did so would be timed too."""
    from rich.live import Live
    from rich.text import Text

    written = 0.0
    with Live(Text(''), console=console, auto_refresh=False, transient=True) as line:

        def tell(sentence: str, now: bool = False) -> None:
            nonlocal written
            if console.is_terminal and (now or time.monotonic() - written > 0.25):
                written = time.monotonic()
                line.update(Text(sentence), refresh=True)

        yield tell
