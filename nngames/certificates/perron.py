"""Perron weights: a positive vector u with max_i (N u)_i / u_i close to the spectral radius of a nonnegative N.

Any positive u gives a true bound (Collatz-Wielandt), so nothing here has to be accurate for a verdict to hold. On an
irreducible N, Noda's inverse iteration lowers the bound in every step and converges quadratically. On a
reducible N, each strongly connected component gets its own weights, and components are scaled along the order in
which they listen to each other, so that an open chain contracts however large its norms are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.bounds import collatz_wielandt, perron_weights

Array = NDArray[np.floating[Any]]

#: Components up to this order are refined by inverse iteration with dense solves.
_DENSE_ORDER = 600
_NODA_STEPS = 30


def contraction_weights(matrix: Any) -> tuple[Array, float]:
    """Return positive weights u and a safe upper bound on max_i (N u)_i / u_i for a sparse nonnegative matrix N.

    Parameters
    ----------
    matrix : sparse array (n, n)
        Its entries are finite and nonnegative.

    Returns
    -------
    weights : ndarray (n,)
    bound : float
        Below 1 proves that N contracts in the norm max_i |x_i| / u_i, with that factor.
    """
    from scipy.sparse.csgraph import connected_components

    count, labels = connected_components(matrix, connection="strong")
    candidates = [_irreducible_weights(matrix)] if count == 1 else [perron_weights(matrix)]
    if count > 1:
        # Weights too far apart for floats become 0 or not finite, and are not used.
        with np.errstate(all="ignore"):
            candidates.append(_component_weights(matrix, labels, count))
    usable = [u for u in candidates if np.isfinite(u).all() and (u > 0).all()]
    bounds = [collatz_wielandt(matrix, u) for u in usable]
    if not bounds:
        return np.ones(matrix.shape[0]), collatz_wielandt(matrix, np.ones(matrix.shape[0]))
    best = int(np.argmin(bounds))
    return usable[best], bounds[best]


def _irreducible_weights(matrix: Any) -> Array:
    weights = perron_weights(matrix)
    if matrix.shape[0] > _DENSE_ORDER:
        return weights
    dense = matrix.toarray()
    bound = _ratio(dense, weights)
    for _ in range(_NODA_STEPS):
        try:
            with np.errstate(all="ignore"):
                updated = np.linalg.solve(bound * np.eye(len(dense)) - dense, weights)
                updated = updated / np.abs(updated).max()
        except np.linalg.LinAlgError:
            return weights
        if not (updated > 0).all() or not _ratio(dense, updated) < bound:
            return weights
        weights, bound = updated, _ratio(dense, updated)
    return weights


def _ratio(matrix: Array, weights: Array) -> float:
    return float(np.max((matrix @ weights) / weights))


def _component_weights(matrix: Any, labels: NDArray[Any], count: int) -> Array:
    """Scale each component's own weights so that what it hears from earlier ones fits below a common factor q < 1."""
    weights = _own_weights(matrix, labels, count)
    inside, across = _split(matrix, labels)
    own = inside @ weights
    largest = float(np.max(own / weights))
    if largest >= 1:
        return weights
    room = (1 + largest) / 2 * weights - own
    for level in _listening_levels(across, labels, count):
        members = np.flatnonzero(level[labels])
        needed = np.zeros(count)
        np.maximum.at(needed, labels[members], (across[members] @ weights) / room[members])
        weights[members] *= np.where(needed > 0, needed, 1.0)[labels[members]]
    return np.asarray(weights / np.max(weights))


def _own_weights(matrix: Any, labels: NDArray[Any], count: int) -> Array:
    weights = np.ones(matrix.shape[0])
    order = np.argsort(labels, kind="stable")
    stops = np.cumsum(np.bincount(labels, minlength=count))
    for start, stop in zip((0, *stops[:-1]), stops, strict=True):
        if stop - start > 1:
            indices = order[start:stop]
            weights[indices] = _irreducible_weights(matrix[indices][:, indices])
    return weights


def _split(matrix: Any, labels: NDArray[Any]) -> tuple[Any, Any]:
    """Return the entries within components and those between them."""
    from scipy import sparse

    entries = matrix.tocoo()
    same = labels[entries.row] == labels[entries.col]
    parts = []
    for chosen in (same, ~same):
        data = (entries.data[chosen], (entries.row[chosen], entries.col[chosen]))
        parts.append(sparse.csr_array(data, shape=matrix.shape))
    return parts[0], parts[1]


def _listening_levels(across: Any, labels: NDArray[Any], count: int) -> Iterator[NDArray[np.bool_]]:
    """Yield the components level by level, as masks: each listens to earlier levels only."""
    from scipy import sparse

    entries = across.tocoo()
    pairs = np.unique(labels[entries.row].astype(np.int64) * count + labels[entries.col])
    target, source = pairs // count, pairs % count
    waiting = np.bincount(target, minlength=count)
    listeners = sparse.csc_array((np.ones(pairs.size), (target, source)), shape=(count, count))
    level = np.flatnonzero(waiting == 0)
    while level.size:
        mask = np.zeros(count, dtype=bool)
        mask[level] = True
        yield mask
        heard, times = np.unique(listeners[:, level].indices, return_counts=True)
        waiting[heard] -= times
        level = heard[waiting[heard] == 0]
