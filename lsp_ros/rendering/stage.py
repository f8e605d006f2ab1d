"""Stage 3: face motion to pictures (paper section 3.4)."""

from typing import TYPE_CHECKING

import numpy as np

from lsp_ros.avatar.architecture import RENDERER_SIZES
from lsp_ros.geometry import project, to_camera
from lsp_ros.rendering.engines.engine import Engine
from lsp_ros.rendering.engines.factory import make_engine
from lsp_ros.rendering.feature_map import draw
from lsp_ros.rendering.mark import Mark
from lsp_ros.signals import LANDMARKS, SHOULDER_POINTS, FaceMotion, RenderedFrame

if TYPE_CHECKING:
    from lsp_ros.avatar.load import Avatar


class RenderStage:
    """Draws every frame of a motion block. It keeps no state: frames may be left out or repeated.

    engine   a name as in ``make_engine``, or an engine that is there already; None: feature maps alone
    mark     whether pictures carry the visible mark of generated content
    threads  CPU threads of an engine made here
    """

    def __init__(
        self, avatar: 'Avatar', engine: str | Engine | None = 'auto', mark: bool = True, threads: int | None = None
    ) -> None:
        self.engine = make_engine(engine, avatar, threads) if isinstance(engine, str) else engine
        self._matrix = avatar.camera.matrix
        self._scale = float(avatar.face.scale)
        self._shoulder_offset = np.asarray(avatar.manifest.upper_body.offset, float)
        self._subpixel = RENDERER_SIZES[avatar.manifest.renderer.size].subpixel
        self._mark = Mark() if mark else None

    def render(self, motion: FaceMotion) -> list[RenderedFrame]:
        """One picture per frame of the block; raises ValueError for motion that cannot be drawn."""
        pictures = (self.pictures([feature_map])[0] for feature_map in self.feature_maps(motion))
        return [RenderedFrame(motion.first_frame + index, picture) for index, picture in enumerate(pictures)]

    def feature_maps(self, motion: FaceMotion) -> list[np.ndarray]:
        """One (512, 512) uint8 map per frame of the block; raises ValueError for motion that cannot be drawn."""
        return [
            draw(landmarks, shoulders, self._subpixel)
            for landmarks, shoulders in zip(*self.project(motion), strict=True)
        ]

    def pictures(self, feature_maps: list[np.ndarray]) -> list[np.ndarray]:
        """A (512, 512, 3) uint8 RGB picture of each map, all drawn together; ValueError without an engine."""
        if self.engine is None:
            raise ValueError('this stage has no engine: it makes feature maps alone')
        if len(feature_maps) == 1:
            pictures = [self.engine.render(feature_maps[0])]
        else:
            pictures = list(self.engine.render_batch(np.stack(feature_maps)))
        if self._mark:
            for picture in pictures:
                self._mark.draw(picture)
        return pictures

    def project(self, motion: FaceMotion) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks (N, 73, 2) and shoulders (N, 18, 2) of the block in pixels.

        Raises ValueError for wrong shapes, values that are not finite, and points behind the camera.
        """
        count = len(motion)
        for name, shape in (
            ('points', (count, LANDMARKS, 3)),
            ('euler', (count, 3)),
            ('translation', (count, 3)),
            ('shoulders', (count, SHOULDER_POINTS, 3)),
        ):
            values = np.asarray(getattr(motion, name))
            if values.shape != shape:
                raise ValueError(f'face motion {name} has the shape {values.shape}, not {shape}')
            if not np.isfinite(values).all():
                raise ValueError(f'face motion {name} holds values that are not finite')
        points = np.empty((count, LANDMARKS + SHOULDER_POINTS, 3))
        for frame in range(count):  # live it is one: angles as numbers cost half of what arrays of one number do
            points[frame, :LANDMARKS] = to_camera(
                motion.points[frame], motion.euler[frame], motion.translation[frame], self._scale
            )
        points[:, LANDMARKS:] = motion.shoulders
        pixels = project(points, self._matrix)
        return pixels[:, :LANDMARKS], pixels[:, LANDMARKS:] + self._shoulder_offset
