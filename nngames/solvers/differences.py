"""The last differences of a run's iterates and displacements, with the Gram matrix of the latter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nngames.core.profiles import Array
from nngames.solvers.multisecant import solve_gram

#: Up to this many differences the Gram matrix is kept.
LARGEST_GRAM = 16
#: From this many entries on the differences of a run take the same rows in turn, and are worked on by pieces.
LONG = 2**17
#: Entries of a piece, of which a few rows fit into a core's second-level cache.
PIECE = 2**14


class Differences:
    """The last differences.

    Newest first in one block of rows: the arrays have room before the newest, and when that is used up the block moves
    to their end. Long ones take the rows in turn instead, with neither room nor moves; a row is put in place and
    multiplied with all others piece by piece, so that each of them is read once a step, and once for ``step``.

    Parameters
    ----------
    most : int
        How many are kept.
    gram : bool
        Whether to keep the Gram matrix of the changes.

    Attributes
    ----------
    moves, changes : ndarray (2 most, n), or (most, n) of long ones
        The differences of the iterates and of the displacements: rows ``head`` to ``head + count`` are in use, of long
        ones modulo ``most``. The moves of long ones stand with the changes added, so that a step with beta = 1 reads
        them alone.
    gram : ndarray (2 most, 2 most) or (most, most)
    long : bool
    """

    def __init__(self, most: int, gram: bool) -> None:
        self.most, self.head, self.count = most, 0, 0
        self.keeps_gram, self.long = gram, False
        # A displacement and its products with the changes, of long ones.
        self._products: tuple[Array, Array] | None = None
        self.moves: Array = np.empty((0, 0))
        self.changes: Array = np.empty((0, 0))
        self.gram: Array = np.empty((0, 0))

    @property
    def used(self) -> slice:
        """The rows in use: newest first, but for long ones that fill their arrays."""
        return (
            slice(0, self.most) if self.long and self.count == self.most else slice(self.head, self.head + self.count)
        )

    @property
    def newest_first(self) -> tuple[Array, Array]:
        """The moves and the changes, newest first; of long ones copies."""
        if self.long:
            changes = self.changes[self._order]
            return self.moves[self._order] - changes, changes
        return self.moves[self.used], self.changes[self.used]

    @property
    def _order(self) -> NDArray[np.int64]:
        """The rows of long ones, newest first."""
        return (self.head + np.arange(self.count)) % self.most

    def clear(self) -> None:
        """Forget all differences."""
        self.count, self._products = 0, None
        if self.long:
            self.head = 0

    def push(self, before: Array, after: Array, old: Array, new: Array) -> None:
        """Put after - before and new - old in front."""
        if not self.most:
            return
        if not self.head and not self.long:
            self.make_room(before)
        if self.long:
            self._push_long(before, after, old, new)
            return
        self.head -= 1
        self.count = min(self.count + 1, self.most)
        change = self.changes[self.head]
        np.subtract(after, before, self.moves[self.head])
        np.subtract(new, old, change)
        if self.keeps_gram:
            products = self.changes[self.used].dot(change)
            self.gram[self.head, self.used] = products
            self.gram[self.used, self.head] = products

    def _push_long(self, before: Array, after: Array, old: Array, new: Array) -> None:
        self.head = (self.head or self.most) - 1
        self.count = min(self.count + 1, self.most)
        row, used = self.head, self.used
        squares, products = (np.zeros(used.stop - used.start) for _ in range(2))
        for piece in _pieces(before.size):
            change, move = self.changes[row, piece], self.moves[row, piece]
            np.subtract(new[piece], old[piece], change)
            np.subtract(after[piece], before[piece], move)
            move += change
            if self.keeps_gram:
                # A product with a few long rows takes longer than these.
                displacement = new[piece]
                for i, other in enumerate(self.changes[used, piece]):
                    squares[i] += other.dot(change)
                    products[i] += other.dot(displacement)
        if self.keeps_gram:
            self.gram[row, used] = squares
            self.gram[used, row] = squares
            self._products = new, products

    def step(self, g: Array, gamma: Array, beta: float) -> Array:
        """Return beta g - (moves + beta changes)' gamma of long differences, gamma in the order newest first."""
        used, result, weights = self.used, np.empty_like(g), np.empty(self.most, dtype=g.dtype)
        weights[self._order] = gamma
        weights = weights[used]
        for piece in _pieces(g.size):
            target = np.subtract(g[piece], weights.dot(self.moves[used, piece]), result[piece])
            if beta != 1.0:
                target -= (1 - beta) * (g[piece] - weights.dot(self.changes[used, piece]))
        return result

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
        if self.long:
            self.moves[self.used] += self.changes[self.used]
        if self.keeps_gram:
            newest = self.changes[self.used]
            self.gram[self.used, self.used] = newest @ newest.T

    def take_over(self, rows: Array, count: int) -> None:
        """Do what ``fill`` does with the first rows, ``count`` of them, in whose place long moves stand from now on.

        A plain step moves by the displacement before it, so that with the change it is the one after it.
        """
        known = min(self.most, count - 1)
        if not (known > 0 and rows.shape[1] >= LONG and len(rows) >= self.most):
            self.fill(rows[:count])
            return
        self.long, self.head, self.count = True, self.most - known, known
        self.moves, self.changes = rows[: self.most], np.empty((self.most, rows.shape[1]), dtype=rows.dtype)
        self.keeps_gram &= rows.dtype == np.float64
        self.gram = np.zeros((self.most, self.most))
        for piece in _pieces(rows.shape[1]):
            newest = rows[count - known - 1 : count, piece][::-1].copy()
            change = np.subtract(newest[:known], newest[1:], self.changes[self.used, piece])
            self.moves[self.used, piece] = newest[:known]
            if self.keeps_gram:
                self.gram[self.used, self.used] += change.dot(change.T)

    def make_room(self, like: Array) -> None:
        """Move the block that stays to the end of the arrays, which grow with it up to twice ``most`` rows."""
        self.long = like.size >= LONG
        kept = min(self.count, self.most - 1)
        rows = self.most if self.long else min(2 * self.most, max(2 * LARGEST_GRAM, 4 * kept))
        moves, changes, gram = self.moves, self.changes, self.gram
        if rows > len(moves):
            self.moves, self.changes = (np.empty((rows, like.size), dtype=like.dtype) for _ in range(2))
            # In single precision squares say too little about dependence.
            self.keeps_gram &= like.dtype == np.float64
            if self.keeps_gram:
                self.gram = np.empty((rows, rows))
        if self.long:
            self.head = self.most
            return
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
        if not self.long:
            return solve_gram(self.gram[used, used], self.changes[used].dot(g))
        products = self._products[1] if self._products and self._products[0] is g else self.changes[used].dot(g)
        order = self._order
        return solve_gram(self.gram[np.ix_(order, order)], products[order - used.start])


def _pieces(size: int) -> Iterator[slice]:
    return (slice(first, min(first + PIECE, size)) for first in range(0, size, PIECE))
