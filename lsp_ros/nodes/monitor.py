"""Watches the running graph for ``lsp bench --live``: what arrives, when, and which stage the time was spent in.

A node of its own beside the five, so that measuring costs none of them anything. What it only needs the stamp of is
not deserialised. Its report is written anew every second: whatever ends the measurement, the figures so far are there.
"""

import json
import os
import struct
from collections import OrderedDict
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import Image

from lsp_ros import timeline
from lsp_ros.live.recorder import Durations, Statistics
from lsp_ros.msg import AudioChunk, FaceMotion, SpeechFeatures
from lsp_ros.nodes.conversions import Audio, audio_from_message
from lsp_ros.nodes.node import AUDIO_QOS, FRAME_QOS, VIEWER_QOS, Finished, StreamNode, run
from lsp_ros.nodes.parameters import parameters_of

SECOND = timeline.NANOSECONDS_PER_SECOND
TOPICS = ('speech_features', 'face_motion', 'image')
KEPT_FRAMES = 600  # of which arrivals are remembered: ten seconds
STANDSTILL_SECONDS = 0.5  # pictures that are missing for longer are missed by the clock
MEDIAN, MAXIMUM = ' median ms', ' maximum ms'  # how diagnostics name a duration


class Journeys:
    """How long each frame took from topic to topic; no ROS in it. Times are nanoseconds on the ROS clock."""

    def __init__(self):
        self.steps = {step: Durations() for step in zip(('audio', *TOPICS), TOPICS)}
        self._arrivals: OrderedDict[int, dict[str, int]] = OrderedDict()  # by the frame's stamp
        self._heard: OrderedDict[int, int] = OrderedDict()  # chunk stamp -> arrival

    def heard(self, stamp_ns: int, arrival_ns: int) -> None:
        """A chunk of audio has arrived."""
        self._heard[stamp_ns] = arrival_ns
        if len(self._heard) > KEPT_FRAMES:
            self._heard.popitem(last=False)

    def passed(self, topic: str, stamp_ns: int, arrival_ns: int) -> None:
        """A frame has arrived on one of TOPICS; with its picture, its journey is complete and counted."""
        arrivals = self._arrivals.setdefault(stamp_ns, {})
        if topic == TOPICS[0]:
            chunk = next((stamp for stamp in reversed(self._heard) if stamp <= stamp_ns), None)
            if chunk is not None:
                arrivals['audio'] = self._heard[chunk]
        arrivals[topic] = arrival_ns
        if len(self._arrivals) > KEPT_FRAMES:
            self._arrivals.popitem(last=False)
        if topic == TOPICS[-1]:
            for (before, after), durations in self.steps.items():
                if before in arrivals and after in arrivals:
                    durations.append((arrivals[after] - arrivals[before]) / SECOND)

    def begin(self) -> None:
        """Counts from now on; what is on its way stays known."""
        self.steps = {step: Durations() for step in self.steps}

    def report(self) -> list[dict]:
        return [
            {'from': before, 'to': after, 'ms': durations.summary()}
            for (before, after), durations in self.steps.items()
        ]


