"""Shows the avatar: pictures in a window and sound through a loudspeaker, both at stamp + presentation delay.

Either may be absent, a kiosk without sound or a machine without a screen. It can also record both to an mp4, exactly
in sync by their stamps, and write a report of rates, gaps and latencies.
"""

import os
from collections import deque

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from lsp_ros import timeline
from lsp_ros.msg import AudioChunk
from lsp_ros.nodes.conversions import Audio, audio_from_message, image_from_jpeg, image_from_message, stamp_ns
from lsp_ros.nodes.node import AUDIO_QOS, VIEWER_QOS, Finished, Parameter, StreamNode, give_way, run
from lsp_ros.nodes.recording import Recorder, Statistics, summary, write_report
from lsp_ros.nodes.sound import Loudspeaker, SoundTimeline
from lsp_ros.nodes.window import CLOSED, NO_WINDOWS, Window

# Automatic delay: sound is shown and heard so long after it was published. The models' look-ahead is 0.3 s of it.
SECONDS_FROM_SOURCE = 0.5
SHORTEST_DELAY = 0.05
CHUNKS_TO_JUDGE = 50
SECONDS_BETWEEN_LOOKS = 0.05
SECOND = timeline.NANOSECONDS_PER_SECOND
DISPLAYS = ('DISPLAY', 'WAYLAND_DISPLAY')


