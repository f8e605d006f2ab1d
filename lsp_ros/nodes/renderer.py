"""Stage 3 as a node: face_motion -> image, camera_info and image/compressed, stamped with the motion's own time.

A worker thread renders whatever frame is newest. Where rendering takes longer than a frame, frames are left out:
the picture never falls behind the sound.
"""

import threading
import time

import cv2
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lsp_ros import signals, timeline
from lsp_ros.avatar.avatar import Avatar, find_avatar
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
from lsp_ros.nodes.node import AVATAR, FRAME_QOS, IMAGE_QOS, Parameter, StreamNode, give_way, run
from lsp_ros.nodes.streams import Mailbox
from lsp_ros.rendering.sizes import ENGINES


class RendererNode(StreamNode):
    PARAMETERS = (
        AVATAR,
        Parameter('engine', 'auto', 'what computes the picture; auto: the fastest that the machine has',
                  choices=ENGINES),
        Parameter('threads', 0, 'CPU threads of the engine; 0: as many as there are cores', 0, 256),
        Parameter('frame_rate', 30, 'pictures a second', choices=(30, 60)),
        Parameter('mark', True, 'the small visible mark that says that the picture is generated'),
        Parameter('jpeg_quality', 90, 'quality of image/compressed', 1, 100, live=True),
    )

    def __init__(self):
        super().__init__('renderer')

    def open(self) -> None:
        avatar = Avatar.load(find_avatar(self.value('avatar')), parts=('rendering',))
        from lsp_ros.rendering.engines import EngineError, make_engine
        from lsp_ros.rendering.stage import RenderStage

        self.units = Units(avatar.camera.metres_per_unit, float(avatar.face.scale))
        self.camera_matrix = avatar.camera.matrix
        try:
            engine = make_engine(self.value('engine'), avatar, self.value('threads') or None)
        except EngineError as error:
            raise ValueError(str(error)) from error
        self.get_logger().info(f'engine: {engine.description}')
        if not avatar.consented:
            self.get_logger().warning(f'{avatar.name} is a real person whose consent is not on record or has run out: '
                                      'nobody else may see this')
        self.stage = RenderStage(avatar, engine, mark=self.value('mark'))
        self.every_nth = timeline.FRAME_RATE // self.value('frame_rate')
        self.images = self.publish_on(Image, 'image', IMAGE_QOS)
        self.camera_infos = self.publish_on(CameraInfo, 'camera_info', IMAGE_QOS)
        self.compressed = self.publish_on(CompressedImage, 'image/compressed', IMAGE_QOS)
        self.listen(FaceMotion, 'face_motion', FRAME_QOS, self.decode, self.move)

    def start(self) -> None:
        self.mailbox = Mailbox()
        self.worker = threading.Thread(target=self.guard(self.work), name='renderer')
        self.worker.start()
        give_way()

    def stop(self) -> None:
        self.mailbox.close()
        self.worker.join()

    def close(self) -> None:
        self.stage = None

    def decode(self, message: FaceMotion) -> tuple[Place, str, signals.FaceMotion] | None:
        """None for a frame that the picture rate leaves out: its content is not even looked at."""
        if message.frame % self.every_nth:
            return None
        place, motion = motion_from_message(message, self.units)
        return place, message.header.frame_id, motion

    def move(self, moved: tuple[Place, str, signals.FaceMotion] | None) -> None:
        if moved is None:
            return
        self.happened('frames asked for')
        if self.mailbox.put((time.perf_counter(), *moved)):
            self.count('frames left out')
            self.happened('frames left out')

    def work(self) -> None:
        while (item := self.mailbox.take()) is not None:
            arrived, place, frame_id, motion = item
            began = time.perf_counter()
            try:
                (rendered,) = self.stage.render(motion)
            except ValueError as error:  # a face that is nowhere before the camera, say
                self.trouble('frames that cannot be drawn', f'{error}: frame {place.frame} is left out')
                continue
            self.took('rendering', time.perf_counter() - began)
            self.publish(place, frame_id, rendered.image)
            self.took('motion to image', time.perf_counter() - arrived)

    def publish(self, place: Place, frame_id: str, picture) -> None:
        header = header_at(place.stamp_ns, frame_id)
        height, width = picture.shape[:2]
        self.images.publish(image_to_message(picture, header))
        self.camera_infos.publish(camera_info_to_message(self.camera_matrix, height, width, header))
        if self.compressed.get_subscription_count():
            quality = [cv2.IMWRITE_JPEG_QUALITY, self.value('jpeg_quality')]
            _, jpeg = cv2.imencode('.jpg', picture[..., ::-1], quality)
            self.compressed.publish(jpeg_to_message(jpeg.tobytes(), header))
        self.happened('images')


def main(arguments: list[str] | None = None) -> int:
    return run(RendererNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
