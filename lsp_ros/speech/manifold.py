"""Manifold projection: any voice's features rebuilt from the person's own (paper section 3.1.1, equations 2 and 3).

Locally linear embedding, Roweis and Saul 2000: each feature becomes the affine combination of
its K nearest rows in the person's database that lies closest to it.
"""

import numpy as np

PRINCIPAL_DIMENSIONS = 64
RCOND = 1e-4
"""Directions in which the neighbours spread less than this share of their largest spread carry
no weight. Duplicate rows spread by nothing, so the solve has an answer for them too."""
BLOCK = 256


class Manifold:
    """The person's database D of speech features, with an exact search for neighbours.

    rows (N_s, 512). The search first bounds every distance from below, by the distance in the
    leading principal directions plus the difference of what is left over, and compares in full
    only the rows whose bound does not rule them out: the same neighbours as a full comparison
    for an eighth of the memory traffic, which is what a search costs at 120 Hz.
    """

    def __init__(self, rows: np.ndarray, neighbours: int = 10) -> None:
        rows = np.ascontiguousarray(rows, np.float32)
        if rows.ndim != 2 or len(rows) < neighbours:
            raise ValueError(f'the manifold has shape {rows.shape}; it needs at least {neighbours} rows of features')
        if neighbours < 1:
            raise ValueError(f'{neighbours} neighbours asked for; at least 1 is needed')
        if not np.isfinite(rows).all():
            raise ValueError('the manifold holds values that are not finite')
        self.rows, self.neighbours = rows, neighbours
        self._mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = rows - self._mean
        _, basis = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        self._basis = np.ascontiguousarray(basis[:, -PRINCIPAL_DIMENSIONS:], np.float32)
        self._leading, self._rest = self._split(centred)
        self._leading_sq = (self._leading**2).sum(axis=1)
        self._leading_t = np.ascontiguousarray(self._leading.T)

    def _split(self, centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        leading = centred @ self._basis
        rest = np.sqrt(np.maximum((centred**2).sum(axis=1) - (leading**2).sum(axis=1), 0))
        return leading, rest

    def nearest(self, features: np.ndarray) -> np.ndarray:
        """Indices of the K nearest rows, nearest first: (N, 512) -> (N, K)."""
        leading, rest = self._split(features - self._mean)
        bound = self._leading_sq - 2.0 * (leading @ self._leading_t) + (leading**2).sum(axis=1)[:, None]
        bound += (rest[:, None] - self._rest) ** 2
        k = self.neighbours
        found = np.empty((len(features), k), np.intp)
        for n, feature in enumerate(features):
            first = np.argpartition(bound[n], k - 1)[:k]
            worst = ((self.rows[first] - feature) ** 2).sum(axis=1).max()
            # The bound is a difference of large sums: leave room for what float32 loses in them.
            near = np.flatnonzero(bound[n] <= worst * 1.0001 + 1e-4)
            distance = ((self.rows[near] - feature) ** 2).sum(axis=1)
            found[n] = near[np.argsort(distance, kind='stable')[:k]]
        return found

    def project(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Equations 2 and 3: (N, 512) -> projected (N, 512) float32, weights (N, K) that sum to one, rows (N, K).

        Where the neighbours are well spread this is the solution of the plain normal equations;
        where they are not, it is the one of least norm.
        """
        features = np.ascontiguousarray(features, np.float32)
        if features.ndim != 2 or features.shape[1] != self.rows.shape[1]:
            raise ValueError(f'features have shape {features.shape}; expected (N, {self.rows.shape[1]})')
        parts = [self._project(features[n : n + BLOCK]) for n in range(0, len(features), BLOCK)]
        if not parts:
            parts = [(features, np.empty((0, self.neighbours), np.float32), np.empty((0, self.neighbours), np.intp))]
        projected, weights, nearest = (np.concatenate(p) for p in zip(*parts))
        return projected, weights, nearest

    def _project(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        nearest = self.nearest(features)
        points = self.rows[nearest].astype(np.float64)
        spread = points[:, 1:] - points[:, :1]
        offset = features - points[:, 0]
        gram = spread @ spread.transpose(0, 2, 1)
        value, vector = np.linalg.eigh(gram)
        limit = RCOND**2 * value[:, -1:] if value.shape[1] else value
        inverse = np.divide(1.0, value, out=np.zeros_like(value), where=value > np.maximum(limit, 1e-30))
        along = np.einsum('nik,ni->nk', vector, np.einsum('nid,nd->ni', spread, offset))
        rest = np.einsum('nik,nk->ni', vector, inverse * along)
        weights = np.concatenate([1.0 - rest.sum(axis=1, keepdims=True), rest], axis=1)
        projected = points[:, 0] + np.einsum('ni,nid->nd', rest, spread)
        return projected.astype(np.float32), weights.astype(np.float32), nearest
