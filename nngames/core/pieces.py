"""Long vectors, which are worked on piece by piece, so that what is done next to a piece finds it in the cache."""

from __future__ import annotations

from collections.abc import Iterator

#: From this many entries on a vector is a long one.
LONG = 2**17
#: Entries of a piece, of which a few rows fit into a core's second-level cache.
PIECE = 2**14


def pieces(size: int) -> Iterator[slice]:
    """Return the pieces of a vector of so many entries, in their order."""
    return (slice(first, min(first + PIECE, size)) for first in range(0, size, PIECE))
