"""Orders in which players may answer: whether the listed one passes signals forward only, and whether any does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from nngames.core.operators import DenseMap, SparseMap
from nngames.core.profiles import Player
from nngames.networks.levels import levels_of

if TYPE_CHECKING:
    from nngames.networks.network import Network


def answers_in_order(network: Network, besides_itself: bool = False) -> bool:
    """Whether every player listens only to players listed before it, ``besides_itself`` if asked for."""
    place = {player: i for i, player in enumerate(network.players)}
    allowed = int(besides_itself)
    return all(place[s] < place[coupling.target] + allowed for coupling in network.couplings for s in coupling.sources)


def layer_order(network: Network, besides_itself: bool = False) -> list[Player] | None:
    """Return the players, each after all that it listens to, ``besides_itself`` if asked for; None if some go round."""
    listeners: dict[Player, list[Player]] = {player: [] for player in network.players}
    open_ends = dict.fromkeys(network.players, 0)
    for coupling in network.couplings:
        for source in coupling.sources:
            if not (besides_itself and source == coupling.target):
                listeners[source].append(coupling.target)
                open_ends[coupling.target] += 1
    order = [player for player in network.players if not open_ends[player]]
    for player in order:
        for listener in listeners[player]:
            open_ends[listener] -= 1
            if not open_ends[listener]:
                order.append(listener)
    return order if len(order) == len(network.players) else None


_acyclic: WeakKeyDictionary[Network, bool] = WeakKeyDictionary()


def is_acyclic(network: Network) -> bool:
    """Whether no coordinate's signal returns to it: the coupling matrix can be permuted to a strictly triangular one.

    A layer whose response mixes its coordinates, such as softmax, counts as one coordinate. Then the N-th power of the
    joint map is constant, and N plain passes end at the unique equilibrium. False also where a coupling is not linear
    or not stored, and on a ring of two layers or more, which pass signals round.
    """
    if network not in _acyclic:
        pattern = strict_pattern(network)
        _acyclic[network] = pattern is not None and levels_of(pattern) is not None
    return _acyclic[network]


def strict_pattern(network: Network) -> Any:
    """Return a CSR matrix whose entries stand where those of W that are not 0 do, if it may have no cycle; else None.

    None where a coupling is not linear or not stored, or where a cycle is found at once.
    """
    if not _may_be_acyclic(network):
        return None
    matrix = _with_layers_joined(_pattern(network), network)
    return None if matrix.diagonal().any() else matrix


def _may_be_acyclic(network: Network) -> bool:
    if not network.linear or (network.ring_order is not None and len(network.players) > 1):
        return False
    if kept_as_one(network) and _walks_in_a_circle(network.joint.assembly(np.dtype(np.float64))[0].matrix):
        return False
    if network.joint.assembled:
        return True
    weights = network.weights.values()
    if not all(hasattr(weight, "matrix") for weight in weights):
        return False
    alone = next(iter(weights)) if len(network.players) == len(weights) == 1 else None
    if isinstance(alone, DenseMap) and _answers_back(alone.matrix):
        return False
    n, entries = network.size, 0
    for weight in network.weights.values():
        matrix = getattr(weight, "matrix")  # noqa: B009  (only stored weights have one)
        entries += int(np.count_nonzero(matrix) if isinstance(weight, DenseMap) else matrix.count_nonzero())
    # More than half of a square of N places do not fit under its diagonal.
    return bool(entries <= n * (n - 1) / 2)


def _pattern(network: Network) -> Any:
    """Return a sparse matrix whose entries stand where those of W that are not 0 do: W itself where all are."""
    from nngames.networks.assembly import assembled_weight

    # What is not needed for passes is not kept for the pattern alone.
    one = kept_as_one(network)
    weight = network.joint.assembly(np.dtype(np.float64))[0] if one else assembled_weight(network)
    matrix: Any = weight.matrix
    if matrix.data.all():
        return matrix
    matrix = matrix.copy()
    matrix.eliminate_zeros()
    return matrix


def kept_as_one(network: Network) -> bool:
    """Whether passes multiply by one sparse matrix."""
    alone = len(network.players) == 1 and all(isinstance(weight, SparseMap) for weight in network.weights.values())
    return network.joint.assembled or (alone and len(network.weights) == 1)


def _answers_back(matrix: Any) -> bool:
    """Whether a coordinate of a dense layer listens to itself, or the first or last one to one that listens to it."""
    ends = (0, -1)
    return bool(matrix.diagonal().any()) or any(np.logical_and(matrix[i], matrix[:, i]).any() for i in ends)


def _with_layers_joined(matrix: Any, network: Network) -> Any:
    """Return the pattern with all coordinates of a layer that mixes them in the place of its first one."""
    mixed = [where for player, where in network.space.slices.items() if not network.activations[player].separable]
    if not mixed:
        return matrix
    from scipy import sparse

    place = np.arange(network.size)
    for where in mixed:
        place[where] = where.start
    entries = matrix.tocoo()
    ones = np.ones(entries.nnz)
    return sparse.csr_array((ones, (place[entries.row], place[entries.col])), shape=matrix.shape)


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
            entry = end - 1 if last else first
            if not matrix.data[entry]:
                break
            place = int(matrix.indices[entry])
            if place in seen:
                return True
            seen.add(place)
    return False