class Player(StreamNode):
    PARAMETERS = (
        Parameter('presentation_delay', -1.0, 'seconds from a stamp to its showing; negative: so that 0.5 s pass '
                                              'from the publishing of a sound to its showing', -1.0, 10.0),
        Parameter('compressed', False, 'take image/compressed in place of image, a twentieth of the data: for a '
                                       'renderer on another machine'),
        Parameter('window', True, 'show the pictures, where there is a display'),
        Parameter('sound', True, 'play the sound, where there is a sound device'),
        Parameter('device', '', 'number or part of the name of the sound device; empty: the default one'),
        Parameter('record', '', 'mp4 file to record to; empty: none'),
        Parameter('report', '', 'JSON file to write the report to at the end; empty: none'),
        Parameter('frame_rate', 30, 'pictures a second in the recording; the rate of the renderer', choices=(30, 60)),
        Parameter('duration', 0.0, 'seconds of stream after which the player ends; 0: never', 0.0, 1e9),
    )

    def __init__(self):
        super().__init__('player')

    def open(self) -> None:
        self.listen(AudioChunk, 'audio', AUDIO_QOS, audio_from_message, self.hear)
        if self.value('compressed'):
            self.listen(CompressedImage, 'image/compressed', VIEWER_QOS, self.decode_jpeg, self.see)
        else:
            self.listen(Image, 'image', VIEWER_QOS, self.decode, self.see)
        self.set_alarm = self.alarm(self.show_due)

    def start(self) -> None:
        rate = self.value('frame_rate')
        self.statistics = Statistics(rate)
        self.recorder = Recorder(self.value('record'), rate) if self.value('record') else None
        if self.recorder:
            give_way([self.recorder.native_id])
        self.first_stamp_ns: int | None = None
        self.stream_id: str | None = None
        self.delay_ns = self.seconds_ns(max(self.value('presentation_delay'), SHORTEST_DELAY))
        self.sounds = SoundTimeline()
        self.waiting: deque[tuple[int, np.ndarray]] = deque()
        self.window = self.open_window() if self.value('window') else None
        if self.window:
            self.set_alarm(SECONDS_BETWEEN_LOOKS)
        # After the window, which would inherit its standard error: sounddevice turns it off while it looks for devices.
        self.loudspeaker = None
        if self.value('sound'):
            self.loudspeaker = Loudspeaker(
                self.value('device'),
                self.fetch,
                tell=self.get_logger().info,
                warn=lambda sentence: self.trouble('missing loudspeaker', f'{sentence}; no sound meanwhile'),
            )
            self.loudspeaker.start()

    def stop(self) -> None:
        if self.loudspeaker:
            self.loudspeaker.close()
        if self.window:
            self.window.close()
        report = self.statistics.report()
        if self.recorder:
            self.finish_film(report)
        if self.value('report'):
            try:
                write_report(self.value('report'), report)
            except OSError as error:
                self.get_logger().error(f'the report cannot be written: {error}')

    def finish_film(self, report: dict) -> None:
        try:
            self.recorder.close()
        except ValueError as error:
            self.failure = str(error)
            self.get_logger().error(self.failure)
        report['film'] = {
            'path': self.value('record'),
            'repeated': self.recorder.repeated,
            'skipped': self.recorder.skipped,
            'picture_late_ms': summary([abs(offset) for offset in self.recorder.offsets]),
        }

    @staticmethod
    def seconds_ns(seconds: float) -> int:
        return round(seconds * SECOND)

    # Sound

    def hear(self, audio: Audio) -> None:
        now = self.now_ns()
        if self.value('presentation_delay') < 0:
            self.choose_delay(audio, now)
        self.statistics.sound(audio, now, self.delay_ns)
        self.sounds.write(audio.stamp_ns, audio.samples)
        if self.recorder:
            self.recorder.sound(audio)
        self.happened('audio chunks')

    def choose_delay(self, audio: Audio, now_ns: int) -> None:
        """From the first chunks of a stream: the promptest of them tells how far ahead the source publishes."""
        known = audio.stream_id == self.stream_id
        if not known:
            self.stream_id, self.chunks_to_judge = audio.stream_id, CHUNKS_TO_JUDGE
        if self.chunks_to_judge == 0:
            return
        self.chunks_to_judge -= 1
        needed = self.seconds_ns(SECONDS_FROM_SOURCE) - (audio.stamp_ns - now_ns)
        needed = max(needed, self.seconds_ns(SHORTEST_DELAY))
        self.delay_ns = min(self.delay_ns, needed) if known else needed
        if self.chunks_to_judge == 0:
            self.get_logger().info(f'presentation delay {self.delay_ns / SECOND:.3f} s')

    def fetch(self, count: int, delay: float) -> np.ndarray:
        """For the sound card's thread: what will be heard in `delay` seconds."""
        samples, early = self.sounds.play(self.now_ns() + self.seconds_ns(delay) - self.delay_ns, count)
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
        self.statistics.picture(stamp, now)
        self.took('stamp to image', (now - stamp) / SECOND)
        self.happened('images')
        if self.first_stamp_ns is None:
            self.first_stamp_ns = stamp
        if self.recorder:
            self.recorder.picture(stamp, picture)
        if self.window:
            self.waiting.append(seen)
            self.look_again()
        if 0 < self.value('duration') <= (stamp - self.first_stamp_ns) / SECOND:
            raise Finished

    def open_window(self) -> Window | None:
        if not any(map(os.environ.get, DISPLAYS)):
            self.get_logger().info('no display: no window')
            return None
        return Window(self.shown)

    def show_due(self) -> None:
        if self.window is None:
            return
        status = self.window.status
        if status == CLOSED:
            raise Finished
        if status is not None:
            self.go_on_without_window(status)
            return
        now, due = self.now_ns(), None
        while self.waiting and self.waiting[0][0] + self.delay_ns <= now:
            due = self.waiting.popleft()
        if due and self.window.is_open:
            self.window.show(due[1], due[0] + self.delay_ns)
        self.look_again()

    def look_again(self) -> None:
        """When the next picture is due, and now and then to see whether the window is still there."""
        early = self.waiting[0][0] + self.delay_ns - self.now_ns() if self.waiting else SECOND
        self.set_alarm(min(max(early / SECOND, 0.0), SECONDS_BETWEEN_LOOKS))

    def shown(self, due_ns: int) -> None:
        """For the window's thread: a picture that was due then is on the screen now."""
        self.statistics.shown_late.append((self.now_ns() - due_ns) / SECOND)

    def go_on_without_window(self, status: int) -> None:
        if status == NO_WINDOWS:
            self.get_logger().info('no window: this OpenCV has none (opencv-python-headless); opencv-python has')
        else:
            display = ', '.join(f'{name}={os.environ[name]}' for name in DISPLAYS if os.environ.get(name))
            what = 'the window was lost' if self.window.is_open else 'no window can be opened'
            if not (self.window.is_open or os.environ.get('DISPLAY')):
                what = 'no window can be opened without X11: install Xwayland and see that DISPLAY is set'
            self.trouble('missing window', f'{what} ({display}, status {status}); going on without it')
        self.window.close()
        self.window = None
        self.waiting.clear()


def main(arguments: list[str] | None = None) -> int:
    return run(Player, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
