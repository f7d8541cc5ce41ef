"""The softsign activation v/(1 + |v|): its penalty is logarithmic at the ends of (-1, 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end, symmetric_pair
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import EPS, log_excess, settle, wide


@activation_named("softsign")
@dataclass(frozen=True)
class Softsign(ScalarActivation):
    """r(v) = v/(1 + |v|), g(v) = |v| - log(1 + |v|), g*(z) = -|z| - log(1 - |z|) on (-1, 1).

    Both are h(t) = t - log(1 + t): at t = |v| and at t = -|z|.
    """

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at infinity to 1 at 0."""
        # The slope has a kink at 0: the quotient is within the distance of the points, not its square.
        return (rational_end(0, (1e6, 2e6), attained=False), rational_end(1, symmetric_pair(0.0, 1e-10)))

    @property
    def domain(self) -> Domain:
        """(-1, 1)^n, closed."""
        return Interval(-1.0, 1.0, closed_lower=False, closed_upper=False)

    @property
    def limits(self) -> tuple[float, float]:
        """-1 and 1."""
        return (-1.0, 1.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v/(1 + |v|)."""
        size = np.asarray(np.abs(v))
        size += 1.0
        infinite = np.isinf(size)
        if np.count_nonzero(infinite):
            v, size = np.where(infinite, np.sign(v), v), np.where(infinite, size.dtype.type(1.0), size)
        return np.divide(v, size, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1/(1 + |v|)^2."""
        result = np.add(np.abs(v, out=out), 1.0, out=out)
        return np.square(np.reciprocal(result, out=out), out=out)

    def shortfall(self, w: Array, response: Array) -> tuple[Array, Array]:
        """Return w |r(w)|, which is w - r(w)."""
        value = w * np.abs(response)
        return value, EPS * np.abs(value)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return two charts, t = r(x) left and right of 0: the slope is (1 - |t|)^2."""
        how = "t = x/(1 + |x|)"
        return (
            Chart(-1, 0, lambda t: (1 + t) * (1 + t), lambda t: t / (1 + t), how, ("lower",)),
            Chart(0, 1, lambda t: (1 - t) * (1 - t), lambda t: t / (1 - t), how, ("upper",)),
        )

    def primitive(self, v: ArrayLike) -> Array:
        """Return |v| - log(1 + |v|)."""
        size = np.abs(wide(v))
        return log_excess(size, np.log1p(size))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return -|z| - log(1 - |z|) on (-1, 1), +inf elsewhere."""
        size = np.abs(wide(z))
        inside = size < 1
        safe = np.where(inside, size, 0.0)
        return np.where(inside, log_excess(-safe, np.log1p(-safe)), np.inf)

    @property
    def penalty_formula(self) -> str | None:
        """-log(1 - |z|) - |z| - z^2/2."""
        return "-ln(1 - abs(z)) - abs(z) - z^2/2"

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return h((1 - |x|)(1 + |v|) - 1) where x and v have one sign, else h(-|x|) + h(|v|) + |x v|.

        Since (1 - |x|)(1 + |v|) - 1 = (1 + |v|)(|r(v)| - |x|), the argument is small near x = r(v); +inf off (-1, 1).
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        inside = np.abs(x) < 1
        size, drive = np.where(inside, np.abs(x), 0.0), np.abs(v)
        with np.errstate(over="ignore"):
            scaled = drive * (1 - size)
            t = scaled - size
            error = EPS * (2 * scaled + np.abs(t))
            logs = np.log1p(-size), np.log1p(drive)
            # Near t = -1 the sum of logarithms is accurate, and t itself is not.
            value = log_excess(t, np.where(t < -0.5, logs[0] + logs[1], np.log1p(t)))
            bound = 16 * EPS * value + np.where(
                np.abs(t) <= 0.5, 2 * (np.abs(t) + error) * error, error + 8 * EPS * (1 + logs[1] - logs[0])
            )
            apart = log_excess(-size, logs[0]) + log_excess(drive, logs[1]) + size * drive
        opposite = (x < 0) != (v < 0)
        apart_error = 32 * EPS * (apart + np.where(opposite, size * size, 0.0))
        return settle(np.where(opposite, apart, value), np.where(opposite, apart_error, bound), ~inside)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return -t - log(1 - t) minimised over t >= |z|, where it increases."""
        import cvxpy as cp

        t = cp.Variable(z.shape)
        return -cp.sum(t) - cp.sum(cp.log(1 - t)), [cp.abs(z) <= t]

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return -|z| - log(1 - |z|)."""
        size = abs(z)
        return None if size >= 1 else -ball(size) - (1 - ball(size)).log()

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v/(1 + |v|), rational for a rational."""
        return v / (1 + abs(v))
