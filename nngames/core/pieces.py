"""Long vectors, which are worked on piece by piece, so that what is done next to a piece finds it in the cache."""

from __future__ import annotations

from collections.abc import Iterator

#: From this many entries on a vector is a long one.
LONG = 2**17
#: Entries of a piece: a few rows of them fit into a core's second-level cache, and the calls of NumPy that a piece
#: takes count for little beside them.
PIECE = 2**15


def pieces(size: int) -> Iterator[slice]:
    """Return the pieces of a vector of so many entries, in their order."""
    return (slice(first, min(first + PIECE, size)) for first in range(0, size, PIECE))
