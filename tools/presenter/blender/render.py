"""Renders the frames of a queue. May be stopped at any time and started again; several may work on one queue.

usage: render.py TIMELINE.npz QUEUE.txt FRAMES_FOLDER [--samples 18] [--threads 2] [--until HH:MM] [--person robin]

QUEUE.txt holds frame numbers of the timeline, one a line, in the order of rendering. Each frame leaves
NNNNNN.jpg (512 x 512 RGB, quality 95, 4:4:4) and NNNNNN_matte.png (8 bit, 255 = the person); the picture is written
last and marks the frame as done. plate.png is the empty room, which every pixel with matte 0 shows.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np
import stage
from camera_response import develop, soften_outline
from head import Head
from person import PEOPLE
from PIL import Image

TOLERANCE = 0.05  # px between the mesh that is rendered and the stored truth


def running(pid: str) -> bool:
    try:
        with open(f'/proc/{int(pid)}/cmdline') as file:
            return 'render.py' in file.read()  # numbers are used again
    except (OSError, ValueError):
        return False


def claim(path: str) -> bool:
    """Takes a frame for this process, also from one that is no more."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        with open(path) as file:
            owner = file.read().strip()
        if running(owner):
            return False
        handle = os.open(path, os.O_TRUNC | os.O_WRONLY)
    os.write(handle, str(os.getpid()).encode())
    os.close(handle)
    return True


def plate(head: Head, folder: str) -> np.ndarray:
    """The empty room, developed; rendered once."""
    path = os.path.join(folder, 'plate.png')
    if not os.path.exists(path):
        samples = head.scene.cycles.samples
        head.scene.cycles.samples = 1
        head.pose({}, move=(0, 0, -5000), torso=(0, 0, -5000))
        head.object.hide_render = True
        others = [o for o in head.scene.objects if o.type in ('MESH', 'CURVES')]
        for o in others:
            o.hide_render = True
        head.render(path + '.tmp.png')
        for o in others:
            o.hide_render = False
        head.scene.cycles.samples = samples
        Image.fromarray(develop(np.asarray(Image.open(path + '.tmp.png').convert('RGB')))).save(path)
        os.remove(path + '.tmp.png')
    return np.asarray(Image.open(path).convert('RGB'))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('timeline')
    parser.add_argument('queue')
    parser.add_argument('frames')
    parser.add_argument('--samples', type=int, default=18)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--until', default='', help='stop at this time of day')
    parser.add_argument('--person', default='robin')
    a = parser.parse_args()
    os.makedirs(a.frames, exist_ok=True)
    data = np.load(a.timeline)
    names = [str(x) for x in data['shape_names']]
    weights, rotation, move, torso, sight, lm73, pupil = (
        data[k]
        for k in ('weights', 'head_R_world', 'head_trans_world', 'torso_world', 'gaze_dir_obj', 'lm73_2d', 'pupil_2d')
    )
    head = Head(PEOPLE[a.person])
    assert np.abs(head.origin - data['world_origin']).max() < 1e-4, 'the timeline was made for another person'
    stage.cycles(head.scene, a.samples, a.threads)
    room = plate(head, a.frames)
    temporary = os.path.join(a.frames, f'tmp_{os.getpid()}')
    with open(a.queue) as file:
        queue = [int(x) for x in file.read().split()]
    for i in queue:
        if a.until and time.strftime('%H:%M') >= a.until:
            break
        target = os.path.join(a.frames, f'{i:06d}')
        if os.path.exists(target + '.jpg') or not claim(target + '.claim'):
            continue
        start, used = time.time(), time.process_time()
        head.pose(dict(zip(names, weights[i].astype(float))), rotation[i], move[i], sight[i].astype(float), torso[i])
        truth = head.truth()
        error = max(np.abs(truth['lm73'] - lm73[i]).max(), np.abs(truth['pupil'] - pupil[i]).max())
        assert error < TOLERANCE, f'frame {i}: the mesh is {error:.3f} px from the truth'
        matte = head.render(temporary + '.png')
        picture = develop(np.asarray(Image.open(temporary + '.png').convert('RGB')))
        picture, matte = soften_outline(picture, matte)
        picture = np.where(matte[..., None] == 0, room, picture)
        Image.fromarray(matte).save(temporary + '_matte.png', optimize=True)
        Image.fromarray(picture).save(temporary + '.part', 'JPEG', quality=95, subsampling=0)
        os.replace(temporary + '_matte.png', target + '_matte.png')
        os.replace(temporary + '.part', target + '.jpg')
        os.remove(target + '.claim')
        print(
            f'frame {i:06d}: {time.time() - start:.1f} s, {time.process_time() - used:.1f} processor seconds, '
            f'truth within {error:.4f} px',
            flush=True,
        )
    if os.path.exists(temporary + '.png'):
        os.remove(temporary + '.png')


if __name__ == '__main__':
    main()
