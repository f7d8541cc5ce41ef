"""The Gaussian error linear unit with a tanh in place of the normal distribution function: it is not monotone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import SlopePart, TailBound, chart_of
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.reparametrised import Reparametrised
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd, root_ball, symmetric_pair
from nngames.activations.numerics.bregman import quadrature
from nngames.activations.numerics.compensated import fill, in_double, taken
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import wide

#: k = 2 sqrt(2/pi) and c = 0.044715 k, and both as a number of few bits and the rest.
_K, _K_HIGH, _K_REST = 1.5957691216057308, 1.5957691073417664, 1.426396435433791e-08
_C, _C_HIGH, _C_REST = 0.07135481627260025, 0.07135486602783203, -4.975523178247366e-08
#: Beyond it r is v on the right, and on the left below all floats.
_END = 22.0
#: Where the slope is greatest, and least on the other side.
_PLACE = 1.4185040087908284
#: Panels of the table of the primitive, of width 1/2.
_PANELS = 20


@dataclass(frozen=True)
class _StandardGeluTanh(NonMonotoneActivation):
    """r(v) = v/(1 + e^-p), p = k v + c v^3."""

    name = "gelu_tanh"

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """1 - r'(t) at -t and r'(t) at t."""
        how = f"2 u'(t) + t u''(t) = 2 t u'(t)^2 tanh u(t), u(v) = sqrt(2/pi) (v + 0.044715 v^3), t = {_PLACE:.15g}..."
        return (
            SlopeEnd("1 - r'(t)", lambda: 1 - _greatest(), symmetric_pair(-_PLACE), equation=how),
            SlopeEnd("r'(t)", _greatest, symmetric_pair(_PLACE), equation=how),
        )

    @property
    def limits(self) -> tuple[float, float]:
        """0 from below and infinity."""
        return (-0.0, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v/(1 + e^-p)."""
        return in_double(_gated, v, out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return s (1 + v p' (1 - s)), s = 1/(1 + e^-p)."""

        def kernel(v: Array, out: Array | None) -> Array:
            v = np.clip(v, -_END, _END)
            share, rest = _share(v), _share(-v)
            return np.multiply(share, 1 + v * (_K + 3 * _C * np.square(v)) * rest, out=out)

        return in_double(kernel, v, out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return the integral of r over [0, v]: L(|v|) for v < 0, v^2/2 - L(v) for v > 0.

        L(x) is the integral of t/(1 + e^p(t)) over [0, x], by quadrature from the next multiple of 1/2 below x.
        """
        v = wide(v)
        size = np.minimum(np.abs(v), 0.5 * _PANELS)
        panel = np.minimum(np.floor(2 * size).astype(int), _PANELS - 1)
        start = 0.5 * panel
        loss = np.asarray(_table())[panel] + _panel_integral(start, size - start)
        with np.errstate(over="ignore"):
            return np.where(v > 0, 0.5 * np.square(np.maximum(v, 0.0)) - loss, loss)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v/(1 + e^-p)."""
        return _flint_gated(ball(v))

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return [-8, 8], beyond which the slope is within x p'(x) e^-p(x) of that of relu."""
        how = "x p'(x) e^(-p(x)) <= x p'(x) e^(-k x), which decreases for x >= 3/k; the slope at -x is 1 less that at x"

        def right(start: Any) -> tuple[Any, Any]:
            k, c = _coefficients()
            rest = (-k * start).exp()
            return 1 / (1 + rest), 1 + start * (k + 3 * c * start * start) * rest

        def left(start: Any) -> tuple[Any, Any]:
            low, high = right(-start)
            return 1 - high, 1 - low

        middle = chart_of(_flint_gated, -8, 8)
        slope = middle.slope
        return (TailBound(-8.0, -1, slope, left, how), middle, TailBound(8.0, 1, slope, right, how))


@activation_named("gelu_tanh")
@dataclass(frozen=True)
class GeluTanh(Reparametrised):
    """r(v) = s (v/2) (1 + tanh u), u = sqrt(2/pi) (v + 0.044715 v^3), with the scale s.

    Since v tanh u is even, the slopes at v and -v sum to s. The slope is extreme at +-t with
    2 u'(t) + t u''(t) = 2 t u'(t)^2 tanh u(t), t = 1.4185...; the values are r'(t) and s - r'(t). For s != 0 it is the
    prox of nothing. g has no closed form: it is computed to relative rounding by quadrature.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        store(self, scale=number(self, "scale"))

    @property
    def base(self) -> _StandardGeluTanh:
        """The one with scale 1."""
        return _STANDARD

    @property
    def outer(self) -> float:
        """s."""
        return self.scale


_STANDARD = _StandardGeluTanh()


def _gated(v: Array, out: Array | None) -> Array:
    """Return v/(1 + e^-p) in double precision, to relative rounding."""
    # Far to the left the rounding of p counts; there r is v e^p/(1 + e^p).
    places = np.flatnonzero(v < -4.5)
    left = np.maximum(taken(v, places), -_END)
    if places.size:
        # At -infinity the quotient has to be 0.
        v = np.maximum(v, -1e300)
    with np.errstate(over="ignore"):
        e = np.asarray(np.square(v))
        e *= -_C
        e -= _K
        e *= v
        np.exp(e, out=e)
    e += 1.0
    result = np.asarray(np.divide(v, e, out=out))
    if places.size:
        root = _root_of_exponential(left)
        fill(result, places, left * root * (root / (1.0 + root * root)))
    return result if out is None else out


def _share(v: Array) -> Array:
    """Return 1/(1 + e^-p) in double precision for |v| <= 22, to relative rounding."""
    with np.errstate(over="ignore"):
        share = np.asarray(1.0 / (1.0 + np.exp(v * (-_K - _C * np.square(v)))))
    places = np.flatnonzero(v < -4.5)
    if places.size:
        square = np.square(_root_of_exponential(taken(v, places)))
        fill(share, places, square / (1.0 + square))
    return share


def _root_of_exponential(v: Array) -> Array:
    """Return e^(p/2) for |v| <= 22 to relative rounding.

    With h the multiple of 1/64 next to v, the products of h and h^3 with the high parts of k and c are exact.
    """
    h = np.rint(v * 64.0) / 64.0
    rest = v - h
    square = h * h
    first, second = _K_HIGH * h, _C_HIGH * (square * h)
    total = first + second
    second_part = total - first
    lost = (first - (total - second_part)) + (second - second_part)
    lost = lost + (_K_REST + _C_REST * square) * h
    lost = lost + rest * (_K + _C * (3 * (square + h * rest) + rest * rest))
    return np.exp(0.5 * total) * np.exp(0.5 * lost)


def _panel_integral(start: Array, width: Array) -> Array:
    """Return the integral of t/(1 + e^p(t)) from ``start`` on over a width of at most 1/2.

    The singularities are more than 2 from the real line, so that the quadrature is exact to rounding.
    """
    total = np.zeros_like(width)
    for node, weight in quadrature(9):
        t = start + node * width
        total = total + weight * (t * _share(-t))
    return total * width


@cache
def _table() -> tuple[float, ...]:
    """Return L at the multiples of 1/2."""
    starts = 0.5 * np.arange(_PANELS)
    return (0.0, *np.cumsum(_panel_integral(starts, np.full(_PANELS, 0.5))).tolist())


def _coefficients() -> tuple[Any, Any]:
    """Return k and c as balls."""
    from flint import arb, fmpq

    k = 2 * (2 / arb.pi()).sqrt()
    return k, k * fmpq(44715, 1000000)


def _flint_gated(v: Any) -> Any:
    """Return v/(1 + e^-p) of a ball or power series."""
    k, c = _coefficients()
    return v / (1 + (-(k + c * (v * v)) * v).exp())


def _critical(t: Any) -> Any:
    """Return 2 p' + t p'' - t p'^2 tanh(p/2), which vanishes where r'' does."""
    k, c = _coefficients()
    first, q = k + 3 * c * (t * t), (-(k + c * (t * t)) * t).exp()
    return (2 * first + 6 * c * (t * t)) * (1 + q) - t * first * first * (1 - q)


def _greatest() -> Any:
    """Return r'(t) at the critical t > 0."""
    k, c = _coefficients()
    t = root_ball(_critical, _PLACE)()
    q = (-(k + c * t * t) * t).exp()
    return (1 + t * (k + 3 * c * t * t) * q / (1 + q)) / (1 + q)
