"""Rectifiers, piecewise linear with a kink: relu, leaky_relu and prelu."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, constant_chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.formulas import combination
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.linear import Linear, affine_prox
from nngames.activations.numerics.affine_drive import affine_response, affine_with_error
from nngames.activations.numerics.elementwise import of_precision, positive_part, stored
from nngames.activations.numerics.flint_forms import half_square, larger, smaller
from nngames.activations.numerics.rounding import EPS, UNDERFLOW, floating, quadratic, settle, wide
from nngames.core.exact import rational


@activation_named("relu")
@dataclass(frozen=True)
class Relu(ScalarActivation):
    """r(v) = max(0, s v + b) with the slope s and the bias b.

    For s > 0: g(v) = max(0, s v + b)^2/(2s), g*(z) = z^2/(2s) - b z/s on [0, inf), f = g* - z^2/2.
    For s = 0: r = max(0, b), dom f is that point. For s < 0 it is the prox of nothing.
    """

    slope: float = 1.0
    bias: float = 0.0
    piecewise_linear = True

    def __post_init__(self) -> None:
        store(self, slope=number(self, "slope"), bias=number(self, "bias"))

    @property
    def bounded(self) -> bool:
        """Whether s = 0."""
        return self.slope == 0

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """The slopes fill [0, s], or [s, 0]."""
        kink = -self.bias / self.slope if self.slope else 0.0
        far = max(1.0, abs(kink))
        left, right = (kink - 2 * far, kink - far), (kink + far, kink + 2 * far)
        flat, steep = rational_end(0, right if self.slope < 0 else left), rational_end(self.slope, right)
        return (flat, steep) if self.slope >= 0 else (rational_end(self.slope, left), flat)

    @property
    def domain(self) -> Domain:
        """[0, inf)^n, or the point max(0, b) where s = 0."""
        self.require_penalty()
        return Interval(0.0) if self.slope > 0 else self._point.domain

    @property
    def _point(self) -> Linear:
        """The constant response max(0, b), which this is for s = 0."""
        return Linear(0.0, max(0.0, self.bias))

    @property
    def limits(self) -> tuple[float, float]:
        """0 and infinity, in the order of the sign of s; max(0, b) where s = 0."""
        if self.slope == 0:
            return self._point.limits
        return (0.0, np.inf) if self.slope > 0 else (np.inf, 0.0)

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return max(0, s v + b)."""
        if self.slope == 1.0 and self.bias == 0.0:
            # One pass over the array, which blocks would only slow down.
            return np.maximum(floating(v), 0.0, out=out)
        return super().__call__(v, out)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return max(0, s v + b)."""
        if self.slope == 1.0 and self.bias == 0.0:
            return positive_part(v, out)
        return positive_part(affine_response(v, self.slope, self.bias, out), out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return s where s v + b > 0, else 0."""
        if self.slope == 1.0 and self.bias == 0.0:
            return np.multiply(v > 0, v.dtype.type(1.0), out=out)
        active = affine_response(v, self.slope, self.bias) > 0
        return stored(np.where(active, of_precision(self.slope, v), v.dtype.type(0.0)), out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return the two affine pieces."""
        if self.slope == 0:
            return self._point.slope_charts()
        kink = -Fraction(self.bias) / Fraction(self.slope)
        left, right = (0, self.slope) if self.slope > 0 else (self.slope, 0)
        return (constant_chart(left, -np.inf, kink), constant_chart(right, kink, np.inf))

    def primitive(self, v: ArrayLike) -> Array:
        """Return max(0, s v + b)^2/(2s); max(0, b) v where s = 0."""
        if self.slope == 0:
            return self._point.primitive(v)
        with np.errstate(over="ignore"):
            return np.square(self(wide(v))) * (0.5 / self.slope)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (z/2 - b) z/s on [0, inf), +inf elsewhere."""
        self.require_penalty()
        if self.slope == 0:
            return self._point.conjugate(z)
        z = wide(z)
        with np.errstate(over="ignore"):
            return np.where(z >= 0, (0.5 * z - self.bias) * z / self.slope, np.inf)

    def penalty(self, z: ArrayLike) -> Array:
        """Return ((1/s - 1) z/2 - b/s) z on [0, inf), +inf elsewhere."""
        self.require_penalty()
        if self.slope == 0:
            return self._point.penalty(z)
        z = wide(z)
        with np.errstate(over="ignore"):
            return np.where(z >= 0, (0.5 * (1 / self.slope - 1) * z - self.bias / self.slope) * z, np.inf)

    @property
    def penalty_formula(self) -> str | None:
        """(1/s - 1) z^2/2 - b z/s where s > 0."""
        s, b = self.slope, self.bias
        return combination(((1 / s - 1) / 2, "z^2"), (-b / s, "z")) if s > 0 else None

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return max(0, (s u + step b)/(s + step (1 - s))); max(0, b) where s = 0."""
        steps = self.check_step(step)
        if self.slope == 0:
            return self._point.prox(u, steps)
        return np.maximum(affine_prox(wide(u), steps, self.slope, self.bias), 0.0)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return ((x - p)^2/2 - x m)/s with p and m the positive and negative part of s v + b; +inf for x < 0."""
        self.require_penalty()
        if self.slope == 0:
            return self._point.gap(x, v)
        x, v = wide(x), wide(v)
        with np.errstate(over="ignore", invalid="ignore"):
            drive, error = affine_with_error(v, self.slope, self.bias)
            d = x - np.maximum(drive, 0.0)
            curved, curved_error = quadratic(d, error + EPS * np.abs(d), 1 / self.slope)
            linear = np.where(x > 0, x * np.maximum(-drive, 0.0) / self.slope, 0.0)
            return settle(curved + linear, curved_error + np.abs(d) * error / self.slope + 4 * EPS * linear, x < 0)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z|^2/(2s) - b sum(z)/s on z >= 0."""
        import cvxpy as cp

        self.require_penalty()
        if self.slope == 0:
            return self._point.conjugate_cvxpy(z)
        return (0.5 / self.slope) * cp.sum_squares(z) - (self.bias / self.slope) * cp.sum(z), [z >= 0]

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z^2/(2s) - b z/s on [0, inf)."""
        self.require_penalty()
        if self.slope == 0:
            return self._point.flint_conjugate_at(z)
        return None if z < 0 else (half_square(z) - rational(self.bias) * z) / rational(self.slope)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return max(0, s v + b)."""
        return larger(rational(self.slope) * v + rational(self.bias), rational(0.0))


@dataclass(frozen=True)
class _TwoSlopes(ScalarActivation):
    """r(v) = v for v >= 0 and a v for v < 0.

    For a > 0: g(v) = v^2/2 or a v^2/2, g*(z) = z^2/2 or z^2/(2a), f(z) = 0 or (1/a - 1) z^2/2, on the two sides.
    For a = 0 dom f is [0, inf); for a < 0 it is the prox of nothing.
    """

    slope: float = 0.01
    piecewise_linear = True

    def __post_init__(self) -> None:
        store(self, slope=number(self, "slope"))

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """The slopes lie between a and 1."""
        left, right = rational_end(self.slope, (-2.0, -1.0)), rational_end(1, (1.0, 2.0))
        return (left, right) if self.slope <= 1 else (right, left)

    @property
    def domain(self) -> Domain:
        """R^n, or [0, inf)^n where a = 0."""
        self.require_penalty()
        return Interval() if self.slope > 0 else Interval(0.0)

    @property
    def limits(self) -> tuple[float, float]:
        """An infinity, or 0 where a = 0; and infinity."""
        return (-np.inf * self.slope if self.slope else 0.0, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v or a v."""
        if self.slope == 0:
            return np.maximum(v, 0.0, out=out)
        return (np.maximum if self.slope <= 1 else np.minimum)(v, affine_response(v, self.slope, 0.0), out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1 for v >= 0, else a."""
        result = np.where(v >= 0, v.dtype.type(1.0), of_precision(self.slope, v))
        return result if out is None else stored(result, out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return the two affine pieces."""
        return (constant_chart(self.slope, -np.inf, 0), constant_chart(1, 0, np.inf))

    def primitive(self, v: ArrayLike) -> Array:
        """Return v^2/2 or a v^2/2."""
        v = wide(v)
        with np.errstate(over="ignore"):
            return 0.5 * v * self(v)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return z^2/2 or z^2/(2a)."""
        self.require_penalty()
        z = wide(z)
        with np.errstate(over="ignore"):
            return np.where(z >= 0, 0.5 * z * z, self._below(0.5 * z * z))

    def penalty(self, z: ArrayLike) -> Array:
        """Return 0 or (1/a - 1) z^2/2."""
        self.require_penalty()
        z = wide(z)
        with np.errstate(over="ignore"):
            return np.where(z >= 0, 0.0, self._below((1 - self.slope) * 0.5 * z * z))

    @property
    def penalty_formula(self) -> str | None:
        """(1/a - 1) min(z, 0)^2/2 where a > 0, 0 where a = 0."""
        if self.slope <= 0:
            return "0" if self.slope == 0 else None
        return combination(((1 / self.slope - 1) / 2, "min(z, 0)^2"))

    def _below(self, values: Array) -> Array:
        """Return values/a, +inf where a = 0: the scale of g* left of 0."""
        return values / self.slope if self.slope > 0 else np.full_like(values, np.inf)

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return u for u >= 0, else a u/(a + step (1 - a))."""
        steps = self.check_step(step)
        point = np.broadcast_arrays(wide(u), steps)[0]
        return np.where(point >= 0, point, affine_prox(np.minimum(point, 0.0), steps, self.slope, 0.0))

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return (x - r(v))^2/2 over the slope where x and v have one sign, else g*(x) + g(v) + |x v|."""
        self.require_penalty()
        x, v = np.broadcast_arrays(wide(x), wide(v))
        below = 1 / self.slope if self.slope > 0 else 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            response = self(v)
            d = x - response
            error = EPS * (np.abs(d) + np.where(v < 0, np.abs(response), 0.0)) + UNDERFLOW
            weight = np.where(v < 0, below, 1.0)
            curved, curved_error = quadratic(d, error)
            apart = 0.5 * x * np.where(x < 0, below * x, x) + 0.5 * v * response - x * v
            mixed = (x < 0) != (v < 0)
            value = np.where(mixed, apart, weight * curved)
            bound = np.where(mixed, 8 * EPS * apart, weight * curved_error + 2 * EPS * value)
        return settle(value, bound, x < 0 if self.slope == 0 else None)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z+|^2/2 + |z-|^2/(2a)."""
        import cvxpy as cp

        self.require_penalty()
        above = 0.5 * cp.sum_squares(cp.pos(z))
        if self.slope == 0:
            return above, [z >= 0]
        return above + (0.5 / self.slope) * cp.sum_squares(cp.neg(z)), []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z^2/2 or z^2/(2a)."""
        self.require_penalty()
        zero = rational(0.0)
        above = half_square(larger(z, zero))
        if self.slope == 0:
            return None if z < 0 else above
        return above + half_square(smaller(z, zero)) / rational(self.slope)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v or a v."""
        zero = rational(0.0)
        return larger(v, zero) + rational(self.slope) * smaller(v, zero)


@activation_named("leaky_relu")
@dataclass(frozen=True)
class LeakyRelu(_TwoSlopes):
    """r(v) = v for v >= 0 and a v for v < 0, with the slope a = 0.01."""


@activation_named("prelu")
@dataclass(frozen=True)
class Prelu(_TwoSlopes):
    """r(v) = v for v >= 0 and a v for v < 0, with a learnt slope a."""

    slope: float = 0.25
