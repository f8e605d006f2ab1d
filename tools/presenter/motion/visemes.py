"""Mouth shapes of speech: dominance blending of viseme targets, and constrictions that must be reached.

Targets are weights of ICT-FaceKit expression shapes; a key without a side moves both.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from signals import FPS, ramp

KEYS = (
    'jawOpen', 'mouthFunnel', 'mouthPucker', 'mouthStretch', 'mouthSmile', 'mouthLowerDown', 'mouthUpperUp',
    'mouthRollLower', 'mouthRollUpper', 'mouthPress', 'tongueOut', 'tongueUp',
)  # fmt: skip


def _target(jaw=0, fu=0, pu=0, st=0, sm=0, ld=0, uu=0, rl=0, ru=0, pr=0, to=0, tu=0) -> np.ndarray:
    return np.array([jaw, fu, pu, st, sm, ld, uu, rl, ru, pr, to, tu], float)


T = _target
# fmt: off
VISEMES = dict(
    aa=T(.40, ld=.18, uu=.12), ae=T(.34, st=.14, sm=.08, ld=.26, uu=.18), ah=T(.27, ld=.16, uu=.10),
    ao=T(.31, fu=.28, pu=.16), ax=T(.17, ld=.12, uu=.08), eh=T(.25, st=.16, sm=.06, ld=.20, uu=.15),
    er=T(.14, fu=.28, pu=.22, ld=.08), ih=T(.14, st=.20, sm=.08, ld=.20, uu=.13),
    iy=T(.09, st=.36, sm=.22, ld=.27, uu=.18),
    uh=T(.14, fu=.22, pu=.36), uw=T(.04, fu=.14, pu=.78), o=T(.25, fu=.32, pu=.32), w=T(.015, fu=.06, pu=.85),
    r=T(.09, fu=.30, pu=.28), y=T(.09, st=.30, sm=.16, ld=.24, uu=.15),
    l=T(.18, ld=.16, uu=.12, tu=.95),
    th=T(.14, ld=.24, uu=.17, to=.66), d=T(.10, st=.05, ld=.20, uu=.12, tu=.65),
    s=T(.035, st=.22, sm=.08, ld=.26, uu=.17),
    sh=T(.05, fu=.46, pu=.30, ld=.14, uu=.10), k=T(.15, ld=.14, uu=.09), hh=T(.16, ld=.10, uu=.08),
    f=T(.05, rl=.46, uu=.20, sm=.06), m=T(rl=.08, ru=.04, pr=.22), pau=T(pr=.05))
# dominance of a viseme (1 if missing); of its lip shape: most consonants yield to their vowels
ALPHA = dict(ax=.7, hh=.15, k=.45, d=.60, s=.95, sh=1.0, l=.8, th=1.3, r=.8, w=1.1, y=.8, m=.8, f=.9, pau=1.0)
LIP_ALPHA = dict(k=.12, d=.15, s=.35, l=.2, th=.3, hh=.05, m=.3, f=.35)
# fmt: on
LIP_SHAPE = ('mouthFunnel', 'mouthPucker', 'mouthStretch', 'mouthSmile')
PHONES = {p: [p] for p in VISEMES if p not in ('o', 'd', 's', 'sh', 'k', 'f', 'm')}
PHONES.update(ay=['aa', 'ih'], aw=['aa', 'uh'], ey=['eh', 'iy'], ow=['o', 'uw'], oy=['ao', 'ih'])
for _viseme, _phones in dict(th='dh', d='t d n', s='s z', sh='sh zh ch jh', k='k g ng', f='f v', m='m b p').items():
    PHONES.update({p: [_viseme] for p in _phones.split()})
VOWELS = set('aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw'.split())


def _spans(phones, kind):
    """(start, end) of the held part of lip closures ('m') or lip-to-teeth contacts ('f'), at least 60 ms."""
    for phone, start, end in phones:
        if PHONES[phone] != [kind]:
            continue
        if kind == 'm':
            a, b = start - 0.004, (end if phone == 'm' else start + 0.75 * (end - start)) - 0.006
        else:
            a, b = start + 0.006, end - 0.010
        if b - a < 0.060:
            a, b = (a + b) / 2 - 0.030, (a + b) / 2 + 0.030
        yield a, b


def mouth_track(phones: list, loudness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (T, len(KEYS)) and the demand for closed lips (T,) 0..1.

    phones: [name, start, end] in s without gaps; loudness (T,) about 0..1.2 scales the opening a little.
    """
    n = len(loudness)
    t = np.arange(n) / FPS
    top, bottom = np.zeros((n, len(KEYS))), np.zeros((n, len(KEYS)))
    closed = np.zeros(n)
    for phone, start, end in phones:
        visemes = PHONES[phone]
        cuts = [start, end] if len(visemes) == 1 else [start, start + 0.58 * (end - start), end]
        for viseme, a, b in zip(visemes, cuts[:-1], cuts[1:]):
            d, centre = b - a, (a + b) / 2
            half = max(0.28 * d, d / 2 - 0.10) if phone == 'pau' else 0.22 * d
            j0, j1 = max(0, int((a - 0.4) * FPS)), min(n, int((b + 0.4) * FPS) + 1)
            x = np.maximum(0, np.abs(t[j0:j1] - centre) - half)
            tau = np.where(t[j0:j1] < centre, 0.052, 0.044)
            tau = tau * (1.25 if viseme in ('uw', 'w', 'o', 'ao', 'sh') else 1.0)  # rounded: earlier and longer
            dominance = np.exp(-((x / tau) ** 1.3)) + 1e-9
            for q, key in enumerate(KEYS):
                alpha = ALPHA.get(viseme, 1.0) * (LIP_ALPHA.get(viseme, 1.0) if key in LIP_SHAPE else 1.0)
                if key.startswith('tongue'):
                    alpha = 2.5 if viseme in ('th', 'l', 'd') else 1.0
                top[j0:j1, q] += alpha * dominance * VISEMES[viseme][q]
                bottom[j0:j1, q] += alpha * dominance
        if phone == 'pau' and end - start > 0.30:
            closed = np.maximum(closed, ramp(t, start + 0.16, end - 0.20, 0.14, 0.10))
    x = gaussian_filter1d(top / bottom, 1.0, axis=0)
    for key in ('jawOpen', 'mouthLowerDown', 'mouthUpperUp'):
        x[:, KEYS.index(key)] *= 0.86 + 0.26 * loudness
    kept = dict(f=dict(mouthPucker=0.2), m=dict(mouthPucker=0.35, mouthStretch=0.4, mouthSmile=0.4))
    for kind in ('f', 'm'):
        for a, b in _spans(phones, kind):
            j0, j1 = max(0, int((a - 0.15) * FPS)), min(n, int((b + 0.15) * FPS) + 1)
            w = ramp(t[j0:j1], a, b, 0.085, 0.065)
            if kind == 'm':
                closed[j0:j1] = np.maximum(closed[j0:j1], w)
            for q, key in enumerate(KEYS):
                goal = VISEMES[kind][q] + kept[kind].get(key, 0) * x[j0:j1, q]
                x[j0:j1, q] = (1 - w) * x[j0:j1, q] + w * goal
    return x, closed
