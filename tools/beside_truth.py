"""An avatar on footage that it has not learned from, beside the truth: figures, and a sheet of pictures.

    python tools/beside_truth.py AVATAR DATASET [--sheet FILE] [--backbone FILE] [--engine torch]

DATASET is the dataset folder that the avatar was trained from; its held-out ranges are judged (``lsp create
--held-out``, or ``split.held_out`` of ``dataset.yaml``). Four columns of the sheet: the truth; drawn from the true
landmarks, which shows the renderer alone; the face moved by the sound, on the true head and shoulders; everything
from the sound. The sound is heard from first to last by the live stages, as a kiosk would. What is drawn carries the
mark of generated pictures. The sheet shows a person: whether it may be shown around is for him to say.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from lsp_ros.avatar.landmarks import MOUTH_OUTPUT, lip_gap
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.evaluation.metrics import offset, point_error_mm
from lsp_ros.evaluation.picture_protocols import evaluate_renderer
from lsp_ros.evaluation.playback import hear, move, with_networks
from lsp_ros.picture_metrics import psnr, ssim
from lsp_ros.rendering.stage import RenderStage
from lsp_ros.signals import FaceMotion
from lsp_ros.timeline import FRAME_RATE
from lsp_ros.training.dataset import Dataset, load_dataset, runs
from lsp_ros.training.perceptual import load_backbone
from lsp_ros.training.pictures import read_picture

TEACHER = 'presenter'
COLUMNS = ('truth', 'true landmarks', 'face from sound', 'all from sound')
SIDE = 256  # pixels of a picture on the sheet


def mouth_figures(points: np.ndarray, dataset: Dataset, judged: list[int]) -> dict[str, float]:
    """points (N, 73, 3) against the truth in the judged frames."""
    points, truth = points[judged], dataset.points[judged]
    gap, true_gap = lip_gap(points), lip_gap(truth)
    return {
        'error mm': point_error_mm(points[:, MOUTH_OUTPUT], truth[:, MOUTH_OUTPUT], dataset.metres_per_unit),
        'opening, mean error mm': 1000 * dataset.metres_per_unit * float(np.abs(gap - true_gap).mean()),
        **(
            {
                'opening, correlation': float(np.corrcoef(gap, true_gap)[0, 1]),
                'opening, ms behind': offset(gap, true_gap).ms,
            }
            if gap.std() > 0 and len(gap) >= 180
            else {}
        ),
    }


def true_motion(motion: FaceMotion, dataset: Dataset, points: bool) -> FaceMotion:
    """The motion with the true head and shoulders, and with the true points where they are asked for."""
    names = ('euler', 'translation', 'shoulders', 'points')[: 4 if points else 3]
    return replace(motion, **{name: getattr(dataset, name)[: len(motion)] for name in names})


def draw_sheet(frames: list[int], motion: FaceMotion, dataset: Dataset, stage: RenderStage) -> np.ndarray:
    """One row a frame, BGR."""
    rows, moved = [], (true_motion(motion, dataset, True), true_motion(motion, dataset, False), motion)
    for frame in frames:
        drawn = [stage.render(each[frame : frame + 1])[0].image for each in moved]
        row = [
            cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            for image in (read_picture(dataset.pictures[frame]), *drawn)
        ]
        rows.append(np.concatenate(row, axis=1))
    title = np.full((26, SIDE * len(COLUMNS), 3), 255, np.uint8)
    for k, name in enumerate(COLUMNS):
        text = name if not k else f'synthetic: {name}'
        cv2.putText(title, text, (k * SIDE + 6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([title, *rows])[..., ::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('avatar')
    parser.add_argument('dataset', type=Path)
    parser.add_argument('--sheet', type=Path, help='where the pictures go (.png or .jpg)')
    parser.add_argument('--rows', type=int, default=3, help='of the sheet, for each held-out stretch')
    parser.add_argument('--backbone', help='weights of the perceptual distance')
    parser.add_argument('--engine', default='torch', help="that draws; 'torch' is float32")
    options = parser.parse_args()
    avatar, dataset = Avatar.load(find_avatar(options.avatar)), load_dataset(options.dataset)
    if not dataset.held_out:
        parser.error(f'{options.dataset}: nothing is held out')
    features = hear(avatar, dataset.read_audio())
    motion = move(avatar, features)[: len(dataset)]
    stretches = runs((dataset.held_out_mask & dataset.known_mask)[: len(motion)])
    judged = [frame for stretch in stretches for frame in range(*stretch)]
    built_in = Avatar.load(find_avatar(TEACHER), ('motion',)).weights('mouth')
    mouths = {
        'mouth': motion.points,
        "mouth that it began with (the built-in avatar's)": move(
            with_networks(avatar, mouth=built_in), features
        ).points,
        'still mouth': np.broadcast_to(avatar.face.mean_points, dataset.points.shape),
    }
    print(f'held out: {len(judged) / FRAME_RATE:.1f} s in {len(stretches)} stretches')
    for name, points in mouths.items():
        print(
            f'{name}: '
            + ', '.join(f'{key} {value:.2f}' for key, value in mouth_figures(points, dataset, judged).items())
        )

    pictures = replace(dataset, picture_validation=dataset.held_out)
    backbone = load_backbone(options.backbone) if options.backbone else None
    for name, value in evaluate_renderer(avatar, pictures, backbone, options.engine).items():
        print(f'renderer, from true landmarks: {name} {value:.4g}' if isinstance(value, float) else f'{name}: {value}')
    stage = RenderStage(avatar, options.engine, mark=False)
    shown = [frame for frame in judged if frame in dataset.pictures]
    for name, moved in (('face from sound', true_motion(motion, dataset, False)), ('all from sound', motion)):
        pairs = [
            (stage.render(moved[frame : frame + 1])[0].image, read_picture(dataset.pictures[frame])) for frame in shown
        ]
        print(
            f'{name}: psnr {np.mean([psnr(*pair) for pair in pairs]):.2f}, '
            f'ssim {np.mean([ssim(*pair) for pair in pairs]):.3f}'
        )
    if options.sheet:
        chosen = []
        for first, stop in stretches:
            inside = [frame for frame in shown if first <= frame < stop]
            places = np.linspace(0, len(inside) - 1, options.rows + 2)[1:-1].round().astype(int)
            chosen += [inside[place] for place in places]
        marked = RenderStage(avatar, stage.engine, mark=True)
        cv2.imwrite(str(options.sheet), draw_sheet(chosen, motion, dataset, marked))


if __name__ == '__main__':
    main()
