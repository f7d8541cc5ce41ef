"""Self-loops: the weights W_ll with which a layer feeds itself, kept in the form in which they were given."""

from __future__ import annotations

import numpy as np

from nngames.core.errors import NotApplicableError
from nngames.core.operators import LinearMap, SparseMap
from nngames.core.profiles import Array, Player
from nngames.networks import LinearCoupling, Network


def self_loops(network: Network) -> dict[Player, LinearMap]:
    """Return the nonzero weights W_ll.

    Raises
    ------
    NotApplicableError
        If a layer feeds itself through a coupling that is not linear, or through a matrix-free map too large to be
        written out.
    """
    loops = {}
    for coupling in network.couplings:
        if coupling.target not in coupling.sources:
            continue
        if not isinstance(coupling, LinearCoupling):
            raise NotApplicableError(f"player {coupling.target} feeds itself through a coupling that is not linear")
        weight = coupling.weight
        if not isinstance(weight, SparseMap) and not weight.has_dense:
            raise NotApplicableError(
                f"player {coupling.target} feeds itself through a map of shape {weight.shape} with too many entries to "
                "be written out: give the weight as a sparse matrix"
            )
        if weight.matrix.count_nonzero() if isinstance(weight, SparseMap) else weight.dense.any():
            loops[coupling.target] = weight
    return loops


def is_symmetric(weight: LinearMap) -> bool:
    """Return whether W = W', exactly."""
    if isinstance(weight, SparseMap):
        return (weight.matrix - weight.matrix.T).count_nonzero() == 0
    return np.array_equal(weight.dense, weight.dense.T)


def diagonal(weight: LinearMap) -> Array:
    """Return the diagonal of W as an array of its own, float64."""
    if isinstance(weight, SparseMap):
        return np.array(weight.matrix.diagonal(), dtype=np.float64)
    return np.diag(weight.dense).copy()
