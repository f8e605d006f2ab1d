"""Smoothing over time: what it keeps, what it calms, and when it comes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_ros.motion.filters import GaussianSmoother, LowPass


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.sampled_from([0.0, 0.4, 1.5, 3.0]))
@settings(max_examples=50, deadline=None)
def test_smoothing_is_the_same_in_any_chunking(chunks, sigma):
    rows = np.random.default_rng(sum(chunks)).normal(size=(sum(chunks), 5)).astype(np.float32)
    whole, pieces = GaussianSmoother(sigma), GaussianSmoother(sigma)
    expected = [whole.push(rows), whole.flush()]
    got = [pieces.push(part) for part in np.split(rows, np.cumsum(chunks)[:-1])] + [pieces.flush()]
    expected, got = (np.concatenate([p for p in parts if len(p)] or [rows]) for parts in (expected, got))
    assert got.shape == rows.shape
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_smoothing_keeps_what_is_constant_and_calms_what_is_not():
    smoother = GaussianSmoother(2.0)
    np.testing.assert_allclose(smoother.push(np.ones((30, 2), np.float32)), 1, atol=1e-6)
    noise = np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32)
    assert GaussianSmoother(2.0).push(noise).std() < 0.5 * noise.std()


def test_head_smoothing_settles_without_overshoot():
    low_pass = LowPass(np.array([3.0, 3, 3, 8, 8, 0]))
    low_pass.step(np.zeros(6))
    answer = np.array([low_pass.step(np.ones(6)) for _ in range(200)])
    assert (np.diff(answer, axis=0) >= -1e-12).all() and answer.max() <= 1 + 1e-12
    np.testing.assert_allclose(answer[-1], 1, atol=1e-6)
    impulse = np.diff(answer, axis=0, prepend=0)[:, [0, 3]]
    t = np.arange(200)[:, None]
    mean = (t * impulse).sum(axis=0)
    spread = np.sqrt(((t - mean) ** 2 * impulse).sum(axis=0))
    np.testing.assert_allclose(spread, (3, 8), rtol=0.1)
    np.testing.assert_allclose(mean, np.sqrt(2) * np.array([3, 8]), rtol=0.2)
    assert answer[0, 5] == 1
