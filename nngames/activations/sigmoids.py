"""Sigmoid activations whose penalties are entropies: sigmoid and tanh."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlog1py, xlogy

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.formulas import multiple, quotient
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end, symmetric_pair
from nngames.activations.linear import Linear
from nngames.activations.numerics.elementwise import logistic_share
from nngames.activations.numerics.flint_forms import ball, entropy_term
from nngames.activations.numerics.rounding import EPS, Mask, floating, relative_entropy, settle, wide
from nngames.activations.tanhshrink import Tanhshrink
from nngames.core.exact import rational

_SHRINK = Tanhshrink()

#: The conjugate of the sigmoid as a formula.
ENTROPY = "z*ln(z) + (1 - z)*ln(1 - z)"


@activation_named("sigmoid")
@dataclass(frozen=True)
class Sigmoid(ScalarActivation):
    """r(v) = 1/(1 + e^-v), g(v) = log(1 + e^v), g*(z) = z log z + (1 - z) log(1 - z) on [0, 1]."""

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at infinity to 1/4 at 0."""
        return (rational_end(0, (40.0, 41.0), attained=False), rational_end(0.25, symmetric_pair(0.0)))

    @property
    def domain(self) -> Domain:
        """[0, 1]^n."""
        return Interval(0.0, 1.0)

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 1."""
        return (0.0, 1.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return 1/(1 + e^-v)."""
        return logistic_share(v, out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return r (1 - r)."""
        e = np.exp(-np.abs(v))
        return np.divide(e, np.square(1 + e), out=out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one chart, t = r(x) in [0, 1]: the slope is t (1 - t)."""
        return (
            Chart(
                0,
                1,
                lambda t: t * (1 - t),
                lambda t: (t / (1 - t)).log(),
                "t = 1/(1 + e^-x)",
                ("lower", "upper"),
                (Fraction(1, 2),),
            ),
        )

    def primitive(self, v: ArrayLike) -> Array:
        """Return log(1 + e^v)."""
        return np.logaddexp(0.0, wide(v))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return z log z + (1 - z) log(1 - z) on [0, 1], +inf elsewhere."""
        z = wide(z)
        inside = (z >= 0) & (z <= 1)
        safe = np.where(inside, z, 0.5)
        return np.where(inside, xlogy(safe, safe) + xlog1py(1 - safe, -safe), np.inf)

    @property
    def penalty_formula(self) -> str | None:
        """The negative entropy of (z, 1 - z) less z^2/2."""
        return f"{ENTROPY} - z^2/2"

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the Kullback-Leibler divergence of (x, 1 - x) from (p, 1 - p), p = r(v); +inf off [0, 1].

        The symmetry (x, v) -> (1 - x, -v) makes v nonpositive, so that p and x keep their relative accuracy near 0.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        outside = ~((x >= 0) & (x <= 1))
        mirrored = v > 0
        share = np.where(outside, 0.5, np.where(mirrored, 1 - x, x))
        rest = np.where(outside, 0.5, np.where(mirrored, x, 1 - x))
        p = _small_share(-np.abs(v))
        d = share - p
        return settle(*_logistic_gap(share, rest, -np.abs(v), d, EPS * (8 * p + 2 * np.abs(d))), outside)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return the negative entropy of (z, 1 - z)."""
        import cvxpy as cp

        return -cp.sum(cp.entr(z) + cp.entr(1 - z)), []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z log z + (1 - z) log(1 - z)."""
        return None if z < 0 or z > 1 else entropy_term(z) + entropy_term(1 - z)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return 1/(1 + e^-v)."""
        return 1 / (1 + (-ball(v)).exp())


@activation_named("tanh")
@dataclass(frozen=True)
class Tanh(ScalarActivation):
    """r(v) = s tanh(v) with the scale s.

    For s > 0: g(v) = s log cosh v, g*(z) = (s/2) ((1 + y) log(1 + y) + (1 - y) log(1 - y)) with y = z/s in [-1, 1].
    For s = 0: dom f is the point 0. For s < 0 it is the prox of nothing.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        store(self, scale=number(self, "scale"))

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at infinity to s at 0."""
        flat = rational_end(0, (40.0, 41.0), attained=self.scale == 0)
        steep = rational_end(self.scale, symmetric_pair(0.0))
        return (flat, steep) if self.scale >= 0 else (steep, flat)

    @property
    def domain(self) -> Domain:
        """[-s, s]^n."""
        self.require_penalty()
        return Interval(0.0 - self.scale, self.scale)

    @property
    def limits(self) -> tuple[float, float]:
        """-s and s."""
        return (0.0 - self.scale, self.scale)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return s tanh(v)."""
        result = np.tanh(v, out=out)
        return result if self.scale == 1.0 else np.multiply(result, self.scale, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return s (1 - tanh(v)^2)."""
        e = np.square(np.exp(-np.abs(v)))
        return np.divide((4 * self.scale) * e, np.square(1 + e), out=out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one chart, t = tanh x in [-1, 1]: the slope is s (1 - t^2)."""
        if self.scale == 0:
            return Linear(0.0).slope_charts()
        s = rational(self.scale)
        return (Chart(-1, 1, lambda t: s * (1 - t * t), lambda t: t.atanh(), "t = tanh x", ("lower", "upper"), (0,)),)

    def shortfall(self, w: Array, response: Array) -> tuple[Array, Array]:
        """Return (1 - s) w + s (w - tanh w), for s <= 1 without cancellation."""
        line = (1 - self.scale) * w
        value = line + self.scale * _SHRINK(w)
        return value, EPS * (np.abs(line) + np.abs(value))

    def primitive(self, v: ArrayLike) -> Array:
        """Return s log cosh v."""
        size = np.abs(wide(v))
        near = size <= 0.5
        square = np.square(np.tanh(np.where(near, size, 0.0)))
        with np.errstate(over="ignore"):
            far = size + np.log1p(np.exp(-2 * size)) - np.log(2.0)
            return self.scale * np.where(near, -0.5 * np.log1p(-square), far)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (s/2) ((1 + y) log(1 + y) + (1 - y) log(1 - y)), y = z/s, on [-s, s]; +inf elsewhere."""
        self.require_penalty()
        if self.scale == 0:
            return Linear(0.0).conjugate(z)
        z, outside = self._into_domain(z)
        y = z / self.scale
        near = np.abs(y) <= 0.5
        small = np.where(near, y, 0.0)
        close = 0.5 * np.log1p(-np.square(small)) + small * np.arctanh(small)
        far = 0.5 * (xlog1py(1 + y, y) + xlog1py(1 - y, -y))
        return np.where(outside, np.inf, self.scale * np.where(near, close, far))

    def penalty(self, z: ArrayLike) -> Array:
        """Return s (F(y) + (1 - s) y^2/2) with y = z/s and F(y) = y^4/12 + y^6/30 + ..., the penalty for s = 1."""
        value = super().penalty(z)
        if self.scale == 0:
            return value
        y = wide(z) / self.scale
        near = np.abs(y) <= 0.3
        square = np.square(np.where(near, y, 0.0))
        total = np.zeros_like(square)
        for k in range(16, 1, -1):
            total = total * square + 1 / (2 * k * (2 * k - 1))
        return np.where(near, self.scale * (total * square + 0.5 * (1 - self.scale)) * square, value)

    def _into_domain(self, z: ArrayLike) -> tuple[Array, Mask]:
        """Return z clipped to the domain, and where it was outside by more than its own precision can tell."""
        array = floating(z)
        outside = ~(np.abs(array) <= array.dtype.type(self.scale))
        return np.clip(wide(array), -self.scale, self.scale), outside

    @property
    def penalty_formula(self) -> str | None:
        """z artanh(z/s) + s log(1 - z^2/s^2)/2 - z^2/2 where s > 0."""
        s = self.scale
        if s <= 0:
            return None
        share = quotient("z", s)
        square = "z^2" if s == 1 else f"({share})^2"
        return f"z*artanh({share}) + {multiple(s, f'ln(1 - {square})/2')} - z^2/2"

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return s KL of ((1 + y)/2, (1 - y)/2) from (q, 1 - q), y = x/s and q = (1 + tanh v)/2; +inf off [-s, s].

        The symmetry (x, v) -> (-x, -v) makes v nonpositive; x - r(v) is taken from tanh near 0 and from the distances
        to the end of the interval elsewhere, whichever keeps more digits.
        """
        self.require_penalty()
        if self.scale == 0:
            return Linear(0.0).gap(x, v)
        s = self.scale
        action, outside = self._into_domain(x)
        action, v = np.broadcast_arrays(action, wide(v))
        outside = np.broadcast_to(outside, action.shape)
        action = np.where(v > 0, -action, action)
        share, rest = (s + action) / (2 * s), (s - action) / (2 * s)
        with np.errstate(over="ignore"):
            w = -2 * np.abs(v)
        q = _small_share(w)
        response = -np.tanh(np.abs(v))
        near = w > -1
        d = np.where(near, (action - s * response) / (2 * s), share - q)
        error = EPS * np.where(near, 4 * np.abs(response) + 2 * np.abs(d), 8 * q + 2 * np.abs(d))
        value, bound = _logistic_gap(share, rest, w, d, error)
        return settle(s * value, s * bound, outside)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return the negative entropy of the two distances to the ends."""
        import cvxpy as cp

        self.require_penalty()
        if self.scale == 0:
            return Linear(0.0).conjugate_cvxpy(z)
        y = z / self.scale
        return -(0.5 * self.scale) * cp.sum(cp.entr(1 + y) + cp.entr(1 - y)), []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return (s/2) ((1 + y) log(1 + y) + (1 - y) log(1 - y))."""
        self.require_penalty()
        if self.scale == 0:
            return Linear(0.0).flint_conjugate_at(z)
        s = rational(self.scale)
        y = z / s
        return None if y < -1 or y > 1 else s * (entropy_term(1 + y) + entropy_term(1 - y)) / 2

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return s tanh(v)."""
        return rational(self.scale) * ball(v).tanh()


def _small_share(w: Array) -> Array:
    """Return 1/(1 + e^-w) for w <= 0, to relative rounding."""
    e = np.exp(w)
    return e / (1 + e)


def _logistic_gap(share: Array, rest: Array, w: Array, difference: Array, error: Array) -> tuple[Array, Array]:
    """Return the divergence of (share, rest) from (p, 1 - p), p = 1/(1 + e^-w), w <= 0, and its error bound."""
    e = np.exp(w)
    log_rest = -np.log1p(e)
    first, first_error = relative_entropy(share, e / (1 + e), difference, w + log_rest, error)
    second, second_error = relative_entropy(rest, 1 / (1 + e), -difference, log_rest, error)
    return first + second, first_error + second_error
