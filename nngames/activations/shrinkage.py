"""Shrinkage: soft thresholding, the prox of t |z|, and hard thresholding, which jumps at the threshold."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import SlopePart, constant_chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.formulas import combination, decimal, multiple
from nngames.activations.foundations.parameters import number, refusal, store
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.flint_forms import ball, half_square, is_rational, larger, smaller
from nngames.activations.numerics.rounding import EPS, quadratic, settle, wide
from nngames.core.exact import rational


class _Thresholding(ScalarActivation):
    """A response that is 0 on [-t, t] and strictly increasing beyond; the identity where t = 0."""

    @property
    @abstractmethod
    def level(self) -> float:
        """The threshold t >= 0."""

    def _store_level(self, parameter: str) -> None:
        """Check and store the parameter that is the threshold."""
        value = number(self, parameter)
        if value < 0:
            raise refusal(self, parameter, f"must not be negative; got {value!r}")
        store(self, **{parameter: value})

    def _level_of(self, v: Array) -> Any:
        """Return t in the precision of v, infinite where it is too large for it."""
        with np.errstate(over="ignore"):
            return v.dtype.type(self.level)

    def _beyond(self, distance: float) -> float:
        """Return a point beyond the threshold, by its part or by the distance if that is more."""
        return self.level + distance * max(1.0, self.level / 8)

    @property
    def domain(self) -> Domain:
        """R^n."""
        return Interval()

    @property
    def limits(self) -> tuple[float, float]:
        """-infinity and infinity."""
        return (-np.inf, np.inf)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1 where |v| > t, else 0; 1 everywhere where t = 0."""
        steep = np.abs(v) > self._level_of(v) if self.level > 0 else np.full_like(v, True, dtype=bool)
        return np.multiply(steep, v.dtype.type(1.0), out=out)

    def _pieces(self) -> tuple[SlopePart, ...]:
        """Return the affine pieces: of slope 1, 0 and 1, or the line where t = 0."""
        t = self.level
        if t == 0:
            return (constant_chart(1, -np.inf, np.inf),)
        return (constant_chart(1, -np.inf, -t), constant_chart(0, -t, t), constant_chart(1, t, np.inf))


class _SoftThresholding(_Thresholding):
    """r(v) = sign(v) max(|v| - t, 0), the prox of f(z) = t |z|, with t >= 0.

    g(v) = max(|v| - t, 0)^2/2, g*(z) = z^2/2 + t |z|. The slopes are 0 within the threshold and 1 beyond.
    """

    piecewise_linear = True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """0 within the threshold and 1 beyond; 1 only where t = 0."""
        steep = rational_end(1, (self._beyond(1.0), self._beyond(2.0)))
        return (rational_end(0, (0.0, self.level)) if self.level > 0 else steep, steep)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v - max(-t, min(t, v))."""
        t = self._level_of(v)
        return np.subtract(v, np.minimum(np.maximum(v, -t), t), out=out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return max(|v| - t, 0)^2/2."""
        with np.errstate(over="ignore"):
            return 0.5 * np.square(self(wide(v)))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return z^2/2 + t |z|."""
        size = np.abs(wide(z))
        with np.errstate(over="ignore"):
            return size * (0.5 * size + self.level)

    def penalty(self, z: ArrayLike) -> Array:
        """Return t |z|."""
        with np.errstate(over="ignore"):
            return self.level * np.abs(wide(z))

    @property
    def penalty_formula(self) -> str | None:
        """t |z|."""
        return multiple(self.level, "abs(z)")

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return sign(u) max(|u| - step t, 0)."""
        point, steps = np.broadcast_arrays(wide(u), self.check_step(step))
        with np.errstate(over="ignore"):
            t = steps * self.level
        return point - np.minimum(np.maximum(point, -t), t)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return (x - p)^2/2 + |x| (t - c sign x) with p = r(v) and c = v - p in [-t, t]."""
        x, v = np.broadcast_arrays(wide(x), wide(v))
        t = self.level
        c = np.minimum(np.maximum(v, -t), t)
        p = v - c
        with np.errstate(over="ignore", invalid="ignore"):
            d = x - p
            value, error = quadratic(d, EPS * (np.abs(d) + np.abs(p)) if t > 0 else EPS * np.abs(d))
            linear = np.where(x == 0, 0.0, np.abs(x) * (t - np.where(x < 0, -c, c)))
            return settle(value + linear, error + 4 * EPS * (value + linear))

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z|^2/2 + t |z|_1."""
        import cvxpy as cp

        return 0.5 * cp.sum_squares(z) + self.level * cp.norm1(z), []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber:
        """Return z^2/2 + t |z|."""
        return half_square(z) + rational(self.level) * abs(z)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return max(v - t, 0) + min(v + t, 0)."""
        t, zero = rational(self.level), rational(0.0)
        return larger(v - t, zero) + smaller(v + t, zero)

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return the affine pieces."""
        return self._pieces()


@activation_named("softshrink")
@dataclass(frozen=True)
class Softshrink(_SoftThresholding):
    """r(v) = sign(v) max(|v| - t, 0), the prox of t |z|, with t = lambda_ >= 0."""

    lambda_: float = 1.0

    def __post_init__(self) -> None:
        self._store_level("lambda_")

    @property
    def level(self) -> float:
        """lambda_."""
        return self.lambda_


