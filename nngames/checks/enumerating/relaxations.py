"""Linear relaxations of sets of cells, and what multipliers prove of them in rationals.

A row is a x_i + c v_i <= h of one neuron i, with v = W x + b: v_i lies in the pieces that are allowed, and x_i between
the convex envelopes of the response there. Beside the rows, x lies in the box that the ranges give.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np

from nngames.checks.enumerating.envelopes import Envelope, envelope
from nngames.checks.enumerating.faces import OutOfTimeError
from nngames.checks.enumerating.infeasible import Row, as_float, exact_multipliers, least_multipliers, multipliers
from nngames.checks.enumerating.ranges import RangePropagation, Ranges, rounded_up
from nngames.core.exact import rational
from nngames.core.profiles import Array
from nngames.solvers.piecewise_equation import PiecewiseEquation

#: Lines of neurons that are kept for nodes with the same ranges.
MOST_KEPT = 50_000


@dataclass(frozen=True, eq=False)
class _Lines:
    """Rows a x_i + c v_i <= h of one neuron, in rationals and in floats (k, 3)."""

    exact: list[tuple[Any, Any, Any]]
    floats: Array


#: i, a, c, h of a row a x_i + c v_i <= h, and a multiplier, in rationals.
_Weighted = tuple[int, Any, Any, Any, Any]


@dataclass(frozen=True, eq=False)
class _Relaxation:
    """The rows of a node, each of one neuron, as (a, c, h) in rationals and as G x <= h in floats, scaled."""

    owners: list[int]
    exact: list[tuple[Any, Any, Any]]
    matrix: Array
    right: Array
    scale: Array

    def support(self, multipliers: Array) -> list[_Weighted]:
        """Return the rows with multipliers, those of the rows before they were scaled."""
        with np.errstate(over="ignore"):
            y = multipliers / self.scale
        places = np.flatnonzero((y > 0) & np.isfinite(y)).tolist()
        return [(self.owners[k], *self.exact[k], rational(float(y[k]))) for k in places]


class Relaxations:
    """The relaxations of one game.

    Parameters
    ----------
    equation : PiecewiseEquation
    weight, bias : sequences
        W and b in rationals.
    """

    def __init__(self, equation: PiecewiseEquation, weight: Sequence[Sequence[Any]], bias: Sequence[Any]) -> None:
        self.equation, self.size = equation, equation.size
        self.weight, self.bias = weight, bias
        self.ranges = RangePropagation(equation, weight, bias)
        self._lines: dict[tuple[Any, ...], _Lines] = {}

    @cached_property
    def _transposed(self) -> Any:
        from flint import fmpq_mat

        return fmpq_mat(self.size, self.size, [w for row in self.weight for w in row]).transpose()

    def separated(self, ranges: Ranges, deadline: float) -> tuple[bool, Array | None]:
        """Decide whether the relaxation is proved to have no solution, or return one in floating point."""
        relaxation = self._of(ranges, deadline)
        answer = multipliers(relaxation.matrix, relaxation.right, ranges.least, ranges.most, deadline)
        if answer is None or answer.point is not None:
            return False, None if answer is None else answer.point
        support = relaxation.support(answer.rows)
        if not ranges.bounded:
            # Where the box does not make up for a rounding of y'G, it is to be 0 exactly.
            made_up = (answer.lower > 0) & np.isfinite(ranges.least) | (answer.upper > 0) & np.isfinite(ranges.most)
            made_up |= np.isfinite(ranges.least) & np.isfinite(ranges.most)
            columns = np.flatnonzero(~made_up).tolist()
            rows = [self._entries(i, a, c, columns) for i, a, c, *_ in support]
            exact = exact_multipliers(rows, np.array([as_float(y) for *_, y in support]))
            if exact is None:
                return False, None
            support = [(*row[:4], y) for row, y in zip(support, exact, strict=True)]
        least = self._least(support, ranges)
        return least is not None and bool(least > 0), None

    def tightened(self, ranges: Ranges, deadline: float) -> Ranges | None:
        """Return the ranges after the least and the largest v_i of the relaxation, for each neuron with several pieces;
        None if no equilibrium is left.
        """
        relaxation = self._of(ranges, deadline)
        ends = {1: ranges.low.copy(), -1: ranges.high.copy()}
        for i in np.flatnonzero(ranges.first < ranges.last).tolist():
            for sign, bounds in ends.items():
                if time.monotonic() > deadline:
                    raise OutOfTimeError
                goal = sign * self.ranges.weight[i]
                rows = least_multipliers(goal, relaxation.matrix, relaxation.right, ranges.least, ranges.most, deadline)
                least = None if rows is None else self._least(relaxation.support(rows), ranges, (i, sign))
                if least is not None:
                    bound = as_float(least)
                    bound = float(rounded_up(np.nextafter([-bound], np.inf))[0])
                    bounds[i] = max(bounds[i], -bound) if sign > 0 else min(bounds[i], bound)
        if (ends[1] > ends[-1]).any():
            return None
        return self.ranges.narrowed(ranges.first, ranges.last, ends[1], ends[-1])

    def row(self, i: int, a: Any, c: Any, h: Any) -> Row:
        """Return the row of a x_i + c v_i <= h, or of the equation."""
        return self._entries(i, a, c, range(self.size)), h - c * self.bias[i]

    def _entries(self, i: int, a: Any, c: Any, columns: Sequence[int]) -> list[Any]:
        row = self.weight[i]
        return [c * row[j] + a if j == i else c * row[j] for j in columns]

    def _of(self, ranges: Ranges, deadline: float) -> _Relaxation:
        lines, owners = [], []
        for i in range(self.size):
            if not i % 32 and time.monotonic() > deadline:
                raise OutOfTimeError
            lines.append(self._lines_of(i, ranges))
            owners += [i] * len(lines[-1].exact)
        place = np.array(owners)
        a, c, h = np.concatenate([found.floats for found in lines]).T
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = c[:, None] * self.ranges.weight[place]
            matrix[np.arange(len(place)), place] += a
            right = h - c * self.ranges.bias[place]
            scale = np.abs(matrix).max(axis=1)
            scale[~(scale > 0)] = 1.0
            matrix, right = matrix / scale[:, None], right / scale
        return _Relaxation(owners, [row for found in lines for row in found.exact], matrix, right, scale)

    def _least(self, support: list[_Weighted], ranges: Ranges, goal: tuple[int, int] | None = None) -> Any | None:
        """Return a bound, in rationals, of sign v_i from below over the solutions of a relaxation, or of 0; None if it
        is infinite.

        With multipliers y >= 0 of the rows G x <= h the goal q'x + d is at least q'x + d + y'(G x - h) at every
        solution, which is at least its least value on the box of x: for any such y, so that no rounding of y matters. A
        bound of 0 that is positive means that there are no solutions (Farkas).
        """
        from flint import fmpq_mat

        zero = rational(0.0)
        direct, heard, least = [zero] * self.size, [zero] * self.size, zero
        if goal is not None:
            i, sign = goal
            heard[i] += sign
            least += sign * self.bias[i]
        for i, a, c, h, y in support:
            direct[i] += y * a
            heard[i] += y * c
            least -= y * (h - c * self.bias[i])
        through = (self._transposed * fmpq_mat(self.size, 1, heard)).entries()
        for j, (d, t) in enumerate(zip(direct, through, strict=True)):
            r = d + t
            if r != 0:
                end = float(ranges.least[j] if r > 0 else ranges.most[j])
                if not isfinite(end):
                    return None
                least += r * rational(end)
        return least

    def _lines_of(self, i: int, ranges: Ranges) -> _Lines:
        pieces = self.equation.pieces[i]
        first, last = int(ranges.first[i]), int(ranges.last[i])
        key = (id(pieces), first, last, float(ranges.low[i]), float(ranges.high[i]))
        if key not in self._lines:
            if len(self._lines) > MOST_KEPT:
                self._lines.clear()
            one = rational(1.0)
            e = envelope(pieces, first, last, ranges.low[i], ranges.high[i])
            # Ranges that come from the box of x say nothing beside it; those of pieces do.
            exact = end_rows(envelope(pieces, first, last))
            exact += [(-one, slope, -offset) for slope, offset in e.lower]
            exact += [(one, -slope, offset) for slope, offset in e.upper]
            floats = [[as_float(entry) for entry in row] for row in exact]
            self._lines[key] = _Lines(exact, np.array(floats).reshape(-1, 3))
        return self._lines[key]


def end_rows(e: Envelope) -> list[tuple[Any, Any, Any]]:
    """Return the rows a x_i + c v_i <= h of the ends of an envelope."""
    one, zero = rational(1.0), rational(0.0)
    rows = [] if e.high is None else [(zero, one, e.high)]
    return rows if e.low is None else [*rows, (zero, -one, -e.low)]
