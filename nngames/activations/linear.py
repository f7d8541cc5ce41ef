"""Linear activations: identity and linear, and the affine arithmetic that relu shares."""

from __future__ import annotations

from dataclasses import dataclass
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
from nngames.activations.numerics.affine_drive import affine_response, affine_with_error
from nngames.activations.numerics.flint_forms import half_square
from nngames.activations.numerics.rounding import EPS, quadratic, settle, wide
from nngames.core.exact import rational


@activation_named("identity")
@dataclass(frozen=True)
class Identity(ScalarActivation):
    """r(v) = v, the prox of f = 0; g(v) = g*(v) = v^2/2."""

    piecewise_linear = True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """All slopes are 1."""
        return (rational_end(1, (0.0, 1.0)), rational_end(1, (0.0, 1.0)))

    @property
    def domain(self) -> Domain:
        """R^n."""
        return Interval()

    @property
    def limits(self) -> tuple[float, float]:
        """-infinity and infinity."""
        return (-np.inf, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v."""
        return np.positive(v, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1."""
        return _constant(v, 1.0, out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one affine piece."""
        return (constant_chart(1, -np.inf, np.inf),)

    def primitive(self, v: ArrayLike) -> Array:
        """Return v^2/2."""
        return _half_square(v)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return z^2/2."""
        return _half_square(z)

    def penalty(self, z: ArrayLike) -> Array:
        """Return 0."""
        return np.zeros_like(wide(z))

    @property
    def penalty_formula(self) -> str | None:
        """0."""
        return "0"

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return u."""
        return np.array(np.broadcast_arrays(wide(u), self.check_step(step))[0])

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return (x - v)^2/2."""
        with np.errstate(over="ignore"):
            d = wide(x) - wide(v)
            return settle(*quadratic(d, EPS * np.abs(d)))

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z|^2/2."""
        import cvxpy as cp

        return 0.5 * cp.sum_squares(z), []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber:
        """Return z^2/2."""
        return half_square(z)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v."""
        return v


@activation_named("linear")
@dataclass(frozen=True)
class Linear(ScalarActivation):
    """r(v) = s v + b with the slope s and the bias b.

    For s > 0: g(v) = s v^2/2 + b v, g*(z) = (z - b)^2/(2s), f(z) = g*(z) - z^2/2.
    For s = 0: dom f = {b} and f(b) = -b^2/2. For s < 0 it is the prox of nothing.
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
        """All slopes are s."""
        # So far apart that the bias costs the quotient no digits.
        far = max(1.0, abs(self.bias / self.slope)) if self.slope else 1.0
        end = rational_end(self.slope, (-far, far))
        return (end, end)

    @property
    def domain(self) -> Domain:
        """R^n, or the point b where s = 0."""
        self.require_penalty()
        return Interval(self.bias, self.bias) if self.slope == 0 else Interval()

    @property
    def limits(self) -> tuple[float, float]:
        """Infinities, or the bias where s = 0."""
        return (
            self.bias if self.slope == 0 else -np.inf * self.slope,
            self.bias if self.slope == 0 else np.inf * self.slope,
        )

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return s v + b."""
        return affine_response(v, self.slope, self.bias, out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return s."""
        return _constant(v, self.slope, out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one affine piece."""
        return (constant_chart(self.slope, -np.inf, np.inf),)

    def primitive(self, v: ArrayLike) -> Array:
        """Return s v^2/2 + b v."""
        v = wide(v)
        with np.errstate(over="ignore"):
            return (0.5 * self.slope * v + self.bias) * v

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (z - b)^2/(2s); for s = 0, 0 at b and +inf elsewhere."""
        self.require_penalty()
        if self.slope == 0:
            return np.where(np.equal(z, self.bias), 0.0, np.inf)
        z = wide(z)
        with np.errstate(over="ignore"):
            return np.square(z - self.bias) * (0.5 / self.slope)

    def penalty(self, z: ArrayLike) -> Array:
        """Return ((1/s - 1) z/2 - b/s) z + b^2/(2s); for s = 0, -b^2/2 at b and +inf elsewhere."""
        self.require_penalty()
        if self.slope == 0:
            return np.where(np.equal(z, self.bias), -0.5 * self.bias**2, np.inf)
        z = wide(z)
        with np.errstate(over="ignore"):
            curved = (0.5 * (1 / self.slope - 1) * z - self.bias / self.slope) * z
            return curved + 0.5 * self.bias**2 / self.slope

    @property
    def penalty_formula(self) -> str | None:
        """(1/s - 1) z^2/2 - b z/s + b^2/(2s) where s > 0."""
        s, b = self.slope, self.bias
        return combination(((1 / s - 1) / 2, "z^2"), (-b / s, "z"), (b * b / (2 * s), "")) if s > 0 else None

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return (s u + step b)/(s + step (1 - s))."""
        steps = self.check_step(step)
        if self.slope == 0:
            return np.full(np.broadcast_shapes(np.shape(u), steps.shape), self.bias)
        return affine_prox(wide(u), steps, self.slope, self.bias)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return (x - s v - b)^2/(2s); for s = 0, 0 at b and +inf elsewhere."""
        self.require_penalty()
        if self.slope == 0:
            zero = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(v)))
            return settle(zero, zero, np.not_equal(x, self.bias))
        x, v = wide(x), wide(v)
        with np.errstate(over="ignore", invalid="ignore"):
            response, error = affine_with_error(v, self.slope, self.bias)
            d = x - response
            return settle(*quadratic(d, error + EPS * np.abs(d), 1 / self.slope))

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z - b|^2/(2s), or the constraint z = b where s = 0."""
        import cvxpy as cp

        self.require_penalty()
        if self.slope == 0:
            return cp.Constant(0.0), [z == self.bias]
        return (0.5 / self.slope) * cp.sum_squares(z - self.bias), []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return (z - b)^2/(2s)."""
        self.require_penalty()
        if self.slope == 0:
            return None if z != rational(self.bias) else 0 * z
        return half_square(z - rational(self.bias)) / rational(self.slope)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return s v + b."""
        return rational(self.slope) * v + rational(self.bias)


def affine_prox(u: Array, steps: Array, slope: float, bias: float) -> Array:
    """Return (s u + step b)/(s + step (1 - s)) for s >= 0, where no product overflows unless the quotient does."""
    divisor = slope + steps * (1 - slope)
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = u * (slope / divisor)
        if slope <= 1:
            ratio = np.where(divisor > 1, slope * (u / divisor), ratio)
        return ratio + bias * (steps / divisor) if bias else ratio


def _constant(v: Array, value: float, out: Array | None) -> Array:
    result = np.empty_like(v) if out is None else out
    result[...] = value
    return result


def _half_square(v: ArrayLike) -> Array:
    with np.errstate(over="ignore"):
        return 0.5 * np.square(wide(v))
