"""Watches the running graph for ``lsp bench --live``: what arrives, when, and which stage the time was spent in.

A node of its own beside the others, so that measuring costs none of them anything. What it only needs the stamp of is
not deserialised. Its report is written anew every second: whatever ends the measurement, the figures so far are there.
"""

import json
import struct
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from lsp_ros import timeline
from lsp_ros.live.latency import LatencyMeasurement
from lsp_ros.live.stamped import AudioBlock
from lsp_ros.live.statistics import Durations, ViewerStatistics, missing
from lsp_ros.msg import AudioChunk, FaceMotion, SpeechFeatures
from lsp_ros.nodes.conversions import audio_from_message
from lsp_ros.nodes.diagnostics import MAXIMUM, MEDIAN
from lsp_ros.nodes.lifecycle import Finished, StreamNode
from lsp_ros.nodes.parameters import parameters_of
from lsp_ros.nodes.process import run
from lsp_ros.nodes.qos import AUDIO_QOS, FRAME_QOS, VIEWER_QOS
from lsp_ros.storage import write_file

SECOND = timeline.NANOSECONDS_PER_SECOND
STANDSTILL_SECONDS = 0.5  # pictures that are missing for longer are missed by the clock


class Monitor(StreamNode):
    PARAMETERS = parameters_of('monitor')

    def __init__(self) -> None:
        super().__init__('monitor')
        self._forget()

    def _forget(self) -> None:
        frame_rate = self.value('frame_rate')
        self.latencies = LatencyMeasurement()
        self.first_picture_ns: int | None = None
        self.measured_from_ns: int | None = None
        self.interval_from_ns = 0
        self.statistics = self.interval = ViewerStatistics(frame_rate)
        self.rows: list[dict[str, Any]] = []
        self.computing: dict[tuple[str, str], tuple[Durations, Durations]] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.counts_before: dict[str, dict[str, int]] = {}

    def open(self) -> None:
        if not self.value('report'):
            raise ValueError('the parameter report is empty: name a file for the figures')
        self.subscribe(AudioChunk, 'audio', AUDIO_QOS, audio_from_message, self.hear)
        self.watch(SpeechFeatures, 'speech_features', FRAME_QOS)
        self.watch(FaceMotion, 'face_motion', FRAME_QOS)
        self.watch(Image, 'image', VIEWER_QOS)
        self.subscribe(DiagnosticArray, '/diagnostics', FRAME_QOS, lambda message: message, self.diagnose)
        self.call_every(1.0, self.report)

    def start(self) -> None:
        self._forget()

    def stop(self) -> None:
        if self.first_picture_ns is not None:
            self.write()

    def watch(self, message_type: type, topic: str, qos: QoSProfile) -> None:
        """Subscribe to the stamps of a topic's messages, as they are on the wire."""
        self.subscribe(
            message_type, topic, qos, stamp_of, lambda stamp_ns: self.passed(topic, stamp_ns, self.now_ns()), raw=True
        )

    # What comes in

    def hear(self, audio: AudioBlock) -> None:
        now = self.now_ns()
        self.latencies.heard(audio.stamp_ns, now)
        self.statistics.sound(audio, now, 0)
        if self.interval is not self.statistics:
            self.interval.sound(audio, now, 0)

    def passed(self, topic: str, stamp_ns: int, now_ns: int) -> None:
        self.latencies.passed(topic, stamp_ns, now_ns)
        if topic != 'image':
            return
        if self.first_picture_ns is None:
            self.first_picture_ns = now_ns
        self.statistics.picture(stamp_ns, now_ns)
        if self.interval is not self.statistics:
            self.interval.picture(stamp_ns, now_ns)

    def diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            namespace, _, node = status.name.rpartition('/')
            if '/' + namespace == self.get_namespace() and node != self.get_name():
                self.learn(node, status)

    def learn(self, node: str, status: DiagnosticStatus) -> None:
        for item in status.values:
            if item.key.endswith((MEDIAN, MAXIMUM)):
                what, _, kind = item.key.removesuffix(' ms').rpartition(' ')
                durations = self.computing.setdefault((node, what), (Durations(), Durations()))
                durations[kind == 'maximum'].append(float(item.value) / 1000)
            elif item.value.isdecimal():
                self.counts.setdefault(node, {})[item.key] = int(item.value)

    # What goes out

    def report(self) -> None:
        """Once a second: begins to measure after the warm-up, closes a row of the course, ends when it is time."""
        now = self.now_ns()
        if self.first_picture_ns is None:
            return
        if self.measured_from_ns is None:
            if now - self.first_picture_ns >= self.value('warm_up') * SECOND:
                self.begin(now)
        elif now - self.interval_from_ns >= self.value('interval') * SECOND:
            self.close_row(now, self.measured_from_ns)
        self.write()
        if self.measured_from_ns and now - self.measured_from_ns >= self.value('duration') * SECOND:
            raise Finished

    def begin(self, now_ns: int) -> None:
        self.measured_from_ns = self.interval_from_ns = now_ns
        self.statistics = ViewerStatistics(self.value('frame_rate'))
        self.interval = ViewerStatistics(self.value('frame_rate'))
        self.latencies.begin()
        self.computing.clear()
        self.counts_before = {node: dict(counts) for node, counts in self.counts.items()}

    def close_row(self, now_ns: int, measured_from_ns: int) -> None:
        report = self.reported(self.interval, now_ns - self.interval_from_ns)
        self.rows.append(
            {
                'seconds': (now_ns - measured_from_ns) / SECOND,
                'images': report['images'],
                'audio_to_image': report['latency_ms']['audio_to_image'],
            }
        )
        self.interval, self.interval_from_ns = ViewerStatistics(self.value('frame_rate')), now_ns

    def reported(self, statistics: ViewerStatistics, elapsed_ns: int) -> dict[str, Any]:
        """The report of some statistics, in which a standstill counts as the pictures that it cost."""
        report = statistics.report()
        by_clock = missing(report['images']['received'], elapsed_ns, self.value('frame_rate'))
        if by_clock > report['images']['dropped'] + STANDSTILL_SECONDS * self.value('frame_rate'):
            report['images']['dropped'] = by_clock
        return report

    def write(self) -> None:
        try:
            write_file(Path(self.value('report')), json.dumps(self.figures()))  # whoever reads meets a whole file
        except OSError as error:
            self.report_problem('unwritten reports', f'the report cannot be written: {error}')

    def figures(self) -> dict[str, Any]:
        """Everything so far; 'measured_from_ns' is None, and the rest of no value, while it warms up."""
        counts = {
            node: {name: count - self.counts_before.get(node, {}).get(name, 0) for name, count in counts.items()}
            for node, counts in self.counts.items()
        }
        now = self.now_ns()
        return {
            **self.reported(self.statistics, now - (self.measured_from_ns or now)),
            'first_picture_ns': self.first_picture_ns,
            'measured_from_ns': self.measured_from_ns,
            'written_ns': now,
            'steps': self.latencies.report(),
            'computing': [
                {'node': node, 'what': what, 'median': usual['median'], 'max': (longest.summary() or usual)['max']}
                for (node, what), (medians, longest) in self.computing.items()
                if (usual := medians.summary())
            ],
            'counts': {
                node: {name: count for name, count in sorted(counted.items()) if count}
                for node, counted in counts.items()
            },
            'course': self.rows,
        }


def stamp_of(serialized: bytes) -> int:
    """Nanoseconds of the header's stamp that a serialised message begins with (CDR: 4 bytes say the byte order)."""
    seconds, nanoseconds = struct.unpack_from('<iI' if serialized[1] & 1 else '>iI', serialized, 4)
    return int(seconds * SECOND + nanoseconds)


def main(arguments: list[str] | None = None) -> int:
    return run(Monitor, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
