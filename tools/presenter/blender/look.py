"""Single pictures of the moments that betray.

usage: look.py OUT_FOLDER shot[,shot...] [--samples 12] [--size 512] [--border x0,x1,y0,y1] [--person robin]
"""

from __future__ import annotations

import argparse
import os
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'motion'))
import expressions
import ict
import numpy as np
import stage
from camera_response import develop, soften_outline
from head import Head
from person import PEOPLE
from PIL import Image
from scipy.spatial.transform import Rotation

# fmt: off
# ruff: noqa: E501
REST = dict(mouthSmile_L=.20, mouthSmile_R=.15, browInnerUp_L=.05, browOuterUp_L=.06, eyeSquint_L=.10, eyeSquint_R=.14,
            cheekSquint_L=.10, cheekSquint_R=.07)
# weights; yaw, pitch, roll in degrees; gaze right, up in degrees from the lens
SHOTS = dict(
    neutral=({}, (4, 1, 1.5), (0, 0)),
    aa=(dict(jawOpen=.42, mouthUpperUp_L=.12, mouthUpperUp_R=.12, mouthLowerDown_L=.2, mouthLowerDown_R=.2), (2, 0, 1), (0, 0)),
    ee=(dict(jawOpen=.10, mouthStretch_L=.35, mouthStretch_R=.3, mouthSmile_L=.25, mouthSmile_R=.22, mouthUpperUp_L=.2,
             mouthUpperUp_R=.2, mouthLowerDown_L=.32, mouthLowerDown_R=.32), (-2, 0, -1), (0, 0)),
    oo=(dict(jawOpen=.05, mouthPucker=.80, mouthFunnel=.18), (3, 0, 0), (0, 0)),
    l=(dict(jawOpen=.19, mouthUpperUp_L=.12, mouthUpperUp_R=.12, mouthLowerDown_L=.16, mouthLowerDown_R=.16, tongueUp=.95), (6, 2, 1), (0, 0)),
    th=(dict(jawOpen=.17, mouthUpperUp_L=.20, mouthUpperUp_R=.20, mouthLowerDown_L=.30, mouthLowerDown_R=.30, tongueOut=1), (-4, 0, 1), (0, 0)),
    mm=(dict(mouthRollLower=.07, mouthRollUpper=.04, mouthPress_L=.26, mouthPress_R=.26), (-3, 1, 0), (0, 0)),
    smile=(dict(mouthSmile_L=.6, mouthSmile_R=.55, cheekSquint_L=.4, cheekSquint_R=.4, mouthUpperUp_L=.25, mouthUpperUp_R=.25,
                jawOpen=.05, mouthLowerDown_L=.2, mouthLowerDown_R=.2), (0, 0, 2), (0, 0)),
    blink=(dict(eyeBlink_L=1., eyeBlink_R=1.), (3, 2, 1), (0, 0)),
    aside=({}, (5, 0, 1), (16, -4)),
    turned=(dict(jawOpen=.12, mouthLowerDown_L=.2, mouthLowerDown_R=.2, mouthUpperUp_L=.1, mouthUpperUp_R=.1), (-20, 2, 2), (0, 0)),
    away=(dict(jawOpen=.05), (24, 8, -2), (8, 5)),
)
# fmt: on
for name, shapes in expressions.EXPRESSIONS.items():  # and the eight expressions
    sided = {k: v * f for shape, v in shapes.items() for k, f in expressions.sided(shape, ict.SHAPES)}
    SHOTS['x_' + name] = (sided | dict(mouthClose=0.03), (2, 0, 1), (0, 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out')
    parser.add_argument('shots')
    parser.add_argument('--samples', type=int, default=12)
    parser.add_argument('--size', type=int, default=512)
    parser.add_argument('--border', default='')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--person', default='robin')
    parser.add_argument('--tag', default='')
    a = parser.parse_args()
    start = time.time()
    head = Head(PEOPLE[a.person])
    stage.cycles(head.scene, a.samples, a.threads)
    render = head.scene.render
    render.resolution_x = render.resolution_y = a.size
    if a.border:
        x0, x1, y0, y1 = (float(v) for v in a.border.split(','))
        render.use_border = render.use_crop_to_border = True
        render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = x0, x1, 1 - y1, 1 - y0
    print(f'built in {time.time() - start:.1f} s', flush=True)
    os.makedirs(a.out, exist_ok=True)
    for name in a.shots.split(','):
        more, turn, aside = SHOTS[name]
        weights = {k: max(more.get(k, 0), REST.get(k, 0)) for k in (*REST, *more)}
        if name == 'mm':
            weights = more
        rotation = Rotation.from_euler('YXZ', turn, degrees=True).as_matrix()
        gaze = rotation @ head.at_camera(rotation, np.zeros(3)).T
        gaze = gaze + np.array([[np.tan(np.radians(aside[0]))], [np.tan(np.radians(aside[1]))], [0.0]]) * gaze[2]
        gaze = (rotation.T @ (gaze / np.linalg.norm(gaze, axis=0))).T
        for k, side in enumerate('LR'):  # lids and their neighbourhood follow the gaze
            x, y = np.degrees(np.arctan2(gaze[k, 0], gaze[k, 2])), np.degrees(np.arcsin(gaze[k, 1]))
            sign = 1 if side == 'L' else -1
            weights |= {
                'eyeLookUp_' + side: max(y, 0) / 28, 'eyeLookDown_' + side: max(-y, 0) / 28,
                'eyeLookOut_' + side: max(sign * x, 0) / 34, 'eyeLookIn_' + side: max(-sign * x, 0) / 34,
            }  # fmt: skip
        head.pose(weights, rotation, gaze=gaze)
        path = os.path.join(a.out, name + a.tag + '.png')
        begin, used = time.time(), time.process_time()
        matte = head.render(path)
        picture, matte = soften_outline(develop(np.asarray(Image.open(path).convert('RGB'))), matte)
        Image.fromarray(matte).save(path[:-4] + '_matte.png')
        Image.fromarray(picture).save(path)
        print(f'{name}: {time.time() - begin:.1f} s, {time.process_time() - used:.1f} processor seconds', flush=True)


if __name__ == '__main__':
    main()
