"""Stage 3 as a node: face_motion -> image, camera_info and image/compressed, stamped with the motion's own time.

One process draws one stream or many: the parameter `streams` names namespaces, each with face_motion in and pictures
out. Streams of one avatar share its engine. Workers draw for whoever was not served for the longest; where drawing
takes longer than frames come, frames are left out: no picture falls behind its sound, no stream starves.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rclpy.lifecycle import LifecyclePublisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lsp_ros import timeline
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.graph.configuration import setting
from lsp_ros.live.drawing import MOST_TOGETHER, DrawingPool, MotionFrame, SharedRenderer
from lsp_ros.msg import FaceMotion
from lsp_ros.nodes.conversions import (
    Units,
    camera_info_to_message,
    header_at,
    image_to_message,
    jpeg_to_message,
    motion_from_message,
)
from lsp_ros.nodes.lifecycle import StreamNode
from lsp_ros.nodes.parameters import parameters_of
from lsp_ros.nodes.prepared import Prepared
from lsp_ros.nodes.process import run
from lsp_ros.nodes.qos import FRAME_QOS, IMAGE_QOS
from lsp_ros.rendering.engines.engine import Engine, EngineError
from lsp_ros.rendering.engines.factory import make_engine
from lsp_ros.rendering.stage import RenderStage

# Two pictures at a time, each on half of the cores: a core that another process needs holds up one of them only. For
# small renderers alone: of a slow one, the second picture would come too late.
SIDE_BY_SIDE = 2
STREAM = re.compile(r'(?P<namespace>/?[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*|)(:(?P<avatar>.+))?')


PREPARED: Prepared['LoadedEngine'] = Prepared()


class RendererNode(StreamNode):
    PARAMETERS = parameters_of('renderer')

    def __init__(self) -> None:
        super().__init__('renderer')
        self._every_nth = 1
        self._side_by_side_at_most = 1
        self._pool: DrawingPool[OutputStream] | None = None  # while it is active

    def open(self) -> None:
        named = named_streams(self.value('streams'), self.value('avatar'))
        before = threads()
        folders = {avatar: find_avatar(avatar).resolve() for avatar in dict.fromkeys(named.values())}
        streams = Counter(folders[avatar] for avatar in named.values())
        renderers = {folder: self._load(folder, count) for folder, count in streams.items()}
        self._side_by_side_at_most = max(renderer.side_by_side for renderer in renderers.values())
        # The engines' threads, and nobody else's: whoever waits for a message must not wait for a picture.
        self.lower_priority((threads() - before).union(*(renderer.threads for renderer in renderers.values())))
        self._every_nth = timeline.FRAME_RATE // self.value('frame_rate')
        for namespace, avatar in named.items():
            self._serve(namespace, renderers[folders[avatar]])

    def _load(self, folder: Path, streams: int) -> 'AvatarRenderer':
        try:
            loaded = PREPARED.take(*engine_of(folder, self.value('engine'), self.value('threads')))
        except EngineError as error:
            raise ValueError(str(error)) from error
        avatar, engine = loaded.avatar, loaded.engine
        engine.warm_up(min(streams, engine.most_together, MOST_TOGETHER))
        self.get_logger().info(f'{avatar.name}, engine: {engine.description}')
        wrong = avatar.unconsented
        if wrong:
            self.get_logger().warning(f'{avatar.name} is a real person whose consent {wrong}: nobody else may see this')
        return AvatarRenderer(loaded, RenderStage(avatar, engine, mark=self.value('mark')))

    def _serve(self, namespace: str, renderer: 'AvatarRenderer') -> None:
        """Publishers and the subscription of one stream."""
        base = f'{namespace}/' if namespace else ''
        stream = OutputStream(
            prefix=f'{namespace.strip("/")}: ' if namespace else '',
            renderer=renderer,
            images=self.add_publisher(Image, f'{base}image', IMAGE_QOS),
            camera_infos=self.add_publisher(CameraInfo, f'{base}camera_info', IMAGE_QOS),
            compressed=self.add_publisher(
                CompressedImage, self.transport_topic(f'{base}image', 'compressed'), IMAGE_QOS
            ),
        )
        self.subscribe(
            FaceMotion,
            f'{base}face_motion',
            FRAME_QOS,
            lambda message: self.decode(stream, message),
            lambda frame: self.move(stream, frame),
        )

    def start(self) -> None:
        self._pool = DrawingPool(
            self, self._publish, self._side_by_side_at_most, self.guard, lambda thread: self.lower_priority([thread])
        )

    def stop(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def close(self) -> None:
        self._pool = None  # it knows the streams, and so the engines

    def decode(self, stream: 'OutputStream', message: FaceMotion) -> MotionFrame | None:
        """None for a frame that the picture rate leaves out: its content is not even looked at."""
        if message.frame % self._every_nth:
            return None
        stamp, motion = motion_from_message(message, stream.renderer.units)
        return MotionFrame(stamp, message.header.frame_id, motion, time.perf_counter())

    def move(self, stream: 'OutputStream', frame: MotionFrame | None) -> None:
        """A frame of a stream waits for its picture from now on."""
        if frame is not None and self._pool is not None:
            self._pool.put(stream, frame)

    def _publish(self, stream: 'OutputStream', frame: MotionFrame, picture: np.ndarray) -> None:
        """To whoever listens: a picture is large, and even a camera_info takes its time."""
        header = header_at(frame.stamp.stamp_ns, frame.frame_id)
        if stream.images.get_subscription_count():
            stream.images.publish(image_to_message(picture, header))
        if stream.camera_infos.get_subscription_count():
            height, width = picture.shape[:2]
            stream.camera_infos.publish(camera_info_to_message(stream.renderer.camera_matrix, height, width, header))
        if stream.compressed.get_subscription_count():
            quality = [cv2.IMWRITE_JPEG_QUALITY, self.value('jpeg_quality')]
            _, jpeg = cv2.imencode('.jpg', picture[..., ::-1], quality)
            stream.compressed.publish(jpeg_to_message(jpeg.tobytes(), header))
        self.count_event(f'{stream.prefix}images')


@dataclass(frozen=True)
class LoadedEngine:
    """An avatar, the engine that draws it, and that one's threads by the system's numbers."""

    avatar: Avatar
    engine: Engine
    threads: set[int]


def engine_of(folder: Path, name: str, cores: int) -> tuple[Hashable, Callable[[], LoadedEngine]]:
    """What tells one engine from others, and how it is loaded. ``cores``: 0 for all."""

    def load() -> LoadedEngine:
        before = threads()
        avatar = Avatar.load(folder, parts=('rendering',))
        small = avatar.manifest.renderer.size == 'live' and (cores or os.cpu_count() or 1) >= SIDE_BY_SIDE
        engine = make_engine(name, avatar, cores or None, SIDE_BY_SIDE if small else 1)
        engine.warm_up(1)
        return LoadedEngine(avatar, engine, threads() - before)

    return (folder, name, cores), load


def prepare(parameters: dict[str, Any]) -> None:
    """Load what the node will need with these parameters."""
    avatar, name, cores = (
        parameters.get(each, setting(each, 'renderer').default) for each in ('avatar', 'engine', 'threads')
    )
    PREPARED.prepare(*engine_of(find_avatar(avatar).resolve(), name, cores))


class AvatarRenderer(SharedRenderer):
    """What draws one avatar, and what its messages need of it."""

    def __init__(self, loaded: LoadedEngine, stage: RenderStage) -> None:
        super().__init__(stage, loaded.engine)
        self.threads = loaded.threads
        self.units = Units(loaded.avatar.camera.metres_per_unit, float(loaded.avatar.face.scale))
        self.camera_matrix = loaded.avatar.camera.matrix


@dataclass(frozen=True, eq=False)
class OutputStream:
    """One namespace. ``prefix``: of its counts, empty where there is no other namespace than the node's."""

    prefix: str
    renderer: AvatarRenderer
    images: LifecyclePublisher[Image]
    camera_infos: LifecyclePublisher[CameraInfo]
    compressed: LifecyclePublisher[CompressedImage]


def named_streams(streams: Sequence[str], avatar: str) -> dict[str, str]:
    """{namespace: avatar} from NAMESPACE or NAMESPACE:AVATAR each; ValueError for one that is malformed or twice."""
    named = {}
    for text in streams:
        found = STREAM.fullmatch(text)
        if not found:
            raise ValueError(f'streams holds {text!r}: NAMESPACE or NAMESPACE:AVATAR is needed')
        if found['namespace'] in named:
            raise ValueError(f'streams holds the namespace {found["namespace"]!r} twice')
        named[found['namespace']] = found['avatar'] or avatar
    if not named:
        raise ValueError('streams is empty: name a namespace, or give one empty name for that of the node')
    return named


def threads() -> set[int]:
    """The system's numbers of this process's threads."""
    return set(map(int, os.listdir('/proc/self/task')))


def main(arguments: list[str] | None = None) -> int:
    return run(RendererNode, arguments, prepare)


if __name__ == '__main__':
    raise SystemExit(main())
