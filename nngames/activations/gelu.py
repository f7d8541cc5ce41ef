"""The Gaussian error linear unit v Phi(v), Phi the normal distribution function: it is not monotone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfc, erfcx

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import SlopePart, TailBound, chart_of
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.reparametrised import Reparametrised
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd, symmetric_pair
from nngames.activations.numerics.bregman import quadrature
from nngames.activations.numerics.compensated import fill, gaussian, in_double, taken
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import wide

_ROOT_HALF = float(np.sqrt(0.5))
#: 1/sqrt(2 pi).
_BELL_TOP = 0.3989422804014327


@dataclass(frozen=True)
class _StandardGelu(NonMonotoneActivation):
    """r(v) = v Phi(v)."""

    name = "gelu"

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Phi(-s) - s phi(s) at -s and Phi(s) + s phi(s) at s, s = sqrt(2)."""
        place = float(np.sqrt(2.0))
        low, high = "(1 - erf 1)/2 - 1/(e sqrt(pi))", "(1 + erf 1)/2 + 1/(e sqrt(pi))"
        return (
            SlopeEnd(low, lambda: 1 - _greatest_normal(), symmetric_pair(-place)),
            SlopeEnd(high, _greatest_normal, symmetric_pair(place)),
        )

    @property
    def limits(self) -> tuple[float, float]:
        """0 from below and infinity."""
        return (-0.0, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v Phi(v)."""

        def kernel(v: Array, out: Array | None) -> Array:
            share, left = _share_and_left(v)
            # At -infinity, where Phi is 0, the product has to be 0.
            return np.multiply(share, np.maximum(v, -40.0) if left else v, out=out)

        return in_double(kernel, v, out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return Phi(v) + v phi(v)."""

        def kernel(v: Array, out: Array | None) -> Array:
            v = np.clip(v, -40.0, 40.0)
            return np.add(_share(v), v * (_BELL_TOP * gaussian(v, 0.5)), out=out)

        return in_double(kernel, v, out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return the integral of r over [0, v], ((v^2 - 1) Phi(v) + v phi(v))/2 + 1/4."""
        v = wide(v)
        near = np.abs(v) <= 1
        small = np.where(near, v, 0.0)
        share = sum(weight * node * _share(node * small) for node, weight in quadrature(12))
        inner = np.clip(v, -40.0, 40.0)
        with np.errstate(over="ignore"):
            square = (np.square(np.maximum(v, -40.0)) - 1) * _share(v)
            far = 0.5 * (square + inner * (_BELL_TOP * gaussian(inner, 0.5))) + 0.25
        return np.where(near, np.square(small) * share, far)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v Phi(v)."""
        from flint import arb

        return ball(v) * (-ball(v) / arb(2).sqrt()).erfc() / 2

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return [-6, 6], beyond which the slope is within x phi(x) of Phi."""
        from flint import arb

        how = "x phi(x) decreases for x >= 1; the slope at -x is 1 less that at x"

        def right(start: Any) -> tuple[Any, Any]:
            root = arb(2).sqrt()
            return 1 - (start / root).erfc() / 2, 1 + start * (-start * start / 2).exp() / (2 * arb.pi()).sqrt()

        def left(start: Any) -> tuple[Any, Any]:
            low, high = right(-start)
            return 1 - high, 1 - low

        middle = chart_of(lambda x: x * (-x / arb(2).sqrt()).erfc() / 2, -6, 6)
        slope = middle.slope
        return (TailBound(-6.0, -1, slope, left, how), middle, TailBound(6.0, 1, slope, right, how))


@activation_named("gelu")
@dataclass(frozen=True)
class Gelu(Reparametrised):
    """r(v) = s v Phi(v) with the scale s; g(v) = s ((v^2 - 1) Phi(v) + v phi(v))/2 + s/4.

    Its slope s (Phi(v) + v phi(v)) has the derivative s (2 - v^2) phi(v), so it is extreme at +-sqrt(2): the values are
    s (1 -+ erf 1)/2 -+ s/(e sqrt(pi)). For s != 0 it is the prox of nothing.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        store(self, scale=number(self, "scale"))

    @property
    def base(self) -> _StandardGelu:
        """The one with scale 1."""
        return _STANDARD

    @property
    def outer(self) -> float:
        """s."""
        return self.scale


_STANDARD = _StandardGelu()


def _share(v: Array) -> Array:
    """Return Phi(v) in double precision, to relative rounding."""
    return _share_and_left(v)[0]


def _share_and_left(v: Array) -> tuple[Array, bool]:
    """Return Phi(v) in double precision, to relative rounding, and whether a v is far to the left."""
    share = np.asarray(erfc(v * -_ROOT_HALF))
    share *= 0.5
    # SciPy's erfc loses digits far to the left; its exponential is put right there.
    places = np.flatnonzero(v < -6.0)
    if places.size:
        inner = np.maximum(taken(v, places), -40.0)
        fill(share, places, 0.5 * erfcx(inner * -_ROOT_HALF) * gaussian(inner, 0.5))
    return share, bool(places.size)


def _greatest_normal() -> Any:
    """Return (1 + erf 1)/2 + 1/(e sqrt(pi))."""
    from flint import arb

    return (1 + arb(1).erf()) / 2 + 1 / (arb(1).exp() * arb.pi().sqrt())
