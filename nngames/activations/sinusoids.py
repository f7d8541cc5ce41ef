"""Sinusoids, sin v and sin v / v, which are not monotone."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import sici

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, SlopePart, TailBound
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end, root_ball, symmetric_pair
from nngames.activations.numerics.compensated import fill, taken
from nngames.activations.numerics.elementwise import LARGEST
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import wide

#: The place t > 0 of the steepest descent of sin v / v.
_PLACE = 2.0815759778181006
#: 2k/(2k + 1)!, k = 1, ..., 9: (sin v - v cos v)/v^3 in powers of -v^2.
_COEFFICIENTS = tuple(2 * k / factorial(2 * k + 1) for k in range(1, 10))


@activation_named("sin")
@dataclass(frozen=True)
class Sin(NonMonotoneActivation):
    """r(v) = sin v, g(v) = 1 - cos v, with slopes cos v in [-1, 1].

    At infinities, where there is no limit, r and r' are NaN with NumPy's warning.
    """

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """-1 at pi and 1 at 0."""
        return (rational_end(-1, symmetric_pair(float(np.pi))), rational_end(1, symmetric_pair(0.0)))

    @property
    def limits(self) -> tuple[float, float]:
        """There are none."""
        return (np.nan, np.nan)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return sin v."""
        return np.sin(v, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return cos v."""
        return np.cos(v, out=out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return 1 - cos v = 2 sin(v/2)^2."""
        return 2 * np.square(np.sin(0.5 * wide(v)))

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return sin v."""
        return ball(v).sin()

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return half a period, with t = cos x in [-1, 1], and the rest of the line, with the same slopes."""
        from flint import arb

        def bounds(_: Any) -> tuple[Any, Any]:
            return arb(-1), arb(1)

        return (
            TailBound(0.0, -1, lambda x: x.cos(), bounds, "-1 <= cos x <= 1"),
            Chart(-1, 1, lambda t: t, lambda t: t.acos(), "t = cos x"),
            TailBound(float(np.pi), 1, lambda x: x.cos(), bounds, "-1 <= cos x <= 1"),
        )


@activation_named("sinc")
@dataclass(frozen=True)
class Sinc(NonMonotoneActivation):
    """r(v) = sin v / v, r(0) = 1, g(v) = Si v, the sine integral.

    Its slope (v cos v - sin v)/v^2 is extreme at +-t with (2 - t^2) sin t = 2 t cos t, t = 2.0815...: the values are
    -+ (sin t)/2.
    """

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """-(sin t)/2 at t and (sin t)/2 at -t."""
        how = f"(2 - t^2) sin t = 2 t cos t, t = {_PLACE:.15g}..."
        return (
            SlopeEnd("-(sin t)/2", lambda: -_steepest(), symmetric_pair(_PLACE), equation=how),
            SlopeEnd("(sin t)/2", _steepest, symmetric_pair(-_PLACE), equation=how),
        )

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 0."""
        return (0.0, 0.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return sin v / v."""
        # Half of it is itself for 0, where the value is that at 1e-30 to rounding, and for the infinities.
        special = 0.5 * v == v
        if np.count_nonzero(special):
            zero = v == 0
            inner = np.where(special, v.dtype.type(1e-30), v)
            return np.multiply(np.sin(inner) / inner, zero | ~special, out=out)
        return np.divide(np.sin(v), v, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return (cos v - sin v / v)/v, by its series where |v| < 1."""
        places = np.flatnonzero(np.abs(v) < 1)
        small = taken(v, places)
        far = np.copysign(np.minimum(np.maximum(np.abs(v), v.dtype.type(1.0)), LARGEST[v.dtype]), v)
        result = np.cos(far)
        result -= np.sin(far) / far
        result = np.asarray(np.divide(result, far, out=out))
        if places.size:
            fill(result, places, _small_slope(small))
        return result if out is None else out

    def primitive(self, v: ArrayLike) -> Array:
        """Return Si v."""
        return np.asarray(sici(wide(v))[0])

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return sin v / v."""
        return ball(v).sinc()

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return [-8, 8], beyond which the slope is at most 1/|x| + 1/x^2 in size."""

        def bounds(start: Any) -> tuple[Any, Any]:
            size = 1 / abs(start) + 1 / (start * start)
            return -size, size

        how = "|cos x - sin x / x|/|x| <= 1/|x| + 1/x^2"
        middle = Chart(-8, 8, _flint_slope, None, "t = x")
        slope = middle.slope
        return (TailBound(-8.0, -1, slope, bounds, how), middle, TailBound(8.0, 1, slope, bounds, how))


def _small_slope(v: Array) -> Array:
    """Return (v cos v - sin v)/v^2 for |v| < 1 by its series."""
    square = v * v
    total = np.full_like(square, _COEFFICIENTS[-1])
    for coefficient in _COEFFICIENTS[-2::-1]:
        total = v.dtype.type(coefficient) - total * square
    return np.asarray(total * -v)


def _steepest() -> Any:
    """Return (sin t)/2."""
    t = root_ball(lambda t: (2 - t * t) * t.sin() - 2 * t * t.cos(), _PLACE)()
    return t.sin() / 2


def _flint_slope(x: Any) -> Any:
    """Return the slope of sin x / x on a power series x, analytic at 0.

    With y = -x^2/4 the function is 0F1(3/2, y), whose derivatives are 0F1(3/2 + k, y)/(3/2)_k; its derivative in x is
    -(x/3) 0F1(5/2, y).
    """
    from flint import arb, arb_series, fmpq

    y = -(x * x) / 4
    start = y[0]
    change = y - start
    order = x.prec
    total: Any = arb_series([0], prec=order)
    power: Any = arb_series([1], prec=order)
    scale = arb(1)
    for k in range(order):
        total = total + (start.hypgeom_0f1(arb(fmpq(5, 2)) + k) * scale) * power
        power = power * change
        scale = scale / ((arb(fmpq(5, 2)) + k) * (k + 1))
    return -(x / 3) * total
