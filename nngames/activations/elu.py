"""The exponential linear unit: a line on the right, an exponential on the left with a Kullback-Leibler penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, constant_chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.formulas import decimal, quotient
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.flint_forms import ball, entropy_term, larger, smaller
from nngames.activations.numerics.rounding import (
    EPS,
    Mask,
    exp_excess,
    floating,
    quadratic,
    relative_entropy,
    settle,
    wide,
)
from nngames.activations.rectifiers import Relu
from nngames.core.exact import rational


@activation_named("elu")
@dataclass(frozen=True)
class Elu(ScalarActivation):
    """r(v) = v for v > 0 and a (e^v - 1) for v <= 0, with alpha = a.

    For a > 0: g(v) = v^2/2 or a (e^v - 1 - v); g*(z) = z^2/2 on the right and (z + a) log(1 + z/a) - z on [-a, 0].
    For a = 0 it is relu; for a < 0 the prox of nothing.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        store(self, alpha=number(self, "alpha"))

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at -infinity to 1 on the right and a left of 0."""
        flat, line = rational_end(0, (-41.0, -40.0), attained=self.alpha == 0), rational_end(1, (1.0, 2.0))
        kink = rational_end(self.alpha, (-1e-10, 0.0))
        return (flat if self.alpha >= 0 else kink, line if self.alpha <= 1 else kink)

    @property
    def domain(self) -> Domain:
        """[-a, inf)^n."""
        self.require_penalty()
        return Interval(0.0 - self.alpha)

    @property
    def limits(self) -> tuple[float, float]:
        """-a and infinity."""
        return (-self.alpha if self.alpha else 0.0, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v or a (e^v - 1)."""
        below = np.asarray(np.minimum(v, 0.0))
        np.expm1(below, out=below)
        if self.alpha != 1.0:
            below *= self.alpha
        return np.add(np.maximum(v, 0.0, out=out), below, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1 for v > 0, else a e^v."""
        right = v > 0
        left = np.exp(np.minimum(v, 0.0))
        left *= left.dtype.type(self.alpha)
        result = np.multiply(left, ~right, out=out)
        return np.add(result, right, out=out)

    def shortfall(self, w: Array, response: Array) -> tuple[Array, Array]:
        """Return (1 - a) w - a (e^w - 1 - w) left of 0, for a <= 1 without cancellation, and 0 on the right."""
        left = np.minimum(w, 0.0)
        line = (1 - self.alpha) * left
        value = line - self.alpha * exp_excess(left)
        return value, EPS * (np.abs(line) + np.abs(value))

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return t = e^x in [0, 1] left of 0, where the slope is a t, and the line."""
        a = rational(self.alpha)
        left = Chart(0, 1, lambda t: a * t, lambda t: t.log(), "t = e^x for x <= 0", ("lower",) if self.alpha else ())
        return (left, constant_chart(1, 0, np.inf))

    def primitive(self, v: ArrayLike) -> Array:
        """Return v^2/2 or a (e^v - 1 - v)."""
        v = wide(v)
        with np.errstate(over="ignore"):
            return 0.5 * np.square(np.maximum(v, 0.0)) + self.alpha * exp_excess(np.minimum(v, 0.0))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return z^2/2 or (z + a) log(1 + z/a) - z; +inf left of -a."""
        self.require_penalty()
        if self.alpha == 0:
            return Relu().conjugate(z)
        z, outside = self._into_domain(z)
        with np.errstate(over="ignore"):
            return np.where(outside, np.inf, 0.5 * np.square(np.maximum(z, 0.0)) + self._left(z)[0])

    def penalty(self, z: ArrayLike) -> Array:
        """Return 0 or (z + a) log(1 + z/a) - z - z^2/2; +inf left of -a."""
        self.require_penalty()
        if self.alpha == 0:
            return Relu().penalty(z)
        z, outside = self._into_domain(z)
        return np.where(outside, np.inf, self._left(z)[0] - 0.5 * np.square(np.minimum(z, 0.0)))

    @property
    def penalty_formula(self) -> str | None:
        """That of the left half, of argument min(z, 0); 0 where a = 0."""
        if self.alpha <= 0:
            return "0" if self.alpha == 0 else None
        return f"{left_formula(self.alpha)} - min(z, 0)^2/2"

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return u for u >= 0, where f = 0; elsewhere the prox by its scalar equation."""
        point = wide(u)
        return np.where(point >= 0, point, super().prox(np.minimum(point, 0.0), step))

    def _into_domain(self, z: ArrayLike) -> tuple[Array, Mask]:
        """Return z clipped to the domain, and where it was outside by more than its own precision can tell."""
        array = floating(z)
        return np.maximum(wide(array), -self.alpha), ~(array >= -array.dtype.type(self.alpha))

    def _left(self, z: Array) -> tuple[Array, Array]:
        """Return g* of the negative part, a ((1 + y) log(1 + y) - y) with y = z/a, and its error bound."""
        left = np.minimum(z, 0.0)
        a = np.full_like(left, self.alpha)
        return relative_entropy(self.alpha + left, a, left, np.log(a), np.zeros_like(left))

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the squared distance on the right, the divergence of x + a from a e^v on the left; +inf left of -a.

        Where x and v have different signs, g*(x) + g(v) + |x v| has no cancellation.
        """
        self.require_penalty()
        if self.alpha == 0:
            return Relu().gap(x, v)
        action, outside = self._into_domain(x)
        action, v = np.broadcast_arrays(action, wide(v))
        a, left = self.alpha, np.minimum(v, 0.0)
        response = a * np.expm1(left)
        with np.errstate(over="ignore", invalid="ignore"):
            right_value, right_error = quadratic(action - v, EPS * np.abs(action - v))
            height, level = a + np.minimum(action, 0.0), a * np.exp(left)
            # Far from 0 the distances to the end -a keep more digits of x - r(v).
            far = left < -0.7
            d = np.where(far, height - level, np.minimum(action, 0.0) - response)
            error = EPS * (4 * np.where(far, level, np.abs(response)) + 2 * np.abs(d))
            entropy, entropy_error = relative_entropy(
                height, level, d, np.log(a) + left, error, 8 * EPS * (1 + abs(np.log(a)))
            )
            own, own_error = self._left(action)
            apart = 0.5 * np.square(np.maximum(action, 0.0)) + own + self.primitive(v) + np.abs(action * v)
            apart_error = own_error + 32 * EPS * apart
        both_right, both_left = (action >= 0) & (v >= 0), (action < 0) & (v < 0)
        value = np.where(both_right, right_value, np.where(both_left, entropy, apart))
        bound = np.where(both_right, right_error, np.where(both_left, entropy_error, apart_error))
        return settle(value, bound, np.broadcast_to(outside, value.shape))

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z+|^2/2 plus the divergence of a - t from a, minimised over t >= z-, where it increases."""
        import cvxpy as cp

        self.require_penalty()
        if self.alpha == 0:
            return Relu().conjugate_cvxpy(z)
        t = cp.Variable(z.shape, nonneg=True)
        divergence = cp.sum(cp.kl_div(self.alpha - t, self.alpha))
        return 0.5 * cp.sum_squares(cp.pos(z)) + divergence, [t >= -z]

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z^2/2 or (z + a) log(1 + z/a) - z."""
        self.require_penalty()
        if self.alpha == 0:
            return Relu().flint_conjugate_at(z)
        a, zero = rational(self.alpha), rational(0.0)
        if z < -a:
            return None
        right, left = larger(z, zero), smaller(z, zero)
        return ball(right) ** 2 / 2 + a * entropy_term(1 + left / a) - left

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v or a (e^v - 1)."""
        zero = rational(0.0)
        return ball(larger(v, zero)) + rational(self.alpha) * ball(smaller(v, zero)).expm1()


def left_formula(depth: float) -> str:
    """Return (m + a) log(1 + m/a) - m with m = min(z, 0), the conjugate of a (e^v - 1) for v <= 0, as a formula."""
    return f"(min(z, 0) + {decimal(depth)})*ln(1 + {quotient('min(z, 0)', depth)}) - min(z, 0)"
