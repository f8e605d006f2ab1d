"""Stage 2 as a node: speech_features and head_pose_command -> face_motion at 60 Hz.

The avatar never freezes. Feature frames that are lost are replaced with rest, a new stream continues the face from
where it is, and when features stop arriving (or never came) the node goes on by the clock, at rest, on the same
timeline, until they return.
"""

import time
import uuid
from dataclasses import replace

from lsp_ros import signals, timeline
from lsp_ros.avatar.avatar import Avatar, find_avatar
from lsp_ros.live.streams import PATIENCE_SECONDS, FrameJoin, OneSource
from lsp_ros.motion.stage import MotionStage
from lsp_ros.msg import FaceMotion, HeadPoseCommand, SpeechFeatures
from lsp_ros.nodes.conversions import (
    Place,
    Units,
    command_from_message,
    features_from_message,
    motion_to_message,
)
from lsp_ros.nodes.node import FRAME_QOS, StreamNode, run
from lsp_ros.nodes.parameters import parameters_of
from lsp_ros.openvino_graph import core

MOST_IDLE_FRAMES = 30  # in one go; after a longer hold-up the rest is left out, not worked off


class MotionNode(StreamNode):
    PARAMETERS = parameters_of('motion')

    def __init__(self):
        super().__init__('motion')

    def open(self) -> None:
        avatar = Avatar.load(find_avatar(self.value('avatar')), parts=('motion',))
        self.units = Units(avatar.camera.metres_per_unit, float(avatar.face.scale))
        self.stage = MotionStage(avatar, seed=self.value('seed'), idle_amplitude=self.value('idle_amplitude'))
        self.publisher = self.publish_on(FaceMotion, 'face_motion', FRAME_QOS)
        self.listen(SpeechFeatures, 'speech_features', FRAME_QOS, features_from_message, self.hear)
        self.listen(HeadPoseCommand, 'head_pose_command', FRAME_QOS, command_from_message, self.obey)
        self.set_alarm = self.alarm(self.go_on_by_the_clock)

    def start(self) -> None:
        self.stage.reset()
        self.join = FrameJoin()
        self.source = OneSource()
        self.heard_at = time.monotonic()
        self.idle_since: tuple[float, int] | None = None  # when the clock took over, and the frame it began with
        self.set_alarm(0.0)

    def close(self) -> None:
        self.stage = None

    def obey(self, command: signals.HeadPoseCommand) -> None:
        try:
            self.stage.command(command)
        except ValueError as error:  # too many at once
            self.trouble('refused head-pose commands', str(error))
        self.happened('head-pose commands')

    def hear(self, heard: tuple[Place, signals.SpeechFeatures]) -> None:
        place, features = heard
        if not self.source.takes(place.stream_id, time.monotonic()):
            self.trouble(
                'frames of a second source',
                'two sources publish on speech_features: stream '
                f'{place.stream_id!r} is left out as long as {self.source.stream_id!r} goes on',
            )
            return
        known, gap = self.join.stream_id, place.frame - self.join.next_frame
        missing = self.join.missing(place)
        sentence = f'moving to stream {place.stream_id!r} from frame {place.frame}'
        if place.stream_id != known:
            self.get_logger().info(sentence)
        elif missing not in (None, gap):
            self.trouble('jumps of speech_features', f'the speech features jumped: {sentence}')
        if missing is None:
            self.trouble('late feature frames', f'speech features of frame {place.frame} came late or twice: dropped')
            return
        self.heard_at, self.idle_since = time.monotonic(), None
        if missing:
            self.trouble(
                'healed frames',
                f'{missing} feature frames before frame {place.frame} were lost and replaced with rest',
                missing,
            )
        for _ in range(missing):
            self.rest()
        self.push(features)

    def go_on_by_the_clock(self) -> None:
        self.stage.idle_amplitude = self.value('idle_amplitude')
        now = time.monotonic()
        patience = PATIENCE_SECONDS - (now - self.heard_at)
        if patience > 0:
            self.set_alarm(patience)
            return
        if self.idle_since is None:
            if self.join.stream_id is None:
                self.join.begin(f'idle-{uuid.uuid4().hex}', self.now_ns())
                self.heard_at = now
            else:
                self.trouble('pauses of speech_features', 'no speech features arrive: going on at rest by the clock')
            self.idle_since = (self.heard_at, self.join.next_frame)
        since, first = self.idle_since
        due = first + int((now - since) * timeline.FRAME_RATE) - self.join.next_frame
        self.join.next_frame += max(0, due - MOST_IDLE_FRAMES)
        for _ in range(min(due, MOST_IDLE_FRAMES)):
            self.rest()
        next_due = since + (self.join.next_frame + 1 - first) / timeline.FRAME_RATE
        self.set_alarm(max(next_due - time.monotonic(), 0.0))

    def rest(self) -> None:
        """One frame in which nobody speaks."""
        self.push(self.stage.silence(1))
        self.count('frames at rest filled in')

    def push(self, features: signals.SpeechFeatures) -> None:
        """One frame, numbered on the stage's own count: streams come and go, the stage goes on."""
        began = time.perf_counter()
        frame = self.join.push()
        try:
            motion = self.stage.push(replace(features, first_frame=frame))
        except ValueError as error:
            self.trouble('refused speech features', f'{error}: replaced with rest')
            motion = self.stage.push(self.stage.silence(1))
        for index in range(len(motion) if motion is not None else 0):
            place = self.join.pop(self.now_ns())
            if place is None:
                continue
            message = motion_to_message(place, motion, index, self.units, self.value('camera_frame'))
            self.publisher.publish(message)
            self.happened('frames')
        self.took('computing', time.perf_counter() - began)


def main(arguments: list[str] | None = None) -> int:
    core()  # OpenVINO loads while the graph still looks whether it may start
    return run(MotionNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
