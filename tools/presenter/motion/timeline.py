"""Exact truth at 60 frames a second for a spoken track: weights, head pose, gaze, pupils, landmarks -> timeline.npz

usage: timeline.py RIG.npz SPEECH_FOLDER OUT.npz [--seed 11]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import wave

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # also when loaded from its file
import expressions
import numpy as np
from behaviour import IN_HEAD, Behaviour, behave
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation
from signals import FPS, band, loudness
from visemes import KEYS, PHONES, VOWELS, mouth_track

VOICES = ['rms', 'slt', 'awb', 'kal16', 'joe']
FLIP = np.diag([1.0, -1.0, -1.0])  # y up, z to the viewer -> y down, z forward
LIP_PAIRS = ((61, 67), (62, 66), (63, 65))  # of the 68 points


def gap(p68: np.ndarray) -> np.ndarray:
    """Mean height between the inner lips, cm; (..., 68, 3) -> (...)."""
    return np.mean([p68[..., u, 1] - p68[..., v, 1] for u, v in LIP_PAIRS], 0)


class Weights:
    """(T, shapes) weights by name; a name without a side moves both."""

    def __init__(self, names: list[str], n: int) -> None:
        self.index = {k: i for i, k in enumerate(names)}
        self.values = np.zeros((n, len(names)))

    def add(self, name: str, value) -> None:
        for shape, factor in expressions.sided(name, self.index):
            self.values[:, self.index[shape]] += factor * value

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[:, self.index[name]]

    def __setitem__(self, name: str, value) -> None:
        self.values[:, self.index[name]] = value


def lines_of_sight(rig: dict, b: Behaviour, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit lines of sight (T, 2, 3) in the head's frame, and the gaze (T, 2) in degrees that the eyes could reach."""
    pivot, camera = rig['pivot'], rig['camera']
    n = len(rotation)
    eyes = np.einsum('nij,kj->nki', rotation, rig['eye_centre'] - pivot) + pivot + b.move[:, None]
    middle = eyes.mean(1)
    gaze = b.gaze.copy()

    def in_head(gaze: np.ndarray) -> np.ndarray:
        target = middle + _offset(camera - middle, gaze)
        d = np.einsum('nji,nkj->nki', rotation, target[:, None] - eyes)
        return d / np.linalg.norm(d, axis=2, keepdims=True)

    for _ in range(6):  # where the head is turned far, a glance the other way falls short
        d = in_head(gaze).mean(1)
        angle = np.degrees(np.arccos(np.clip(d[:, 2] / np.linalg.norm(d, axis=1), -1, 1)))
        over = angle > IN_HEAD
        if not over.any():
            break
        gaze[over] *= 0.75
    smooth = gaussian_filter1d(gaze, 0.8, axis=0)
    assert n == len(smooth)
    return in_head(smooth), smooth


