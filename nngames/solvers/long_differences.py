"""The last differences of long iterates, in single precision, worked on piece by piece."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nngames.core import pieces as division
from nngames.core.pieces import pieces
from nngames.core.profiles import Array
from nngames.solvers.multisecant import solve_gram, solve_independent

#: What is kept of a difference.
SINGLE = np.dtype(np.float32)


class LongDifferences:
    """The last differences; the newest takes the row of the oldest.

    Single precision halves what is read. With m differences it changes an entry of a step by 2^-23 (m + 3) sum_i
    |gamma_i| (|move_i| + |change_i|) at most, far less than a step leaves of the displacement; a difference beyond its
    range leaves no finite step. The inner products on which gamma depends are sums in double precision.

    A difference of the map's values, which is that of the iterates and that of the displacements added, and the one of
    the displacements stand beside each other piece by piece, in the room of one vector in double precision.

    Parameters
    ----------
    most : int
        How many are kept.
    size : int
    gram : bool
        Whether to keep the Gram matrix of the changes.

    Attributes
    ----------
    rows : ndarray of float32 (most, 2 size)
        Rows ``head`` to ``head + count`` modulo ``most`` are in use, newest first.
    gram : ndarray (most, most)
    """

    def __init__(self, most: int, size: int, gram: bool) -> None:
        self.most, self.head, self.count = most, most, 0
        self.size, self.keeps_gram = size, gram
        self.rows = np.empty((most, 2 * size), dtype=SINGLE)
        self.gram = np.zeros((most, most))
        self._squares, self._products, self._before = np.zeros((3, most))
        #: The displacement of which the products with the changes are known, and whether those of the one before are.
        self._known: Array | None = None
        self._told = False
        width = min(size, division.PIECE)
        self._changes, self._step = np.empty((most, width)), np.empty(width)
        self._combined = np.empty(width, dtype=SINGLE)

    def images(self, piece: slice) -> Array:
        """Return that piece of the differences of the map's values, (most, entries)."""
        return self.rows[:, 2 * piece.start : piece.start + piece.stop]

    def changes(self, piece: slice) -> Array:
        """Return that piece of the differences of the displacements, (most, entries)."""
        return self.rows[:, piece.start + piece.stop : 2 * piece.stop]

    @property
    def used(self) -> slice:
        """The rows in use, in the order in which they stand."""
        return slice(0, self.most) if self.count == self.most else slice(self.head, self.head + self.count)

    @property
    def order(self) -> NDArray[np.int64]:
        """The rows in use, newest first."""
        return (self.head + np.arange(self.count)) % self.most

    def newest_first(self, dtype: np.dtype[np.floating]) -> tuple[Array, Array]:
        """Return copies of the moves and the changes, newest first."""
        moves, changes = np.empty((2, self.count, self.size), dtype=dtype)
        for piece in pieces(self.size):
            changes[:, piece] = self.changes(piece)[self.order]
            moves[:, piece] = self.images(piece)[self.order]
        moves -= changes
        return moves, changes

    def clear(self) -> None:
        """Forget all differences."""
        self.head, self.count, self._known = self.most, 0, None

    def push(self, before: Array, after: Array, old: Array, new: Array) -> None:
        """Put after - before and new - old in front."""
        if not self.most:
            return
        self._begin(old)
        for piece in pieces(self.size):
            self.images(piece)[self.head] = after[piece] - before[piece]
            self.take(piece, old, new)
        self.end(new)

    def _begin(self, g: Array) -> None:
        """Give the newest difference a row, that of the displacements from g on."""
        self.head = (self.head or self.most) - 1
        self.count = min(self.count + 1, self.most)
        self._told, self._known = self._known is g, None
        self._before[:] = self._products
        self._squares[:], self._products[:] = 0.0, 0.0

    def take(self, piece: slice, old: Array, new: Array) -> None:
        """Take a piece of the newest change, new - old; that of the move is in its place."""
        if not self.most:
            return
        used, g, kept = self.used, new[piece], self.changes(piece)
        changes, at = self._changes[: self.count, : g.size], self.head - used.start
        kept[self.head] = np.subtract(g, old[piece], changes[at])
        self.images(piece)[self.head] += kept[self.head]
        if self.keeps_gram:
            changes[...] = kept[used]
            # For a few rows of a piece BLAS takes longer than for as many inner products.
            self._products[used] += [change.dot(g) for change in changes]
            if self._told:
                self._squares[self.head] += changes[at].dot(changes[at])
            else:
                self._squares[used] += changes.dot(changes[at])

    def end(self, new: Array) -> None:
        """Take the newest difference for whole; ``new`` is the displacement that led to it.

        Its products with the others are those of ``new`` less those of the displacement before, where these are known:
        as far from exact as the difference itself, which is rounded at the size of the displacements.
        """
        if self.keeps_gram and self.most:
            if self._told:
                square = self._squares[self.head]
                np.subtract(self._products, self._before, self._squares)
                self._squares[self.head] = square
            self.gram[self.head] = self._squares
            self.gram[:, self.head] = self._squares
            self._known = new

    def take_over(self, rows: Array, count: int) -> None:
        """Take the last differences of plain steps, whose displacements are the first rows; none were known before.

        A plain step moves by the displacement before it, so that the map's value moves by the one after it. Rows in
        double precision become those of the differences.
        """
        known = min(self.most, count - 1)
        if known < 1:
            return
        if rows.dtype == np.float64 and len(rows) >= self.most:
            self.rows = rows[: self.most].view(SINGLE)
        self.head, self.count = self.most - known, known
        used = self.used
        self.gram[:] = 0.0
        for piece in pieces(self.size):
            newest = rows[count - known - 1 : count, piece][::-1].copy()
            changes = np.subtract(newest[:known], newest[1:], self._changes[:known, : newest.shape[1]])
            self.images(piece)[used], self.changes(piece)[used] = newest[:known], changes
            if self.keeps_gram:
                for row, change in zip(self.gram[used, used], changes, strict=True):
                    row += changes.dot(change)

    def step(self, x: Array, g: Array, gamma: Array, beta: float, out: Array) -> float:
        """Write x + s into ``out``, s = beta g - (moves + beta changes)' gamma, put s in front and return |s|.

        gamma is in the order newest first, and empty where s = beta g. The changes are to be taken for s to be the move
        of a difference.
        """
        used, square, weights = self.used, 0.0, np.zeros(self.most, dtype=SINGLE)
        weights[self.order[: len(gamma)]] = gamma
        weights = weights[used]
        if self.most:
            self._begin(g)
        for piece in pieces(self.size):
            images = self.images(piece)
            step = self._step[: piece.stop - piece.start]
            if len(gamma):
                # With the images in place of the moves the changes count 1 - beta less.
                step[...] = weights.dot(images[used], self._combined[: step.size])
                np.subtract(g[piece], step, step)
                if beta != 1.0:
                    step -= (1 - beta) * (g[piece] - weights.dot(self.changes(piece)[used]))
            else:
                np.multiply(g[piece], beta, step)
            square += float(step.dot(step))
            np.add(x[piece], step, out[piece])
            if self.most:
                images[self.head] = step
        return math.sqrt(square)

    def least_squares(self, g: Array) -> Array | None:
        """Return the gamma, newest first, that minimises |g - changes' gamma|; None without a Gram matrix.

        It is 0 for differences that depend on newer ones.
        """
        if not self.keeps_gram:
            return None
        if self._known is not g:
            self._products[:] = 0.0
            for piece in pieces(self.size):
                changes = self._changes[: self.count, : piece.stop - piece.start]
                changes[...] = self.changes(piece)[self.used]
                self._products[self.used] += changes.dot(g[piece])
            self._known = g
        order = self.order
        gram, products = self.gram[np.ix_(order, order)], self._products[order]
        gamma = solve_gram(gram, products)
        return solve_independent(gram, products) if gamma is None else gamma
