"""The logit on the middle half of the unit interval, 0 elsewhere: it jumps down twice and is the prox of nothing."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.flint_forms import ball, is_rational
from nngames.activations.numerics.rounding import Mask, wide

#: So near an end that the slope has no room to fall, and rounded so that the quotient in double precision shows it.
_STEEPEST = (0.7499999990279775, 0.75)
#: (1 + y) log(1 + y) + (1 - y) log(1 - y) at y = 1/2.
_END = float(1.5 * np.log1p(0.5) - 0.5 * np.log(2.0))


@activation_named("logit")
@dataclass(frozen=True)
class Logit(NonMonotoneActivation):
    """r(v) = log(v/(1 - v))/10 for 1/4 <= v <= 3/4, else 0, for every real v.

    The source multiplies by the indicator of [1/4, 3/4], which makes r total; at each end it jumps down by log(3)/10.
    Between, the slope 1/(10 v (1 - v)) goes from 2/5 at 1/2 to 8/15 at the ends. A quotient across the ends is at most
    that of r without its jumps, which only lower it; so the slopes are at most 8/15, and there is no lower bound.
    """

    continuous = False

    @property
    def bounded(self) -> bool:
        """Always: |r| is at most log(3)/10."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """-infinity across the ends, and 8/15 beside them."""
        return rational_end(-np.inf, (0.25 - 1e-6, 0.25)), rational_end(Fraction(8, 15), _STEEPEST)

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 0."""
        return (0.0, 0.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return log(v/(1 - v))/10, as log(1 + (2v - 1)/(1 - v))/10, where 2v - 1 is exact."""
        inner = np.where(_outside(v), v.dtype.type(0.5), v)
        ratio = (2 * inner - 1) / (1 - inner)
        return np.divide(np.log1p(ratio), v.dtype.type(10.0), out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1/(10 v (1 - v)) on [1/4, 3/4], else 0."""
        outside = _outside(v)
        inner = np.where(outside, v.dtype.type(0.5), v)
        return np.divide(~outside, 10 * inner * (1 - inner), out=out, dtype=v.dtype)

    def primitive(self, v: ArrayLike) -> Array:
        """Return (E(y) - E(1/2))/20 with y = 2v - 1 where |y| <= 1/2, else 0, E as in the penalty of tanh.

        E(y) = (1 + y) log(1 + y) + (1 - y) log(1 - y); it vanishes at both ends.
        """
        v = wide(v)
        y = np.where(_outside(v), 0.5, 2 * np.where(_outside(v), 0.5, v) - 1)
        value = (np.log1p(-np.square(y)) + 2 * y * np.arctanh(y) - _END) / 20
        return np.where(np.abs(y) < 0.5, value, 0.0)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return log(v/(1 - v))/10 on [1/4, 3/4], else 0; for a ball across an end, a ball around both."""
        from flint import arb, fmpq

        if is_rational(v):
            return _logit(ball(v)) if fmpq(1, 4) <= v <= fmpq(3, 4) else arb(0)
        middle = arb(0.5, 0.25)
        if v < 0.25 or v > 0.75:
            return arb(0)
        inner = v.intersection(middle)
        value = _logit(inner.lower()).union(_logit(inner.upper()))
        return value if middle.contains(v) else value.union(arb(0))


def _outside(v: Array) -> Mask:
    return (v < 0.25) | (v > 0.75)


def _logit(v: Any) -> Any:
    """Return log(v/(1 - v))/10 for a ball in (0, 1)."""
    return ((2 * v - 1) / (1 - v)).log1p() / 10
