"""The last differences of a run's iterates and displacements, with the Gram matrix of the latter."""

from __future__ import annotations

import numpy as np

from nngames.core.profiles import Array
from nngames.solvers.multisecant import solve_gram, solve_unrepeated

#: Up to this many differences the Gram matrix is kept.
LARGEST_GRAM = 32


class Differences:
    """The last differences, newest first in one block of rows.

    The arrays have room before the newest, and when that is used up the block moves to their end.

    Parameters
    ----------
    most : int
        How many are kept.
    gram : bool
        Whether to keep the Gram matrix of the changes.

    Attributes
    ----------
    moves, changes : ndarray (2 most, n)
        The differences of the iterates and of the displacements: rows ``head`` to ``head + count`` are in use.
    gram : ndarray (2 most, 2 most)
    """

    def __init__(self, most: int, gram: bool) -> None:
        self.most, self.head, self.count = most, 0, 0
        self.keeps_gram = gram
        self.moves: Array = np.empty((0, 0))
        self.changes: Array = np.empty((0, 0))
        self.gram: Array = np.empty((0, 0))

    @property
    def used(self) -> slice:
        """The rows in use, newest first."""
        return slice(self.head, self.head + self.count)

    @property
    def newest_first(self) -> tuple[Array, Array]:
        """The moves and the changes, newest first."""
        return self.moves[self.used], self.changes[self.used]

    def clear(self) -> None:
        """Forget all differences."""
        self.count = 0

    def push(self, before: Array, after: Array, old: Array, new: Array) -> None:
        """Put after - before and new - old in front."""
        if not self.most:
            return
        if not self.head:
            self.make_room(before)
        self.head -= 1
        self.count = min(self.count + 1, self.most)
        change = self.changes[self.head]
        np.subtract(after, before, self.moves[self.head])
        np.subtract(new, old, change)
        if self.keeps_gram:
            products = self.changes[self.used].dot(change)
            self.gram[self.head, self.used] = products
            self.gram[self.used, self.head] = products

    def fill(self, displacements: Array) -> None:
        """Take the last differences of plain steps with these displacements, in their order; none were known before."""
        known = min(self.most, len(displacements) - 1)
        if known < 1:
            return
        self.make_room(displacements[0])
        self.head, self.count = self.head - known, known
        newest = displacements[::-1]
        self.moves[self.used] = newest[1 : known + 1]
        np.subtract(newest[:known], newest[1 : known + 1], out=self.changes[self.used])
        if self.keeps_gram:
            newest = self.changes[self.used]
            self.gram[self.used, self.used] = newest.dot(newest.T)

    def make_room(self, like: Array) -> None:
        """Move the block that stays to the end of the arrays, which grow with it up to twice ``most`` rows."""
        kept = min(self.count, self.most - 1)
        rows = min(2 * self.most, max(2 * LARGEST_GRAM, 4 * kept))
        moves, changes, gram = self.moves, self.changes, self.gram
        if rows > len(moves):
            self.moves, self.changes = (np.empty((rows, like.size), dtype=like.dtype) for _ in range(2))
            # In single precision squares say too little about dependence.
            self.keeps_gram &= like.dtype == np.float64
            if self.keeps_gram:
                self.gram = np.empty((rows, rows))
        self.head = len(self.moves) - kept
        if kept:
            self.moves[self.head :], self.changes[self.head :] = moves[:kept], changes[:kept]
            if self.keeps_gram:
                self.gram[self.head :, self.head :] = gram[:kept, :kept]

    def least_squares(self, g: Array) -> Array | None:
        """Return the gamma that minimises |g - changes' gamma|, None where the Gram matrix does not tell it."""
        if not self.keeps_gram:
            return None
        used = self.used
        gram, products = self.gram[used, used], self.changes[used].dot(g)
        gamma = solve_gram(gram, products)
        return solve_unrepeated(gram, products) if gamma is None else gamma
