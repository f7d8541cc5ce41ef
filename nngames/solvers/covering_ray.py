"""Lemke's method for v = W r(v) + b: the path that comes in on a covering ray, followed cell by cell.

The path is the set of (v, t), t >= 0, with v - W r(v) - b + t d = 0. For large t it is the ray v = v_- - t e in the
cell of the leftmost pieces, e = (1, ..., 1), d = (I - W D_-) e. It is followed towards t = 0: on each cell it is a
segment, and where one coordinate reaches an end of its piece it goes on into the next cell [lemke1965; cottle2009].
For relu this is complementary pivoting with the covering vector e.

Ties are broken as if b were b + (s, s^2, ..., s^N) for a small s > 0 (the lexicographic rule), which makes the path
unique: it never returns to a cell's edge, and there are finitely many, so it ends, at t = 0 or on another ray.
"""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

from nngames.core.profiles import Array
from nngames.solvers.piecewise_equation import Cell, PiecewiseEquation

#: A rate below this, relative to the largest, counts as none, and so does a difference of distances.
_FLAT = 1e-11
#: The path's equation is looked at after so many pivots, and its basis inverted afresh where it is missed by more.
_CHECKED = 32
_DRIFT = 1e-10
#: A system with a larger condition number is singular up to rounding, and so is one with larger solutions.
MOST_CONDITION = 1e14
#: The label of the row of t.
_T = -1


class End(enum.Enum):
    """Where a path stands."""

    OPEN = "on its way"
    SOLVED = "at t = 0"
    RAY = "on a ray that never reaches t = 0"
    SINGULAR = "without a start: I - W D is singular on the cell of the leftmost pieces"
    LOST = "where rounding no longer tells the next cell"


