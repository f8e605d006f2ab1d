"""Stage 3 as a node: face_motion -> image, camera_info and image/compressed, stamped with the motion's own time.

One process draws one stream or many: the parameter `streams` names namespaces, each with face_motion in and pictures
out. Streams of one avatar share its engine. Workers draw for whoever was not served for the longest; where drawing
takes longer than frames come, frames are left out: no picture falls behind its sound, no stream starves.
"""

import os
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lsp_ros import signals, timeline
from lsp_ros.avatar.avatar import Avatar, find_avatar
from lsp_ros.live.streams import InOrder, Turns
from lsp_ros.msg import FaceMotion
from lsp_ros.nodes.conversions import (
    Place,
    Units,
    camera_info_to_message,
    header_at,
    image_to_message,
    jpeg_to_message,
    motion_from_message,
)
from lsp_ros.nodes.node import FRAME_QOS, IMAGE_QOS, StreamNode, give_way, run
from lsp_ros.nodes.parameters import parameters_of
from lsp_ros.rendering.engines import EngineError, make_engine
from lsp_ros.rendering.stage import RenderStage

# A frame that finds the worker busy may wait so long where a newer one is there: two that come at once are both drawn,
# and a renderer that is too slow for good falls no further behind.
PATIENCE_SECONDS = 0.04
# Two pictures at a time, each on half of the cores: a core that another process needs holds up one of them only. For
# small renderers alone: of a slow one, the second picture would come too late.
SIDE_BY_SIDE = 2
MOST_TOGETHER = 16  # the first picture of a batch waits for the last
STREAM = re.compile(r'(?P<namespace>/?[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*|)(:(?P<avatar>.+))?')


