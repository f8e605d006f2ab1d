"""The pictures that a renderer learns from: those of a dataset, with their feature maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from lsp_ros.avatar.architecture import PICTURE
from lsp_ros.geometry import project, to_camera
from lsp_ros.rendering.feature_map import draw
from lsp_ros.timeline import FRAME_RATE
from lsp_ros.training.candidates import choose_candidates
from lsp_ros.training.dataset import Dataset, DatasetError, in_ranges


class Pictures(torch.utils.data.Dataset[Any]):
    """Pictures of a dataset, decoded once and kept in memory (786 kB each), with their feature maps, which show the
    shoulders unless ``upper_body`` is False.

    Item: feature map (1, 512, 512) uint8, picture (3, 512, 512) uint8 RGB, landmarks (73, 2) float32 pixels.
    """

    def __init__(
        self,
        dataset: Dataset,
        frames: list[int],
        subpixel: bool = False,
        upper_body: bool = True,
        pictures: Sequence[np.ndarray] | np.ndarray | None = None,
    ) -> None:
        """``pictures``: those of the frames, RGB; by default the dataset's own."""
        if not frames:
            raise DatasetError(f'{dataset.path}: no pictures for this part of the split')
        rows = np.asarray(frames)
        camera = to_camera(dataset.points[rows], dataset.euler[rows], dataset.translation[rows])
        self.landmarks = project(camera, dataset.camera_matrix).astype(np.float32)
        shoulders = project(dataset.shoulders[rows], dataset.camera_matrix).astype(np.float32)
        self.shoulders = shoulders if upper_body else [None] * len(frames)
        self.pictures = [read_picture(dataset.pictures[frame]) for frame in frames] if pictures is None else pictures
        self.frames = list(frames)
        self.subpixel = subpixel

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        picture = torch.from_numpy(np.array(self.pictures[index])).permute(2, 0, 1)
        return torch.from_numpy(self.feature_map(index))[None], picture, torch.from_numpy(self.landmarks[index])

    def feature_map(self, index: int) -> np.ndarray:
        """(512, 512) uint8."""
        return draw(self.landmarks[index], self.shoulders[index], subpixel=self.subpixel)


def read_picture(path: Path) -> np.ndarray:
    """(512, 512, 3) uint8 RGB; raises DatasetError for a picture that is broken or of another size."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None or picture.shape != (PICTURE, PICTURE, 3):
        found = 'not a picture' if picture is None else f'{picture.shape[1]}x{picture.shape[0]}'
        raise DatasetError(f'{path}: {found}, but a {PICTURE}x{PICTURE} picture is needed')
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def training_pictures(dataset: Dataset, minutes: float | None = None) -> list[int]:
    """Frames of the pictures to learn from, of the first minutes of the footage or of all."""
    last = len(dataset) if minutes is None else minutes * 60 * FRAME_RATE
    return [frame for frame in dataset.training_pictures() if frame < last]


def read_candidates(dataset: Dataset, minutes: float | None = None) -> np.ndarray:
    """(4, 512, 512, 3) uint8 RGB, chosen among the training pictures (of the first minutes)."""
    frames = training_pictures(dataset, minutes)
    chosen = choose_candidates(dataset.points[frames], dataset.euler[frames])
    return np.stack([read_picture(dataset.pictures[frames[row]]) for row in chosen])


def frames_to_imagine(dataset: Dataset, count: int) -> list[int]:
    """At most ``count`` frames of the training time that have no picture, evenly spread."""
    shown = in_ranges(len(dataset), dataset.picture_validation)
    shown[list(dataset.pictures)] = True
    frames = np.flatnonzero(dataset.training_mask & ~shown)
    return frames[np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)].tolist()
