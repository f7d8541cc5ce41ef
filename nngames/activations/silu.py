"""The sigmoid linear unit v/(1 + e^-v), which is not monotone: it has a primitive and no penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import SlopePart, TailBound, chart_of
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd, root_ball, symmetric_pair
from nngames.activations.numerics.bregman import quadrature
from nngames.activations.numerics.elementwise import gated, gated_slope, logistic_share
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import dilogarithm, wide

_LARGEST = float(np.finfo(np.float64).max)
#: t, where the slope is extreme: t tanh(t/2) = 2, or t (1 - q) = 2 (1 + q) with q = e^-t.
_EXTREME = root_ball(lambda t: t - 2 - (t + 2) * (-t).exp(), 2.3993572805154677)


@activation_named("silu")
@dataclass(frozen=True)
class Silu(NonMonotoneActivation):
    """r(v) = v/(1 + e^-v), also called swish.

    Its slope s (1 + v (1 - s)), s = 1/(1 + e^-v), is extreme where v tanh(v/2) = 2: at +-t with
    t = 2.3993572805..., the values are (2 +- t)/4.
    """

    @property
    def slope_range(self) -> tuple[float, float]:
        """(2 - t)/4 and (2 + t)/4, rounded outwards."""
        return (-0.09983932012886693, 1.099839320128867)

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """(2 - t)/4 and (2 + t)/4 with t tanh(t/2) = 2."""
        how = "t tanh(t/2) = 2"
        return (
            SlopeEnd("(2 - t)/4", lambda: (2 - _EXTREME()) / 4, symmetric_pair(-2.3993572805154677), equation=how),
            SlopeEnd("(2 + t)/4", lambda: (2 + _EXTREME()) / 4, symmetric_pair(2.3993572805154677), equation=how),
        )

    @property
    def limits(self) -> tuple[float, float]:
        """0 from below and infinity."""
        return (-0.0, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v/(1 + e^-v)."""
        return gated(v, v, out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return s (1 + v (1 - s)) with s = 1/(1 + e^-v)."""
        return gated_slope(v, out)

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return [-8, 8], beyond which the slope is within x e^-|x| of 0 and 1."""
        how = "x s (1 - s) <= x e^-x, which decreases for x >= 1; the slope at -x is 1 less that at x"

        def right(start: Any) -> tuple[Any, Any]:
            return 1 / (1 + (-start).exp()), 1 + start * (-start).exp()

        def left(start: Any) -> tuple[Any, Any]:
            low, high = right(-start)
            return 1 - high, 1 - low

        middle = chart_of(lambda x: x / (1 + (-x).exp()), -8, 8)
        slope = middle.slope
        return (TailBound(-8.0, -1, slope, left, how), middle, TailBound(8.0, 1, slope, right, how))

    def primitive(self, v: ArrayLike) -> Array:
        """Return the integral of r over [0, v], v log(1 + e^v) + Li2(-e^v) + pi^2/12."""
        return gated_primitive(wide(v), 1.0)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v/(1 + e^-v)."""
        return ball(v) / (1 + (-ball(v)).exp())


def gated_primitive(v: Array, beta: float) -> Array:
    """Return the integral of t/(1 + e^(-b t)) over t in [0, v] for beta = b != 0, to relative rounding.

    Notes
    -----
    Where |b v| <= 1 it is v^2 times the integral of s/(1 + e^(-b v s)) over [0, 1], by quadrature; elsewhere by parts.
    """
    with np.errstate(over="ignore"):
        w = np.clip(beta * v, -_LARGEST, _LARGEST)
        near = np.abs(w) <= 1
        small, size = np.where(near, w, 0.0), np.where(near, 1.0, np.abs(w))
        share = np.zeros_like(small)
        for node, weight in quadrature(12):
            share = share + weight * node * logistic_share(node * small)
        tail, rest = np.log1p(np.exp(-size)), np.pi**2 / 12 - dilogarithm(-size)
        share = np.where(near, share, 0.5 + (tail - rest / size) / size)
        left = (rest - size * tail) / beta / beta
        return np.where(w < -1, left, np.square(np.where(w < -1, 0.0, v)) * share)
