"""Ranges of pre-activations that hold every equilibrium of a set of cells, by interval arithmetic on the couplings.

From ranges of v the responses give ranges of x = r(v), and these give ranges of v = W x + b. Every end is rounded
outwards in floating point, with a bound on the rounding of the sums, so that it bounds the exact values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from nngames.core.exact import fraction, nearest_float
from nngames.core.profiles import Array
from nngames.solvers.piecewise_equation import PiecewiseEquation

#: Rounds of the propagation, and the share of a width below which a narrower range is not worth another one.
ROUNDS, WORTH = 8, 0.05
#: Ends keep so many bits: outwards, they make short rationals.
BITS = 12
_EPSILON = float(np.finfo(np.float64).eps)
_TINY = 1e-290


@dataclass(frozen=True, eq=False)
class Ranges:
    """Pieces that a set of cells allows, with ranges of the pre-activations and of the actions.

    Attributes
    ----------
    first, last : int array (N,)
        Of the pieces, for each neuron.
    low, high : ndarray (N,)
        v lies between them; infinite where nothing is known.
    least, most : ndarray (N,)
        The same for x = r(v).
    """

    first: Any
    last: Any
    low: Array
    high: Array
    least: Array
    most: Array

    @property
    def bounded(self) -> bool:
        """Whether all x lie in a finite box."""
        return bool(np.isfinite(self.least).all() and np.isfinite(self.most).all())


class RangePropagation:
    """The propagation on one game.

    Parameters
    ----------
    equation : PiecewiseEquation
    weight, bias : sequences
        W and b of v = W x + b in rationals.
    """

    def __init__(self, equation: PiecewiseEquation, weight: Sequence[Sequence[Any]], bias: Sequence[Any]) -> None:
        n = equation.size
        # A network's weights are floats; those of a quadratic game are sums of floats, which are rounded here.
        self.weight = equation.weight
        if equation.metric is not None:
            self.weight = np.array([[nearest_float(fraction(w)) for w in row] for row in weight]).reshape(n, n)
        self.bias = np.array([nearest_float(fraction(b)) for b in bias])
        self.up, self.down = np.maximum(self.weight, 0), np.minimum(self.weight, 0)
        most = equation.slopes.shape[1]
        ends = np.full((n, most + 1), np.inf)
        ends[:, 0] = -np.inf
        for i, pieces in enumerate(equation.pieces):
            ends[i, 1 : len(pieces.breaks) + 1] = [nearest_float(fraction(x)) for x in pieces.breaks]
        # Breaks are rounded: pieces are taken an ulp longer, both ways.
        self.starts, self.stops = np.nextafter(ends[:, :-1], -np.inf), np.nextafter(ends[:, 1:], np.inf)
        self.slopes, self.offsets = equation.slopes, equation.offsets
        self.numbers = np.arange(most)

    def narrowed(self, first: Any, last: Any, low: Array, high: Array) -> Ranges | None:
        """Return the ranges of every equilibrium with v in the pieces ``first`` to ``last`` and from ``low`` to
        ``high``; None where there is none.
        """
        rows = np.arange(len(first))
        low, high = np.maximum(low, self.starts[rows, first]), np.minimum(high, self.stops[rows, last])
        for _ in range(ROUNDS):
            allowed = (self.numbers >= first[:, None]) & (self.numbers <= last[:, None])
            allowed &= (self.starts <= high[:, None]) & (self.stops >= low[:, None])
            if not allowed.any(axis=1).all():
                return None
            first, last = allowed.argmax(axis=1), allowed.shape[1] - 1 - allowed[:, ::-1].argmax(axis=1)
            least, most = self._responses(allowed, low, high)
            before = high - low
            heard_low, heard_high = self._heard(least, most)
            low, high = np.maximum(low, heard_low), np.minimum(high, heard_high)
            if (low > high).any():
                return None
            with np.errstate(invalid="ignore"):
                narrower = (high - low < (1 - WORTH) * before) & (allowed.sum(axis=1) > 1)
            if not narrower.any():
                break
        return Ranges(first, last, low, high, least, most)

    def _responses(self, allowed: Any, low: Array, high: Array) -> tuple[Array, Array]:
        """Return bounds of r(v) over the allowed pieces: each is a line, which is extreme at its ends."""
        least, most = np.full(len(low), np.inf), np.full(len(low), -np.inf)
        for end in (np.maximum(self.starts, low[:, None]), np.minimum(self.stops, high[:, None])):
            with np.errstate(invalid="ignore", over="ignore"):
                term = np.where(self.slopes == 0, 0.0, self.slopes * end)
                value = term + self.offsets
                slack = 4 * _EPSILON * (np.abs(term) + np.abs(self.offsets)) + _TINY
                down, up = value - slack, value + slack
            down[~np.isfinite(down)], up[~np.isfinite(up)] = -np.inf, np.inf
            # At an infinite end of a line that is not constant there is no least value, or no most one.
            endless = np.isinf(end) & (self.slopes != 0)
            down[endless & (term > 0)], up[endless & (term < 0)] = np.inf, -np.inf
            least = np.minimum(least, np.where(allowed, down, np.inf).min(axis=1))
            most = np.maximum(most, np.where(allowed, up, -np.inf).max(axis=1))
        return least, most

    def _heard(self, least: Array, most: Array) -> tuple[Array, Array]:
        """Return bounds of W x + b over the box from ``least`` to ``most``, to ``BITS`` bits."""
        finite_least, finite_most = (np.where(np.isfinite(end), end, 0.0) for end in (least, most))
        open_below, open_above = ~np.isfinite(least), ~np.isfinite(most)
        size = np.maximum(np.abs(finite_least), np.abs(finite_most))
        with np.errstate(over="ignore", invalid="ignore"):
            slack = (len(size) + 8) * _EPSILON * (np.abs(self.weight) @ size + np.abs(self.bias)) * 2 + _TINY
            low = self.up @ finite_least + self.down @ finite_most + self.bias - slack
            high = self.up @ finite_most + self.down @ finite_least + self.bias + slack
        low[(self.up > 0) @ open_below | (self.down < 0) @ open_above | ~np.isfinite(low)] = -np.inf
        high[(self.up > 0) @ open_above | (self.down < 0) @ open_below | ~np.isfinite(high)] = np.inf
        return -rounded_up(-low), rounded_up(high)


def rounded_up(x: Array) -> Array:
    """Return numbers of ``BITS`` bits that are not smaller."""
    with np.errstate(over="ignore", invalid="ignore"):
        mantissa, exponent = np.frexp(x)
        rounded = np.ldexp(np.ceil(np.ldexp(mantissa, BITS)), exponent - BITS)
    return np.where(np.isfinite(rounded), rounded, np.where(x == -inf, -inf, inf))