class RendererNode(StreamNode):
    PARAMETERS = parameters_of('renderer')

    def __init__(self):
        super().__init__('renderer')

    def open(self) -> None:
        named = named_streams(self.value('streams'), self.value('avatar'))
        before = threads()
        folders = {avatar: find_avatar(avatar).resolve() for avatar in dict.fromkeys(named.values())}
        streams = Counter(folders[avatar] for avatar in named.values())
        faces = {folder: self.load(folder, count) for folder, count in streams.items()}
        self.side_by_side_at_most = max(face.stage.engine.side_by_side for face in faces.values())
        # The engines' threads, and nobody else's: whoever waits for a message must not wait for a picture.
        give_way(threads() - before)
        self.every_nth = timeline.FRAME_RATE // self.value('frame_rate')
        for namespace, avatar in named.items():
            self.serve(namespace, faces[folders[avatar]])

    def load(self, folder: Path, streams: int) -> 'Face':
        avatar = Avatar.load(folder, parts=('rendering',))
        try:
            engine = make_engine(self.value('engine'), avatar, self.value('threads') or None, self.side_by_side(avatar))
        except EngineError as error:
            raise ValueError(str(error)) from error
        engine.warm_up(min(streams, engine.most_together, MOST_TOGETHER))
        self.get_logger().info(f'{avatar.name}, engine: {engine.description}')
        wrong = avatar.unconsented
        if wrong:
            self.get_logger().warning(f'{avatar.name} is a real person whose consent {wrong}: nobody else may see this')
        return Face(avatar, RenderStage(avatar, engine, mark=self.value('mark')))

    def side_by_side(self, avatar: Avatar) -> int:
        cores = self.value('threads') or os.cpu_count() or 1
        return SIDE_BY_SIDE if avatar.manifest.renderer.size == 'live' and cores >= SIDE_BY_SIDE else 1

    def serve(self, namespace: str, face: 'Face') -> None:
        """Publishers and the subscription of one stream."""
        base = f'{namespace}/' if namespace else ''
        stream = Stream(
            prefix=f'{namespace.strip("/")}: ' if namespace else '',
            face=face,
            images=self.publish_on(Image, f'{base}image', IMAGE_QOS),
            camera_infos=self.publish_on(CameraInfo, f'{base}camera_info', IMAGE_QOS),
            compressed=self.publish_on(CompressedImage, f'{base}image/compressed', IMAGE_QOS),
        )
        self.listen(
            FaceMotion,
            f'{base}face_motion',
            FRAME_QOS,
            lambda message: self.decode(stream, message),
            lambda frame: self.move(stream, frame),
        )

    def start(self) -> None:
        self.turns, self.order = Turns(PATIENCE_SECONDS), InOrder()
        self.workers = [
            threading.Thread(target=self.guard(self.work), name='renderer') for _ in range(self.side_by_side_at_most)
        ]
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        self.turns.close()
        for worker in self.workers:
            worker.join()

    def close(self) -> None:
        self.turns = self.order = self.workers = None  # they know the streams, and so the engines

    def decode(self, stream: 'Stream', message: FaceMotion) -> 'Frame | None':
        """None for a frame that the picture rate leaves out: its content is not even looked at."""
        if message.frame % self.every_nth:
            return None
        place, motion = motion_from_message(message, stream.face.units)
        return Frame(place, message.header.frame_id, motion, time.perf_counter())

    def move(self, stream: 'Stream', frame: 'Frame | None') -> None:
        if frame is None:
            return
        self.happened(f'{stream.prefix}frames asked for')
        self.count_left_out(stream, self.turns.put(stream, frame, frame.arrived))

    def count_left_out(self, stream: 'Stream', number: int) -> None:
        if number:
            self.count(f'{stream.prefix}frames left out', number)

    # The workers

    def work(self) -> None:
        give_way([threading.get_native_id()])
        while True:
            number, served = self.order.take(self.next_served)
            if not served:
                return
            drawn = []
            try:
                drawn = self.draw(served)
            finally:
                with self.order.turn(number):
                    for stream, frame, picture in drawn:
                        self.publish(stream, frame, picture)
                        self.took(f'{stream.prefix}motion to image', time.perf_counter() - frame.arrived)

    def next_served(self) -> list[tuple['Stream', 'Frame']]:
        """Frames of one face, which are drawn together; empty at the end."""
        served = self.turns.take(lambda stream: stream.face, lambda face: face.most_together)
        for stream, _ in served:
            self.count_left_out(stream, self.turns.left_out(stream))
        return served

    def draw(self, served: list[tuple['Stream', 'Frame']]) -> list[tuple['Stream', 'Frame', np.ndarray]]:
        """Pictures of frames of one face, as far as they can be drawn."""
        began = time.perf_counter()
        drawable, maps = [], []
        for stream, frame in served:
            try:
                (feature_map,) = stream.face.stage.feature_maps(frame.motion)
            except ValueError as error:  # a face that is nowhere before the camera, say
                self.trouble(
                    f'{stream.prefix}frames that cannot be drawn',
                    f'{stream.prefix}{error}: frame {frame.place.frame} is left out',
                )
                continue
            drawable.append((stream, frame))
            maps.append(feature_map)
        if not drawable:
            return []
        face = drawable[0][0].face
        with face.free:
            pictures = face.stage.pictures(maps)
        self.took('rendering', time.perf_counter() - began)
        return [(stream, frame, picture) for (stream, frame), picture in zip(drawable, pictures, strict=True)]

    def publish(self, stream: 'Stream', frame: 'Frame', picture: np.ndarray) -> None:
        """To whoever listens: a picture is large, and even a camera_info takes its time."""
        header = header_at(frame.place.stamp_ns, frame.frame_id)
        if stream.images.get_subscription_count():
            stream.images.publish(image_to_message(picture, header))
        if stream.camera_infos.get_subscription_count():
            height, width = picture.shape[:2]
            stream.camera_infos.publish(camera_info_to_message(stream.face.camera_matrix, height, width, header))
        if stream.compressed.get_subscription_count():
            quality = [cv2.IMWRITE_JPEG_QUALITY, self.value('jpeg_quality')]
            _, jpeg = cv2.imencode('.jpg', picture[..., ::-1], quality)
            stream.compressed.publish(jpeg_to_message(jpeg.tobytes(), header))
        self.happened(f'{stream.prefix}images')


class Face:
    """What the streams of one avatar share."""

    def __init__(self, avatar: Avatar, stage):
        self.stage = stage
        self.units = Units(avatar.camera.metres_per_unit, float(avatar.face.scale))
        self.camera_matrix = avatar.camera.matrix
        self.most_together = min(MOST_TOGETHER, stage.engine.most_together)
        self.free = threading.Semaphore(stage.engine.side_by_side)


@dataclass(frozen=True, eq=False)
class Stream:
    """One namespace. ``prefix``: of its counts, empty where there is no other namespace than the node's."""

    prefix: str
    face: Face
    images: object
    camera_infos: object
    compressed: object


@dataclass(frozen=True)
class Frame:
    """A frame that waits for its picture. ``arrived``: time.perf_counter()."""

    place: Place
    frame_id: str
    motion: signals.FaceMotion
    arrived: float


def named_streams(streams, avatar: str) -> dict[str, str]:
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
    return run(RendererNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
