"""Shows the avatar: pictures in a window and sound through a loudspeaker, both at stamp + presentation delay.

Either may be absent, a kiosk without sound or a machine without a screen. It can also record both to an mp4, exactly
in sync by their stamps, and write a report of rates, gaps and latencies.
"""

import math
import os
from collections import deque

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Empty

from lsp_ros import timeline
from lsp_ros.live.recorder import Recorder, Statistics, write_report
from lsp_ros.live.sound_devices import Loudspeaker, SoundTimeline
from lsp_ros.live.window import CLOSED, NO_WINDOWS, Look, Waiting, Window
from lsp_ros.msg import AudioChunk
from lsp_ros.nodes.conversions import Audio, audio_from_message, image_from_jpeg, image_from_message, stamp_ns
from lsp_ros.nodes.node import AUDIO_QOS, FRAME_QOS, VIEWER_QOS, Finished, StreamNode, give_way, run
from lsp_ros.nodes.parameters import parameters_of

# Automatic delay: sound is shown and heard so long after it was published. The models' look-ahead is 0.3 s of it.
SECONDS_FROM_SOURCE = 0.5
SHORTEST_DELAY = 0.05
CHUNKS_TO_JUDGE = 50
PICTURES_TO_JUDGE = 100  # of which more than a tenth come late before anybody is told: a hiccup is no trouble
FAR_AHEAD_SECONDS = 10  # no source publishes so far ahead of its stamps: somebody's clock was set
MOST_WAITING_SECONDS = 6  # and the presentation delay: the longest that a picture waits with the longest lead
MICROPHONE = 'microphone-'  # how a stream begins that our own audio source hears
WINDOW_RETRY_SECONDS = 5.0
SECONDS_BETWEEN_LOOKS = 0.05
SECOND = timeline.NANOSECONDS_PER_SECOND
DISPLAYS = ('DISPLAY', 'WAYLAND_DISPLAY')


