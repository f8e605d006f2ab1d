"""What the running graph does and costs (``lsp bench --live``): figures of a monitor node and of its processes.

No ROS in it: the monitor writes its figures into a file.
"""

import contextlib
import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar
from lsp_ros.benchmark.processes import Meter
from lsp_ros.errors import LspError
from lsp_ros.motion.stage import MotionStage
from lsp_ros.speech.stage import SpeechStage

LETTERS_OF_LOG = 3000
"""Of what the nodes said, shown where the graph did not run."""


class MeasurementError(LspError, RuntimeError):
    """Nothing could be measured; one sentence."""


class MeasuredGraph(Protocol):
    """What is measured: a live graph with a monitor node (``lsp_ros.graph.supervisor.Graph``)."""

    @property
    def processes(self) -> dict[str, int]:
        """Process numbers of the nodes that run, by name."""
        ...

    def run(self, watch: Callable[[], None]) -> None:
        """Runs until the monitor has finished; calls ``watch`` several times a second. RuntimeError where it cannot."""
        ...


@dataclass(frozen=True)
class LiveMeasurement:
    """What is measured.

    source         'future': sound comes ahead of its time, as from a file; 'microphone': when it sounds
    frame_rate     pictures a second that are asked for
    minutes        of the measurement, which begins ``warm_up`` seconds after the first picture
    longest_start  seconds that the first picture may take
    """

    source: str
    frame_rate: int
    minutes: float
    warm_up: float
    longest_start: float

    def monitor_parameters(self, report: Path) -> dict[str, Any]:
        """Of the node that writes the figures."""
        seconds = 60 * self.minutes
        return {
            'report': str(report),
            'frame_rate': self.frame_rate,
            'duration': seconds,
            'warm_up': self.warm_up,
            'interval': min(60.0, max(1.0, seconds / 12)),
        }


def measure_live(
    wanted: LiveMeasurement,
    avatar: Avatar,
    make_graph: Callable[[Path, Path], MeasuredGraph],
    figures: dict[str, Any],
    progress: Callable[[str], None],
    tell: Callable[[str], None],
) -> None:
    """Runs a graph of five nodes and the monitor, and measures it.

    ``make_graph(report, log)`` gives a graph, not started, whose monitor writes to ``report`` and whose nodes print to
    ``log``. ``figures['live']`` is set to what was measured, whatever ends the measurement. ``progress`` is called once
    a second with a line about what goes on, ``tell`` with what should stay. Raises MeasurementError where nothing was
    measured, and what the graph raises.
    """
    meter = Meter()
    with tempfile.TemporaryDirectory(prefix='lsp_bench_') as folder:
        report, log = Path(folder) / 'report.json', Path(folder) / 'nodes.log'
        graph = make_graph(report, log)
        began_ns, looked = time.time_ns(), 0.0

        def watch() -> None:
            nonlocal looked
            if time.monotonic() - looked < 1.0:
                return
            looked = time.monotonic()
            seen = read_figures(report)
            if not seen and time.time_ns() - began_ns > wanted.longest_start * 1e9:
                raise MeasurementError(f'No picture came within {wanted.longest_start:.0f} s.')
            meter.sample(graph.processes, measuring=bool(seen.get('measured_from_ns')))
            report.with_name('processes.json').write_text(json.dumps(meter.report()))  # beside the monitor's figures
            progress(_progress_of(seen, 60 * wanted.minutes))

        try:
            graph.run(watch)
        except RuntimeError:
            tell(_end_of(log))
            raise
        finally:
            seen = read_figures(report)
            if seen.get('measured_from_ns') and seen['images']['received']:
                figures['live'] = {
                    'source': wanted.source,
                    'frame_rate': wanted.frame_rate,
                    'minutes': wanted.minutes,
                    'engine': _engine_in(log),
                    'warm_up_s': wanted.warm_up,
                    'first_picture_s': (seen['first_picture_ns'] - began_ns) / 1e9,
                    'look_ahead_ms': look_ahead_ms(avatar),
                    **seen,
                    'processes': meter.report(),
                }
        if 'live' not in figures:
            tell(_end_of(log))
            raise MeasurementError('The graph ended before anything was measured; what the nodes said stands above.')


def read_figures(report: Path) -> dict[str, Any]:
    """What a file of figures holds; nothing where it is not there or not written to its end."""
    try:
        found: dict[str, Any] = json.loads(report.read_text())
    except (OSError, ValueError):
        return {}
    return found


def look_ahead_ms(avatar: Avatar) -> dict[str, float]:
    """What a frame waits for by design before it appears on a topic."""
    heard = timeline.frame_start(1) + SpeechStage.look_ahead
    return {
        'speech_features': 1e3 * heard / timeline.SAMPLE_RATE,
        'face_motion': 1e3 * MotionStage(avatar).look_ahead / timeline.FRAME_RATE,
    }


def _progress_of(seen: Mapping[str, Any], seconds: float) -> str:
    if not seen.get('measured_from_ns'):
        return 'the graph warms up' if seen else 'the graph starts'
    done = (seen['written_ns'] - seen['measured_from_ns']) / 1e9
    latency = seen['latency_ms']['audio_to_image']
    return (
        f'{done:.0f} of {seconds:.0f} s: {seen["images"]["rate"]:.1f} pictures a second, '
        f'{seen["images"]["dropped"]} dropped'
        + (f', {latency["median"]:.0f} ms from sound to picture' if latency else '')
    )


def _engine_in(log: Path) -> str:
    """The engine that the renderer said it draws with."""
    found = re.search('engine: (.+)', log.read_text(errors='replace'))
    return found[1] if found else 'unknown'


def _end_of(log: Path) -> str:
    """The last that the nodes said; nothing where none was started."""
    with contextlib.suppress(FileNotFoundError):
        return log.read_text(errors='replace')[-LETTERS_OF_LOG:]
    return ''
