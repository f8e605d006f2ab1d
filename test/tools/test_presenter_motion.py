"""The presenter's timeline: exact truth for any speech with phone times, whatever he feels and wherever he looks."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PRESENTER = Path(__file__).parents[2] / 'tools' / 'presenter'
EXPRESSIONS = 'neutral happy friendly sad surprised thoughtful worried angry'.split()
SOUNDS = 'm aa p iy b uw f ae v ow m er th iy l ay p ao'.split()


@pytest.fixture(scope='module')
def timeline():
    spec = importlib.util.spec_from_file_location('presenter_timeline', PRESENTER / 'motion' / 'timeline.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def speech():
    """A sentence of lip sounds for each expression, with a pause after each."""
    phones, utterances, spans, at = [['pau', 0.0, 1.0]], [], [], 1.0
    for expression in EXPRESSIONS:
        start = at
        for sound in SOUNDS:
            phones.append([sound, at, at + 0.11])
            at += 0.11
        utterances.append({'voice': 'joe', 'text': 'sounds', 'start': start, 'end': at, 'held_out': False})
        spans.append([start - 0.2, at + 1.3, expression])
        phones.append(['pau', at, at + 1.5])
        at += 1.5
    frames = int(at * 60)
    phones[-1][2] = frames / 60
    return {
        'frames': frames,
        'phonemes': phones,
        'utterances': utterances,
        'expressions': spans,
        'listening': [[0.0, 1.0]],
    }


@pytest.fixture(scope='module')
def truth(timeline, speech):
    audio = np.zeros(speech['frames'] * 16000 // 60)
    for u in speech['utterances']:
        audio[int(u['start'] * 16000) : int(u['end'] * 16000)] = 0.1
    return timeline.animate(np.load(PRESENTER / 'assets' / 'rig_robin.npz'), audio, speech, seed=5)


def test_no_expression_opens_lips_that_a_sound_or_silence_closes(truth, speech):
    closed = truth['aperture'] < 0.002
    t = np.arange(speech['frames']) / 60
    for phone, start, end in speech['phonemes']:
        if phone in 'mpb':
            assert closed[(t >= start) & (t < end)].sum() >= 2, (phone, start)
    assert closed[truth['lips_closed'] > 0.999].all()
    assert truth['expression'][:, 1:].max(0).min() > 0.5  # every expression was there


def test_landmarks_and_pupils_follow_from_pose_and_camera(truth):
    for name in ('lm73', 'lm68', 'pupil'):
        camera = np.einsum('nij,nkj->nki', truth['R'], truth[f'{name}_obj']) + truth['t'][:, None]
        assert np.abs(camera - truth[f'{name}_cam']).max() < 1e-3
        pixels = camera @ truth['K'].T
        assert np.abs(pixels[..., :2] / pixels[..., 2:] - truth[f'{name}_2d']).max() < 1e-2


def test_gaze_is_its_own_and_eyes_do_not_turn_further_than_eyes_can(truth):
    assert np.linalg.norm(truth['gaze_offset_deg'], axis=1).max() <= 20.01
    forward = truth['gaze_dir_obj'].mean(1)
    angle = np.degrees(np.arccos(forward[:, 2] / np.linalg.norm(forward, axis=1)))
    assert angle.max() < 33
    # the lines of sight of both eyes meet the point at the gaze's angle from the lens
    middle = np.einsum('nij,kj->nki', truth['R'], truth['eye_centre_obj']).mean(1) + truth['t']
    to_lens = -middle / np.linalg.norm(middle, axis=1, keepdims=True)
    sight = truth['gaze_dir_cam'].mean(1)
    sight /= np.linalg.norm(sight, axis=1, keepdims=True)
    measured = np.degrees(np.arccos(np.clip((to_lens * sight).sum(1), -1, 1)))
    assert np.abs(measured - np.linalg.norm(truth['gaze_offset_deg'], axis=1)).max() < 0.2


def test_pupil_lies_on_the_optical_axis(truth):
    from_centre = truth['pupil_obj'] - truth['eye_centre_obj']
    along = (from_centre * truth['eye_axis_obj']).sum(-1)
    assert np.abs(np.linalg.norm(from_centre, axis=-1) - along).max() < 1e-3
    kappa = np.degrees(np.arccos((truth['eye_axis_obj'] * truth['gaze_dir_obj']).sum(-1)))
    assert 4.2 < kappa.min() and kappa.max() < 4.61  # a turn about the head's vertical: less for eyes turned up or down


def test_same_seed_gives_the_same_truth(timeline, speech, truth):
    rig = np.load(PRESENTER / 'assets' / 'rig_robin.npz')
    audio = np.zeros(speech['frames'] * 16000 // 60)
    audio[16000:] = 0.1
    again = [timeline.animate(rig, audio, speech, seed=5)['weights'] for _ in range(2)]
    assert np.array_equal(*again)
