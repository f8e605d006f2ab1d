"""What he does beside his mouth: head, brows, blinks and gaze, in speech, in listening and idle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from signals import FPS, band, ramp, soft_limit
from visemes import VOWELS

YAW, PITCH, ROLL = 25.0, 15.0, 8.0  # degrees, never beyond
GAZE = 20.0  # degrees from the lens, any direction
IN_HEAD = 32.0  # degrees, an eye turns no further in its head


@dataclass
class Behaviour:
    """Tracks of T frames: degrees, cm, and 0..1."""

    pitch: np.ndarray  # > 0: chin down
    yaw: np.ndarray  # > 0: to the right of the picture
    roll: np.ndarray
    move: np.ndarray  # (T, 3) cm
    brow: np.ndarray
    blink: np.ndarray
    blink_times: list[float]
    gaze: np.ndarray  # (T, 2) right, up of the lens


def _talk(info: dict, n: int) -> np.ndarray:
    talk = np.zeros(n)
    for u in info['utterances']:
        talk[int(u['start'] * FPS) : int(u['end'] * FPS)] = 1
    return gaussian_filter1d(talk, 12)


def _stresses(phones: list, loud: np.ndarray) -> list[tuple[float, float, float]]:
    voiced = [
        (a, b, loud[min(len(loud) - 1, int((a + b) / 2 * FPS))] * min(b - a, 0.2) / 0.12)
        for p, a, b in phones
        if p in VOWELS
    ]
    out = []
    for i, v in enumerate(voiced):
        near = [o for o in voiced[max(0, i - 3) : i + 4] if abs(o[0] - v[0]) < 0.45]
        if v[2] > 0.45 and all(v[2] >= o[2] for o in near):
            out.append(v)
    return out


def behave(info: dict, loud: np.ndarray, rng: np.random.RandomState) -> Behaviour:
    """Rules: drift, nods and turns at stressed vowels, gestures of questions, nods while he listens, looks around."""
    n = len(loud)
    t = np.arange(n) / FPS
    talk = _talk(info, n)

    def slow(low: float, high: float) -> np.ndarray:
        return band(rng, n, low, high)

    def bump(centre: float, width: float) -> np.ndarray:
        return np.exp(-0.5 * ((t - centre) / width) ** 2)

    pitch = 2.3 * slow(0.03, 0.25) + talk * 1.1 * slow(0.4, 1.2)
    yaw = 5.6 * slow(0.02, 0.16) + talk * 1.6 * slow(0.25, 0.8)
    roll = 2.1 * slow(0.03, 0.2) + talk * 0.8 * slow(0.3, 1.0)
    brow = np.zeros(n)
    last = -9.0
    for a, b, s in _stresses(info['phonemes'], loud):
        m = (a + b) / 2
        pitch += rng.uniform(0.9, 3.0) * min(s, 1.4) * (bump(m + 0.04, 0.10) - 0.35 * bump(m - 0.22, 0.12))
        yaw += rng.uniform(-1.6, 1.6) * bump(m, 0.22)
        roll += rng.uniform(-1.3, 1.3) * bump(m, 0.20)
        if m - last > 1.3 and rng.rand() < 0.55:
            brow += rng.uniform(0.25, 0.6) * ramp(t, m - 0.06, m + rng.uniform(0.05, 0.25), 0.16, 0.35)
            last = m
    for u in info['utterances']:
        if '?' in u['text']:
            brow += 0.35 * ramp(t, u['end'] - 0.6, u['end'] - 0.15, 0.3, 0.4)
            pitch -= 2.0 * bump(u['end'] - 0.25, 0.25)
            roll += rng.choice([-1, 1]) * 2.2 * bump(u['end'] - 0.2, 0.4)
        pitch -= 1.5 * bump(u['start'] - 0.08, 0.2)  # a small lift before speaking
    for start, end in info.get('listening', []):  # nods, a tilt, brows that follow
        m = start + rng.uniform(0.6, 1.5)
        while m < end - 1.0:
            for k in range(rng.randint(1, 4)):
                pitch += (
                    rng.uniform(2.0, 4.5) * 0.75**k * (bump(m + 0.34 * k, 0.10) - 0.4 * bump(m + 0.34 * k - 0.2, 0.1))
                )
            if rng.rand() < 0.5:
                roll += rng.choice([-1, 1]) * rng.uniform(2, 4) * ramp(t, m, m + rng.uniform(0.8, 2.0), 0.6, 0.8)
            if rng.rand() < 0.4:
                brow += rng.uniform(0.2, 0.5) * ramp(t, m, m + 0.4, 0.2, 0.5)
            m += rng.uniform(1.8, 4.0)
    count = int(n / FPS / 7)  # looks around, spread evenly over the square of yaw and pitch
    order = rng.permutation(count)
    for q in range(count):
        m = (q + rng.uniform(0.1, 0.9)) * n / FPS / count
        hold = rng.uniform(0.5, 1.8)
        goal = ((order[q] + rng.rand()) / count * 2 - 1, ((order[q] * 0.618034) % 1) * 2 - 1)
        w = ramp(t, m, m + hold, rng.uniform(0.45, 0.7), rng.uniform(0.6, 0.8))
        yaw = yaw * (1 - 0.8 * w) + w * goal[0] * 1.06 * YAW
        pitch = pitch * (1 - 0.8 * w) + w * goal[1] * 1.06 * PITCH
    pitch, yaw, roll = (
        gaussian_filter1d(soft_limit(x, limit), 2) for x, limit in ((pitch, PITCH), (yaw, YAW), (roll, ROLL))
    )
    move = np.stack(
        [
            soft_limit(0.75 * slow(0.02, 0.2) + 0.04 * yaw, 2.2),
            soft_limit(0.30 * slow(0.03, 0.25) - 0.05 * (pitch - gaussian_filter1d(pitch, 60)), 1.2),
            soft_limit(0.7 * slow(0.02, 0.2) + 0.08 * pitch, 2.2),
        ],
        1,
    )
    blink, times = _blinks(n, t, rng)
    return Behaviour(pitch, yaw, roll, move, np.clip(brow, 0, 0.8), blink, times, _gaze(n, t, talk, info, rng))


def _blinks(n: int, t: np.ndarray, rng: np.random.RandomState) -> tuple[np.ndarray, list[float]]:
    blink, times, x = np.zeros(n), [], 1.6
    while x < n / FPS - 0.5:
        times.append(x)
        blink = np.maximum(blink, rng.uniform(0.95, 1.0) * ramp(t, x, x + 0.03, 0.085, 0.16))
        x += np.clip(rng.lognormal(np.log(3.6), 0.42), 1.2, 8.0)
        if rng.rand() < 0.08:
            x = times[-1] + 0.42
    return blink, times


def _gaze(n: int, t: np.ndarray, talk: np.ndarray, info: dict, rng: np.random.RandomState) -> np.ndarray:
    """Contact with the viewer with small saccades; glances anywhere in a disc of GAZE degrees."""
    gaze = np.zeros((n, 2))
    listening = np.zeros(n, bool)
    for start, end in info.get('listening', []):
        listening[int(start * FPS) : int(end * FPS)] = True
    x, now = 0.0, np.zeros(2)
    while x < n / FPS:
        i = min(n - 1, int(x * FPS))
        chance = 0.12 if listening[i] else 0.26 if talk[i] > 0.3 else 0.45  # of a glance away
        far = rng.rand() < chance
        if far:
            a, r = rng.uniform(0, 2 * np.pi), GAZE * np.sqrt(rng.uniform(0.02, 1))
            goal = r * np.array([np.cos(a), np.sin(a)])
        else:
            goal = rng.uniform(-1, 1, 2) * [1.6, 1.0]
        size = np.linalg.norm(goal - now)
        k = np.clip((t - x) / (0.021 + 0.0022 * size), 0, 1)[:, None]  # main sequence of saccades
        k = 0.5 - 0.5 * np.cos(np.pi * k)
        m = t >= x
        gaze[m] = (now + (goal - now) * k)[m]
        now = goal
        x += np.clip(rng.lognormal(np.log(0.55 if far else 0.8), 0.5), 0.2, 2.6)
    return gaze
