"""Shows the avatar: pictures in a window and sound through a loudspeaker, both at stamp + presentation delay.

Either may be absent, a kiosk without sound or a machine without a screen. It can also record both to an mp4, exactly
in sync by their stamps, and write a report of rates, gaps and latencies.
"""

import os
import time
from dataclasses import replace
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Empty

from lsp_ros import timeline
from lsp_ros.live.clock_watch import ArrivalStamps
from lsp_ros.live.presentation import PresentationDelay, PresentationQueue, seconds_to_ns
from lsp_ros.live.recorder import Recorder
from lsp_ros.live.sound_devices import Loudspeaker
from lsp_ros.live.sound_timeline import SoundTimeline
from lsp_ros.live.stamped import AudioBlock
from lsp_ros.live.statistics import ViewerStatistics, write_report
from lsp_ros.live.window import CLOSED, NO_WINDOWS, Look, Window
from lsp_ros.msg import AudioChunk
from lsp_ros.nodes.conversions import audio_from_message, image_from_jpeg, image_from_message, stamp_ns
from lsp_ros.nodes.lifecycle import Finished, OneShotTimer, StreamNode
from lsp_ros.nodes.parameters import parameters_of
from lsp_ros.nodes.process import run
from lsp_ros.nodes.qos import AUDIO_QOS, FRAME_QOS, VIEWER_QOS

SECONDS_BETWEEN_CLOCK_LOOKS = 0.5
MOST_WAITING_SECONDS = 6  # and the presentation delay: the longest that a picture waits with the longest lead
MICROPHONE = 'microphone-'  # how a stream begins that our own audio source hears
WINDOW_RETRY_SECONDS = 5.0
SECONDS_BETWEEN_LOOKS = 0.05
SECOND = timeline.NANOSECONDS_PER_SECOND
DISPLAYS = ('DISPLAY', 'WAYLAND_DISPLAY')