@activation_named("soft_threshold")
@dataclass(frozen=True)
class SoftThreshold(_SoftThresholding):
    """r(v) = sign(v) max(|v| - t, 0), the prox of t |z|, with t = threshold >= 0."""

    threshold: float = 1.0

    def __post_init__(self) -> None:
        self._store_level("threshold")

    @property
    def level(self) -> float:
        """The threshold."""
        return self.threshold


@activation_named("hardshrink")
@dataclass(frozen=True)
class Hardshrink(_Thresholding):
    """r(v) = v where |v| > t, else 0, with t = lambda_ >= 0; the identity where t = 0.

    g(v) = max(0, v^2 - t^2)/2, g*(z) = t |z| + max(0, |z| - t)^2/2; f(z) = t |z| - z^2/2 for |z| <= t and t^2/2 beyond.
    For t > 0 it jumps by t at t and at -t, so its slopes are unbounded and f is 1-weakly convex, with no smaller
    modulus. At |v| = t every z in [0, v] is a minimiser of f(z) + (z - v)^2/2; r takes 0.
    """

    lambda_: float = 1.0

    def __post_init__(self) -> None:
        self._store_level("lambda_")

    @property
    def level(self) -> float:
        """lambda_."""
        return self.lambda_

    @property
    def continuous(self) -> bool:  # type: ignore[override]
        """Whether t = 0."""
        return self.lambda_ == 0

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """0 within the threshold, and unbounded across it; 1 only where t = 0.

        r increases, so no quotient is negative.
        """
        t = self.lambda_
        if t == 0:
            steep = rational_end(1, (1.0, 2.0))
            return (steep, steep)
        return rational_end(0, (0.0, t)), rational_end(np.inf, (t, max(t * (1 + 1e-6), float(np.nextafter(t, np.inf)))))

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v where |v| > t, else 0."""
        return np.multiply(v, np.abs(v) > self._level_of(v), out=out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return max(0, |v| - t) (|v| + t)/2."""
        size = np.abs(wide(v))
        with np.errstate(over="ignore"):
            return np.maximum(size - self.lambda_, 0.0) * (0.5 * size + 0.5 * self.lambda_)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return t |z| + max(0, |z| - t)^2/2."""
        size = np.abs(wide(z))
        with np.errstate(over="ignore"):
            return self.lambda_ * size + 0.5 * np.square(np.maximum(size - self.lambda_, 0.0))

    def penalty(self, z: ArrayLike) -> Array:
        """Return m (t - m/2) with m = min(|z|, t)."""
        size = np.minimum(np.abs(wide(z)), self.lambda_)
        with np.errstate(over="ignore"):
            return size * (self.lambda_ - 0.5 * size)

    @property
    def penalty_formula(self) -> str | None:
        """m (t - m/2) with m = min(|z|, t)."""
        t = self.lambda_
        least = f"min(abs(z), {decimal(t)})"
        return combination((t, least), (-0.5 if t else 0.0, f"{least}^2"))

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return r(u) for step 1; for less, u where |u| >= t, else sign(u) max(0, |u| - step t)/(1 - step).

        Notes
        -----
        Less than 1, the step makes the prox continuous: firm thresholding.
        """
        point, steps = np.broadcast_arrays(wide(u), self.check_step(step))
        t = self.lambda_
        if t == 0:
            return np.array(point)
        short = steps < 1
        # t - (t - |u|)/(1 - step): both differences are exact where they are small.
        with np.errstate(over="ignore"):
            fall = (t - np.abs(point)) / np.where(short, 1 - steps, 1.0)
        firm = np.copysign(np.maximum(t - fall, 0.0), point)
        return np.where(short & (np.abs(point) < t), firm, np.where(short, point, self(point)))

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the gap in terms of a = |x| and y = v sign x, as sums of nonnegative terms.

        For y <= t it is max(0, a - t)^2/2 + a (t - y) + g(v); beyond, (a - y)^2/2 where a >= t and
        (y - t) ((y - a) + (t - a))/2 where a < t.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        t = self.lambda_
        a, y = np.abs(x), np.where(x < 0, -v, v)
        with np.errstate(over="ignore", invalid="ignore"):
            linear = np.where(a == 0, 0.0, a * np.maximum(t - y, 0.0))
            quiet = 0.5 * np.square(np.maximum(a - t, 0.0)) + linear + self.primitive(v)
            short = 0.5 * np.maximum(y - t, 0.0) * (np.maximum(y - a, 0.0) + np.maximum(t - a, 0.0))
            value = np.where(y <= t, quiet, np.where(a >= t, 0.5 * np.square(a - y), short))
            return settle(value, 16 * EPS * value)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return t |z|_1 + |max(0, |z| - t)|^2/2."""
        import cvxpy as cp

        return self.lambda_ * cp.norm1(z) + 0.5 * cp.sum_squares(cp.pos(cp.abs(z) - self.lambda_)), []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber:
        """Return t |z| + max(0, |z| - t)^2/2."""
        t = rational(self.lambda_)
        return t * abs(z) + half_square(larger(abs(z) - t, rational(0.0)))

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v where |v| > t, else 0; for a ball that is not on one side, a ball around both."""
        from flint import arb

        t = rational(self.lambda_)
        if is_rational(v):
            return v if abs(v) > t else v * 0
        if abs(v) > ball(t):
            return v
        return arb(0) if abs(v) <= ball(t) else v.union(arb(0))

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return the line where t = 0; otherwise r jumps, and no charts tell its slopes."""
        return self._pieces() if self.lambda_ == 0 else super().slope_charts()
