"""The bent identity: a line whose slope passes from a third to all of the scale along a hyperbola."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.formulas import combination, decimal
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.reparametrised import Reparametrised
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.linear import affine_prox
from nngames.activations.numerics.bregman import gap_by_inverse
from nngames.activations.numerics.elementwise import hyperbolic_share
from nngames.activations.numerics.flint_forms import ball, square
from nngames.activations.numerics.rounding import EPS, odd_tail, settle, wide

#: 1 + sqrt(1 + u^2) is |u| and 1 beyond it, to rounding; squares of it overflow in no precision.
_FAR = 1e18


@dataclass(frozen=True)
class UnitBend(ScalarActivation):
    """r(v) = (2/3)(v + (R - 1)/2) with R = sqrt(1 + v^2).

    g(v) = v^2/3 + (v R + asinh v)/6 - v/3. With t = v/R the slope is (2 + t)/3, which fills (1/3, 1). The inverse is
    w(z) = (2 c - sqrt(c^2 + 3))/3 with c = 3 z + 1, R(w) = c - 2 w, and g*(z) = z w - g(w) on the line.
    """

    name: ClassVar[str] = "bent_identity"

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 1/3 at -infinity to 1 at infinity."""
        return (
            rational_end(Fraction(1, 3), (-2e7, -1e7), attained=False),
            rational_end(1, (1e7, 2e7), attained=False),
        )

    @property
    def domain(self) -> Domain:
        """R^n."""
        return Interval()

    @property
    def limits(self) -> tuple[float, float]:
        """-infinity and infinity."""
        return (-np.inf, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return (v/3)(2 + v/(1 + R)), in which nothing cancels."""
        with np.errstate(over="ignore"):
            root = np.asarray(np.square(v))
        near = v
        if not np.isfinite(root.max(initial=0.0)):
            near = np.clip(v, -_FAR, _FAR)
            root = np.asarray(np.square(near))
        root += root.dtype.type(1.0)
        np.sqrt(root, out=root)
        root += root.dtype.type(1.0)
        share = np.divide(near, root, out=root)
        share += share.dtype.type(2.0)
        share *= share.dtype.type(1 / 3)
        return np.multiply(v, share, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return (2 + v/R)/3."""
        share = hyperbolic_share(v, 1.0, out)
        return np.divide(np.add(share, 2.0, out=out), 3.0, out=out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one chart, in which the slope is affine."""
        return (
            Chart(
                -1,
                1,
                lambda t: (2 + t) / 3,
                lambda t: t / (1 - t * t).sqrt(),
                "t = x/sqrt(1 + x^2)",
                ("lower", "upper"),
            ),
        )

    def primitive(self, v: ArrayLike) -> Array:
        """Return v^2/3 + (v R + asinh v)/6 - v/3.

        With q = v/(1 + R), R = 1 + v q and asinh v = 2 atanh q, this is v^2/3 + (v q (v - q) + 2 (atanh q - q))/6.
        """
        v = wide(v)
        near = np.abs(v) <= 0.7
        small = np.where(near, v, 0.0)
        q = small / (1 + np.sqrt(1 + np.square(small)))
        close = np.square(small) / 3 + (small * q * (small - q) + 2 * odd_tail(q)) / 6
        with np.errstate(over="ignore"):
            far = v * ((v / 3 - 1 / 3) + np.hypot(v, 1.0) / 6) + np.arcsinh(v) / 6
        return np.where(near, close, far)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return z w - g(w), w = w(z)."""
        z = wide(z)
        with np.errstate(over="ignore", invalid="ignore"):
            w = _crossing(z, 1.0, 1 / 3, 1 / 3)
            near = np.abs(w) <= 0.7
            close = z * w - self.primitive(np.where(near, w, 0.0))
            far = w * (z - (w / 3 - 1 / 3) - np.hypot(w, 1.0) / 6) - np.arcsinh(w) / 6
        return np.where(near, close, far)

    def penalty(self, z: ArrayLike) -> Array:
        """Return g*(z) - z^2/2, for |z| > 1 as the integral of w(z) - z, whose limit at infinity is 1/3.

        With c = 3 z + 1 and C = sqrt(c^2 + 3) that is (c ((c - C)/2 + 1) - (3/2) asinh(c/sqrt(3)))/9 and a constant.
        """
        z = wide(z)
        with np.errstate(over="ignore"):
            far = np.abs(z) > 1
            c = 3 * np.where(far, z, 1.0) + 1
            root = np.hypot(c, math.sqrt(3))
            difference = np.where(c > 0, -3 / (np.abs(c) + root), c - root)
            apart = c * (0.5 * difference + 1) - 1.5 * np.arcsinh(c / math.sqrt(3)) - (0.5 - 0.75 * math.log(3))
            own = np.where(far, 0.0, z)
            return np.where(far, apart / 9, self.conjugate(own) - 0.5 * np.square(own))

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the Bregman distance of g from v to the w with r(w) = x."""
        x, v = np.broadcast_arrays(wide(x), wide(v))
        with np.errstate(over="ignore", invalid="ignore"):
            w = _crossing(x, 1.0, 1 / 3, 1 / 3)
            error = 16 * EPS * np.abs(w)
            # The slope's singularities are +-i.
            distance = np.where((v > 0) == (w > 0), np.maximum(np.minimum(np.abs(v), np.abs(w)), 1.0), 1.0)
            value, bound = gap_by_inverse(self.derivative, self.primitive, x, v, w, error, error, distance)
            bound = np.where(np.isfinite(value), bound, np.inf)
        return settle(np.where(np.isnan(value), np.inf, value), bound)

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber:
        """Return z w - g(w), w = w(z)."""
        c = 3 * ball(z) + 1
        root = (ball(square(c)) + 3).sqrt()
        w = (2 * c - root) / 3
        return z * w - _primitive(w, c - 2 * w)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return (2/3)(v + (R - 1)/2)."""
        return (2 * ball(v) + (1 + ball(square(v))).sqrt() - 1) / 3


_UNIT = UnitBend()


@activation_named("bent_identity")
@dataclass(frozen=True)
class BentIdentity(Reparametrised):
    """r(v) = (2/3) s (v + (R - 1)/2) with R = sqrt(1 + v^2) and the scale s.

    For s > 0: g(v) = s (v^2/3 + (v R + asinh v)/6 - v/3); g* is finite everywhere; slopes fill (s/3, s). For s = 0: dom
    f is the point 0. For s < 0 it is the prox of nothing.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        store(self, scale=number(self, "scale"))

    @property
    def base(self) -> UnitBend:
        """The bend of scale 1."""
        return _UNIT

    @property
    def outer(self) -> float:
        """s."""
        return self.scale

    def penalty(self, z: ArrayLike) -> Array:
        """Return g*(z) - z^2/2; where both terms overflow, from their quotients by w."""
        with np.errstate(invalid="ignore"):
            value = super().penalty(z)
        if self.affine is not None or not np.isnan(value).any():
            return value
        z = wide(z)
        y = z / self.scale
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            w = _crossing(y, 1.0, 1 / 3, 1 / 3)
            far = w * (self.scale * (y - w / 3 - np.hypot(w, 1.0) / 6) - 0.5 * (z * (z / w)))
        return np.where(np.isnan(value), far, value)

    @property
    def scaled_formula(self) -> str | None:
        """s (y w - g(w)) - z^2/2 with y = z/s and the inverse w of y, written out."""
        s = self.scale
        root = f"sqrt({combination((9, 'z^2'), (6 * s, 'z'), (4 * s * s, ''))})"
        rise = f"3*z + {decimal(s)}"
        terms = f"2*z/3 + {decimal(s)}/9 - ({rise})*{root}/{decimal(18 * s)}"
        return combination((1 / s - 0.5, "z^2"), (1, terms), (-s, f"ln(({rise} + {root})/{decimal(3 * s)})/6"))

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return r(w) with (1 - step) r(w) + step w = u, a quadratic equation; far out, r is affine on either side."""
        steps = self.check_step(step)
        if self.affine is not None:
            return self.affine.prox(u, step)
        s = self.scale
        point, steps = np.broadcast_arrays(wide(u), steps)
        unit = np.maximum(steps, 1.0)
        bend, weight, target = (1 - steps) / unit * (s / 3), steps / unit, point / unit
        # The slopes of the equation's two asymptotes, in which nothing cancels.
        upper, lower = s / unit + weight * (1 - s), s / 3 / unit + weight * (1 - s / 3)
        with np.errstate(over="ignore", invalid="ignore"):
            far = np.abs(target) > 1e200 * np.where(point > 0, upper, lower)
            response = self(_crossing(np.where(far, 0.0, target), upper, lower, bend))
            if not far.any():
                return response
            sides = affine_prox(point, steps, s, -s / 3), affine_prox(point, steps, s / 3, -s / 3)
            return np.where(far, np.where(point > 0, *sides), response)


def _crossing(u: Array, upper: Any, lower: Any, bend: Any) -> Array:
    """Return the w with (lower + bend) w + bend (R(w) - 1) = u, where upper = lower + 2 bend and lower are positive.

    Notes
    -----
    With e = u + bend, slope = lower + bend and S = sqrt(e^2 + upper lower), w = (slope e - bend S)/(upper lower): where
    the two terms have one sign this is u (u + 2 bend)/(slope e + bend S).
    """
    e = u + bend
    slope = 0.5 * upper + 0.5 * lower
    root = np.hypot(e, np.sqrt(upper) * np.sqrt(lower))
    agree = (e >= 0) == (bend >= 0)
    total = np.where(agree, slope * e + bend * root, 1.0)
    plain = slope * e - bend * root
    return np.where(agree, (u / np.where(total == 0, 1.0, total)) * (e + bend), plain / upper / lower)


def _primitive(v: Any, root: Any) -> Any:
    """Return g(v) in ball arithmetic, R given."""
    return v * v / 3 + (v * root + v.asinh()) / 6 - v / 3
