"""The weights of a network as one vector of entries, with the row and the column of each in a profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import NotApplicableError
from nngames.core.operators import DenseMap, SparseMap
from nngames.core.profiles import Array
from nngames.networks import Network

Places = NDArray[np.int64]
Edge = tuple[Any, Any]


@dataclass(frozen=True, eq=False)
class Entries:
    """A layout of weights in a vector.

    Attributes
    ----------
    rows, columns : ndarray (E,)
        Where entry e stands in the joint weight matrix.
    free : ndarray (E,) of bool
        Whether it belongs to a weight, so that it may be other than 0.
    start : ndarray (E,)
        The entries of the template.
    slots : mapping (target, source) -> ndarray
        The places in the vector of the entries that an edge stores, in its own order.
    blocks : mapping -> (slice, shape)
        The dense matrices of which the vector consists; empty where it holds what the edges store.
    """

    rows: Places
    columns: Places
    free: NDArray[np.bool_]
    start: Array
    slots: dict[Edge, Places]
    blocks: dict[Any, tuple[slice, tuple[int, int]]]

    def weights(self, network: Network, values: Array) -> dict[Edge, Any]:
        """Return the weights that the vector ``values`` holds, dense or sparse as those of the template are."""
        return {edge: _like(network.weights[edge], values[slots]) for edge, slots in self.slots.items()}


def stored_entries(network: Network) -> Entries:
    """Return the entries that the edges store."""
    places = {edge: _stored(network, edge) for edge in network.weights}
    rows, columns, start = (
        np.concatenate([part[i] for part in places.values()]) if places else np.zeros(0, dtype=kind)
        for i, kind in enumerate((np.int64, np.int64, np.float64))
    )
    stops = np.cumsum([len(part[0]) for part in places.values()])
    slots = {
        edge: np.arange(stop - len(part[0]), stop) for (edge, part), stop in zip(places.items(), stops, strict=True)
    }
    return Entries(rows, columns, np.ones(len(rows), dtype=bool), start, slots, {})


def block_entries(network: Network) -> Entries:
    """Return each edge as a dense matrix."""
    slices = network.space.slices
    blocks: dict[Any, tuple[slice, tuple[int, int]]] = {}
    rows, columns, size = [], [], 0
    for target, source in network.weights:
        m, n = network.dims[target], network.dims[source]
        blocks[target, source] = (slice(size, size + m * n), (m, n))
        rows.append(np.repeat(np.arange(m) + slices[target].start, n))
        columns.append(np.tile(np.arange(n) + slices[source].start, m))
        size += m * n

    def place(edge: Edge, row: Places, column: Places) -> Places:
        where, (_, n) = blocks[edge]
        return where.start + (row - slices[edge[0]].start) * n + (column - slices[edge[1]].start)

    empty = [np.zeros(0, dtype=np.int64)]
    return _scattered(network, np.concatenate(rows or empty), np.concatenate(columns or empty), place, blocks)


def joint_entries(network: Network) -> Entries:
    """Return the joint weight matrix (N, N), zero where no edge is."""
    n = network.size
    rows, columns = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)

    def place(edge: Edge, row: Places, column: Places) -> Places:
        return row * n + column

    return _scattered(network, rows, columns, place, {"joint": (slice(0, n * n), (n, n))})


def _scattered(
    network: Network,
    rows: Places,
    columns: Places,
    place: Callable[[Edge, Places, Places], Places],
    blocks: dict[Any, tuple[slice, tuple[int, int]]],
) -> Entries:
    free, start, slots = np.zeros(len(rows), dtype=bool), np.zeros(len(rows)), {}
    for edge in network.weights:
        row, column, values = _stored(network, edge)
        slots[edge] = place(edge, row, column)
        free[slots[edge]] = True
        start[slots[edge]] = values
    return Entries(rows, columns, free, start, slots, blocks)


def _stored(network: Network, edge: Edge) -> tuple[Places, Places, Array]:
    """Return the rows and columns in the joint matrix, and the values, of the entries that an edge stores."""
    weight = network.weights[edge]
    row0, column0 = (network.space.slices[player].start for player in edge)
    if isinstance(weight, DenseMap):
        m, n = weight.shape
        values = np.array(weight.matrix, dtype=np.float64).ravel()
        return np.repeat(np.arange(m), n) + row0, np.tile(np.arange(n), m) + column0, values
    if isinstance(weight, SparseMap):
        matrix = weight.matrix
        row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        return row + row0, matrix.indices.astype(np.int64) + column0, np.array(matrix.data, dtype=np.float64)
    target, source = edge
    raise NotApplicableError(f"the weight of the edge {source} -> {target} is a map without entries that could change")


def _like(weight: Any, values: Array) -> Any:
    if isinstance(weight, DenseMap):
        return values.reshape(weight.shape)
    from scipy import sparse

    return sparse.csr_array((values, weight.matrix.indices, weight.matrix.indptr), shape=weight.shape)
