"""Squareplus, the upper root of p^2 - v p = b/4, and the metallic mean, its case b = 4: their penalties are -log."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.formulas import multiple
from nngames.activations.foundations.parameters import number, refusal, store
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.compensated import in_double
from nngames.activations.numerics.elementwise import hypotenuse, plain_root, stored
from nngames.activations.numerics.flint_forms import ball, half_square, square
from nngames.activations.numerics.rounding import EPS, log_excess, quadratic, settle, wide
from nngames.core.exact import rational

#: From here on the slope is 1, whatever b is.
_FAR = 1e300
#: By precision: bounds on b, and the bound on |v|.
_ORDINARY = {
    kind: (float(t.tiny / t.eps), float(t.max / 4), float(t.max) ** 0.5 / 2)
    for kind, t in ((np.dtype(k), np.finfo(k)) for k in (np.float64, np.float32))
}


class UpperRoot(ScalarActivation):
    """r(v) = (v + sqrt(v^2 + b))/2 with b > 0, the positive root p of p^2 - v p = b/4.

    f(z) = -(b/4) log z, g*(z) = z^2/2 - (b/4) log z on (0, inf), g(v) = p^2/2 + (b/4)(log p - 1) with p = r(v). The
    slope (1 + t)/2 with t = v/sqrt(v^2 + b) fills (0, 1). Since p - v = b/(4 p), the prox of step f is r with step b
    for b, and the gap at x is (x - p)^2/2 + (b/4) h(x/p - 1), h(t) = t - log(1 + t).
    """

    @property
    @abstractmethod
    def curvature(self) -> float:
        """b."""

    @property
    def width(self) -> float:
        """sqrt(b)."""
        return float(np.sqrt(self.curvature))

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at -infinity to 1 at infinity."""
        near, far = 1e5 * self.width, 2e5 * self.width
        return (rational_end(0, (-far, -near), attained=False), rational_end(1, (near, far), attained=False))

    @property
    def domain(self) -> Domain:
        """(0, inf)^n, closed."""
        return Interval(0.0, closed_lower=False)

    @property
    def limits(self) -> tuple[float, float]:
        """0 and infinity."""
        return (0.0, np.inf)

    def _ordinary(self, size: Array) -> bool:
        """Whether neither |v| nor b is near the ends of the range of floats, where squares overflow or vanish."""
        least, largest, side = _ORDINARY[size.dtype]
        return bool(least < self.curvature < largest and size.max(initial=0.0) < side)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return max(v, 0) + (b/2)/(|v| + sqrt(v^2 + b)), in which nothing cancels."""
        size = np.asarray(np.abs(v))
        if not self._ordinary(size):
            return in_double(lambda w, into: stored(self._root_and_log(w)[0], into), v, out)
        rest = np.asarray(np.square(size))
        rest += rest.dtype.type(self.curvature)
        np.sqrt(rest, out=rest)
        rest += size
        np.divide(rest.dtype.type(self.curvature), rest, out=rest)
        # |v| + v is 2 max(v, 0) exactly.
        size += v
        size += rest
        return np.multiply(size, 0.5, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return r(v)/sqrt(v^2 + b)."""

        def kernel(v: Array, out: Array | None) -> Array:
            root = plain_root(v, self.width)
            if root is None:
                v = np.minimum(v, _FAR)
                root = hypotenuse(v, self.width)
            return np.divide(self._response(v, None), root, out=out)

        return in_double(kernel, v, out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one chart, in which the slope is affine."""
        b = rational(self.curvature)

        def point(t: Any) -> Any:
            return t * (b / (1 - t * t)).sqrt()

        return (Chart(-1, 1, lambda t: (1 + t) / 2, point, "t = x/sqrt(x^2 + b)", ("lower", "upper")),)

    def _root_and_log(self, v: Array) -> tuple[Array, Array]:
        """Return p = r(v) and log p, which is right also where p is below the least float."""
        size, width = np.abs(v), self.width
        half = 0.5 * size + 0.5 * np.hypot(size, width)
        p = np.maximum(v, 0.0) + (0.5 * width) * ((0.5 * width) / half)
        logs = np.log(half)
        return p, np.where(v > 0, logs, 2 * np.log(0.5 * width) - logs)

    def primitive(self, v: ArrayLike) -> Array:
        """Return p^2/2 + (b/4)(log p - 1), p = r(v)."""
        p, logs = self._root_and_log(wide(v))
        with np.errstate(over="ignore"):
            return 0.5 * np.square(p) + (0.25 * self.curvature) * (logs - 1)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return z^2/2 - (b/4) log z on (0, inf), +inf elsewhere."""
        with np.errstate(over="ignore"):
            return 0.5 * np.square(wide(z)) + self.penalty(z)

    def penalty(self, z: ArrayLike) -> Array:
        """Return -(b/4) log z on (0, inf), +inf elsewhere."""
        z = wide(z)
        inside = z > 0
        return np.where(inside, (-0.25 * self.curvature) * np.log(np.where(inside, z, 1.0)), np.inf)

    @property
    def penalty_formula(self) -> str | None:
        """-(b/4) log z."""
        return multiple(-self.curvature / 4, "ln(z)")

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return the positive root of p^2 - u p = step b/4."""
        half_width = 0.5 * self.width * np.sqrt(self.check_step(step))
        u = wide(u)
        size = np.abs(u)
        with np.errstate(over="ignore"):
            return np.maximum(u, 0.0) + half_width * (half_width / (0.5 * size + 0.5 * np.hypot(size, 2 * half_width)))

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return (x - p)^2/2 + (b/4)(x/p - 1 - log(x/p)), p = r(v); +inf off (0, inf)."""
        x, v = np.broadcast_arrays(wide(x), wide(v))
        outside = ~(x > 0)
        x = np.where(outside, 1.0, x)
        p, log_p = self._root_and_log(v)
        b = 0.25 * self.curvature
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            d, slip = x - p, 4 * EPS * p + 5e-324
            error = slip + EPS * np.abs(d)
            value, bound = quadratic(d, error)
            t = d / p
            near = np.abs(t) <= 0.5
            small = np.where(near, t, 0.0)
            close, relative = log_excess(small, np.log1p(small)), error / p + EPS * np.abs(t)
            close_error = 2 * (np.abs(t) + relative) * relative + 16 * EPS * close
            # x/p, by 1/p = (p - v)/b where p may underflow: there p - v is |v| and more.
            half = 0.5 * np.abs(v) + 0.5 * np.hypot(v, self.width)
            ratio = np.where(v > 0, x / p, (x / b) * half)
            log_x = np.log(x)
            far = ratio - 1 - (log_x - log_p)
            far_error = 16 * EPS * (ratio + 1 + np.abs(log_x) + np.abs(log_p) + 2 * abs(np.log(b)))
            value = value + b * np.where(near, close, far)
            bound = bound + b * np.where(near, close_error, far_error) + EPS * value
        return settle(value, np.where(np.isfinite(value), bound, np.inf), outside)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z|^2/2 - (b/4) sum(log z)."""
        import cvxpy as cp

        return 0.5 * cp.sum_squares(z) - (0.25 * self.curvature) * cp.sum(cp.log(z)), []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z^2/2 - (b/4) log z."""
        return None if z <= 0 else half_square(ball(z)) - rational(self.curvature) / 4 * ball(z).log()

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return (v + sqrt(v^2 + b))/2, or (b/2)/(sqrt(v^2 + b) - v) where v < 0."""
        b = rational(self.curvature)
        root = (ball(square(v)) + b).sqrt()
        return b / 2 / (root - v) if v < 0 else (v + root) / 2


@activation_named("squareplus")
@dataclass(frozen=True)
class Squareplus(UpperRoot):
    """r(v) = (v + sqrt(v^2 + b))/2 with b > 0.

    f(z) = -(b/4) log z and g*(z) = z^2/2 - (b/4) log z on (0, inf); slopes fill (0, 1). The limit b = 0 is relu.
    """

    b: float = 4.0

    def __post_init__(self) -> None:
        b = number(self, "b")
        if b == 0:
            raise refusal(self, "b", "must be positive; for b = 0 it is 'relu'")
        store(self, b=number(self, "b", positive=True))

    @property
    def curvature(self) -> float:
        """b."""
        return self.b


@activation_named("metallic_mean")
@dataclass(frozen=True)
class MetallicMean(UpperRoot):
    """r(v) = (v + sqrt(v^2 + 4))/2: for natural v the metallic means, the golden one for v = 1.

    f(z) = -log z and g*(z) = z^2/2 - log z on (0, inf); slopes fill (0, 1). It is squareplus with b = 4.
    """

    @property
    def curvature(self) -> float:
        """4."""
        return 4.0
