"""The square nonlinearity: a sigmoid of two parabolas, whose conjugate has a square root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, constant_chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end, symmetric_pair
from nngames.activations.numerics.flint_forms import ball, larger, smaller
from nngames.activations.numerics.rounding import EPS, settle, wide
from nngames.core.exact import rational


@activation_named("sqnl")
@dataclass(frozen=True)
class SquareNonlinearity(ScalarActivation):
    """r(v) = u - u |u|/4 with u = v clipped to [-2, 2].

    The slope s = 1 - |v|/2 there, 0 beyond, fills [0, 1], and |r| = 1 - s^2. g(v) = v^2/2 - |v|^3/12 for |v| <= 2 and
    |v| - 2/3 beyond; with q = sqrt(1 - |z|), g*(z) = (2/3)(1 - q)^2 (1 + 2 q) and f(z) = |z|^3 (1 + 3 q)/(6 (1 + q)^3)
    on [-1, 1]. Where x and v have one sign the gap is (2/3)(s - q)^2 (s + 2 q), and for |v| > 2
    (4/3) q^3 + (|v| - 2) q^2.
    """

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 beyond 2 to 1 at 0."""
        return (rational_end(0, (2.0, 3.0)), rational_end(1, symmetric_pair(0.0, 1e-10)))

    @property
    def domain(self) -> Domain:
        """[-1, 1]^n."""
        return Interval(-1.0, 1.0)

    @property
    def limits(self) -> tuple[float, float]:
        """-1 and 1."""
        return (-1.0, 1.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return u (1 - |u|/4)."""
        u = np.clip(v, -2.0, 2.0)
        share = np.asarray(np.abs(u))
        share *= -0.25
        share += share.dtype.type(1.0)
        return np.multiply(u, share, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return max(1 - |v|/2, 0)."""
        result = np.multiply(np.abs(v, out=out), -0.5, out=out)
        return np.maximum(np.add(result, 1.0, out=out), 0.0, out=out)

    def shortfall(self, w: Array, response: Array) -> tuple[Array, Array]:
        """Return w |w|/4 on [-2, 2], w - r(w) beyond."""
        size = np.abs(w)
        value = np.where(size <= 2, w * np.minimum(0.25 * size, 0.5), w - response)
        return value, EPS * np.abs(value)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return the two parabolas and the constants beyond them."""
        return (
            constant_chart(0, -np.inf, -2),
            Chart(-2, 0, lambda t: 1 + t / 2),
            Chart(0, 2, lambda t: 1 - t / 2),
            constant_chart(0, 2, np.inf),
        )

    def primitive(self, v: ArrayLike) -> Array:
        """Return v^2/2 - |v|^3/12 for |v| <= 2, |v| - 2/3 beyond."""
        size = np.abs(wide(v))
        near = np.minimum(size, 2.0)
        return np.square(near) * (0.5 - near / 12) + (size - near)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (2/3)(1 - q)^2 (1 + 2 q), q = sqrt(1 - |z|), on [-1, 1]; +inf elsewhere."""
        size, q, outside = _root(z)
        return np.where(outside, np.inf, (2 / 3) * np.square(size / (1 + q)) * (1 + 2 * q))

    def penalty(self, z: ArrayLike) -> Array:
        """Return |z|^3 (1 + 3 q)/(6 (1 + q)^3), q = sqrt(1 - |z|), on [-1, 1]; +inf elsewhere."""
        size, q, outside = _root(z)
        share = size / (1 + q)
        return np.where(outside, np.inf, share * share * share * (1 + 3 * q) / 6)

    @property
    def penalty_formula(self) -> str | None:
        """(4/3) q^3 + 2 |z| - 4/3 - z^2/2 with q = sqrt(1 - |z|)."""
        return "4*(1 - abs(z))^1.5/3 + 2*abs(z) - 4/3 - z^2/2"

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return (2/3)(s - q)^2 (s + 2 q) or (4/3) q^3 + (|v| - 2) q^2 where the signs agree; +inf off [-1, 1].

        Where they differ, g*(x) + g(v) + |x v| has no cancellation. s - q is |x|/(1 + q) - |v|/2.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        size, q, outside = _root(x)
        drive = np.abs(v)
        own = size / (1 + q)
        s = np.maximum(1 - 0.5 * drive, 0.0)
        late = q < 0.5
        d = np.where(late, s - q, own - 0.5 * drive)
        error = 4 * EPS * np.where(late, s + q, own + 0.5 * drive)
        weight = (2 / 3) * (s + 2 * q)
        value = weight * np.square(d)
        bound = weight * (2 * np.abs(d) + error) * error + 16 * EPS * value
        beyond = drive > 2
        flat = np.square(q) * ((4 / 3) * q + np.where(beyond, drive - 2, 0.0))
        with np.errstate(over="ignore"):
            apart = (2 / 3) * np.square(own) * (1 + 2 * q) + self.primitive(v) + size * drive
        opposite = (x < 0) != (v < 0)
        exact = np.where(opposite, apart, flat)
        plain = opposite | beyond
        value, bound = np.where(plain, exact, value), np.where(plain, 16 * EPS * exact, bound)
        return settle(value, bound, outside)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return 2 t - 4/3 + (4/3)(1 - t)^(3/2) minimised over t >= |z|, where it increases."""
        import cvxpy as cp

        t = cp.Variable(z.shape)
        return cp.sum(2 * t - 4 / 3 + (4 / 3) * cp.power(1 - t, 1.5)), [cp.abs(z) <= t]

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return (2/3)(1 - q)^2 (1 + 2 q), q = sqrt(1 - |z|)."""
        size = abs(z)
        if size > 1:
            return None
        q = (1 - ball(size)).nonnegative_part().sqrt()
        rest = 1 - q
        return 2 * rest * rest * (1 + 2 * q) / 3

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return u - u |u|/4, rational for a rational."""
        u = larger(smaller(v, rational(2.0)), rational(-2.0))
        return u - u * abs(u) / 4


def _root(z: ArrayLike) -> tuple[Array, Array, Any]:
    """Return |z| and sqrt(1 - |z|), at 0 where |z| > 1, and where that is."""
    size = np.abs(wide(z))
    outside = ~(size <= 1)
    size = np.where(outside, 0.0, size)
    return size, np.sqrt(1 - size), outside