class Player(StreamNode):
    PARAMETERS = parameters_of('player')

    def __init__(self) -> None:
        super().__init__('player')
        # From open() to close():
        self.look = Look()
        self.timer: OneShotTimer
        # From start() to stop():
        self.recorder: Recorder | None = None
        self.loudspeaker: Loudspeaker | None = None
        self.window: Window[int] | None = None
        self._forget()

    def _forget(self) -> None:
        delay = self.value('presentation_delay')
        self.statistics = ViewerStatistics(self.value('frame_rate'))
        self.delay = PresentationDelay(delay, self)
        self.sounds = SoundTimeline()
        self.waiting = PresentationQueue(round((MOST_WAITING_SECONDS + max(delay, 0.0)) * timeline.FRAME_RATE))
        self.first_stamp_ns: int | None = None
        self.arrivals = ArrivalStamps()
        self.started = time.monotonic()
        self.window_missing = self.microphone_told = False

    def open(self) -> None:
        position = list(self.value('window_position'))
        if len(position) != 2:
            raise ValueError(f'window_position is {position}: two numbers are needed, x and y')
        self.look = Look(
            self.value('full_screen'), None if min(position) < 0 else (position[0], position[1]), self.value('closable')
        )
        self.subscribe(AudioChunk, 'audio', AUDIO_QOS, audio_from_message, self.hear)
        # What the source has published ahead is still to be heard: barge-in wants silence now. Pictures go on.
        self.subscribe(Empty, 'cancel', FRAME_QOS, lambda message: message, lambda _message: self.sounds.cancel())
        if self.value('compressed'):
            topic = self.transport_topic('image', 'compressed')
            self.subscribe(CompressedImage, topic, VIEWER_QOS, self.decode_jpeg, self.see)
        else:
            self.subscribe(Image, 'image', VIEWER_QOS, self.decode, self.see)
        self.timer = self.one_shot_timer(self.show_due)
        self.call_every(SECONDS_BETWEEN_CLOCK_LOOKS, self.end_without_clock)

    def start(self) -> None:
        self._forget()
        self.recorder = self.window = self.loudspeaker = None
        if self.value('record'):
            self.recorder = Recorder(
                self.value('record'),
                self.value('frame_rate'),
                warn=lambda sentence: self.report_problem('troubles of the recording', sentence),
            )
            self.lower_priority([self.recorder.native_id])
        if self.value('window'):
            self.open_window()
        # After the window, which would inherit its standard error: sounddevice turns it off while it looks for devices.
        if self.value('sound'):
            self.loudspeaker = Loudspeaker(
                self.value('device'),
                self.fetch,
                tell=self.loudspeaker_found,
                warn=lambda sentence: self.report_state('missing loudspeaker', f'{sentence}; no sound meanwhile'),
            )
            self.loudspeaker.start()

    def loudspeaker_found(self, sentence: str) -> None:
        self.end_state('missing loudspeaker')
        self.tell(sentence)

    def stop(self) -> None:
        self.end_state('missing loudspeaker')
        self.end_state('missing window')
        if self.loudspeaker:
            self.loudspeaker.close()
        if self.window:
            self.window.close()
        report = self.statistics.report()
        if self.recorder:
            report['film'] = self.finish_film(self.recorder)
        if self.value('report'):
            try:
                write_report(self.value('report'), report)
            except OSError as error:
                self.get_logger().error(f'the report cannot be written: {error}')

    def finish_film(self, recorder: Recorder) -> dict[str, Any]:
        """Close the film; what the report says of it."""
        try:
            recorder.close()
        except ValueError as error:
            self.failure = str(error)
            self.get_logger().error(self.failure)
        return {
            'path': self.value('record'),
            'repeated': recorder.repeated,
            'skipped': recorder.skipped,
            'picture_late_ms': recorder.offsets.summary(),
        }

    # Sound

    def hear(self, audio: AudioBlock) -> None:
        now = self.now_ns()
        if not audio.stamp_ns:
            audio = replace(audio, stamp_ns=self.arrival_ns(audio, now))
        self.delay.hear(audio, now)
        self.statistics.sound(audio, now, self.delay.ns)
        if self.value('play_microphone') or not audio.stream_id.startswith(MICROPHONE):
            self.sounds.write(audio.stamp_ns, audio.samples)
        elif self.loudspeaker and not self.microphone_told:
            self.microphone_told = True
            self.tell(
                'what the microphone hears is not played, as the room would hear itself (play_microphone plays it)'
            )
        if self.recorder:
            self.recorder.sound(audio)
        self.count_event('audio chunks')

    def arrival_ns(self, audio: AudioBlock, now_ns: int) -> int:
        """When a chunk without a stamp is heard: as it comes, one behind the other."""
        begin, end = audio.first_sample, audio.first_sample + len(audio.samples)
        begin_ns, end_ns = timeline.samples_to_ns(begin), timeline.samples_to_ns(end)
        return self.arrivals.stamp(audio.stream_id, 0, begin_ns, end_ns, now_ns, time.monotonic())

    def fetch(self, count: int, delay: float) -> np.ndarray:
        """For the sound card's thread: what will be heard in `delay` seconds."""
        samples, early = self.sounds.play(self.now_ns() + seconds_to_ns(delay) - self.delay.ns, count)
        self.statistics.played_early.append(early)
        return samples

    # Pictures

    def decode(self, message: Image) -> tuple[int, np.ndarray]:
        return stamp_ns(message.header), image_from_message(message)

    def decode_jpeg(self, message: CompressedImage) -> tuple[int, np.ndarray]:
        return stamp_ns(message.header), image_from_jpeg(message)

    def see(self, seen: tuple[int, np.ndarray]) -> None:
        stamp, picture = seen
        now = self.now_ns()
        stamp = stamp or now  # one that is not set means now
        self.statistics.picture(stamp, now)
        self.record_duration('stamp to image', (now - stamp) / SECOND)
        self.count_event('images')
        if self.first_stamp_ns is None:
            self.first_stamp_ns = stamp
        if self.recorder:
            self.recorder.picture(stamp, picture)
        if self.value('window'):
            self.delay.judge(stamp, now)
        if self.window:
            self.waiting.put(self.delay.due_ns(stamp, now), picture)
            self.look_again()
        if 0 < self.value('duration') <= (stamp - self.first_stamp_ns) / SECOND:
            raise Finished

    def end_without_clock(self) -> None:
        """Where use_sim_time is set and no clock is published, the duration ends by the time on the wall."""
        if self.now_ns() == 0 and 0 < self.value('duration') <= time.monotonic() - self.started:
            raise Finished

    def open_window(self) -> None:
        """Or try to: what becomes of it shows at the next look."""
        if not any(map(os.environ.get, DISPLAYS)):
            self.tell('no display: no window')
            return
        self.window = Window(self.shown, self.look, quiet=self.window_missing)
        self.timer.start(SECONDS_BETWEEN_LOOKS)

    def show_due(self) -> None:
        window = self.window
        if window is None:
            self.open_window()
            return
        status = window.status
        if status == CLOSED:
            raise Finished
        if status is not None:
            self.go_on_without_window(window, status)
            return
        if window.is_open and self.window_missing:
            self.window_missing = False
            self.end_state('missing window')
            self.tell('there is a window again')
        due = self.waiting.take(self.now_ns())
        if due and window.is_open:
            due_ns, picture = due
            window.show(picture, due_ns)
        self.look_again()

    def look_again(self) -> None:
        """When the next picture is due, and now and then to see whether the window is still there."""
        due_ns = self.waiting.next_due_ns
        early = SECOND if due_ns is None else due_ns - self.now_ns()
        self.timer.start(min(max(early / SECOND, 0.0), SECONDS_BETWEEN_LOOKS))

    def shown(self, due_ns: int) -> None:
        """For the window's thread: a picture that was due then is on the screen now."""
        self.statistics.shown_late.append((self.now_ns() - due_ns) / SECOND)

    def go_on_without_window(self, window: Window[int], status: int) -> None:
        self.window_missing = True
        if status == NO_WINDOWS:
            self.tell('no window: this OpenCV has none (opencv-python-headless); opencv-python has')
        else:
            display = ', '.join(f'{name}={os.environ[name]}' for name in DISPLAYS if os.environ.get(name))
            what = 'the window was lost' if window.is_open else 'no window can be opened'
            if not (window.is_open or os.environ.get('DISPLAY')):
                what = 'no window can be opened without X11: install Xwayland and see that DISPLAY is set'
            self.report_state(
                'missing window',
                f'{what} ({display}, status {status}); going on without it, trying again '
                f'every {WINDOW_RETRY_SECONDS:g} s',
            )
            self.timer.start(WINDOW_RETRY_SECONDS)
        window.close()
        self.window = None
        self.waiting.clear()


def main(arguments: list[str] | None = None) -> int:
    return run(Player, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
