"""The arctan activation: its penalty is -log cos z - z^2/2 on (-pi/2, pi/2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import zeta

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end, symmetric_pair
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import EPS, log_excess, settle, sine_excess, wide

# pi/2 in two parts; the first, the nearest double, is below pi/2.
_HALF_PI = float(np.pi / 2)
_HALF_PI_REST = 6.123233995736766e-17
# The coefficients of z^36, ..., z^6, z^4 of -log cos z: (4^k - 1) zeta(2k)/(k pi^(2k)) is that of z^(2k).
_SERIES = tuple(float((4.0**k - 1) * zeta(2 * k) / (k * np.pi ** (2 * k))) for k in range(18, 1, -1))


@activation_named("arctan")
@dataclass(frozen=True)
class Arctan(ScalarActivation):
    """r(v) = arctan v, g(v) = v arctan v - log(1 + v^2)/2, g*(z) = -log cos z on (-pi/2, pi/2)."""

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at infinity to 1 at 0."""
        return (rational_end(0, (1e6, 2e6), attained=False), rational_end(1, symmetric_pair(0.0)))

    @property
    def domain(self) -> Domain:
        """(-pi/2, pi/2)^n, closed."""
        return Interval(-_HALF_PI, _HALF_PI, closed_lower=False, closed_upper=False)

    @property
    def limits(self) -> tuple[float, float]:
        """-pi/2 and pi/2."""
        return (-_HALF_PI, _HALF_PI)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return arctan v."""
        return np.arctan(v, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1/(1 + v^2)."""
        with np.errstate(over="ignore"):
            result = np.square(v, out=out)
            result = np.add(result, 1.0, out=out)
            return np.reciprocal(result, out=out)

    def shortfall(self, w: Array, response: Array) -> tuple[Array, Array]:
        """Return w - arctan w to relative rounding."""
        near = np.abs(w) <= 0.5
        value = np.where(near, _tangent_excess(np.where(near, w, 0.0)), w - response)
        return value, EPS * np.abs(value)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one chart, t = x/sqrt(1 + x^2) in [-1, 1]: the slope is 1 - t^2."""
        return (
            Chart(
                -1,
                1,
                lambda t: 1 - t * t,
                lambda t: t / (1 - t * t).sqrt(),
                "t = x/sqrt(1 + x^2)",
                ("lower", "upper"),
                (0,),
            ),
        )

    def primitive(self, v: ArrayLike) -> Array:
        """Return v arctan v - log(1 + v^2)/2.

        With t = v^2 and a = v - arctan v it is (t - log(1 + t))/2 + t/2 - v a where |v| <= 1/2.
        """
        size = np.abs(wide(v))
        near = size <= 0.5
        small = np.where(near, size, 0.0)
        square = np.square(small)
        close = 0.5 * (square + log_excess(square, np.log1p(square))) - small * _tangent_excess(small)
        with np.errstate(over="ignore"):
            far = size * np.arctan(size) - np.log(np.hypot(1.0, size))
        return np.where(near, close, far)

    def penalty(self, z: ArrayLike) -> Array:
        """Return -log cos z - z^2/2 on (-pi/2, pi/2), near 0 by its series z^4/12 + z^6/45 + ...; +inf elsewhere."""
        z = wide(z)
        near = np.abs(z) <= 0.4
        square = np.square(np.where(near, z, 0.0))
        total = np.zeros_like(square)
        for coefficient in _SERIES:
            total = total * square + coefficient
        return np.where(near, total * square * square, super().penalty(np.where(near, 0.5, z)))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return -log cos z on (-pi/2, pi/2), +inf elsewhere."""
        size = np.abs(wide(z))
        inside = size <= _HALF_PI
        safe = np.where(inside, size, 0.0)
        near = safe <= 0.5
        close = -0.5 * np.log1p(-np.square(np.sin(np.where(near, safe, 0.0))))
        return np.where(inside, np.where(near, close, -np.log(_cosine(safe))), np.inf)

    @property
    def penalty_formula(self) -> str | None:
        """-log cos z - z^2/2."""
        return "-ln(cos(z)) - z^2/2"

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return -log(cos d - v sin d) - v d with d = x - arctan v; +inf off (-pi/2, pi/2).

        With c = 2 sin(d/2)^2 + v sin d, so that cos x = (1 - c) cos(arctan v), and h(t) = t - log(1 + t), it is
        h(-c) + 2 sin(d/2)^2 - v (d - sin d). The last term takes at most a third of the second from the sum: where it
        is negative, 0 < v d < 1. For v > 1, d comes from the distances to pi/2, taken in two parts.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        outside = ~(np.abs(x) <= _HALF_PI)
        x = np.where(outside, 0.0, np.where(v < 0, -x, x))
        v = np.abs(v)
        above = v > 1
        with np.errstate(over="ignore"):
            short = np.where(above, np.arctan(1 / np.where(above, v, 1.0)), np.arctan(np.where(above, 0.0, v)))
            d = np.where(above, ((x - _HALF_PI) - _HALF_PI_REST) + short, x - short)
            d_error = EPS * (4 * short + 2 * np.abs(d))
            chord = 2 * np.square(np.sin(0.5 * d))
            sine, excess = np.sin(d), v * sine_excess(d)
            t = -(chord + v * sine)
            logs = np.log(_cosine(np.abs(x))), np.log(np.hypot(1.0, v))
            low = t < -0.5
            curved = log_excess(t, np.where(low, logs[0] + logs[1], np.log1p(np.where(low, 0.0, t))))
            t_error = (np.abs(sine) + v) * d_error + 4 * EPS * (chord + v * np.abs(sine))
            far_error = t_error + 8 * EPS * (1 + np.where(low, logs[1] - logs[0], 0.0))
            curved_error = np.where(np.abs(t) <= 0.5, 2 * (np.abs(t) + t_error) * t_error, far_error)
            rest_error = (np.abs(d) + v * np.minimum(0.5 * np.square(d), 2.0) + d_error) * d_error
            value = curved + chord - excess
            error = curved_error + rest_error + 16 * EPS * (curved + chord + np.abs(excess))
            return settle(value, error, outside)

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return -log cos z."""
        from flint import arb

        return None if 2 * ball(abs(z)) > arb.pi() else -ball(z).cos().log()

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return arctan v."""
        return ball(v).atan()


def _cosine(size: Array) -> Array:
    """Return cos for arguments in [0, pi/2], to relative rounding also at the end."""
    return np.sin((_HALF_PI - size) + _HALF_PI_REST)


def _tangent_excess(v: Array) -> Array:
    """Return v - arctan v = v^3/3 - v^5/5 + ... for |v| <= 1/2, to rounding."""
    square = np.square(v)
    total = np.full_like(v, 1 / 53)
    for k in range(51, 1, -2):
        total = 1 / k - total * square
    return total * square * v
