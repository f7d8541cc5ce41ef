"""Long vectors, which are worked on piece by piece, so that what is done next to a piece finds it in the cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nngames.core.profiles import Array

#: From this many entries on a vector is a long one.
LONG = 2**17
#: Entries of a piece: a few rows of them fit into a core's second-level cache, and the calls of NumPy that a piece
#: takes count for little beside them.
PIECE = 2**15


def pieces(size: int) -> Iterator[slice]:
    """Return the pieces of a vector of so many entries, in their order."""
    return (slice(first, min(first + PIECE, size)) for first in range(0, size, PIECE))


def gram_matrix(rows: Array) -> Array:
    """Return the inner products of rows with each other, of long ones piece by piece, so that each is read once.

    BLAS would copy a few long rows more than once before it multiplies them.
    """
    count, size = rows.shape
    if size < LONG:
        whole: Array = rows.dot(rows.T)
        return whole
    gram = np.zeros((count, count))
    for piece in pieces(size):
        part = rows[:, piece]
        for i in range(count):
            for j in range(i + 1):
                gram[i, j] += part[i].dot(part[j])
    upper = np.triu_indices(count, 1)
    gram[upper] = gram.T[upper]
    return gram