class Player(StreamNode):
    PARAMETERS = parameters_of('player')

    def __init__(self):
        super().__init__('player')

    def open(self) -> None:
        position = list(self.value('window_position'))
        if len(position) != 2:
            raise ValueError(f'window_position is {position}: two numbers are needed, x and y')
        self.look = Look(self.value('full_screen'), None if min(position) < 0 else position, self.value('closable'))
        self.listen(AudioChunk, 'audio', AUDIO_QOS, audio_from_message, self.hear)
        # What the source has published ahead is still to be heard: barge-in wants silence now. Pictures go on.
        self.listen(Empty, 'cancel', FRAME_QOS, lambda message: message, lambda _message: self.sounds.cancel())
        if self.value('compressed'):
            self.listen(CompressedImage, 'image/compressed', VIEWER_QOS, self.decode_jpeg, self.see)
        else:
            self.listen(Image, 'image', VIEWER_QOS, self.decode, self.see)
        self.set_alarm = self.alarm(self.show_due)

    def start(self) -> None:
        rate = self.value('frame_rate')
        self.statistics = Statistics(rate)
        self.recorder = None
        if self.value('record'):
            self.recorder = Recorder(
                self.value('record'), rate, warn=lambda sentence: self.trouble('troubles of the recording', sentence)
            )
            give_way([self.recorder.native_id])
        self.first_stamp_ns: int | None = None
        self.stream_id: str | None = None
        self.delay_ns = self.seconds_ns(max(self.value('presentation_delay'), SHORTEST_DELAY))
        self.sounds = SoundTimeline()
        self.chunks_to_judge = 0
        self.heard_until_ns: int | None = None
        self.lateness: deque[int] = deque(maxlen=PICTURES_TO_JUDGE)
        longest = MOST_WAITING_SECONDS + max(self.value('presentation_delay'), 0.0)
        self.waiting = Waiting(round(longest * timeline.FRAME_RATE))
        self.window_missing = False
        self.window = None
        if self.value('window'):
            self.open_window()
        # After the window, which would inherit its standard error: sounddevice turns it off while it looks for devices.
        self.loudspeaker, self.microphone_told = None, False
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
            'picture_late_ms': self.recorder.offsets.summary(),
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
        self.heard_until_ns = audio.stamp_ns + timeline.samples_to_ns(len(audio.samples))
        if self.value('play_microphone') or not audio.stream_id.startswith(MICROPHONE):
            self.sounds.write(audio.stamp_ns, audio.samples)
        elif self.loudspeaker and not self.microphone_told:
            self.microphone_told = True
            self.get_logger().info(
                'what the microphone hears is not played, as the room would hear itself (play_microphone plays it)'
            )
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
        if self.value('window'):
            self.judge_lateness(stamp, now)
        if self.window:
            self.waiting.put(self.due_ns(stamp, now), picture)
            self.look_again()
        if 0 < self.value('duration') <= (stamp - self.first_stamp_ns) / SECOND:
            raise Finished

    def due_ns(self, stamp_ns: int, now_ns: int) -> int:
        ahead = (stamp_ns - now_ns) / SECOND
        if ahead < FAR_AHEAD_SECONDS:
            return stamp_ns + self.delay_ns
        self.trouble(
            'pictures of another clock', f'a picture is stamped {ahead:.0f} s ahead of the ROS clock: shown at once'
        )
        return now_ns

    def judge_lateness(self, stamp_ns: int, now_ns: int) -> None:
        """Of pictures whose sound is there: what goes by the clock, while no sound comes, is late for nothing."""
        if self.heard_until_ns is None or stamp_ns >= self.heard_until_ns or self.chunks_to_judge:
            return
        late = now_ns - stamp_ns - self.delay_ns
        self.lateness.append(late)
        if late <= 0:
            return
        self.count('late pictures')
        usual = float(np.quantile(self.lateness, 0.9))
        if usual > 0 and len(self.lateness) == PICTURES_TO_JUDGE:
            enough = math.ceil(20 * (self.delay_ns + float(np.quantile(self.lateness, 0.98))) / SECOND) / 20
            self.trouble(
                'warnings of late pictures',
                f'pictures come {late / 1e6:.0f} ms late; set presentation_delay to {enough:.2f}',
            )

    def open_window(self) -> None:
        """Or try to: what becomes of it shows at the next look."""
        if not any(map(os.environ.get, DISPLAYS)):
            self.get_logger().info('no display: no window')
            return
        self.window = Window(self.shown, self.look, quiet=self.window_missing)
        self.set_alarm(SECONDS_BETWEEN_LOOKS)

    def show_due(self) -> None:
        if self.window is None:
            self.open_window()
            return
        status = self.window.status
        if status == CLOSED:
            raise Finished
        if status is not None:
            self.go_on_without_window(status)
            return
        if self.window.is_open and self.window_missing:
            self.window_missing = False
            self.get_logger().info('there is a window again')
        due = self.waiting.take(self.now_ns())
        if due and self.window.is_open:
            due_ns, picture = due
            self.window.show(picture, due_ns)
        self.look_again()

    def look_again(self) -> None:
        """When the next picture is due, and now and then to see whether the window is still there."""
        early = self.waiting.next_due_ns - self.now_ns() if self.waiting else SECOND
        self.set_alarm(min(max(early / SECOND, 0.0), SECONDS_BETWEEN_LOOKS))

    def shown(self, due_ns: int) -> None:
        """For the window's thread: a picture that was due then is on the screen now."""
        self.statistics.shown_late.append((self.now_ns() - due_ns) / SECOND)

    def go_on_without_window(self, status: int) -> None:
        self.window_missing = True
        if status == NO_WINDOWS:
            self.get_logger().info('no window: this OpenCV has none (opencv-python-headless); opencv-python has')
        else:
            display = ', '.join(f'{name}={os.environ[name]}' for name in DISPLAYS if os.environ.get(name))
            what = 'the window was lost' if self.window.is_open else 'no window can be opened'
            if not (self.window.is_open or os.environ.get('DISPLAY')):
                what = 'no window can be opened without X11: install Xwayland and see that DISPLAY is set'
            self.trouble(
                'missing window',
                f'{what} ({display}, status {status}); going on without it, trying again '
                f'every {WINDOW_RETRY_SECONDS:g} s',
            )
            self.set_alarm(WINDOW_RETRY_SECONDS)
        self.window.close()
        self.window = None
        self.waiting.clear()


def main(arguments: list[str] | None = None) -> int:
    return run(Player, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
