"""Affine functions clipped to [0, 1]: piecewise_linear and hard_sigmoid."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, constant_chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.formulas import combination
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.flint_forms import half_square, larger, smaller
from nngames.activations.numerics.rounding import EPS, quadratic, settle, wide
from nngames.core.exact import rational


class _ClippedLine(ScalarActivation):
    """r(v) = max(0, min(1, v/w + 1/2)) with the width w of the rise, an integer.

    With p = r(v): g(v) = p (v + w/2 - w p/2), g*(z) = w z (z - 1)/2 on [0, 1] and f(z) = ((w - 1) z - w) z/2 there.
    The slope is 0 where |v| > w/2 and 1/w between.
    """

    piecewise_linear = True
    width: ClassVar[int]

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes of 0 beyond w/2 and 1/w between."""
        w = float(self.width)
        return rational_end(0, (w, 2 * w)), rational_end(Fraction(1, self.width), (-w / 4, w / 4))

    @property
    def domain(self) -> Domain:
        """[0, 1]^n."""
        return Interval(0.0, 1.0)

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 1."""
        return (0.0, 1.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return max(0, min(w, v + w/2))/w."""
        raised = np.maximum(np.add(v, 0.5 * self.width, out=out), 0.0, out=out)
        clipped = np.minimum(raised, float(self.width), out=out)
        return clipped if self.width == 1 else np.divide(clipped, float(self.width), out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1/w where |v| < w/2, else 0."""
        return np.multiply(np.abs(v) < 0.5 * self.width, v.dtype.type(1 / self.width), out=out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return p (v + w/2 - w p/2) with p = r(v)."""
        v = wide(v)
        p = self(v)
        return p * (v + 0.5 * self.width - 0.5 * self.width * p)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return w z (z - 1)/2 on [0, 1], +inf elsewhere."""
        return self._on_domain(z, 0.5 * self.width, -0.5 * self.width)

    def penalty(self, z: ArrayLike) -> Array:
        """Return ((w - 1) z - w) z/2 on [0, 1], +inf elsewhere."""
        return self._on_domain(z, 0.5 * (self.width - 1), -0.5 * self.width)

    @property
    def penalty_formula(self) -> str | None:
        """(w - 1) z^2/2 - w z/2."""
        return combination((0.5 * (self.width - 1), "z^2"), (-0.5 * self.width, "z"))

    @staticmethod
    def _on_domain(z: ArrayLike, square: float, linear: float) -> Array:
        """Return square z^2 + linear z on [0, 1], +inf elsewhere."""
        z = wide(z)
        inside = (z >= 0) & (z <= 1)
        safe = np.where(inside, z, 0.0)
        return np.where(inside, (square * safe + linear) * safe, np.inf)

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return (u + step w/2)/(1 + step (w - 1)), clipped to [0, 1]."""
        steps, point = self.check_step(step), wide(u)
        # Dividing both parts by large steps first keeps the quotient from overflowing.
        scale = 1 / np.maximum(steps, 1.0)
        relative = steps * scale
        top = point * scale + 0.5 * self.width * relative
        return np.minimum(np.maximum(top / (scale + (self.width - 1) * relative), 0.0), 1.0)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return d^2/(2w) + d (m - y)/w with y = v + w/2, m = w r(v) and d = w x - m; +inf off [0, 1].

        Both terms are nonnegative: m is the point of [0, w] nearest to y, and w x lies in there.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        outside = ~((x >= 0) & (x <= 1))
        w = float(self.width)
        y = v + 0.5 * w
        m = np.minimum(np.maximum(y, 0.0), w)
        d = np.where(outside, 0.0, w * x - m)
        error = EPS * (np.where(outside, 0.0, w * x) + np.where(m == y, np.abs(y), 0.0) + np.abs(d))
        curved, curved_error = quadratic(d, error, 1 / w)
        linear = (d / w) * (m - y)
        # Where y is off [0, w], w x is all that is rounded in d.
        linear_error = 8 * EPS * linear + np.abs(m - y) * (EPS * np.where(outside, 0.0, x) if w > 1 else 0.0)
        return settle(curved + linear, curved_error + linear_error, outside)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return w (|z|^2 - sum(z))/2 on [0, 1]."""
        import cvxpy as cp

        return (0.5 * self.width) * (cp.sum_squares(z) - cp.sum(z)), [z >= 0, z <= 1]

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return w (z^2 - z)/2 on [0, 1]."""
        return None if z < 0 or z > 1 else self.width * (half_square(z) - z / 2)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return max(0, min(1, v/w + 1/2))."""
        line = v / self.width + rational(0.5)
        return larger(smaller(line, rational(1.0)), rational(0.0))

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return the three affine pieces."""
        half = Fraction(self.width, 2)
        return (
            constant_chart(0, -np.inf, -half),
            constant_chart(Fraction(1, self.width), -half, half),
            constant_chart(0, half, np.inf),
        )


@activation_named("piecewise_linear")
@dataclass(frozen=True)
class PiecewiseLinear(_ClippedLine):
    """r(v) = max(0, min(1, v + 1/2)), f(z) = -z/2 on [0, 1].

    The source's row prints three indicators, of v <= -1/2, of -1/2 < v < 1/2 and of v > 1/2, which leave out v = 1/2:
    taken literally r(1/2) = 0, a discontinuity. This is the continuous function, with r(1/2) = 1.
    """

    width = 1


@activation_named("hard_sigmoid")
@dataclass(frozen=True)
class HardSigmoid(_ClippedLine):
    """r(v) = relu6(v + 3)/6 = max(0, min(1, v/6 + 1/2)), f(z) = (5 z - 6) z/2 on [0, 1]."""

    width = 6
