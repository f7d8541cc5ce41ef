"""Levels of a directed graph without cycles: every coordinate stands one above the highest that it listens to."""

from __future__ import annotations

import math
from array import array
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nngames.core.deadlines import look

#: A level of more coordinates is followed up by array operations, one of fewer by a loop over numbers.
WIDE = 48
#: The entries of so many coordinates are looked at together.
PIECE = 2**14
#: The clock is looked at after so many levels.
CLOCKED = 1024


class Levels(NamedTuple):
    """The levels of N coordinates.

    Attributes
    ----------
    order : ndarray (N,)
        The coordinates, level by level and ascending in each: an order in which each listens to earlier ones only.
    bounds : ndarray (levels + 1,)
        Where each level starts in ``order``, and N.
    """

    order: NDArray[np.int32]
    bounds: NDArray[np.int32]


def levels_of(pattern: Any, deadline: float = math.inf) -> Levels | None:
    """Return the levels of the graph in which i listens to j where a CSR matrix stores an entry (i, j).

    The level of a coordinate is the number of edges of the longest path that ends there. None where there is a cycle:
    sources are taken away until none is left, which takes the time of a few passes, beside a few microseconds a level.
    Raises TimeUpError after ``deadline``.
    """
    n = pattern.shape[0]
    starts, listeners = _listeners(pattern)
    open_ends = np.diff(pattern.indptr).astype(np.int32, copy=False)
    level = np.flatnonzero(open_ends == 0).astype(np.int32)
    bounds = array("i", [0])
    order: Any = np.empty(n, dtype=np.int32)
    places = memoryview(order)
    while len(level):
        where = slice(bounds[-1], bounds[-1] + len(level))
        if isinstance(level, list):
            places[where] = array("i", level)
        else:
            order[where] = level
        bounds.append(where.stop)
        if len(bounds) % CLOCKED == 0:
            look(deadline)
        level = (_above_wide if len(level) > WIDE else _above_thin)(level, starts, listeners, open_ends)
    return Levels(order, np.frombuffer(bounds, dtype=np.int32)) if bounds[-1] == n else None


def strictly_lower(pattern: Any) -> bool:
    """Whether every coordinate listens to coordinates before it only, in a CSR matrix."""
    starts, n = pattern.indptr, pattern.shape[0]
    for first in range(0, n, PIECE):
        end = min(first + PIECE, n)
        rows = np.repeat(np.arange(first, end), np.diff(starts[first : end + 1]))
        if not (pattern.indices[starts[first] : starts[end]] < rows).all():
            return False
    return True


def _listeners(pattern: Any) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Return who listens to each coordinate: where its listeners start, and their places."""
    from scipy import sparse

    narrow = np.int32 if pattern.nnz < 2**31 else np.int64
    places = [array.astype(narrow, copy=False) for array in (pattern.indices, pattern.indptr)]
    heard = sparse.csr_array((np.ones(pattern.nnz, dtype=np.int8), *places), shape=pattern.shape).tocsc()
    return heard.indptr.astype(narrow, copy=False), heard.indices.astype(narrow, copy=False)


def _above_wide(level: Any, starts: Any, listeners: Any, open_ends: Any) -> Any:
    """Take a level away from the open ends of its listeners; return those that have none any more, ascending."""
    found = []
    for part in np.array_split(np.asarray(level, dtype=np.int32), -(-len(level) // PIECE)):
        first = starts[part]
        counts = starts[part + 1] - first
        shifts = np.repeat(first - np.cumsum(counts, dtype=counts.dtype) + counts, counts)
        above = listeners[shifts + np.arange(len(shifts), dtype=counts.dtype)]
        np.subtract.at(open_ends, above, 1)
        found.append(np.unique(above[open_ends[above] == 0]))
    return np.sort(np.concatenate(found))


def _above_thin(level: Any, starts: Any, listeners: Any, open_ends: Any) -> Any:
    """Do the same by a loop."""
    first, all_listeners, left = memoryview(starts), memoryview(listeners), memoryview(open_ends)
    above = []
    for i in level:
        for j in all_listeners[first[i] : first[i + 1]]:
            left[j] -= 1
            if not left[j]:
                above.append(j)
    above.sort()
    return above
