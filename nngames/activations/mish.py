"""The mish activation v tanh(log(1 + e^v)), which is not monotone: its primitive is a dilogarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import spence

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import SlopePart, TailBound, chart_of, derivative_of
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd, root_ball, symmetric_pair
from nngames.activations.numerics.bregman import quadrature
from nngames.activations.numerics.compensated import far_left, fill, taken
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import wide

#: The places of the extremes of the slope.
_LEAST, _GREATEST = -2.2563763963607931, 1.4905711794854285
#: 1 + e^v/C and its conjugate are the factors of (1 + e^v)^2 + 1, up to a constant.
_C = 1 - 1j


@activation_named("mish")
@dataclass(frozen=True)
class Mish(NonMonotoneActivation):
    """r(v) = v T with T = tanh(log(1 + e^v)) = n/(n + 2), n = e^v (e^v + 2).

    Its slope T + 4 v e (1 + e)/(n + 2)^2, e = e^v, is extreme where
    2 (1 + e) (e^2 + 2 e + 2) + v (2 + 2 e - 3 e^2 - 2 e^3) = 0, at v = -2.2564... and v = 1.4906...

    Since r(v) is the real part of c v e^v/(e^v + c) with c = 1 - i, g(v) = Re c (v log(1 + e^v/c) + Li2(-e^v/c)) up to
    a constant.
    """

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """r' at the two critical points."""
        how = "2 (1 + e) (e^2 + 2 e + 2) + t (2 + 2 e - 3 e^2 - 2 e^3) = 0, e = e^t, t = "
        low, high = f"{how}{_LEAST:.15g}...", f"{how}{_GREATEST:.15g}..."
        return (
            SlopeEnd("r'(t)", lambda: _slope_next_to(_LEAST), symmetric_pair(_LEAST), equation=low),
            SlopeEnd("r'(t)", lambda: _slope_next_to(_GREATEST), symmetric_pair(_GREATEST), equation=high),
        )

    @property
    def limits(self) -> tuple[float, float]:
        """0 from below and infinity."""
        return (-0.0, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v n/(n + 2)."""
        # Where e^v underflows, the product with v need not.
        left = np.flatnonzero(v < (-80.0 if v.dtype == np.float32 else -700.0))
        if left.size:
            # At -infinity the products have to be 0.
            v = np.maximum(v, -2000.0)
        tail = far_left(taken(v, left), taken(v, left))
        # For v > 20, T is 1 to rounding, also in double precision.
        e = np.asarray(np.minimum(v, 20.0))
        np.exp(e, out=e)
        e *= e + 2
        e /= e + 2
        result = np.asarray(np.multiply(v, e, out=out))
        if left.size:
            fill(result, left, tail)
        return result if out is None else out

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return T + 4 v e (1 + e)/(n + 2)^2."""
        v = np.minimum(np.maximum(v, -2000.0), 30.0)
        e = np.exp(v)
        rise = e * (e + 2)
        base = rise + 2
        return np.divide(rise + v * (4 * e * ((1 + e) / base)), base, out=out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return the integral of r over [0, v].

        Where |v| <= 1 by quadrature; elsewhere in closed form, inverted for v > 0.
        """
        v = wide(v)
        near = np.abs(v) <= 1
        small = np.where(near, v, 0.0)
        share = sum(weight * self(node * small) for node, weight in quadrature(14)) * small
        size = np.where(near, 1.0, np.abs(v))
        q = np.exp(-size)
        above = (_C * (size * np.log1p(_C * q) - spence(1 + _C * q))).real + _ABOVE
        below = (_C * (spence(1 + q / _C) - size * np.log1p(q / _C))).real - _BELOW
        with np.errstate(over="ignore"):
            far = np.where(v > 0, 0.5 * np.square(np.maximum(v, 0.0)) + above, below)
        return np.where(near, share, far)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v n/(n + 2)."""
        return _flint_response(ball(v))

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return [-12, 8], beyond which the slope is close to 0 and 1."""

        def left(start: Any) -> tuple[Any, Any]:
            e = start.exp()
            return start * e * (1 + e), e * (e + 2) / 2

        def right(start: Any) -> tuple[Any, Any]:
            e = start.exp()
            return 1 - 2 / ((1 + e) * (1 + e) + 1), 1 + 4 * start * (-2 * start).exp()

        middle = chart_of(_flint_response, -12, 8)
        slope = middle.slope
        return (
            TailBound(-12.0, -1, slope, left, "x e^x (1 + e^x) decreases and n/2 increases for x <= -1"),
            middle,
            TailBound(8.0, 1, slope, right, "T increases, and 4 x e^(-2 x) decreases for x >= 1"),
        )


#: Re c Li2(-c) and Re c Li2(-1/c): what makes g(0) = 0.
_ABOVE, _BELOW = float((_C * spence(1 + _C)).real), float((_C * spence(1 + 1 / _C)).real)


def _flint_response(v: Any) -> Any:
    """Return v n/(n + 2) of a ball or power series."""
    q = (-v).exp()
    return v * (1 + 2 * q) / (1 + 2 * q + 2 * (q * q))


def _critical(t: Any) -> Any:
    """Return what vanishes where r'' does."""
    e = t.exp()
    square = e * e
    return 2 * (1 + e) * (square + 2 * e + 2) + t * (2 + 2 * e - 3 * square - 2 * square * e)


def _slope_next_to(place: float) -> Any:
    """Return r' at the critical point next to a place."""
    from flint import arb_series

    t = root_ball(_critical, place)()
    return derivative_of(_flint_response)(arb_series([t, 1], prec=1))[0]
