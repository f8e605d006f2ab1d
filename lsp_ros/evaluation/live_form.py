"""What live motion gives up against the authors' offline form, in millimetres and in frames of delay.

    python -m lsp_ros.evaluation.live_form AVATAR SOUND [--smoothing MOUTH ROTATION TRANSLATION]

Protocol: the same speech features, the same draws of the head's noise, once through the live motion stage and once
with the whole clip at hand (:mod:`lsp_ros.motion.clip`). The live head's bounds are lifted, as the offline form has
none and a head that is held once goes another way ever after. Judged from the sixth second on, when the head has
found its way from the pose it starts in, to the end of the offline motion.

delay      the shift, in frames, by which the live motion resembles the offline motion most: least mean squared
           difference over shifts from -10 to 40, to fractions of a frame by a parabola through the best three
difference distance of corresponding points: the mouth's 18 in the head frame, the head's 73 in the camera frame,
           mean and largest; and the mean with the live motion moved back by its delay, in whole frames
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from lsp_ros.avatar.landmarks import MOUTH
from lsp_ros.avatar.load import Avatar, find_avatar
from lsp_ros.avatar.manifest import PoseRange
from lsp_ros.evaluation.playback import hear, with_settings
from lsp_ros.geometry import to_camera
from lsp_ros.motion.clip import whole_clip_stage
from lsp_ros.motion.stage import MotionStage
from lsp_ros.signals import FaceMotion, SpeechFeatures
from lsp_ros.timeline import FRAME_RATE

SETTLED = 5 * FRAME_RATE
SHIFTS = range(-10, 41)


def delay(live: np.ndarray, offline: np.ndarray) -> float:
    """Frames by which ``live`` (N, ...) comes after ``offline`` (N, ...); at least 100 frames."""
    if len(live) < 100 or live.shape != offline.shape:
        raise ValueError(f'motions have shapes {live.shape} and {offline.shape}; 100 frames of the same are needed')
    first, last = -SHIFTS[0], len(live) - SHIFTS[-1]
    errors = [np.square(live[first + shift : last + shift] - offline[first:last]).mean() for shift in SHIFTS]
    best = int(np.argmin(errors))
    if 0 < best < len(errors) - 1:
        before, here, after = errors[best - 1 : best + 2]
        bend = before - 2 * here + after
        return SHIFTS[best] + (0.5 * (before - after) / bend if bend > 0 else 0.0)
    return float(SHIFTS[best])


def with_smoothing(avatar: Avatar, mouth: float, rotation: float, translation: float) -> Avatar:
    """The same avatar with another smoothing, sigma in frames."""
    manifest = avatar.manifest
    return with_settings(
        avatar,
        mouth=replace(manifest.mouth, smoothing=mouth),
        head_pose=replace(manifest.head_pose, smoothing=(rotation, translation)),
    )


def compare(avatar: Avatar, features: SpeechFeatures, seed: int = 0) -> dict[str, float]:
    """The figures of this module's protocol; ``features`` of at least 8 seconds."""
    free = with_settings(avatar, pose_range=PoseRange(*np.tile([[-1e9], [1e9]], (2, 3))))
    live, offline = (
        FaceMotion.whole([stage.push(features), stage.flush()])
        for stage in (MotionStage(free, seed=seed), whole_clip_stage(avatar, seed=seed))
    )
    live, offline = live[SETTLED : len(offline)], offline[SETTLED:]
    unit = 1000 * avatar.camera.metres_per_unit
    scale = avatar.face.scale
    figures: dict[str, float] = {'frames': len(live)}
    neutral = avatar.face.mean_points
    parts = {
        'mouth': [scale * motion.points[:, MOUTH] for motion in (live, offline)],
        'rotation': [to_camera(neutral, motion.euler, np.zeros(3), scale) for motion in (live, offline)],
        'translation': [motion.translation[:, None] for motion in (live, offline)],
        'head': [to_camera(neutral, motion.euler, motion.translation, scale) for motion in (live, offline)],
    }
    for name, (shown, wanted) in parts.items():
        late = delay(shown, wanted)
        whole = round(late)
        distance = unit * np.linalg.norm(shown - wanted, axis=-1)
        end = len(shown) - max(0, whole)
        begin = max(0, -whole)
        moved = unit * np.linalg.norm(shown[begin + whole : end + whole] - wanted[begin:end], axis=-1)
        figures |= {
            f'{name}_delay': late,
            f'{name}_mm': float(distance.mean()),
            f'{name}_mm_largest': float(distance.max()),
            f'{name}_mm_moved_back': float(moved.mean()),
        }
    return figures


def main() -> None:
    from lsp_ros.media.sound import read_audio

    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('avatar')
    parser.add_argument('sound', type=Path)
    parser.add_argument('--smoothing', type=float, nargs=3, metavar=('MOUTH', 'ROTATION', 'TRANSLATION'))
    options = parser.parse_args()
    avatar = Avatar.load(find_avatar(options.avatar), parts=('speech', 'motion'))
    if options.smoothing:
        avatar = with_smoothing(avatar, *options.smoothing)
    figures = compare(avatar, hear(avatar, read_audio(options.sound)))
    for name, value in figures.items():
        print(f'{name:24} {value:8.3f}')


if __name__ == '__main__':
    main()
