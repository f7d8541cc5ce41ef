"""Scalar activations that are another one with its input and output scaled: r(v) = c base(k v + b)."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from functools import cached_property
from math import isfinite
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber
from nngames.activations.foundations.charts import SlopePart, moved_part
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd
from nngames.activations.linear import Linear
from nngames.activations.numerics.affine_drive import AffineDrive
from nngames.activations.numerics.compensated import corrected, is_power_of_two
from nngames.activations.numerics.elementwise import scaled
from nngames.activations.numerics.rounding import EPS, Mask, floating, settle, wide
from nngames.core.exact import nearest_float, rational


class Reparametrised(ScalarActivation):
    """r(v) = c base(k v + b) with c = ``outer``, k = ``inner``, b = ``shift``; the base is defined on the whole line.

    With G and G* the primitive and the conjugate of the base, where c k > 0:
    g(v) = (c/k) G(k v + b), g*(z) = (c/k) (G*(y) - b y) with y = z/c, and the gap is (c/k) times that of (y, k v + b).
    Where c = 0 or k = 0, r is constant: the float c base(b), rounded, and dom f is that point.
    """

    #: Whether the base falls like 1/(1 + e^-u) to the left: then r needs more digits of u than its float has.
    logistic_tail: ClassVar[bool] = False

    @property
    @abstractmethod
    def base(self) -> ScalarActivation:
        """The activation that is scaled."""

    @property
    def outer(self) -> float | Fraction:
        """c, exactly."""
        return 1.0

    @property
    def inner(self) -> float | Fraction:
        """k, exactly; k or 1/k is a float."""
        return 1.0

    @property
    def shift(self) -> float:
        """b."""
        return 0.0

    @cached_property
    def slope_factor(self) -> Fraction:
        """c k: what the slopes of the base are multiplied by."""
        return Fraction(self.outer) * Fraction(self.inner)

    @cached_property
    def affine(self) -> Linear | None:
        """The response itself where it is affine and not a scaled base: constant, unless a subclass knows more."""
        if self.outer and self.inner:
            return None
        return Linear(0.0, float(self.outer * float(self.base(self.shift))))

    @cached_property
    def drive(self) -> AffineDrive:
        """k v + b, where k is not 0."""
        return AffineDrive(self.inner, self.shift)

    @cached_property
    def _factors(self) -> tuple[float, float]:
        """c and c k, rounded."""
        return nearest_float(self.outer), nearest_float(self.slope_factor)

    @property
    def bounded(self) -> bool:
        """Whether the base is bounded, or r constant."""
        return self.base.bounded if self.affine is None else self.affine.bounded

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """The slopes of the base times c k."""
        if self.affine is not None:
            return self.affine.slope_range_exact
        factor = self.slope_factor
        low, high = (end.times(factor, self._outside(end.pair)) for end in self.base.slope_range_exact)
        return (low, high) if factor > 0 else (high, low)

    def _outside(self, pair: tuple[Any, Any]) -> tuple[float, float]:
        """Return the points that the base sees as the pair."""
        first, second = sorted(nearest_float((Fraction(t) - Fraction(self.shift)) / Fraction(self.inner)) for t in pair)
        return (first, second)

    @property
    def limits(self) -> tuple[float, float]:
        """Those of the base times c, in the order of the sign of k."""
        if self.affine is not None:
            return self.affine.limits
        low, high = (self._scaled_end(t) for t in self.base.limits)
        return (low, high) if self.inner > 0 else (high, low)

    def _scaled_end(self, end: float) -> float:
        """Return c times an end, rounded once; ends may be infinite, zeros keep a sign."""
        if end == 0 or not isfinite(end):
            return end if self.outer > 0 else -end
        return nearest_float(Fraction(self.outer) * Fraction(end))

    @property
    def domain(self) -> Domain:
        """The domain of the base times c, or a point."""
        self.require_penalty()
        return self._interval if self.affine is None else self.affine.domain

    @cached_property
    def _own(self) -> Interval:
        """The domain of the base."""
        own = self.base.domain
        if not isinstance(own, Interval):
            raise TypeError(f"the domain of {self.base.name!r} is no interval")
        return own

    @cached_property
    def _interval(self) -> Interval:
        """The domain where r is not affine."""
        own = self._own
        ends = [(self._scaled_end(own.lower), own.closed_lower), (self._scaled_end(own.upper), own.closed_upper)]
        (low, closed_low), (high, closed_high) = ends if self.outer > 0 else ends[::-1]
        return Interval(low + 0.0, high + 0.0, closed_low, closed_high)

    # The response

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return c base(k v + b); the base's kernel takes infinities."""
        if self.affine is not None:
            return self.affine._response(v, out)
        # The correction needs v, which may be out.
        drive = self.drive(v, None if self.logistic_tail else out)
        correction = self.drive.logistic_correction(v, drive) if self.logistic_tail else None
        return corrected(scaled(self.base._response(drive, out), self._factors[0], out), correction)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return c k base'(k v + b)."""
        if self.affine is not None:
            return self.affine._slope(v, out)
        return scaled(self.base._slope(self.drive.finite(v, out), out), self._factors[1], out)

    # Primitive, conjugate, penalty, prox

    def _scaled(self, values: Array) -> Array:
        """Return (c/k) times the values."""
        c = self._factors[0]
        return self._over_inner(values if c == 1 else values * c)

    def primitive(self, v: ArrayLike) -> Array:
        """Return (c/k) G(k v + b)."""
        if self.affine is not None:
            return self.affine.primitive(v)
        with np.errstate(over="ignore"):
            return self._scaled(self.base.primitive(self.drive.finite(wide(v))))

    def _seen(self, z: ArrayLike) -> tuple[Array, Mask]:
        """Return z/c in the base's domain, and where z was outside by more than its own precision can tell."""
        array, own, base = floating(z), self._interval, self._own
        low, high = array.dtype.type(own.lower), array.dtype.type(own.upper)
        outside = ~((array >= low) & (array <= high))
        return np.clip(wide(array) / self._factors[0], base.lower, base.upper), outside

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (c/k) (G*(y) - b y) with y = z/c; +inf off the domain."""
        self.require_penalty()
        if self.affine is not None:
            return self.affine.conjugate(z)
        with np.errstate(over="ignore"):
            y, outside = self._seen(z)
            return np.where(outside, np.inf, self._scaled(self._tilted(self.base.conjugate(y), y)))

    def penalty(self, z: ArrayLike) -> Array:
        """Return (c/k) (F(y) + (1 - c k) y^2/2 - b y) with y = z/c and the base's penalty F; +inf off the domain.

        Where c k is small, F(y) and y^2/2 cancel: there it is g*(z) - z^2/2, which then do not.
        """
        self.require_penalty()
        if self.affine is not None:
            return self.affine.penalty(z)
        with np.errstate(over="ignore"):
            y, outside = self._seen(z)
            value = self._tilted(self.base.penalty(y), y)
            if self.slope_factor != 1:
                value = value + nearest_float(1 - self.slope_factor) / 2 * np.square(y)
            value = self._scaled(value)
            if 2 * self.slope_factor <= 1:
                conjugate = self._scaled(self._tilted(self.base.conjugate(y), y))
                half = 0.5 * np.square(wide(z))
                apart = np.isfinite(conjugate) & np.isfinite(half)
                value = np.where(apart, np.where(apart, conjugate, 0.0) - np.where(apart, half, 0.0), value)
            return np.where(outside, np.inf, value)

    @property
    def penalty_formula(self) -> str | None:
        """That of the response that is affine, else what the subclass knows."""
        if not self.monotone:
            return None
        return self.scaled_formula if self.affine is None else self.affine.penalty_formula

    @property
    def scaled_formula(self) -> str | None:
        """f as a formula where r is monotone and not affine; None unless a subclass knows it."""
        return None

    def _tilted(self, values: Array, y: Array) -> Array:
        """Return values - b y."""
        return values if self.shift == 0 else values - self.shift * y

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return c times the base's prox at u/c + step b where c k = 1; else the prox by its scalar equation."""
        steps = self.check_step(step)
        if self.affine is not None:
            return self.affine.prox(u, step)
        point, steps = np.broadcast_arrays(wide(u), steps)
        if self.slope_factor != 1:
            return self._mixed_prox(point, steps)
        c = self._factors[0]
        with np.errstate(over="ignore", invalid="ignore"):
            seen = np.asarray(point / c + steps * self.shift)
            lost = ~np.isfinite(seen)
            result = c * self.base.prox(np.where(lost, 0.0, seen), steps)
            return np.where(lost, self._mixed_prox(point, steps), result) if lost.any() else result

    def _mixed_prox(self, u: Array, steps: Array) -> Array:
        """Return c base(y) with (1 - step) base(y) + step y/m = u/c + step b/m, m = c k; times m where m < 1."""
        m, c, unit = self.slope_factor, self._factors[0], np.maximum(steps, 1.0)
        share, weight, total, shift = (1 - steps) / unit, steps / unit, 1 / unit, steps / unit * self.shift
        if m < 1:
            small = nearest_float(m)
            target = self.drive(u / unit, None) if self.shift == 0 else self.drive.factor * (u / unit) + shift
            parts = small * share, weight, small * total + nearest_float(1 - m) * weight, target
            return self.base.mixed_response(*parts, small * (u / unit) + c * shift, c)
        inverse = nearest_float(1 / m)
        level = u / unit + self._over_inner(shift)
        parts = share, inverse * weight, total + nearest_float(1 / m - 1) * weight, u / unit / c + inverse * shift
        return self.base.mixed_response(*parts, level, c)

    def _over_inner(self, values: Array) -> Array:
        """Return values/k."""
        drive = self.drive
        return values * drive.reciprocal if drive.divides else values / drive.factor

    # The gap

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return (c/k) times the gap of the base at (x/c, k v + b); +inf off the domain.

        The base's gap has the derivative base(u) - y in u and is convex in y: that bounds what the rounding of
        u = k v + b and of y = x/c adds.
        """
        self.require_penalty()
        if self.affine is not None:
            return self.affine.gap(x, v)
        with np.errstate(over="ignore", invalid="ignore"):
            y, outside = self._seen(x)
            y, v = np.broadcast_arrays(y, wide(v))
            drive, slip = self.drive.with_error(v)
            value, error = self.base.gap(y, drive)
            high = self.base.slope_range[1]
            response = self.base(drive)
            error = error + (np.abs(response - y) + 8 * EPS * (np.abs(response) + np.abs(y)) + high * slip) * slip
            if not is_power_of_two(self._factors[0]):
                error = error + self._quotient_error(y, drive, value)
            value, error = self._scaled(value), self._scaled(error + 4 * EPS * value)
        return settle(value, error, np.broadcast_to(outside, value.shape))

    def _quotient_error(self, y: Array, drive: Array, value: Array) -> Array:
        """Bound what one unit of rounding in y changes the base's gap, a convex function of y."""
        error = np.zeros_like(value)
        for towards in (-np.inf, np.inf):
            other, own_error = self.base.gap(self._own.project(np.nextafter(y, towards)), drive)
            error = np.maximum(error, np.abs(other - value) + own_error)
        return error

    # Second routes and exact arithmetic

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]] | None:
        """Return (c/k) times the base's form at y = z/c, less b sum(y)."""
        import cvxpy as cp

        self.require_penalty()
        if self.affine is not None:
            return self.affine.conjugate_cvxpy(z)
        c, k = self._factors[0], self.drive.factor
        form = self.base.conjugate_cvxpy(z / c)
        if form is None:
            return None
        return (c / k) * (form[0] - self.shift * cp.sum(z / c) if self.shift else form[0]), form[1]

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return (c/k) (G*(y) - b y) with y = z/c."""
        self.require_penalty()
        if self.affine is not None:
            return self.affine.flint_conjugate_at(z)
        c, k, b = rational(self.outer), rational(self.inner), rational(self.shift)
        value = self.base.flint_conjugate_at(z / c)
        return None if value is None else c / k * (value - b * (z / c))

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return c base(k v + b)."""
        if self.affine is not None:
            return self.affine.flint_response_at(v)
        return rational(self.outer) * self.base.flint_response_at(rational(self.inner) * v + rational(self.shift))

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return the parts of the base, moved and scaled, from left to right."""
        if self.affine is not None:
            return self.affine.slope_charts()
        k, b = Fraction(self.inner), Fraction(self.shift)
        parts = tuple(moved_part(part, self.slope_factor, k, b) for part in self.base.slope_charts())
        return parts if k > 0 else parts[::-1]