class Monitor(StreamNode):
    PARAMETERS = parameters_of('monitor')

    def __init__(self):
        super().__init__('monitor')

    def open(self) -> None:
        if not self.value('report'):
            raise ValueError('the parameter report is empty: name a file for the figures')
        self.listen(AudioChunk, 'audio', AUDIO_QOS, audio_from_message, self.hear)
        self.watch(SpeechFeatures, 'speech_features', FRAME_QOS)
        self.watch(FaceMotion, 'face_motion', FRAME_QOS)
        self.watch(Image, 'image', VIEWER_QOS)
        self.listen(DiagnosticArray, '/diagnostics', FRAME_QOS, lambda message: message, self.diagnose)
        self.every(1.0, self.report)

    def start(self) -> None:
        self.journeys = Journeys()
        self.first_picture_ns: int | None = None
        self.measured_from_ns: int | None = None
        self.statistics = self.interval = Statistics(self.value('frame_rate'))
        self.rows: list[dict] = []
        self.computing: dict[tuple[str, str], tuple[Durations, Durations]] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.counts_before: dict[str, dict[str, int]] = {}

    def stop(self) -> None:
        if self.first_picture_ns is not None:
            self.write()

    def watch(self, message_type, topic: str, qos) -> None:
        """Subscribe to the stamps of a topic's messages, as they are on the wire."""

        def arrived(serialized: bytes) -> None:
            if self.active:
                self.passed(topic, stamp_of(serialized), self.now_ns())

        subscription = self.create_subscription(message_type, topic, arrived, qos, raw=True)
        self._entities.append((self.destroy_subscription, subscription))

    # What comes in

    def hear(self, audio: Audio) -> None:
        now = self.now_ns()
        self.journeys.heard(audio.stamp_ns, now)
        self.statistics.sound(audio, now, 0)
        if self.interval is not self.statistics:
            self.interval.sound(audio, now, 0)

    def passed(self, topic: str, stamp_ns: int, now_ns: int) -> None:
        self.journeys.passed(topic, stamp_ns, now_ns)
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
            self.close_row(now)
        self.write()
        if self.measured_from_ns and now - self.measured_from_ns >= self.value('duration') * SECOND:
            raise Finished

    def begin(self, now_ns: int) -> None:
        self.measured_from_ns = self.interval_from_ns = now_ns
        self.statistics, self.interval = Statistics(self.value('frame_rate')), Statistics(self.value('frame_rate'))
        self.journeys.begin()
        self.computing.clear()
        self.counts_before = {node: dict(counts) for node, counts in self.counts.items()}

    def close_row(self, now_ns: int) -> None:
        report = self.reported(self.interval, now_ns - self.interval_from_ns)
        self.rows.append(
            {
                'seconds': (now_ns - self.measured_from_ns) / SECOND,
                'images': report['images'],
                'audio_to_image': report['latency_ms']['audio_to_image'],
            }
        )
        self.interval, self.interval_from_ns = Statistics(self.value('frame_rate')), now_ns

    def reported(self, statistics: Statistics, elapsed_ns: int) -> dict:
        """The report of some statistics, in which a standstill counts as the pictures that it cost."""
        report = statistics.report()
        by_clock = missing(report['images']['received'], elapsed_ns, self.value('frame_rate'))
        if by_clock > report['images']['dropped'] + STANDSTILL_SECONDS * self.value('frame_rate'):
            report['images']['dropped'] = by_clock
        return report

    def write(self) -> None:
        path = Path(self.value('report'))
        scratch = path.with_suffix('.writing')  # whoever reads meets a whole file
        try:
            scratch.write_text(json.dumps(self.figures()))
            os.replace(scratch, path)
        except OSError as error:
            self.trouble('unwritten reports', f'the report cannot be written: {error}')

    def figures(self) -> dict:
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
            'steps': self.journeys.report(),
            'computing': [
                {
                    'node': node,
                    'what': what,
                    'median': medians.summary()['median'],
                    'max': (longest.summary() or medians.summary())['max'],
                }
                for (node, what), (medians, longest) in self.computing.items()
                if medians
            ],
            'counts': {
                node: {name: count for name, count in sorted(counted.items()) if count}
                for node, counted in counts.items()
            },
            'course': self.rows,
        }


def missing(received: int, elapsed_ns: int, frame_rate: int) -> int:
    """How many pictures a time should have brought beyond those that came: stamps do not tell of a standstill that
    lasts, nor of one that ends in a new stream."""
    return max(0, elapsed_ns * frame_rate // SECOND - received)


def stamp_of(serialized: bytes) -> int:
    """Nanoseconds of the header's stamp that a serialised message begins with (CDR: 4 bytes say the byte order)."""
    seconds, nanoseconds = struct.unpack_from('<iI' if serialized[1] & 1 else '>iI', serialized, 4)
    return seconds * SECOND + nanoseconds


def main(arguments: list[str] | None = None) -> int:
    return run(Monitor, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
