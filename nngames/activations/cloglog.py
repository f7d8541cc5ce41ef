"""The complementary log-log activation 1 - exp(-e^v): its primitive and conjugate are exponential integrals."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, SlopePart, TailBound
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end, symmetric_pair
from nngames.activations.numerics.bregman import NODES, quadrature
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import EPS, settle, wide

#: Beyond this e^-Q underflows.
_SATURATED = 1e3


@activation_named("cloglog")
@dataclass(frozen=True)
class Cloglog(ScalarActivation):
    """r(v) = 1 - exp(-e^v).

    With the entire function Ein(Q), the integral of (1 - e^-s)/s over [0, Q]:
    g(v) = Ein(e^v), g*(z) = z log q - Ein(q) with q = -log(1 - z), on [0, 1], closed: g*(0) = 0, g*(1) = -0.57721...,
    less Euler's constant. f = g* - z^2/2 is convex.
    The slope Q e^-Q at Q = e^v rises from 0 at v = -infinity to 1/e at v = 0 and falls to 0 again.
    """

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at -infinity to 1/e at 0."""
        low = rational_end(0, (-41.0, -40.0), attained=False)
        return low, SlopeEnd("1/e", _inverse_e, symmetric_pair(0.0))

    @property
    def domain(self) -> Domain:
        """[0, 1]^n."""
        return Interval(0.0, 1.0)

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 1."""
        return (0.0, 1.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return 1 - exp(-e^v)."""
        with np.errstate(over="ignore"):
            rate = np.exp(v, out=out)
        return np.negative(np.expm1(np.negative(rate, out=out), out=out), out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return Q exp(-Q) with Q = e^v; at v = 7 it has underflowed."""
        rate = np.exp(np.minimum(v, 7.0))
        return np.multiply(rate, np.exp(-rate), out=out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return Ein(e^v)."""
        return _entire(wide(v))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return z log q - Ein(q), or -((1 - z) log q + gamma + E1(q)) where q > 1; +inf off [0, 1]."""
        z = wide(z)
        inside = (z >= 0) & (z <= 1)
        inner = np.where((z > 0) & (z < 1), z, 0.5)
        q = -np.log1p(-inner)
        w = np.log(q)
        value = np.where(q <= 1, inner * w - _series(q), -((1 - inner) * w + np.euler_gamma + _integral(q)))
        ends = np.where(z == 1, -np.euler_gamma, 0.0)
        return np.where(inside, np.where(inner == z, value, ends), np.inf)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return e^-q times the integral of (1 - e^-t)/(q + t) over t from 0 to Q - q, with Q = e^v; +inf off [0, 1].

        By quadrature where Q is near q. Elsewhere its closed forms have little cancellation: with L = log(Q/q) it is
        Ein(Q) - Ein(q) - x L, taken for q < 1, and (1 - x) L - E1(q) + E1(Q), for q >= 1.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        outside = ~((x >= 0) & (x <= 1))
        inner = (x > 0) & (x < 1)
        action = np.where(inner, x, 0.5)
        q, rest = -np.log1p(-action), 1 - action
        with np.errstate(over="ignore"):
            rate = np.exp(v)
            near = (np.abs(rate - q) <= 0.5 * q) & (np.abs(rate - q) <= 8)
            close, close_error = _near_gap(q, np.where(near, rate, q), rest)
            driven, tail = _entire(v), _tail(v)
            w = np.log(q)
            short = np.abs(v - w) <= 1
            logarithm = np.where(short, np.log(np.where(short, rate, q) / q), v - w)
            spread = np.where(short, 1.0, 1 + np.abs(v) + np.abs(w))
            own, own_tail = _series(q), _integral(q)
            apart = np.where(q < 1, driven - own - action * logarithm, rest * logarithm - own_tail + tail)
            sizes = np.where(
                q < 1, driven + own + action * spread, tail + np.exp(-rate) + own_tail + rest * (1 + spread)
            )
            # At the ends of [0, 1] one term is left.
            end = np.where(x == 1, tail, driven)
            end_size = np.where(x == 1, tail + np.exp(-rate), driven)
        value = np.where(inner, np.where(near, close, apart), end)
        error = np.where(inner, np.where(near, close_error, 16 * EPS * sizes), 16 * EPS * end_size)
        return settle(value, error, outside)

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return (z - 1) log q - gamma + Ei(-q); it falls to z = 1 - 1/e and rises beyond."""
        from flint import arb

        if z < 0 or z > 1:
            return None
        z, euler = ball(z), arb.const_euler()
        if z == 0:
            return arb(0)
        if z == 1:
            return -euler
        if z.contains(0):
            top = z.upper()
            return _inner_conjugate(top).lower().union(arb(0)) if top < 0.5 else arb("nan")
        if z.contains(1):
            bottom = z.lower()
            return _inner_conjugate(bottom).lower().union(-euler) if bottom > 0.75 else arb("nan")
        return _inner_conjugate(z)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return 1 - exp(-e^v)."""
        return -(-ball(v).exp()).expm1()

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return the chart t = e^x, in which the slope is t e^-t, and a tail where it decreases to 0."""
        from flint import arb

        def bounds(start: Any) -> tuple[Any, Any]:
            rate = start.exp()
            return arb(0), rate * (-rate).exp()

        chart = Chart(
            0, lambda: arb(1).exp(), lambda t: t * (-t).exp(), lambda t: t.log(), "t = e^x for x <= 1", ("lower",)
        )
        how = "t e^-t with t = e^x decreases for t >= 1"
        return (chart, TailBound(Fraction(1), 1, lambda x: (x - x.exp()).exp(), bounds, how))


def _inverse_e() -> Any:
    from flint import arb

    return arb(-1).exp()


def _series(q: Array) -> Array:
    """Return Ein(q) by its power series, for 0 <= q <= 1; a larger q counts as 1."""
    q = np.minimum(q, 1.0)
    total = np.zeros_like(q)
    for k in range(18, 0, -1):
        total = 1 / (k * factorial(k)) - q * total
    return q * total


def _entire(v: Array) -> Array:
    """Return Ein(e^v), which is v + gamma + E1(e^v)."""
    right = np.maximum(v, 0.0)
    return np.where(v <= 0, _series(np.exp(np.minimum(v, 0.0))), right + np.euler_gamma + _tail(right))


def _integral(q: Array) -> Array:
    """Return E1(q) for q > 0."""
    from scipy.special import exp1

    return exp1(np.minimum(q, _SATURATED))


def _tail(v: Array) -> Array:
    """Return E1(e^v), also where e^v underflows: then it is -v less Euler's constant."""
    with np.errstate(over="ignore"):
        rate = np.exp(np.maximum(v, -600.0))
    return np.where(v > -600, _integral(rate), -v - np.euler_gamma)


def _near_gap(q: Array, rate: Array, rest: Array) -> tuple[Array, Array]:
    """Return the gap for |Q - q| at most q/2 and 8, Q being ``rate``, and its error bound; e^-q is ``rest``.

    With D = Q - q it is e^-q D^2/q times the integral over [0, 1] of s phi(D s)/(1 + s D/q), phi(t) = (1 - e^-t)/t.
    """
    d = rate - q
    ratio = d / q
    total = np.zeros_like(d)
    for node, weight in quadrature(NODES):
        t = d * node
        share = np.divide(-np.expm1(-t), t, out=np.ones_like(t), where=t != 0)
        total = total + weight * node * share / (1 + ratio * node)
    value = rest * d * ratio * total
    # The derivative in D is e^-q (1 - e^-D)/Q, and Q is at least q/2.
    slip = 6 * EPS * (rate + q)
    growth = rest * np.exp(np.maximum(-d, 0.0)) * ((np.abs(d) + slip) / np.minimum(q, rate))
    return value, 64 * EPS * value + 2 * growth * slip


def _inner_conjugate(z: Any) -> Any:
    """Return g*(z) for a ball inside (0, 1)."""
    from flint import arb

    q = -(-z).log1p()
    return (z - 1) * q.log() - arb.const_euler() + (-q).ei()
