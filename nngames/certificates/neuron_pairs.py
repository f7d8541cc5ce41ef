"""Coupling pairs of single numbers: players whose actions are the coordinates of a game's blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.certificates.coupling_pairs import LARGE, RATIOS, CouplingPairs, Indices, scaled
from nngames.core.exact import rational
from nngames.core.profiles import Array, Player


class NeuronPairs(CouplingPairs):
    """Pairs of players with single numbers as actions, from the entries of one sparse matrix.

    Parameters
    ----------
    players : tuple of N
    found : tuple of ndarray
        The pairs i < j, as two arrays, and their entries (2, m): B_ij = given * factors of players that can vary.
    factors : ndarray (N,)
        What multiplies all B_ij of a player i.
    block : ndarray of int (N,)
        The block that a player belongs to.
    sizes : mapping (block, block) -> float
        The largest |B_ij| of each block: the data of a pair are known relative to it.
    """

    def __init__(
        self,
        players: tuple[Player, ...],
        found: tuple[Indices, Indices, Array],
        factors: Array,
        block: Indices,
        sizes: dict[tuple[int, int], float],
    ) -> None:
        self.players = players
        self.first, self.second, self._given = found
        self._factors = np.array([factors[self.first], factors[self.second]])
        self._values = self._given * self._factors
        self._sizes = _block_sizes(sizes, block[self.first], block[self.second])
        # Where no size is large there is no need to look at each.
        self._largest = np.maximum(*self._sizes) if (self._sizes >= LARGE).any() else 0.0
        self.forward, self.backward = (
            np.divide(abs(v), s, out=np.zeros_like(v), where=s > 0)
            for v, s in zip(self._values, self._sizes, strict=True)
        )
        self.rounding = np.zeros(self.first.size)
        self.exact = self.scalar = True
        self.unrounded = bool((self._factors == 1).all())

    def mismatch_at(self, first: Array, second: Array) -> Array:
        """Return each pair's mismatch."""
        u, v = scaled(first, second, self._largest)
        scale = np.maximum(u * self._sizes[0], v * self._sizes[1])
        difference = np.abs(u * self._values[0] - v * self._values[1])
        return np.divide(difference, scale, out=np.zeros_like(scale), where=scale > 0)

    def ratios(self) -> Array:
        """Return |B_ji| / |B_ij|."""
        ahead, back = np.abs(self._values)
        with np.errstate(over="ignore", under="ignore"):
            ratios = np.divide(back, ahead, out=np.ones_like(back), where=(ahead > 0) & (back > 0))
        return np.clip(ratios, *RATIOS)

    def entry(self, pair: int, first: float = 1.0, second: float = 1.0) -> tuple[list[int], list[float]]:
        """Return the one position, and both numbers."""
        return [0, 0], self._values[:, pair].tolist()

    def unequal(self) -> int | None:
        """Return the first pair with A != C."""
        if not self.unrounded:
            return super().unequal()
        apart = np.flatnonzero(self._given[0] != self._given[1])
        return int(apart[0]) if apart.size else None

    def rational_entries(self, pair: int) -> tuple[list[Any], list[Any]]:
        """Return both numbers as flint rationals."""
        ahead, back = (
            rational(x) * rational(f) for x, f in zip(self._given[:, pair], self._factors[:, pair], strict=True)
        )
        return [ahead], [back]


def paired_table(table: Array) -> tuple[Indices, Indices, Array]:
    """Return the pairs i < j of which one of the entries ij and ji of a table (n, n) is not 0, and both entries."""
    there = table != 0
    upper = np.triu(there | there.T, 1)
    first, second = np.nonzero(upper)
    return first, second, np.array([table[upper], table.T[upper]])


def paired_entries(n: int, rows: Indices, columns: Indices, values: Array) -> tuple[Indices, Indices, Array]:
    """Return the same of a matrix (n, n) given by its entries off the diagonal that are not 0."""
    low, high = np.minimum(rows, columns).astype(np.int64), np.maximum(rows, columns)
    keys, place = np.unique(low * n + high, return_inverse=True)
    given, ahead = np.zeros((2, keys.size)), rows < columns
    given[0, place[ahead]] = values[ahead]
    given[1, place[~ahead]] = values[~ahead]
    return (keys // n).astype(np.intp), (keys % n).astype(np.intp), given


def _block_sizes(sizes: dict[tuple[int, int], float], first: Indices, second: Indices) -> Array:
    """Return the sizes of the blocks (first, second) and (second, first), 0 where there is none."""
    if not sizes:
        return np.zeros((2, first.size))
    if len(sizes) == 1 and not first.any() and not second.any():
        return np.full((2, first.size), sizes.get((0, 0), 0.0))
    count = 1 + max(max(key) for key in sizes)
    keys = np.array([a * count + b for a, b in sizes], dtype=np.int64)
    order = np.argsort(keys)
    keys, values = keys[order], np.array(list(sizes.values()))[order]
    result = np.zeros((2, first.size))
    for side, wanted in enumerate((first * count + second, second * count + first)):
        place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        result[side] = np.where(keys[place] == wanted, values[place], 0.0)
    return result
