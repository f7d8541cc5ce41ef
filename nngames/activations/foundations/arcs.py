"""The response v/sqrt(1 + k v^2) and its left half joined to a line: their conjugates are elliptic arcs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber
from nngames.activations.foundations.charts import Chart, constant_chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end, symmetric_pair
from nngames.activations.numerics.compensated import in_double
from nngames.activations.numerics.flint_forms import ball, half_square, larger, smaller, square
from nngames.activations.numerics.rounding import EPS, quadratic, settle, wide
from nngames.core.exact import rational


@dataclass(frozen=True)
class Arc(ScalarActivation):
    """r(v) = v/sqrt(1 + k v^2) with k > 0.

    g(v) = (sqrt(1 + k v^2) - 1)/k; g*(z) = (1 - sqrt(1 - k z^2))/k where k z^2 <= 1, finite at the ends. With
    tan b = sqrt(k) v the slope is cos^3 b, which fills (0, 1]; with sin a = sqrt(k) x the gap is
    (1 - cos(a - b))/(k cos b). The end 1/sqrt(k) of the domain is kept in two parts, so that the distance to it is
    known to relative rounding.
    """

    k: Fraction
    name: ClassVar[str] = "isru"

    @cached_property
    def steepness(self) -> float:
        """sqrt(k)."""
        return math.sqrt(self.k)

    @cached_property
    def end(self) -> tuple[float, float]:
        """1/sqrt(k) as a float and what that lacks."""
        shift = 700
        exact = Fraction(math.isqrt((self.k.denominator << (2 * shift)) // self.k.numerator), 1 << shift)
        nearest = float(exact)
        return nearest, float(exact - Fraction(nearest))

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at infinity to 1 at 0."""
        unit = self.end[0]
        return (
            rational_end(0, (1e5 * unit, 2e5 * unit), attained=False),
            rational_end(1, symmetric_pair(0.0, 1e-5 * unit)),
        )

    @cached_property
    def interval(self) -> Interval:
        """The largest floats in the domain."""
        nearest, rest = self.end
        inside = nearest if rest >= 0 else math.nextafter(nearest, 0.0)
        return Interval(-inside, inside)

    @property
    def domain(self) -> Domain:
        """[-1/sqrt(k), 1/sqrt(k)]^n."""
        return self.interval

    @property
    def limits(self) -> tuple[float, float]:
        """-1/sqrt(k) and 1/sqrt(k)."""
        return (-self.end[0], self.end[0])

    def _needs_double(self, v: Array) -> bool:
        """Whether v is of single precision, in which sqrt(k) or its inverse may overflow."""
        return v.dtype != np.float64 and not 1e-15 < self.steepness < 1e15

    def _secant(self, v: Array) -> Array:
        """Return 1/cos b = sqrt(1 + k v^2), infinite where the square overflows."""
        with np.errstate(over="ignore"):
            result = np.asarray(np.multiply(v, self.steepness))
            result *= result
            result += result.dtype.type(1.0)
        return np.sqrt(result, out=result)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v/sqrt(1 + k v^2)."""
        if self._needs_double(v):
            return in_double(self._response, v, out)
        secant = self._secant(v)
        if np.isfinite(secant.max(initial=0.0)):
            return np.divide(v, secant, out=out)
        # Beyond sqrt(k) |v| = 1e10, r is its limit to rounding.
        cut = min(1e10 * self.end[0], float(np.finfo(v.dtype).max))
        v = np.clip(v, -cut, cut)
        return np.divide(v, self._secant(v), out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return (1 + k v^2)^(-3/2)."""
        if self._needs_double(v):
            return in_double(self._slope, v, out)
        cosine = np.reciprocal(self._secant(v))
        return np.multiply(cosine * cosine, cosine, out=out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one chart, in which the slope is rational."""
        return (self.chart(-1),)

    def chart(self, lower: int, upper: int = 1) -> Chart:
        """Return the chart t = tan(b/2) on [lower, upper]."""
        k = ball(rational(self.k))

        def slope(t: Any) -> Any:
            cosine = (1 - t * t) / (1 + t * t)
            return cosine * cosine * cosine

        def point(t: Any) -> Any:
            return 2 * t / (1 - t * t) / k.sqrt()

        limits = tuple(side for side, t in (("lower", lower), ("upper", upper)) if t)
        return Chart(lower, upper, slope, point, "t = tan(b/2), tan b = x sqrt(k)", limits, (0,))

    def shortfall(self, w: Array, response: Array) -> tuple[Array, Array]:
        """Return w (R - 1)/R with R^2 = 1 + q^2, q = sqrt(k) |w|, as w (q/R) (q/(R + 1))."""
        with np.errstate(over="ignore"):
            q = np.minimum(self.steepness * np.abs(w), 1e300)
        root = np.hypot(1.0, q)
        value = w * (q / root) * (q / (1 + root))
        return value, EPS * np.abs(value)

    def primitive(self, v: ArrayLike) -> Array:
        """Return (sqrt(1 + k v^2) - 1)/k = v^2/(1 + sqrt(1 + k v^2))."""
        v = wide(v)
        cut = min(1e100 * self.end[0], float(np.finfo(np.float64).max))
        near = np.clip(v, -cut, cut)
        with np.errstate(over="ignore"):
            return v * (near / (1 + self._secant(near)))

    def cosine(self, z: Array) -> Array:
        """Return sqrt(1 - k z^2) on the domain, to relative rounding."""
        nearest, rest = self.end
        size = np.abs(z)
        left = np.maximum((nearest - size) + rest, 0.0)
        return np.sqrt(np.minimum(left * self.steepness * ((nearest + size) * self.steepness), 1.0))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (1 - sqrt(1 - k z^2))/k = z^2/(1 + sqrt(1 - k z^2)) on the domain."""
        z = wide(z)
        return np.square(z) / (1 + self.cosine(z))

    def penalty(self, z: ArrayLike) -> Array:
        """Return g*(z) - z^2/2 = k z^4/(2 (1 + sqrt(1 - k z^2))^2) on the domain."""
        z = wide(z)
        return 0.5 * np.square(z * (z * self.steepness) / (1 + self.cosine(z)))

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return 2 sin^2((a - b)/2) sqrt(1 + k v^2)/k, for x in the domain.

        Where a and b are both nearer to a right angle, their distances from it give a - b.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        unit, size, drive = self.end[0], np.abs(x), np.abs(v)
        cosine = self.cosine(x)
        late = cosine < 0.7
        complement = np.arcsin(np.where(late, cosine, 0.0))
        a = np.where(late, 0.5 * np.pi - complement, np.arcsin(np.where(late, 0.0, size / unit)))
        b = np.arctan2(drive, unit)
        opposite = (x < 0) != (v < 0)
        both_late = late & (drive > unit) & ~opposite
        other = np.arctan2(unit, drive)
        angle = np.where(both_late, other - complement, np.where(opposite, a + b, a - b))
        error = 12 * EPS * np.where(both_late, other + complement, a + b)
        half_chord = np.abs(np.sin(0.5 * angle))
        with np.errstate(over="ignore"):
            secant = np.hypot(v, unit)
            value = 2 * (half_chord * secant) * (half_chord * unit)
            bound = ((2 * half_chord + error) * secant) * (error * unit) + 16 * EPS * value
        return settle(value, bound)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return the sum of (1 - sqrt(1 - k z^2))/k."""
        import cvxpy as cp

        k = float(self.k)
        return cp.sum(1 - cp.sqrt(1 - k * cp.square(z))) / k, []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z^2/(1 + sqrt(1 - k z^2))."""
        own = square(z)
        left = 1 - rational(self.k) * own
        return None if left < 0 else ball(own) / (1 + ball(left).nonnegative_part().sqrt())

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v/sqrt(1 + k v^2)."""
        return ball(v) / (1 + rational(self.k) * ball(square(v))).sqrt()


@dataclass(frozen=True)
class LeftArc(ScalarActivation):
    """r(v) = v/sqrt(1 + k v^2) for v < 0 and v for v >= 0, with k > 0; see ``Arc`` for the left half."""

    k: Fraction
    name: ClassVar[str] = "isrlu"

    @cached_property
    def arc(self) -> Arc:
        """The left half, continued."""
        return Arc(self.k)

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at -infinity to 1 on the right."""
        unit = self.arc.end[0]
        return (rational_end(0, (-2e5 * unit, -1e5 * unit), attained=False), rational_end(1, (0.0, 1.0)))

    @property
    def domain(self) -> Domain:
        """[-1/sqrt(k), inf)^n."""
        return Interval(self.arc.interval.lower)

    @property
    def limits(self) -> tuple[float, float]:
        """-1/sqrt(k) and infinity."""
        return (-self.arc.end[0], np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return the arc at min(v, 0) plus max(v, 0)."""
        left = np.asarray(np.minimum(v, 0.0))
        left = self.arc._response(left, left)
        return np.add(left, np.maximum(v, 0.0), out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return the slope of the arc at min(v, 0)."""
        return self.arc._slope(np.minimum(v, 0.0), out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return the left half of the arc's chart, and the line."""
        return (self.arc.chart(-1, 0), constant_chart(1, 0, np.inf))

    def shortfall(self, w: Array, response: Array) -> tuple[Array, Array]:
        """Return that of the arc at min(w, 0)."""
        return self.arc.shortfall(np.minimum(w, 0.0), np.minimum(response, 0.0))

    def primitive(self, v: ArrayLike) -> Array:
        """Return (sqrt(1 + k v^2) - 1)/k or v^2/2."""
        v = wide(v)
        with np.errstate(over="ignore"):
            return self.arc.primitive(np.minimum(v, 0.0)) + 0.5 * np.square(np.maximum(v, 0.0))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (1 - sqrt(1 - k z^2))/k or z^2/2, on the domain."""
        z = wide(z)
        with np.errstate(over="ignore"):
            return self.arc.conjugate(np.minimum(z, 0.0)) + 0.5 * np.square(np.maximum(z, 0.0))

    def penalty(self, z: ArrayLike) -> Array:
        """Return k z^4/(2 (1 + sqrt(1 - k z^2))^2) or 0, on the domain."""
        return self.arc.penalty(np.minimum(wide(z), 0.0))

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return u for u >= 0, where f = 0; elsewhere the prox by its scalar equation."""
        point = wide(u)
        return np.where(point >= 0, point, super().prox(np.minimum(point, 0.0), step))

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the arc's gap on the left, half the squared distance on the right, for x in the domain.

        Where x and v have different signs, g*(x) + g(v) + |x v| has no cancellation.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        value, bound = self.arc.gap(np.minimum(x, 0.0), np.minimum(v, 0.0))
        with np.errstate(over="ignore", invalid="ignore"):
            right, right_error = quadratic(x - v, EPS * np.abs(x - v))
            apart = self.conjugate(x) + self.primitive(v) + np.abs(x * v)
        opposite, positive = (x < 0) != (v < 0), (x >= 0) & (v >= 0)
        value = np.where(opposite, apart, np.where(positive, right, value))
        return settle(value, np.where(opposite, 16 * EPS * apart, np.where(positive, right_error, bound)))

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z+|^2/2 plus the arc's form at t, minimised over t >= z-, where it increases."""
        import cvxpy as cp

        t = cp.Variable(z.shape, nonneg=True)
        arc, _ = self.arc.conjugate_cvxpy(t)
        return 0.5 * cp.sum_squares(cp.pos(z)) + arc, [t >= -z]

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return (1 - sqrt(1 - k z^2))/k or z^2/2."""
        left = self.arc.flint_conjugate_at(smaller(z, rational(0.0)))
        return None if left is None else left + ball(half_square(larger(z, rational(0.0))))

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v/sqrt(1 + k v^2) or v."""
        return self.arc.flint_response_at(smaller(v, rational(0.0))) + ball(larger(v, rational(0.0)))