class CoveringRay:
    """Lemke's path of one equation.

    Attributes
    ----------
    end : End
    pivots : int
    cell : ndarray (N,)
    direction : ndarray (N,) or None
        dv along the last ray.
    """

    def __init__(self, equation: PiecewiseEquation) -> None:
        self.equation = equation
        self.weight, n = equation.weight, equation.size
        self.pivots, self.end = 0, End.OPEN
        self.direction: Array | None = None
        self.cell: Cell = np.zeros(n, dtype=np.intp)
        slopes, offsets = equation.slopes[:, 0], equation.offsets[:, 0]
        self._v: Array = np.zeros(n)
        system = np.eye(n) - self.weight * slopes
        try:
            inverse = np.linalg.inv(system) if slopes.any() else np.eye(n)
        except np.linalg.LinAlgError:
            self.end = End.SINGULAR
            return
        # Skeel's condition number, which the units of the equations do not change.
        if not np.linalg.norm(np.abs(inverse) @ np.abs(system), np.inf) <= MOST_CONDITION:
            self.end = End.SINGULAR
            return
        self._d = system.sum(axis=1)
        base = inverse @ (self.weight @ offsets + equation.bias)
        heights = base - equation.breaks[:, 0]
        first = _lexicographic_least(-heights, -inverse)
        t = float(heights[first])
        if not t > 0:
            self._v, self.end = base, End.SOLVED
            return
        # C has the columns of I - W D, that of the driving coordinate replaced by d; a row of C^-1 for each.
        self._inverse = inverse - inverse[first]
        self._inverse[first] = inverse[first]
        self._labels = np.arange(n)
        self._labels[first] = _T
        self._values = base - t
        self._values[first] = t
        self._buffer = np.empty((n, n))
        self._enter(first, 1)

    @property
    def v(self) -> Array:
        """The current point v of the path."""
        if self.end in (End.OPEN, End.RAY, End.LOST):
            units = self._labels != _T
            self._v[self._labels[units]] = self._values[units]
            self._v[self._driving] = self._position
        return self._v

    def advance(self) -> None:
        """Follow the path through one cell."""
        column = -self.weight[:, self._driving] * self.equation.slopes[self._driving, self.cell[self._driving]]
        column[self._driving] += 1
        change = self._inverse @ column
        rates = -self._way * change
        rates[np.abs(rates) <= _FLAT * max(1.0, float(np.abs(rates).max()))] = 0.0
        distances, width = self._distances(rates), self._width()
        length = min(float(distances.min()), width)
        if not np.isfinite(length):
            self._end_on_ray(rates)
            return
        row = self._blocking(rates, distances, width, length)
        self._values += length * rates
        self._position += self._way * length
        self.pivots += 1
        if row is None:
            self._enter(self._driving, self._way)
        elif self._labels[row] == _T:
            self._finish(row)
            return
        else:
            self._exchange(row, change, 1 if rates[row] > 0 else -1)
        if self.pivots % _CHECKED == 0:
            self._check()

    def _distances(self, rates: NDArray[np.floating]) -> Array:
        """Return how far each basic variable is from the end of its piece, t from 0, in units of the driving one."""
        units = np.where(self._labels == _T, 0, self._labels)
        cells, breaks = self.cell[units], self.equation.breaks
        last = breaks.shape[1] - 1
        upper = np.where(cells <= last, breaks[units, np.minimum(cells, last)], np.inf)
        lower = np.where(cells > 0, breaks[units, np.maximum(cells - 1, 0)], -np.inf)
        of_t = self._labels == _T
        upper, lower = np.where(of_t, np.inf, upper), np.where(of_t, 0.0, lower)
        ends = np.where(rates > 0, upper, lower)
        with np.errstate(divide="ignore", invalid="ignore"):
            distances = np.where(rates == 0, np.inf, (ends - self._values) / rates)
        return np.maximum(distances, 0.0)

    def _width(self) -> float:
        """Return the length of the driving coordinate's piece."""
        i, breaks = self._driving, self.equation.breaks
        at = int(self.cell[i])
        if at == 0 or at > breaks.shape[1] - 1 or not np.isfinite(breaks[i, at]):
            return np.inf
        return float(breaks[i, at] - breaks[i, at - 1])

    def _blocking(self, rates: Array, distances: Array, width: float, length: float) -> int | None:
        """Return the row that ends the segment, None for the driving coordinate itself; t wins ties, then the rule."""
        reach = length + _FLAT * max(1.0, length)
        tied = np.flatnonzero(distances <= reach)
        of_t = tied[self._labels[tied] == _T]
        if of_t.size:
            return int(of_t[0])
        if width > reach and tied.size == 1:
            return int(tied[0])
        shifts = -self._inverse[tied] / rates[tied, None]
        if width <= reach:
            shifts = np.vstack([shifts, np.zeros(self.equation.size)])
        chosen = _lexicographic_least(np.zeros(len(shifts)), shifts)
        return int(tied[chosen]) if chosen < tied.size else None

    def _enter(self, unit: int, way: int) -> None:
        """Let ``unit`` drive from the end of its piece into the next one, up or down."""
        self._position = float(self.equation.breaks[unit, self.cell[unit] - (way < 0)])
        self.cell[unit] += way
        self._driving, self._way = unit, way

    def _exchange(self, row: int, change: Array, way: int) -> None:
        """Make the driving coordinate basic in ``row`` and let the coordinate of that row drive."""
        leaving = int(self._labels[row])
        self._inverse[row] /= change[row]
        others = change.copy()
        others[row] = 0.0
        self._inverse -= np.multiply(others[:, None], self._inverse[row], out=self._buffer)
        self._labels[row], self._values[row] = self._driving, self._position
        self._enter(leaving, way)

    def _finish(self, row: int) -> None:
        self._values[row] = 0.0
        self._v = self.v.copy()
        self.end = End.SOLVED

    def _end_on_ray(self, rates: Array) -> None:
        self.direction = np.zeros(self.equation.size)
        units = self._labels != _T
        self.direction[self._labels[units]] = rates[units]
        self.direction[self._driving] = self._way
        self.end = End.RAY

    def _check(self) -> None:
        v, t = self.v, float(self._values[self._labels == _T][0])
        slopes, offsets = self.equation.slopes_at(self.cell), self.equation.offsets_at(self.cell)
        miss = v - self.weight @ (slopes * v + offsets) - self.equation.bias + t * self._d
        if not np.abs(miss).max() <= _DRIFT * max(1.0, float(np.abs(v).max()), t):
            self._refresh()

    def _refresh(self) -> None:
        """Invert the basis afresh and recompute its values at the driving coordinate's position."""
        slopes, offsets = self.equation.slopes_at(self.cell), self.equation.offsets_at(self.cell)
        system = np.eye(self.equation.size) - self.weight * slopes
        heard = self.weight @ offsets + self.equation.bias - system[:, self._driving] * self._position
        columns = np.where(self._labels == _T, self._driving, self._labels)
        basis = system[:, columns]
        row = int(np.flatnonzero(self._labels == _T)[0])
        basis[:, row] = self._d
        try:
            self._inverse = np.linalg.inv(basis)
        except np.linalg.LinAlgError:
            self.end = End.LOST
            return
        self._values = self._inverse @ heard


def _lexicographic_least(first: Array, rows: Array) -> int:
    """Return the index of the least pair (number, row) in lexicographic order, up to rounding."""
    size = max(1.0, float(np.abs(first[np.isfinite(first)]).max(initial=0.0)))
    left = np.flatnonzero(first <= first.min() + _FLAT * size)
    column = 0
    while left.size > 1 and column < rows.shape[1]:
        values = rows[left, column]
        left = left[values <= values.min() + _FLAT * max(1.0, float(np.abs(values).max()))]
        column += 1
    return int(left[0])
