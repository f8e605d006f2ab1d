"""Chooses and orders the frames to render: any prefix covers mouths, head poses, gaze and expressions well.

usage: plan.py TIMELINE.npz SPEECH_FOLDER OUT_FOLDER [--first 300] [--count 1600]

Writes queue.txt (for render.py: ten held-out frames as a look at motion, the first FIRST training frames, the other
held-out frames, the other training frames) and split.json (train in order of coverage; val: every second frame of at
least 6 s of a held-out sentence).
Training frames never come from held-out sentences, nor from 0.4 s around them.
"""

from __future__ import annotations

import argparse
import json
import os

import numpy as np


def halton(i: int, base: int) -> float:
    f, r = 1.0, 0.0
    while i:
        f /= base
        r += f * (i % base)
        i //= base
    return r


def features(d: dict) -> np.ndarray:
    """(T, F) coordinates in which a distance of 1 is a difference worth a frame."""
    n = len(d['t'])
    mouth = d['lm73_obj'][:, 46:64].reshape(n, -1).astype(float)
    mouth -= mouth.mean(0)
    mouth = mouth @ np.linalg.svd(mouth[::5], full_matrices=False)[2][:6].T
    mouth /= mouth[:, 0].std()
    tongue = [list(d['shape_names']).index(k) for k in ('tongueOut', 'tongueUp')]
    pose = np.concatenate([d['euler'] / [6.0, 8.0, 4.0], (d['t'] - d['t'].mean(0)) / d['t'].std(0) * 0.3], 1)
    lids = d['eye_open'].mean(1, keepdims=True)
    lids = (lids - lids.mean()) / (lids.max() - lids.min()) * 3.0
    brows = d['lm73_obj'][:, 15:27, 1].mean(1, keepdims=True)
    brows = (brows - brows.mean()) / brows.std() * 0.4
    return np.concatenate(
        [
            1.5 * mouth,
            0.6 * d['weights'][:, tongue],
            pose,
            lids,
            brows,
            d['gaze_offset_deg'] / 9.0,
            1.2 * d['expression'][:, 1:],
        ],
        1,
    )


def farthest_first(x: np.ndarray, frames: np.ndarray, count: int) -> list[int]:
    """Starts in the middle and takes what lies farthest from all taken."""
    distance = np.full(len(frames), 1e9)
    at = int(np.argmin(np.linalg.norm(x[frames] - np.median(x[frames], 0), axis=1)))
    out = []
    for _ in range(count):
        out.append(int(frames[at]))
        distance = np.minimum(distance, np.linalg.norm(x[frames] - x[frames[at]], axis=1))
        distance[np.abs(frames - frames[at]) < 2] = 0
        at = int(distance.argmax())
    return out


def poses(d: dict, frames: np.ndarray, count: int) -> list[int]:
    """Frames nearest to quasi-random yaw, pitch, roll and gaze."""
    e = np.concatenate([d['euler'], d['gaze_offset_deg']], 1)[frames].astype(float)
    low, high = np.percentile(e, 0.5, axis=0), np.percentile(e, 99.5, axis=0)
    weight = np.array([1, 1, 0.5, 0.6, 0.6])
    out = []
    for i in range(1, count + 1):
        goal = low + (high - low) * [halton(i, b) for b in (3, 2, 5, 7, 11)]
        out.append(int(frames[np.argmin((np.abs((e - goal) / (high - low)) * weight).sum(1))]))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('timeline')
    parser.add_argument('speech')
    parser.add_argument('out')
    parser.add_argument('--first', type=int, default=300)
    parser.add_argument('--count', type=int, default=1600)
    a = parser.parse_args()
    names = 't lm73_obj euler eye_open gaze_offset_deg expression weights shape_names held_out aperture'.split()
    archive = np.load(a.timeline)
    d = {k: archive[k] for k in names}
    with open(os.path.join(a.speech, 'phonemes.json')) as file:
        info = json.load(file)
    frames = np.where(d['held_out'] < 0.5)[0]
    spread = farthest_first(features(d), frames, a.count)
    posed = poses(d, frames, 150)
    train: list[int] = []
    for k, f in enumerate(spread):
        train += [g for g in ([f, posed[k // 4]] if k % 4 == 3 and k // 4 < len(posed) else [f]) if g not in train]
    sentence = max((u for u in info['utterances'] if u['held_out']), key=lambda u: u['end'] - u['start'])
    start = int(max(0, sentence['start'] - 0.3) * 60) // 2 * 2
    val = list(range(start, start + max(360, min(480, int((sentence['end'] + 0.3) * 60) - start)), 2))
    # ten of them come first, where head and lips move most: a look at motion before all others are rendered
    lively = [np.abs(np.diff(d['euler'][val[k : k + 10], 1])).mean() for k in range(len(val) - 9)]
    lively = [m + 5 * d['aperture'][val[k : k + 10]].std() for k, m in enumerate(lively)]
    preview = val[int(np.argmax(lively)) :][:10]
    later = [i for i in val if i not in preview]
    os.makedirs(a.out, exist_ok=True)
    with open(os.path.join(a.out, 'queue.txt'), 'w') as file:
        file.write('\n'.join(str(i) for i in preview + train[: a.first] + later + train[a.first :]) + '\n')
    split = dict(
        train=sorted(train),
        train_in_coverage_order=train,
        val=val,
        val_fps=30,
        val_text=sentence['text'],
        val_voice=sentence['voice'],
    )
    with open(os.path.join(a.out, 'split.json'), 'w') as file:
        json.dump(split, file)
    e = d['euler'][train[: a.first]]
    print(f'{len(train)} training frames, {len(val)} held out ({len(val) / 30:.1f} s): {sentence["text"]}')
    print(
        'first',
        a.first,
        'euler',
        e.min(0).round(1),
        e.max(0).round(1),
        'gaze',
        np.abs(d['gaze_offset_deg'][train[: a.first]]).max(0),
    )


if __name__ == '__main__':
    main()