def _offset(to: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """Vector of the length of `to`, turned from it by gaze degrees to the right and up in the picture."""
    distance = np.linalg.norm(to, axis=1, keepdims=True)
    forward = to / distance
    right = np.cross(np.broadcast_to([0.0, 1.0, 0.0], to.shape), forward)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(forward, right)
    size = np.linalg.norm(gaze, axis=1, keepdims=True)
    way = (gaze[:, :1] * right + gaze[:, 1:] * up) / np.maximum(size, 1e-9)
    a = np.radians(size)
    return distance * (np.cos(a) * forward + np.sin(a) * way)


def eye_weights(w: Weights, sight: np.ndarray, blink: np.ndarray) -> None:
    """Lids and skin that follow the eyes, and blinks."""
    yaw = np.degrees(np.arctan2(sight[..., 0], sight[..., 2]))
    pitch = np.degrees(np.arcsin(sight[..., 1]))
    for k, side in enumerate('LR'):
        sign = 1 if side == 'L' else -1
        down = np.clip(-pitch[:, k], 0, None) / 28 + w['eyeLookDown_' + side]
        closing = blink * (1 - 0.35 * np.clip(down, 0, 1))
        w['eyeLookOut_' + side] = np.clip(sign * yaw[:, k], 0, None) / 34
        w['eyeLookIn_' + side] = np.clip(-sign * yaw[:, k], 0, None) / 34
        w['eyeBlink_' + side] = closing
        w['eyeWide_' + side] = w['eyeWide_' + side] * (1 - closing)
        w['eyeSquint_' + side] = w['eyeSquint_' + side] * (1 - 0.6 * closing)
        w['eyeLookUp_' + side] = np.clip(pitch[:, k], 0, None) / 28 * (1 - closing)
        w['eyeLookDown_' + side] = down * (1 - 0.8 * closing)


def pupils(rig: dict, sight: np.ndarray) -> np.ndarray:
    """Centres of the pupils (T, 2, 3) in the model's frame, and optical axes (T, 2, 3)."""
    out = []
    for k, centre in enumerate(rig['eye_centre']):
        a = float(rig['kappa']) * np.sign(centre[0])
        turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
        axis = sight[:, k] @ turn.T
        out.append((centre + rig['pupil_depth'][k] * axis, axis))
    return np.stack([o[0] for o in out], 1), np.stack([o[1] for o in out], 1)


def animate(rig: dict, audio: np.ndarray, info: dict, seed: int = 11) -> dict[str, np.ndarray]:
    """All truth arrays; see the README for their meaning.

    rig: arrays of rig.npz; audio: samples at 16 kHz, -1 to 1; info: frames, phonemes ([name, start, end] in s, without
    gaps), utterances (start, end, text; voice, held_out), and if wanted listening and expressions.
    """
    rng = np.random.RandomState(seed)
    n = info['frames']
    t = np.arange(n) / FPS
    names = [str(x) for x in rig['names']]
    rms, loud = loudness(audio, n)
    mouth, closed = mouth_track(info['phonemes'], loud)
    b = behave(info, loud, rng)
    w = Weights(names, n)
    for q, key in enumerate(KEYS):
        w.add(key, mouth[:, q])
    for key, value in expressions.BASE.items():
        lively = key in ('mouthSmile', 'cheekRaiser')
        w.add(key, value * np.clip(1 + 0.25 * band(rng, n, 0.02, 0.15), 0.4, 1.6) if lively else value)
    w['jawLeft'] = np.clip(0.012 * band(rng, n, 0.1, 0.8), 0, 1) * mouth[:, 0] / 0.3
    w.add('browOuterUp', 0.75 * b.brow)
    w.add('browInnerUp', 0.60 * b.brow)
    w.add('eyeWide', 0.25 * b.brow)
    strength = expressions.strengths(n, [tuple(s) for s in info.get('expressions', [])], rng)
    for k, name in enumerate(expressions.NAMES):
        for shape, value in expressions.EXPRESSIONS[name].items():
            # the lips of a rounded vowel or a closure leave less room for a smile
            yields = shape.startswith('mouth') and shape != 'mouthShrugLower'
            w.add(shape, strength[:, k] * value * ((1 - 0.5 * np.clip(mouth[:, 2], 0, 1)) if yields else 1))
    rotation = Rotation.from_euler('ZYX', np.stack([b.roll, b.yaw, b.pitch], 1), degrees=True).as_matrix()
    sight, gaze = lines_of_sight(rig, b, rotation)
    eye_weights(w, sight, b.blink)
    # ---- landmarks; lips that must be closed are closed to the hundredth of a millimetre
    delta = rig['delta'].astype(np.float64)
    rest = rig['rest']

    def points() -> np.ndarray:
        return rest[None] + np.einsum('nk,kvc->nvc', w.values, delta)

    per_pair = [np.maximum(points()[:, :68][:, u, 1] - points()[:, :68][:, v, 1], 0) for u, v in LIP_PAIRS]
    close = names.index('mouthClose')
    reach = min(delta[close, v, 1] - delta[close, u, 1] for u, v in LIP_PAIRS)
    w.add('mouthClose', closed * (np.max(per_pair, 0) + 0.004) / reach)
    p = points()
    origin, pivot, camera = rig['origin'], rig['pivot'], rig['camera']
    p68, p73 = p[:, :68] - origin, 0.5 * (p[:, 68:141] + p[:, 141:214]) - origin
    pupil, axis = pupils(rig, sight)
    pupil = pupil - origin
    r = FLIP @ rotation
    tv = (np.einsum('nij,j->ni', rotation, origin - pivot) + pivot + b.move - camera) @ FLIP
    t_ref = (origin - camera) @ FLIP
    torso = 0.5 * (tv - t_ref)
    k3 = np.array([[rig['focal'], 0, 256], [0, rig['focal'], 256], [0, 0, 1.0]])

    def in_camera(x: np.ndarray) -> np.ndarray:
        return np.einsum('nij,nkj->nki', r, x) + tv[:, None]

    def pixels(x: np.ndarray) -> np.ndarray:
        return (x @ k3.T)[..., :2] / x[..., 2:]

    shoulder_ref = (rig['shoulder'] - camera) @ FLIP
    shoulder = shoulder_ref + torso[:, None]
    euler = np.stack([b.pitch, -b.yaw, -b.roll], 1)
    voice, utterance, held_out = -np.ones(n), -np.ones(n), np.zeros(n)
    for i, u in enumerate(info['utterances']):
        m = (t >= u['start']) & (t < u['end'])
        voice[m] = VOICES.index(u['voice']) if u.get('voice') in VOICES else -1
        utterance[m] = i
        if u.get('held_out'):
            held_out[(t >= u['start'] - 0.4) & (t < u['end'] + 0.4)] = 1
    listening = np.zeros(n)
    for start, end in info.get('listening', []):
        listening[(t >= start) & (t < end)] = 1
    phone_names = sorted(PHONES)
    phone = np.zeros(n)
    for name, start, end in info['phonemes']:
        phone[(t >= start) & (t < end)] = phone_names.index(name)
    lm68, lm73, pupil_cam = in_camera(p68), in_camera(p73), in_camera(pupil)
    arrays = dict(
        fps=FPS, weights=w.values, euler=euler, R=r, t=tv, t_ref=t_ref, K=k3, extrinsics=np.eye(4),
        lm68_obj=p68, lm68_cam=lm68, lm68_2d=pixels(lm68), lm73_obj=p73, lm73_cam=lm73, lm73_2d=pixels(lm73),
        shoulder_cam=shoulder, shoulder_2d=pixels(shoulder), shoulder_ref=shoulder_ref,
        pupil_obj=pupil, pupil_cam=pupil_cam, pupil_2d=pixels(pupil_cam), eye_axis_obj=axis, gaze_dir_obj=sight,
        gaze_dir_cam=np.einsum('nij,nkj->nki', r, sight), gaze_offset_deg=gaze,
        eye_centre_obj=rig['eye_centre'] - origin,
        iris_radius=rig['iris_radius'], pupil_radius=rig['pupil_radius'],
        aperture=np.clip(gap(p68), 0, None), lips_closed=closed,
        eye_open=np.stack([np.linalg.norm(p73[:, i] - p73[:, j], axis=1) for i, j in ((28, 30), (32, 34))], 1),
        blink=b.blink, blink_times=b.blink_times, energy=rms, expression=strength, voice=voice, utterance=utterance,
        held_out=held_out, listening=listening, phone=phone, head_R_world=rotation, head_trans_world=b.move,
        torso_world=torso @ FLIP, world_origin=origin, neck_pivot=pivot, camera_world=camera,
    )  # fmt: skip
    out = {k: np.asarray(v, np.float32) for k, v in arrays.items()}
    out |= dict(
        shape_names=np.array(names),
        expression_names=np.array(expressions.NAMES),
        phone_names=np.array(phone_names),
        voice_names=np.array(VOICES),
        lm68_vertex=np.asarray(rig['lm68'], np.int32),
        lm73_vertex=np.stack([rig['v73'], rig['v73b']], 1).astype(np.int32),
    )
    return out


def rounded(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without meaningless bits, so that the archive compresses: 2^-11 cm, 2^-8 px, 2^-14 of a weight."""
    for key, x in data.items():
        if x.dtype == np.float32 and key[:4] in ('lm68', 'lm73', 'shou', 'pupi'):
            q = 256.0 if key.endswith('2d') else 2048.0
            data[key] = (np.round(x * q) / q).astype(np.float32)
    data['weights'] = (np.round(data['weights'] * 16384.0) / 16384.0).astype(np.float32)
    return data


def report(d: dict[str, np.ndarray], info: dict) -> None:
    n = len(d['t'])
    t = np.arange(n) / FPS
    opening = d['aperture'].astype(float)
    vowel, bad, closures = np.zeros(n), [], 0
    for phone, a, b in info['phonemes']:
        if phone in VOWELS:
            vowel[(t >= a) & (t < b)] = 1
        if phone in ('p', 'b', 'm'):
            closures += 1
            run = best = 0
            for shut in opening[(t >= a - 0.05) & (t < b + 0.05)] < 0.01 * opening.max():
                run = run + 1 if shut else 0
                best = max(best, run)
            if best < 2:
                bad.append((phone, round(a, 2), best))
    silent = (d['utterance'] < 0) & (d['lips_closed'] > 0.999)
    print(f'lips: open at most {opening.max():.2f} cm; P/B/M {closures}, not closed {len(bad)} {bad[:5]}')
    print(f'lips in silence: open at most {opening[silent].max():.4f} cm in {silent.sum()} frames')
    for v, name in enumerate(d['voice_names']):
        m = d['voice'] == v
        lags = range(-12, 13)
        r = [np.corrcoef(np.roll(opening, -k)[m], d['energy'][m])[0, 1] for k in lags]
        print(f'{name}: {m.sum()} frames, opening follows energy best at lag {lags[int(np.argmax(r))]}, r {max(r):.2f}')
    e, g = d['euler'], d['gaze_offset_deg']
    print('euler', e.min(0).round(1), e.max(0).round(1), 'sd', e.std(0).round(1))
    print(
        f'gaze up to {np.linalg.norm(g, axis=1).max():.1f}, over 8 deg in {np.mean(np.linalg.norm(g, axis=1) > 8):.0%}'
    )
    print('expressions, seconds', dict(zip(d['expression_names'], (d['expression'].sum(0) / FPS).round(0))))
    print('2d', d['lm73_2d'].min((0, 1)).round(), d['lm73_2d'].max((0, 1)).round())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('rig')
    parser.add_argument('speech')
    parser.add_argument('out')
    parser.add_argument('--seed', type=int, default=11)
    a = parser.parse_args()
    with wave.open(os.path.join(a.speech, 'audio.wav')) as w:
        audio = np.frombuffer(w.readframes(w.getnframes()), np.int16) / 32768.0
    with open(os.path.join(a.speech, 'phonemes.json')) as file:
        info = json.load(file)
    data = rounded(animate(dict(np.load(a.rig)), audio, info, a.seed))
    np.savez_compressed(a.out, **data)
    report(data, info)


if __name__ == '__main__':
    main()
