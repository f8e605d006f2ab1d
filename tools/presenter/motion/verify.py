"""Checks rendered frames against the timeline and draws sheets.

usage: verify.py TIMELINE.npz FRAMES_FOLDER [--split SPLIT.json] [--sheet OUT.jpg] [--marks OUT.jpg]

--sheet: up to 25 frames side by side; --marks: landmarks and pupils drawn over up to 9 frames.
"""

from __future__ import annotations

import argparse
import json
import os

import numpy as np
from PIL import Image, ImageDraw


def read(path: str) -> np.ndarray:
    return np.asarray(Image.open(path))


def spread(frames: list[int], count: int) -> list[int]:
    return [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, count).astype(int))]


def marks(d, folder: str, frame: int, scale: int = 2) -> Image.Image:
    picture = Image.open(os.path.join(folder, f'{frame:06d}.jpg'))
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for points, colour, r in (
        (d['lm73_2d'], (80, 255, 80), 2),
        (d['shoulder_2d'], (80, 200, 255), 2),
        (d['pupil_2d'], (255, 60, 60), 3),
    ):
        for x, y in points[frame] * scale:
            draw.ellipse((x - r, y - r, x + r, y + r), outline=colour)
    return picture.resize((512, 512), Image.LANCZOS)


def tiles(pictures: list[Image.Image], columns: int, size: int) -> Image.Image:
    sheet = Image.new('RGB', (columns * size, -(-len(pictures) // columns) * size))
    for i, p in enumerate(pictures):
        sheet.paste(p.convert('RGB').resize((size, size), Image.LANCZOS), (i % columns * size, i // columns * size))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('timeline')
    parser.add_argument('frames')
    parser.add_argument('--split', default='')
    parser.add_argument('--sheet', default='')
    parser.add_argument('--marks', default='')
    a = parser.parse_args()
    d = np.load(a.timeline)
    frames = sorted(int(f[:6]) for f in os.listdir(a.frames) if f.endswith('.jpg') and f[:6].isdigit())
    plate = read(os.path.join(a.frames, 'plate.png')).astype(int)[..., :3]
    worst, bad = 0, []
    for i in frames:
        picture = read(os.path.join(a.frames, f'{i:06d}.jpg')).astype(int)
        matte = read(os.path.join(a.frames, f'{i:06d}_matte.png'))
        if picture.shape != plate.shape or matte.shape != plate.shape[:2]:
            bad.append(i)
            continue
        # whole blocks of the JPEG without the person
        free = (matte.reshape(64, 8, 64, 8) == 0).all((1, 3)).repeat(8, 0).repeat(8, 1)
        worst = max(worst, int(np.abs(picture - plate).mean(2)[free].max().round()))
    print(f'{len(frames)} frames, bad {bad}; room differs from the plate by at most {worst} (JPEG rounding)')
    held_out = d['held_out'][frames] > 0.5
    print(f'{(~held_out).sum()} for training, {held_out.sum()} held out')
    if a.split:
        with open(a.split) as file:
            split = json.load(file)
        have = set(frames)
        print('of train', len(have & set(split['train_in_coverage_order'])), 'of val', len(have & set(split['val'])))
        assert not set(split['train_in_coverage_order']) & set(np.where(d['held_out'] > 0.5)[0].tolist())
    if a.sheet:
        chosen = [Image.open(os.path.join(a.frames, f'{i:06d}.jpg')) for i in spread(frames, 25)]
        tiles(chosen, 5, 256).save(a.sheet, quality=88)
    if a.marks:
        wanted = ('lm73_2d', 'shoulder_2d', 'pupil_2d')
        data = {k: d[k] for k in wanted}
        tiles([marks(data, a.frames, i) for i in spread(frames, 9)], 3, 400).save(a.marks, quality=88)


if __name__ == '__main__':
    main()
