"""Block systems E_i x_i - s sum_j B_ij x_j = h_i, eliminated block after block along the couplings B_ij.

Where the couplings have no cycle, each block follows from those before it. Else the system is reduced to few blocks
without which there is no cycle, on a ring to the smallest one: no factor is larger than a block or than those few
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from nngames.core.errors import NotApplicableError
from nngames.core.factors import DENSE_ORDER, DenseFactor, Factor, factorised
from nngames.core.operators import LinearMap
from nngames.core.profiles import Array

#: Columns are eliminated in groups that hold at most this many numbers.
_GROUP_ENTRIES = 4_000_000


class BlockElimination(Factor):
    """The system E_i x_i - s sum_j B_ij x_j = h_i, block by block.

    With ``kept`` the blocks of ``feedback_blocks``: the others follow from the kept ones by substitution along the
    couplings, and the rows of the kept blocks then form a dense system K in them. A solution is one sweep where nothing
    is kept; else two, around one product with the inverse of K. Pivots are chosen inside the blocks only. If the
    symmetric part of the whole matrix A is at least Id, every K has that property too, and the elimination grows
    nothing beyond about |A|^2; otherwise the residual of a solution has to be looked at.

    Parameters
    ----------
    blocks : sequence of matrices
        E_i, each as ``factorised`` takes it.
    couplings : mapping (i, j) -> LinearMap
        B_ij, i != j.
    factor : float
        s.

    Raises
    ------
    NotApplicableError
        If a factor would be too large.
    numpy.linalg.LinAlgError
        If a block that is not kept, or K, is singular.
    """

    def __init__(self, blocks: Sequence[Any], couplings: Mapping[tuple[int, int], LinearMap], factor: float) -> None:
        sizes = [block.shape[0] for block in blocks]
        ends = [0, *accumulate(sizes)]
        self._places = [slice(start, end) for start, end in pairwise(ends)]
        self._size, self._scale = ends[-1], factor
        self.kept, self._order = feedback_blocks(sizes, couplings)
        self._sources: list[list[tuple[int, LinearMap]]] = [[] for _ in blocks]
        for (i, j), weight in couplings.items():
            self._sources[i].append((j, weight))
        # With the kept blocks at zero, their couplings contribute nothing.
        self._inner = [[pair for pair in pairs if pair[0] not in self.kept] for pairs in self._sources]
        kept_size = sum(sizes[i] for i in self.kept)
        if kept_size > DENSE_ORDER:
            raise NotApplicableError(
                f"the blocks that close the cycles of the couplings have {kept_size} entries together, and would need "
                f"a dense factor of that order (limit {DENSE_ORDER})"
            )
        self._factors = {i: factorised(blocks[i]) for i in self._order}
        sweeps = sum(weight.multiplications for pairs in self._sources for _, weight in pairs)
        sweeps += sum(found.multiplications for found in self._factors.values())
        self._reduced = None
        if self.kept:
            sweeps += sum(weight.multiplications for i in self._order for _, weight in self._inner[i])
            sweeps += sum(found.multiplications for found in self._factors.values())
            self._reduced = DenseFactor(self._reduction(blocks, sizes, kept_size))
        self.multiplications = sweeps + kept_size**2

    def solve(self, rhs: Array) -> Array:
        """Substitute, solve for the kept blocks, and substitute again."""
        x = np.zeros_like(rhs)
        self._substitute(rhs, x, self._inner)
        if self._reduced is None:
            return x
        reduced = np.concatenate([self._driven(i, rhs, x, self._inner) for i in self.kept], axis=-1)
        self._place(self._reduced.solve(reduced), x)
        return self._substitute(rhs, x, self._sources)

    def _substitute(self, rhs: Array | None, x: Array, sources: Any) -> Array:
        """Write into x the blocks that are not kept, from those that are."""
        for i in self._order:
            x[..., self._places[i]] = self._factors[i].solve(self._driven(i, rhs, x, sources))
        return x

    def _driven(self, i: int, rhs: Array | None, x: Array, sources: Any) -> Array:
        """Return h_i + s sum_j B_ij x_j over the given sources; h = 0 where there is no ``rhs``."""
        where = self._places[i]
        total = np.zeros((*x.shape[:-1], where.stop - where.start)) if rhs is None else rhs[..., where]
        for j, weight in sources[i]:
            total = total + self._scale * weight.apply(x[..., self._places[j]])
        return total

    def _place(self, kept: Array, x: Array) -> None:
        """Write the kept blocks into x."""
        start = 0
        for i in self.kept:
            where = self._places[i]
            x[..., where] = kept[..., start : start + where.stop - where.start]
            start += where.stop - where.start

    def _reduction(self, blocks: Sequence[Any], sizes: Sequence[int], size: int) -> Array:
        """Return K: what the rows of the kept blocks are once the others are substituted."""
        reduced = np.zeros((size, size))
        start = 0
        for i in self.kept:
            inside = slice(start, start + sizes[i])
            reduced[inside, inside] = _written_out(blocks[i])
            start += sizes[i]
        group = max(1, _GROUP_ENTRIES // self._size)
        for first in range(0, size, group):
            columns = np.arange(first, min(first + group, size))
            unit = np.zeros((columns.size, size))
            unit[np.arange(columns.size), columns] = 1.0
            x = np.zeros((columns.size, self._size))
            self._place(unit, x)
            self._substitute(None, x, self._sources)
            answer = np.concatenate([self._driven(i, None, x, self._sources) for i in self.kept], axis=-1)
            reduced[:, columns] -= answer.T
        return reduced


def _written_out(block: Any) -> Array:
    if isinstance(block, np.ndarray):
        return np.diag(block) if block.ndim == 1 else block
    return block.toarray()


def feedback_blocks(
    sizes: Sequence[int], couplings: Mapping[tuple[int, int], Any]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return blocks that meet every cycle of the couplings, and the others, each after those it depends on.

    A block on which no other one left depends, or that depends on none left, is on no cycle. Where no such block is
    left, one with few entries and many couplings is taken out; on a ring, the smallest.
    """
    sources: dict[int, set[int]] = {i: set() for i in range(len(sizes))}
    targets: dict[int, set[int]] = {i: set() for i in range(len(sizes))}
    for i, j in couplings:
        sources[i].add(j)
        targets[j].add(i)
    kept: list[int] = []
    first: list[int] = []
    last: list[int] = []
    left = set(range(len(sizes)))
    ready = list(left)

    def take(i: int, into: list[int]) -> None:
        into.append(i)
        left.remove(i)
        for j in sources.pop(i):
            targets[j].discard(i)
            ready.append(j)
        for j in targets.pop(i):
            sources[j].discard(i)
            ready.append(j)

    while left:
        while ready:
            i = ready.pop()
            if i in left and not sources[i]:
                take(i, first)
            elif i in left and not targets[i]:
                take(i, last)
        if left:
            take(min(left, key=lambda i: (sizes[i] / (len(sources[i]) * len(targets[i])), i)), kept)
    return tuple(kept), (*first, *reversed(last))
