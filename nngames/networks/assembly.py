"""Networks of many small players as one sparse matrix, with runs of equal activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nngames.activations import Activation
from nngames.core.operators import SparseMap

if TYPE_CHECKING:
    from nngames.networks.network import Network

#: From this many players on, a linear network of small couplings is assembled into one sparse matrix.
ASSEMBLE_PLAYERS = 12
#: Couplings of more entries than this on average are faster one by one: a dense product beats a sparse one there.
ASSEMBLE_ENTRIES = 2500


def is_assembled(network: Network) -> bool:
    """Whether there are many players, every weight is stored, and the couplings are small on average."""
    if len(network.players) < ASSEMBLE_PLAYERS or not network.linear:
        return False
    weights = network.weights.values()
    if not all(hasattr(weight, "matrix") for weight in weights):
        return False
    return sum(weight.multiplications for weight in weights) <= ASSEMBLE_ENTRIES * len(weights)


def activation_runs(network: Network) -> list[tuple[slice, Activation]]:
    """Return the activations with the stretch of a profile each acts on; equal separable neighbours are merged."""
    runs: list[tuple[slice, Activation]] = []
    for player, where in network.space.slices.items():
        activation = network.activations[player]
        if runs and activation.separable and activation.size is None and runs[-1][1] == activation:
            runs[-1] = (slice(runs[-1][0].start, where.stop), activation)
        else:
            runs.append((where, activation))
    return runs


def assembled_weight(network: Network) -> SparseMap:
    """Return W, the matrix (N, N) with blocks W_lk, sparse and float64: sums of float32 entries keep their digits."""
    from scipy import sparse

    rows, columns, values = [], [], []
    for (target, source), weight in network.weights.items():
        block = sparse.coo_array(weight.matrix if hasattr(weight, "matrix") else weight.dense)
        rows.append(block.row + network.space.slices[target].start)
        columns.append(block.col + network.space.slices[source].start)
        values.append(block.data.astype(np.float64))
    n = network.size
    if not values:
        return SparseMap(sparse.csr_array((n, n)))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return SparseMap(sparse.csr_array(entries, shape=(n, n)))
