"""Orders in which players may answer: whether the listed one passes signals forward only, and whether any does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from nngames.core.operators import DenseMap, SparseMap

if TYPE_CHECKING:
    from nngames.networks.network import Network


def answers_in_order(network: Network) -> bool:
    """Whether every player listens only to players listed before it, so that one sweep in turn ends the run."""
    place = {player: i for i, player in enumerate(network.players)}
    return all(place[s] < place[coupling.target] for coupling in network.couplings for s in coupling.sources)


_acyclic: WeakKeyDictionary[Network, bool] = WeakKeyDictionary()


def is_acyclic(network: Network) -> bool:
    """Whether no coordinate's signal returns to it: the coupling matrix can be permuted to a strictly triangular one.

    Then the N-th power of the joint map is constant, and N plain passes end at the unique equilibrium. False also where
    a coupling is not linear or not stored, and on a ring of two layers or more, which pass signals round.
    """
    if network not in _acyclic:
        _acyclic[network] = _may_be_acyclic(network) and _without_cycles(network)
    return _acyclic[network]


def _may_be_acyclic(network: Network) -> bool:
    if not network.linear or (network.ring_order is not None and len(network.players) > 1):
        return False
    if not all(hasattr(weight, "matrix") for weight in network.weights.values()):
        return False
    n, entries = network.size, 0
    for weight in network.weights.values():
        matrix = getattr(weight, "matrix")  # noqa: B009  (only stored weights have one)
        entries += int(np.count_nonzero(matrix) if isinstance(weight, DenseMap) else matrix.count_nonzero())
    # More than half of a square of N places do not fit under its diagonal.
    return bool(entries <= n * (n - 1) / 2)


def _pattern(network: Network) -> Any:
    """Return a sparse matrix whose entries stand where those of W that are not 0 do: of one player W itself."""
    from nngames.networks.passes import assembled_weight

    alone = next(iter(network.weights.values())) if len(network.players) == 1 else None
    weight: Any = alone if isinstance(alone, SparseMap) else assembled_weight(network)
    if weight.matrix.data.all():
        return weight.matrix
    matrix = weight.matrix.copy()
    matrix.eliminate_zeros()
    return matrix


def _without_cycles(network: Network) -> bool:
    matrix = _pattern(network)
    if matrix.diagonal().any() or _walks_in_a_circle(matrix.tocsr()):
        return False
    # Loading it takes as long as passes over a large network, and finding the components many times as long.
    from scipy.sparse.csgraph import connected_components

    count, _ = connected_components(matrix, directed=True, connection="strong")
    return int(count) == matrix.shape[0]


def _walks_in_a_circle(matrix: Any) -> bool:
    """Whether a short walk, always on to the first or the last coordinate that one listens to, comes to where it was.

    A random map of n points would be expected to return after about sqrt(n) steps.
    """
    n, most = matrix.shape[0], 8 * math.isqrt(matrix.shape[0]) + 8
    for start, last in ((0, 0), (n - 1, 1), (n // 2, 0), (n // 2, 1)):
        place, seen = start, {start}
        for _ in range(most):
            first, end = int(matrix.indptr[place]), int(matrix.indptr[place + 1])
            if first == end:
                break
            place = int(matrix.indices[end - 1 if last else first])
            if place in seen:
                return True
            seen.add(place)
    return False
