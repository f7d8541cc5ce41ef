"""Scale-free graphs by preferential attachment, drawn by arrays: ten million edges in seconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int32]


def preferential_attachment(size: int, links: int, rng: np.random.Generator) -> tuple[Places, Places]:
    """Return the edges of a graph in which every node has linked to ``links`` earlier ends of edges.

    Edge k starts at node k // links and ends at a uniformly chosen end of the edges before it: a node is chosen in
    proportion to its degree (Barabasi and Albert 1999; this form: Batagelj and Brandes 2005). An end that is itself
    the copy of an earlier one is resolved by following the copies, for all edges at once; the longest sequence of
    copies has about log(edges) members.

    Parameters
    ----------
    size : int
    links : int
    rng : numpy Generator

    Returns
    -------
    older, younger : ndarray of int32
        Each edge once, without loops, ordered by the older node.
    """
    count = size * links
    edge = np.arange(1, count)
    # Place 2k is the start of edge k, place 2k + 1 its end, which copies the place drawn here.
    copied = np.concatenate([[0], (rng.random(count - 1) * (2 * edge)).astype(np.int64)])
    at = copied[1:].copy()
    copies = np.flatnonzero(at % 2)
    while copies.size:
        at[copies] = copied[at[copies] // 2]
        copies = copies[at[copies] % 2 == 1]
    start, end = edge // links, at // (2 * links)
    older, younger = np.minimum(start, end), np.maximum(start, end)
    keys = (older * size + younger)[older < younger]
    keys.sort()
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    older = keys // size
    # Four bytes a place: the matrix keeps the type of its places.
    return older.astype(np.int32), (keys - older * size).astype(np.int32)
