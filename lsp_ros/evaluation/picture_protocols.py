"""How pictures are measured: drawn from the true landmarks of a recording, against the true ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from lsp_ros.avatar.architecture import PICTURE, RENDERER_SIZES
from lsp_ros.avatar.landmarks import EYES, MOUTH
from lsp_ros.avatar.load import Avatar
from lsp_ros.geometry import project, to_camera
from lsp_ros.picture_metrics import l1, psnr, ssim
from lsp_ros.rendering.engines.factory import make_engine
from lsp_ros.rendering.feature_map import draw
from lsp_ros.training.dataset import Dataset
from lsp_ros.training.perceptual import Backbone, perceptual_distance
from lsp_ros.training.pictures import read_picture

WHOLE_PICTURE = ('l1', 'psnr', 'ssim', 'perceptual')
SMALLEST_BOX = 12  # pixels along each side: SSIM's window has 11


def evaluate_renderer(
    avatar: Avatar, dataset: Dataset, backbone: Backbone | None, engine: str = 'torch'
) -> dict[str, Any]:
    """Pictures drawn from the true landmarks of the validation pictures, against the true ones."""
    drawer = make_engine(engine, avatar)
    subpixel = RENDERER_SIZES[avatar.manifest.renderer.size].subpixel
    figures = compare_pictures(drawer.render, avatar.candidates(), dataset, backbone, subpixel)
    return {'engine': engine, **figures}


def compare_pictures(
    render: Callable[[np.ndarray], np.ndarray],
    candidates: np.ndarray,
    dataset: Dataset,
    backbone: Backbone | None,
    subpixel: bool,
    upper_body: bool = True,
) -> dict[str, Any]:
    """The validation pictures, drawn from their true landmarks, against the true ones: means, and for whole
    pictures the standard deviation over them ('..._deviation'), which the paper takes for how unsteady they are.

    render      feature map (512, 512) uint8 -> picture (512, 512, 3) uint8 RGB
    candidates  (4, 512, 512, 3): beside it the PSNR of showing their mean
    upper_body  whether feature maps show the shoulders
    """
    frames = dataset.validation_pictures()
    mean_candidate = candidates.mean(axis=0).round().astype(np.uint8)
    figures: dict[str, list[float]] = {}

    def note(**values: float) -> None:
        for name, value in values.items():
            figures.setdefault(name, []).append(value)

    for frame in frames:
        camera = to_camera(dataset.points[frame], dataset.euler[frame], dataset.translation[frame])
        landmarks = project(camera, dataset.camera_matrix)
        shoulders = project(dataset.shoulders[frame], dataset.camera_matrix) if upper_body else None
        picture = render(draw(landmarks, shoulders, subpixel))
        truth = read_picture(dataset.pictures[frame])
        note(l1=l1(picture, truth), psnr=psnr(picture, truth), ssim=ssim(picture, truth))
        note(psnr_of_mean_candidate=psnr(mean_candidate, truth))
        for name, points in (('mouth', MOUTH), ('eyes', EYES)):
            box = box_around(landmarks[points])
            note(**{f'psnr_{name}': psnr(picture[box], truth[box]), f'ssim_{name}': ssim(picture[box], truth[box])})
        if backbone is not None:
            device = next(backbone.parameters()).device
            pair = [torch.from_numpy(p).to(device).permute(2, 0, 1)[None] / 127.5 - 1 for p in (picture, truth)]
            with torch.inference_mode():
                note(perceptual=float(perceptual_distance(backbone, *pair)))
    found = {name: float(np.mean(values)) for name, values in figures.items()}
    whole = {f'{name}_deviation': float(np.std(figures[name])) for name in WHOLE_PICTURE if name in figures}
    return {'pictures': len(frames), 'backbone': backbone.name if backbone else None, **found, **whole}


def box_around(points: np.ndarray, margin: int = 12) -> tuple[slice, slice]:
    """Rows and columns of the box around pixel points, with a margin, at least as large as SSIM's window."""
    low = np.floor(points.min(axis=0)).astype(int) - margin
    high = np.ceil(points.max(axis=0)).astype(int) + margin
    low, high = low.clip(0, PICTURE - SMALLEST_BOX), high.clip(SMALLEST_BOX, PICTURE)
    return slice(low[1], high[1]), slice(low[0], high[0])
