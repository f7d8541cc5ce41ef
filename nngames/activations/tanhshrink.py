"""The shrinkage v - tanh v: monotone and flat at 0, with a penalty that is steep there."""

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
from nngames.activations.numerics.bregman import gap_by_inverse
from nngames.activations.numerics.compensated import fill, taken
from nngames.activations.numerics.flint_forms import ball, square
from nngames.activations.numerics.inverses import conjugate_ball
from nngames.activations.numerics.rounding import EPS, log_excess, settle, wide

#: v - tanh v = v y P(y)/Q(y), y = v^2, by Lambert's continued fraction of tanh, cut: off by less than 1e-17 of itself
#: where y <= 0.09. Beyond, the plain difference is good to 4e-15.
_TOP = (45045.0, 2772.0, 27.0)
_BOTTOM = (135135.0, 62370.0, 3150.0, 28.0)
_NEAR = 0.09
#: The distance of the singularities of tanh from the real line is pi/2.
_REACH = 1.5
_LOG_2 = float(np.log(2.0))


@activation_named("tanhshrink")
@dataclass(frozen=True)
class Tanhshrink(ScalarActivation):
    """r(v) = v - tanh v, g(v) = v^2/2 - log cosh v, with slopes tanh(v)^2 from 0 at 0 to 1 at infinity.

    With r(w) = z: g*(z) = w^2/2 - w tanh w + log cosh w and f(z) = log cosh w - tanh(w)^2/2. f is close to (3z)^(4/3)/4
    near 0. w is found numerically, to relative rounding.
    """

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at 0 to 1 at infinity."""
        return (rational_end(0, symmetric_pair(0.0)), rational_end(1, (40.0, 41.0), attained=False))

    @property
    def domain(self) -> Domain:
        """R^n."""
        return Interval()

    @property
    def limits(self) -> tuple[float, float]:
        """-infinity and infinity."""
        return (-np.inf, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v - tanh v, near 0 as a quotient of polynomials."""
        with np.errstate(over="ignore"):
            places = np.flatnonzero(np.square(v) < _NEAR)
        small = taken(v, places)
        result = np.asarray(np.subtract(v, np.tanh(v), out=out))
        if places.size:
            fill(result, places, _small_response(small))
        return result if out is None else out

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return tanh(v)^2."""
        result = np.tanh(v, out=out)
        return np.square(result, out=out)

    def shortfall(self, w: Array, response: Array) -> tuple[Array, Array]:
        """Return tanh w."""
        value = np.tanh(w)
        return value, EPS * np.abs(value)

    def primitive(self, v: ArrayLike) -> Array:
        """Return v^2/2 - log cosh v; with t = tanh v near 0, (r(v) (v + t) + t^2 + log(1 - t^2))/2."""
        size = np.abs(wide(v))
        t = np.tanh(size)
        t_square = np.square(np.minimum(t, 0.8))
        small = np.where(size <= 1, size, 0.0)
        close = 0.5 * (self(small) * (small + t) - log_excess(-t_square, np.log1p(-t_square)))
        with np.errstate(over="ignore"):
            return np.where(size <= 1, close, (0.5 * size - 1) * size + _rest(size))

    def inverse(self, z: Array) -> Array:
        """Return w with w - tanh w = z, to 16 units of relative rounding.

        Notes
        -----
        Newton's method for |z|, from the first terms of the series for small z and from the bound |z| + 1. r is convex
        on the right, so that the iterates decrease; the elasticity w r'(w)/r(w) is between 1 and 3, so that w keeps
        the relative accuracy of r.
        """
        size = np.abs(z)
        root = np.cbrt(3 * np.minimum(size, 1e300))
        # Below 1e-30 the cube root is the solution to rounding.
        solve = size >= 1e-30
        goal = np.where(solve, size, 1.0)
        start = np.where(solve, root, 1.0)
        w = np.minimum(start * (1 + np.square(start) * (2 / 15)), goal + 1)
        for _ in range(6):
            w = w - (self(w) - goal) / self.derivative(w)
        return np.copysign(np.where(solve, w, root), z)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return w z - g(w), r(w) = z."""
        z = wide(z)
        w = self.inverse(z)
        with np.errstate(over="ignore"):
            small = w * z - self.primitive(np.clip(w, -1.0, 1.0))
            size = np.abs(w)
            q = np.exp(-2 * np.minimum(size, 400.0))
            far = 0.5 * np.square(w) + (size * (2 * q / (1 + q)) - _rest(size))
            return np.where(size <= 1, small, far)

    def penalty(self, z: ArrayLike) -> Array:
        """Return log cosh w - tanh(w)^2/2, r(w) = z."""
        size = np.abs(self.inverse(wide(z)))
        square = np.square(np.tanh(size))
        # log(1 - tanh(w)^2) = -2 log cosh w.
        near = np.where(size <= 1, square, 0.0)
        far = size - _rest(size)
        return np.where(size <= 1, 0.5 * log_excess(-near, np.log1p(-near)), far - 0.5 * square)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the integral of t tanh(v + t)^2 over t in [0, w - v], r(w) = x."""
        x, v = np.broadcast_arrays(wide(x), wide(v))
        w = self.inverse(x)
        with np.errstate(over="ignore", invalid="ignore"):
            x_error, w_error = 32 * EPS * np.abs(x), 32 * EPS * np.abs(w)
            return settle(*gap_by_inverse(self.derivative, self.primitive, x, v, w, x_error, w_error, _REACH))

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z w - g(w), r(w) = z."""
        guess = float(self.inverse(np.asarray(float(ball(z).mid()))))
        return conjugate_ball(
            self.flint_response_at,
            lambda w: square(w) / 2 - w.cosh().log(),
            lambda w: square(w.tanh()),
            guess,
            z,
        )

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v - tanh v."""
        return ball(v) - ball(v).tanh()

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return two charts, t = e^(-2 |x|) in [0, 1]: the slope is ((1 - t)/(1 + t))^2."""

        def slope(t: Any) -> Any:
            root = (1 - t) / (1 + t)
            return root * root

        return (
            Chart(0, 1, slope, lambda t: t.log() / 2, "t = e^(2 x) for x <= 0", ("lower",)),
            Chart(0, 1, slope, lambda t: -t.log() / 2, "t = e^(-2 x) for x >= 0", ("lower",)),
        )


def _small_response(v: Array) -> Array:
    """Return v - tanh v for v^2 <= 0.09, to relative rounding."""
    y = v * v
    top = y * _TOP[2]
    top += _TOP[1]
    top *= y
    top += _TOP[0]
    bottom = y * _BOTTOM[3]
    bottom += _BOTTOM[2]
    bottom *= y
    bottom += _BOTTOM[1]
    bottom *= y
    bottom += _BOTTOM[0]
    top *= y
    top /= bottom
    top *= v
    return np.asarray(top)


def _rest(size: Array) -> Array:
    """Return |v| - log cosh v for |v| = ``size``."""
    return _LOG_2 - np.log1p(np.exp(-2 * np.minimum(size, 400.0)))
