"""What everything before the renderer costs: milliseconds per 60 fps frame, part by part, on one core.

    python bench/before_renderer.py [AVATAR]

Processor time of the one thread is measured, so other programs on the machine hardly count. Each frame is
one step of its own, as live. Prints a Markdown table.
"""

import argparse
import os
import time
from pathlib import Path

# Before NumPy loads: one thread, as on a kiosk whose other core draws the picture.
os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')

import numpy as np  # noqa: E402

from lsp_ros.machine import processor  # noqa: E402

FRAMES = 600
WARM_UP = 60
BUDGET_MS = 4.0


def measure(step) -> np.ndarray:
    """Median and 95th percentile of ``step(frame)`` in ms of processor time, after a warm-up."""
    times = []
    for frame in range(WARM_UP + FRAMES):
        begin = time.thread_time()
        step(frame)
        times.append((time.thread_time() - begin) * 1e3)
    return np.percentile(times[WARM_UP:], [50, 95])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('avatar', nargs='?', default='presenter', help='name or folder of an avatar')
    parser.add_argument('--speech', type=Path, default=None, help='sound file; default: the bundled recording')
    args = parser.parse_args()

    from lsp_ros.avatar.avatar import Avatar, find_avatar
    from lsp_ros.avatar.places import find_sample
    from lsp_ros.media import read_audio
    from lsp_ros.motion.footage import Footage
    from lsp_ros.motion.lips import MouthPredictor
    from lsp_ros.motion.sampler import HeadPoseSampler
    from lsp_ros.motion.stage import MotionStage
    from lsp_ros.rendering.camera import project, to_camera
    from lsp_ros.rendering.feature_map import draw
    from lsp_ros.rendering.sizes import SIZES
    from lsp_ros.speech.encoder import FeatureEncoder
    from lsp_ros.speech.manifold import Manifold
    from lsp_ros.speech.mel import log_mel, mel_frames
    from lsp_ros.speech.stage import SpeechStage
    from lsp_ros.timeline import FEATURES_PER_FRAME, feature_start, frame_start

    avatar = Avatar.load(find_avatar(args.avatar))
    samples = read_audio(args.speech or find_sample())
    frames = WARM_UP + FRAMES
    samples = np.resize(samples, frame_start(frames + 1) + SpeechStage.look_ahead)
    mel = log_mel(samples).reshape(-1, FEATURES_PER_FRAME, 80)
    encoder, manifold = FeatureEncoder(avatar.weights('apc')), Manifold(avatar.manifold())
    state = encoder.start()
    raw = [encoder.step(state, rows) for rows in mel]
    speech = SpeechStage(avatar)
    features = speech.push(samples)
    speech.reset()
    motion_stage = MotionStage(avatar, seed=1)
    motion = motion_stage.push(features)
    motion_stage.reset()
    mouth, head = MouthPredictor(avatar.weights('mouth')), HeadPoseSampler(avatar.weights('head_pose'))
    footage = Footage(avatar.face.eyes, avatar.face.brows)
    memory, rows = mouth.start(), features.values.reshape(len(features), 1, -1)
    condition = head.condition(rows[0])
    pose_state = head.start(condition)
    matrix, subpixel = avatar.camera.matrix, SIZES[avatar.manifest.renderer.size].subpixel

    def mel_step(frame: int) -> None:
        mel_frames(samples, np.array([feature_start(2 * frame), feature_start(2 * frame + 1)]))

    def push_speech(frame: int) -> None:
        first = 0 if frame == 0 else frame_start(frame) + speech.look_ahead
        speech.push(samples[first : frame_start(frame + 1) + speech.look_ahead])

    def draw_step(frame: int) -> None:
        k = min(frame, len(motion) - 1)
        points = to_camera(motion.points[k], motion.euler[k], motion.translation[k])
        draw(project(points, matrix), project(motion.shoulders[k], matrix), subpixel)

    parts = {
        'mel': mel_step,
        'APC': lambda frame: encoder.step(state, mel[frame]),
        f'manifold projection ({len(manifold.rows)} rows)': lambda frame: manifold.project(raw[frame]),
        '**speech stage, whole**': push_speech,
        'mouth network': lambda frame: mouth.step(memory, rows[frame][None]),
        'head pose: conditioning': lambda frame: head.condition(rows[frame]),
        'head pose: network and sample': lambda frame: head.sample(pose_state, condition),
        'eyes and brows': footage.at,
        '**motion stage, whole**': lambda frame: motion_stage.push(features[frame : frame + 1]),
        '**projection and feature map**': draw_step,
    }
    print(f'{processor()}, one thread, {FRAMES} frames after {WARM_UP} of warm-up, one frame at a time; '
          f'NumPy {np.__version__}, load {os.getloadavg()[0]:.1f}.\n')
    print('| part | median ms | p95 ms |\n|---|---:|---:|')
    total = np.zeros(2)
    for name, step in parts.items():
        cost = measure(step)
        total += cost if name.startswith('**') else 0
        print(f'| {name} | {cost[0]:.3f} | {cost[1]:.3f} |')
    print(f'| **sum of the three, of {BUDGET_MS:.0f} ms allowed** | **{total[0]:.3f}** | {total[1]:.3f} |')


if __name__ == '__main__':
    main()
