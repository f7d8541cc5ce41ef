"""Perron weights: a positive vector u with max_i (N u)_i / u_i close to the spectral radius of a nonnegative N.

Any positive u gives a true bound (Collatz-Wielandt), so nothing here has to be accurate for a verdict to hold. On an
irreducible N, Noda's inverse iteration lowers the bound in every step and converges quadratically. On a reducible N,
each strongly connected component gets its own weights, and components are scaled along the order in which they listen
to each other, so that an open chain contracts however large its norms are. A matrix too large for that gets a few power
steps from the ones and, where they do not reach 1, the Neumann series of the ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.bounds import collatz_wielandt, perron_weights

Array = NDArray[np.floating[Any]]

#: Components up to this order are refined by inverse iteration with dense solves.
_DENSE_ORDER = 600
_NODA_STEPS = 30
#: From this order on a matrix is not taken apart: a product with it is what can be afforded a few dozen times.
LARGE_ORDER = 20_000
# Power steps go on while the last ones brought the bound closer to 0 by this share of itself, or of its gap to 1.
_POWER_STEPS, _WINDOW, _PROGRESS = 60, 5, 0.05
_SERIES_TERMS = 400
_NEAR_ONE = 0.99
_MOST_COMPONENTS = 50
# That many terms in a row with the same ratio show a spectral radius; a nilpotent matrix has none to show.
_STEADY = 12


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

    if matrix.shape[0] >= LARGE_ORDER:
        weights = _large_weights(matrix)
        return weights, collatz_wielandt(matrix, weights)
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


def balanced_weights(matrix: Any) -> Array:
    """Return positive weights u for which max_i (N u)_i / u_i is small, of a few power steps where N is large."""
    if matrix.shape[0] >= LARGE_ORDER:
        return _power_weights(matrix, np.ones(matrix.shape[0]))[0]
    return perron_weights(matrix)


def growth_vectors(matrix: Any) -> Iterator[Array]:
    """Yield nonnegative vectors u for which N u >= u may hold on the support: the ones, and those of components."""
    from scipy.sparse.csgraph import connected_components

    n = matrix.shape[0]
    yield np.ones(n)
    if n >= LARGE_ORDER:
        yield _large_weights(matrix)
        return
    count, labels = connected_components(matrix, connection="strong")
    sizes = np.bincount(labels, minlength=count)
    looped = np.bincount(labels[np.flatnonzero(matrix.diagonal())], minlength=count) > 0
    for label in sorted(np.flatnonzero((sizes > 1) | looped), key=lambda c: -sizes[c])[:_MOST_COMPONENTS]:
        indices = np.flatnonzero(labels == label)
        u = np.zeros(n)
        u[indices] = _irreducible_weights(matrix[indices][:, indices])
        yield u


def _large_weights(matrix: Any) -> Array:
    weights, bound = _power_weights(matrix, np.ones(matrix.shape[0]))
    if bound < 1:
        return weights
    series = _series_weights(matrix)
    if series is None:
        return weights
    found = [_power_weights(matrix, series)]
    if found[0][1] > _NEAR_ONE:
        # Where the radius is far below 1, as on a graph without circuits, the series of 2N settles too.
        steeper = _series_weights(2 * matrix)
        found += [] if steeper is None else [_power_weights(matrix, steeper)]
    return min(found, key=lambda pair: pair[1])[0]


def _power_weights(matrix: Any, weights: Array) -> tuple[Array, float]:
    """Return the best of some steps u -> N u + s u, none of which raises max_i (N u)_i / u_i, and that ratio.

    The shift s keeps periodic matrices from oscillating and every weight positive.
    """
    product = matrix @ weights
    bounds = [float(np.max(product / weights))]
    while len(bounds) <= _POWER_STEPS and bounds[-1] > 0:
        updated = product + 0.125 * bounds[-1] * weights
        # A weight that falls behind without end, as where nothing listens, is held above the smallest floats.
        updated = np.maximum(updated / updated.max(), 1e-150)
        product = matrix @ updated
        bound = float(np.max(product / updated))
        if not bound < bounds[-1]:
            break
        weights = updated
        bounds.append(bound)
        if len(bounds) > _WINDOW and not _gains(bounds[-1 - _WINDOW], bound):
            break
    return weights, bounds[-1]


def _gains(before: float, after: float) -> bool:
    return before - after > _PROGRESS * (1 - after if after < 1 else after)


def _series_weights(matrix: Any) -> Array | None:
    """Return u = sum_k N^k 1 where it settles: N u = u - 1 + N^{k+1} 1 < u as soon as N^{k+1} 1 < 1. None elsewhere.

    It settles iff the spectral radius is below 1, on reducible matrices too.
    """
    term = np.ones(matrix.shape[0])
    total, largest = term.copy(), [1.0]
    for _ in range(1, _SERIES_TERMS):
        term = matrix @ term
        largest.append(float(term.max()))
        if largest[-1] < 0.5:
            return total
        if not largest[-1] < 1e100 or _grows_steadily(largest[-_STEADY - 1 :]):
            return None
        total += term
    return None


def _grows_steadily(sizes: list[float]) -> bool:
    if len(sizes) <= _STEADY:
        return False
    ratios = [after / before for before, after in pairwise(sizes)]
    return min(ratios) >= 1 and max(ratios) <= 1.01 * min(ratios)


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
