import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_ros.speech.manifold import Manifold


def curved(rng, rows, size=512, dimensions=12):
    """Features like a trained network's: a low-dimensional sheet in many dimensions, within -1..1."""
    return np.tanh(rng.standard_normal((rows, dimensions)) @ rng.standard_normal((dimensions, size)) * 0.3).astype(
        np.float32
    )


def brute_force(rows, feature, k):
    return np.argsort(((rows.astype(np.float64) - feature) ** 2).sum(axis=1), kind='stable')[:k]


def normal_equations(rows, feature, nearest):
    first, *others = rows[nearest].astype(np.float64)
    a = (np.array(others) - first).T
    w = np.linalg.solve(a.T @ a, a.T @ (feature - first))
    return np.concatenate([[1 - w.sum()], w])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(20, 300), st.sampled_from([1, 2, 5, 10]))
def test_neighbours_are_those_of_a_full_comparison(seed, rows, k):
    rng = np.random.default_rng(seed)
    database, features = curved(rng, rows), curved(rng, 5)
    nearest = Manifold(database, k).nearest(features)
    for found, feature in zip(nearest, features):
        assert list(found) == list(brute_force(database, feature, k))


def test_agrees_with_the_plain_normal_equations_where_they_are_well_conditioned():
    rng = np.random.default_rng(3)
    database, features = curved(rng, 400, dimensions=40), curved(rng, 30, dimensions=40)
    projected, weights, nearest = Manifold(database).project(features)
    for n, feature in enumerate(features):
        expected = normal_equations(database, feature, nearest[n])
        np.testing.assert_allclose(weights[n], expected, atol=1e-4)
        np.testing.assert_allclose(projected[n], expected @ database[nearest[n]], atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1e-30, 1e-8, 1e-6, 1e-4, 1e-2]),
    st.sampled_from([1, 3, 10, 40]),
)
def test_duplicate_and_near_duplicate_rows_do_no_harm(seed, spread, copies):
    rng = np.random.default_rng(seed)
    base = curved(rng, 8)
    database = np.repeat(base, copies + 2, axis=0)
    database += (spread * rng.standard_normal(database.shape)).astype(np.float32)
    features = curved(rng, 4)
    projected, weights, nearest = Manifold(database).project(features)
    np.testing.assert_allclose(weights.sum(axis=1, dtype=np.float64), 1, atol=1e-3 * max(1, np.abs(weights).max()))
    # A projection is never farther from the feature than the nearest row it is made of.
    error = np.linalg.norm(projected - features, axis=1)
    best = np.linalg.norm(database[nearest[:, 0]] - features, axis=1)
    assert np.isfinite(projected).all() and (error <= best + 1e-3).all()


def test_weights_sum_to_one_and_rows_of_the_database_are_their_own_projection():
    rng = np.random.default_rng(4)
    database = curved(rng, 200)
    projected, weights, _ = Manifold(database).project(database[:50])
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(projected, database[:50], atol=1e-4)


def test_one_neighbour_is_the_nearest_row_and_blocks_do_not_matter():
    rng = np.random.default_rng(5)
    database, features = curved(rng, 100), curved(rng, 600)
    projected, _, nearest = Manifold(database, 1).project(features)
    np.testing.assert_array_equal(projected, database[nearest[:, 0]])
    whole = Manifold(database).project(features)[0]
    single = np.concatenate([Manifold(database).project(features[n : n + 1])[0] for n in (0, 255, 256, 599)])
    np.testing.assert_allclose(whole[[0, 255, 256, 599]], single, atol=1e-5)


@pytest.mark.parametrize(
    'rows, message',
    [
        (np.zeros((9, 512)), 'at least 10 rows'),
        (np.zeros(512), 'at least 10 rows'),
        (np.full((20, 512), np.nan), 'not finite'),
    ],
)
def test_a_bad_database_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        Manifold(rows)


def test_features_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r'\(3, 80\)'):
        Manifold(np.eye(512)[:20]).project(np.zeros((3, 80)))
