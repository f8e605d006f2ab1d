"""Stage 2 as a node: speech_features and head_pose_command -> face_motion at 60 Hz, which never stops."""

import time
from collections.abc import Callable, Hashable
from typing import Any

from rclpy.lifecycle import LifecyclePublisher

from lsp_ros import signals
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.graph.configuration import setting
from lsp_ros.live.motion_stream import MotionStream
from lsp_ros.live.stamped import FrameStamp, StampedFrame
from lsp_ros.motion.stage import MotionStage
from lsp_ros.msg import FaceMotion, HeadPoseCommand, SpeechFeatures
from lsp_ros.nodes.conversions import (
    Units,
    command_from_message,
    features_from_message,
    motion_to_message,
)
from lsp_ros.nodes.lifecycle import OneShotTimer, StreamNode
from lsp_ros.nodes.parameters import parameters_of
from lsp_ros.nodes.prepared import Prepared
from lsp_ros.nodes.process import run
from lsp_ros.nodes.qos import FRAME_QOS
from lsp_ros.openvino_graph import core

PREPARED: Prepared[tuple[Avatar, MotionStage]] = Prepared()


class MotionNode(StreamNode):
    PARAMETERS = parameters_of('motion')

    def __init__(self) -> None:
        super().__init__('motion')
        # From open() to close():
        self._stream: MotionStream
        self._units: Units
        self._camera_frame: str
        self._publisher: LifecyclePublisher[FaceMotion]
        self._timer: OneShotTimer

    def open(self) -> None:
        avatar, stage = PREPARED.take(*stage_of(self.value('avatar'), self.value('seed')))
        stage.idle_amplitude = self.value('idle_amplitude')
        self._stream = MotionStream(stage, self)
        self._units = Units(avatar.camera.metres_per_unit, float(avatar.face.scale))
        self._camera_frame = self.value('camera_frame') or camera_frame(self.get_namespace())
        self._publisher = self.add_publisher(FaceMotion, 'face_motion', FRAME_QOS)
        self.subscribe(SpeechFeatures, 'speech_features', FRAME_QOS, features_from_message, self._hear)
        self.subscribe(HeadPoseCommand, 'head_pose_command', FRAME_QOS, command_from_message, self._obey)
        self._timer = self.one_shot_timer(self._tick)

    def start(self) -> None:
        now = time.monotonic()
        self._stream.reset(now)
        self._timer.start(self._stream.seconds_to_tick(now))

    def close(self) -> None:
        del self._stream  # and with it the model

    def parameter_changed(self, name: str) -> None:
        if name == 'idle_amplitude' and self.configured:
            self._stream.set_idle_amplitude(self.value(name))

    def _obey(self, command: signals.HeadPoseCommand) -> None:
        self._stream.command(command)
        self.count_event('head-pose commands')

    def _hear(self, heard: tuple[FrameStamp, signals.SpeechFeatures]) -> None:
        began = time.perf_counter()
        stamp, features = heard
        self._publish(self._stream.push(stamp, features, self.now_ns(), time.monotonic()), began)

    def _tick(self) -> None:
        began = time.perf_counter()
        self._publish(self._stream.tick(self.now_ns(), time.monotonic()), began)
        self._timer.start(self._stream.seconds_to_tick(time.monotonic()))

    def _publish(self, frames: list[StampedFrame[signals.FaceMotion]], began: float) -> None:
        for frame in frames:
            message = motion_to_message(frame.stamp, frame.block, frame.row, self._units, self._camera_frame)
            self._publisher.publish(message)
            self.count_event('frames')
        if frames:
            self.record_duration('computing', time.perf_counter() - began)


def stage_of(name: str, seed: int) -> tuple[Hashable, Callable[[], tuple[Avatar, MotionStage]]]:
    """What tells one motion from others, and how it is loaded."""
    folder = find_avatar(name).resolve()

    def load() -> tuple[Avatar, MotionStage]:
        avatar = Avatar.load(folder, parts=('motion',))
        return avatar, MotionStage(avatar, seed=seed)

    return (folder, seed), load


def prepare(parameters: dict[str, Any]) -> None:
    """Load what the node will need with these parameters."""
    name, seed = (parameters.get(each, setting(each, 'motion').default) for each in ('avatar', 'seed'))
    PREPARED.prepare(*stage_of(name, seed))


def camera_frame(namespace: str) -> str:
    """The frame of an avatar's camera: its own in each namespace, so that avatars side by side share none."""
    name = namespace.strip('/')
    return f'{name}_camera_optical_frame' if name else 'camera_optical_frame'


def main(arguments: list[str] | None = None) -> int:
    core()  # OpenVINO loads while the graph still looks whether it may start
    return run(MotionNode, arguments, prepare)


if __name__ == '__main__':
    raise SystemExit(main())
