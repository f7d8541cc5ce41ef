"""Activations with Gaussian tails, e^(-v^2) and v e^(-v^2), which are not monotone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import SlopePart, TailBound, chart_of
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end, symmetric_pair
from nngames.activations.numerics.compensated import bell_and_far, gaussian, in_double
from nngames.activations.numerics.flint_forms import square
from nngames.activations.numerics.rounding import wide

#: Where e^(-v^2) is 0 in double precision.
_END = 30.0
_HALF_ROOT_PI = float(np.sqrt(np.pi) / 2)


@activation_named("gaussian")
@dataclass(frozen=True)
class Gaussian(NonMonotoneActivation):
    """r(v) = e^(-v^2), g(v) = (sqrt(pi)/2) erf v.

    Its slope -2 v e^(-v^2) is extreme where 2 v^2 = 1: the values are -sqrt(2/e) and sqrt(2/e).
    """

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """-sqrt(2/e) at 1/sqrt(2) and sqrt(2/e) at -1/sqrt(2)."""
        place = float(np.sqrt(0.5))
        return (
            SlopeEnd("-sqrt(2/e)", lambda: -_steepest(), symmetric_pair(place)),
            SlopeEnd("sqrt(2/e)", _steepest, symmetric_pair(-place)),
        )

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 0."""
        return (0.0, 0.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return e^(-v^2)."""
        return in_double(lambda v, out: gaussian(v, 1.0, out), v, out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return -2 v e^(-v^2)."""

        def kernel(v: Array, out: Array | None) -> Array:
            v = np.clip(v, -_END, _END)
            return np.multiply(-2 * v, gaussian(v), out=out)

        return in_double(kernel, v, out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return (sqrt(pi)/2) erf v."""
        return _HALF_ROOT_PI * erf(wide(v))

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return e^(-v^2)."""
        return _flint_bell(v)

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return [-4, 4], beyond which the slope is at most 2 |x| e^(-x^2) in size."""

        def bounds(start: Any) -> tuple[Any, Any]:
            size = 2 * abs(start) * (-start * start).exp()
            return (-size, 0 * size) if start > 0 else (0 * size, size)

        return _with_tails(lambda x: (-x * x).exp(), bounds, "2 |x| e^(-x^2) decreases for |x| >= 1")


@activation_named("linear_gaussian")
@dataclass(frozen=True)
class LinearGaussian(NonMonotoneActivation):
    """r(v) = v e^(-v^2), g(v) = (1 - e^(-v^2))/2.

    Its slope (1 - 2 v^2) e^(-v^2) is extreme at 0, where it is 1, and where 2 v^2 = 3, where it is -2 e^(-3/2).
    """

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """-2 e^(-3/2) at sqrt(3/2) and 1 at 0."""
        place = float(np.sqrt(1.5))
        return (
            SlopeEnd("-2 e^(-3/2)", _least_linear, symmetric_pair(place)),
            rational_end(1, symmetric_pair(0.0)),
        )

    @property
    def limits(self) -> tuple[float, float]:
        """0 from below and from above."""
        return (-0.0, 0.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v e^(-v^2)."""

        def kernel(v: Array, out: Array | None) -> Array:
            bell, far = bell_and_far(v)
            # Where the bell is 0, v may be infinite.
            return np.multiply(np.minimum(np.maximum(v, -_END), _END) if far else v, bell, out=out)

        return in_double(kernel, v, out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return (1 - 2 v^2) e^(-v^2)."""

        def kernel(v: Array, out: Array | None) -> Array:
            v = np.clip(v, -_END, _END)
            return np.multiply(1 - 2 * np.square(v), gaussian(v), out=out)

        return in_double(kernel, v, out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return (1 - e^(-v^2))/2."""
        with np.errstate(over="ignore"):
            return -0.5 * np.expm1(-np.square(wide(v)))

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v e^(-v^2)."""
        from flint import arb

        value = _flint_bell(v) * v
        # |r| <= 1/sqrt(2 e) = 0.4288...
        return value if value.is_finite() else arb(0, 0.43)

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return [-4, 4], beyond which the slope is negative and at most 2 x^2 e^(-x^2) in size."""

        def bounds(start: Any) -> tuple[Any, Any]:
            size = 2 * start * start * (-start * start).exp()
            return -size, 0 * size

        return _with_tails(lambda x: x * (-x * x).exp(), bounds, "2 x^2 e^(-x^2) decreases for |x| >= 1")


def _steepest() -> Any:
    """Return sqrt(2/e)."""
    from flint import arb

    return (2 / arb(1).exp()).sqrt()


def _least_linear() -> Any:
    """Return -2 e^(-3/2)."""
    from flint import arb, fmpq

    return -2 * arb(fmpq(-3, 2)).exp()


def _flint_bell(v: FlintNumber) -> Any:
    from flint import arb

    bell = arb(-square(v)).exp()
    # Of the whole line balls make [0, inf].
    return bell if bell.is_finite() else arb(0.5, 0.5)


def _with_tails(response: Any, bounds: Any, statement: str) -> tuple[SlopePart, ...]:
    """Return the chart of a response on [-4, 4] between two tails."""
    middle = chart_of(response, -4, 4, exact_points=(0,))
    slope = middle.slope
    return (TailBound(-4.0, -1, slope, bounds, statement), middle, TailBound(4.0, 1, slope, bounds, statement))
