"""What stage 2 costs: milliseconds per 60 fps frame, part by part, on one core.

    python bench/motion.py [AVATAR]

Processor time of the one thread is measured, so other programs on the machine hardly count.
Without an avatar, networks with random weights of the real size are measured; the numbers do not matter.
"""

import argparse
import os
import sys
import time
from pathlib import Path

# Before NumPy loads: one thread, as on a kiosk whose other core draws the picture.
os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / 'test')]

import numpy as np  # noqa: E402

FRAMES = 600
WARM_UP = 60


def measure(step) -> tuple[float, float]:
    """Median and 95th percentile of ``step(frame)`` in ms of processor time, after a warm-up."""
    times = []
    for frame in range(WARM_UP + FRAMES):
        begin = time.thread_time()
        step(frame)
        times.append((time.thread_time() - begin) * 1e3)
    return tuple(np.percentile(times[WARM_UP:], [50, 95]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('avatar', nargs='?', help='name or folder of an avatar')
    args = parser.parse_args()

    import tempfile

    from lsp_ros.avatar.avatar import Avatar, find_avatar
    from lsp_ros.motion.footage import Footage
    from lsp_ros.motion.lips import MouthPredictor
    from lsp_ros.motion.sampler import HeadPoseSampler
    from lsp_ros.motion.stage import MotionStage
    from lsp_ros.signals import SpeechFeatures

    with tempfile.TemporaryDirectory() as scratch:
        if args.avatar:
            folder = find_avatar(args.avatar)
        else:
            from avatar_fixture import write_tiny_avatar

            folder = write_tiny_avatar(Path(scratch) / 'tiny')
        avatar = Avatar.load(folder, parts=('motion',))
        begin = time.perf_counter()
        stage = MotionStage(avatar, seed=1)
        ready = time.perf_counter() - begin
        mouth, head = MouthPredictor(avatar.weights('mouth')), HeadPoseSampler(avatar.weights('head_pose'))
        footage = Footage(avatar.face.eyes, avatar.face.brows)

    values = np.random.default_rng(0).normal(0, 0.5, (WARM_UP + FRAMES, 2, 512)).astype(np.float32)
    rows = values.reshape(len(values), 1, 1024)
    memory = mouth.start()
    condition = head.condition(rows[0])
    state = head.start(condition)

    def push(frame: int) -> None:
        active = np.array([frame // 120 % 2 == 0])
        stage.push(SpeechFeatures(frame, values[frame : frame + 1], np.array([-20.0], np.float32), active))

    parts = {
        'mouth network': lambda frame: mouth.step(memory, rows[frame][None]),
        'head pose: conditioning': lambda frame: head.condition(rows[frame]),
        'head pose: network and sample': lambda frame: head.sample(state, condition),
        'eyes and brows': footage.at,
        'whole stage': push,
    }
    print(f'{"part":32}{"median":>10}{"p95":>10}   ms per frame')
    for name, step in parts.items():
        median, p95 = measure(step)
        print(f'{name:32}{median:10.3f}{p95:10.3f}')
    print(f'stage ready in {ready * 1e3:.0f} ms, look-ahead {stage.look_ahead} frames')


if __name__ == '__main__':
    main()
