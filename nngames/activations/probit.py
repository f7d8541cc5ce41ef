"""The softsign of the normal quantile, on (0, 1): steep at both ends, its gaps are Gaussian integrals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfcx, ndtr, ndtri

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, SlopePart, TailBound
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end, symmetric_pair
from nngames.activations.numerics.bregman import quadrature
from nngames.activations.numerics.flint_forms import ball, is_rational
from nngames.activations.numerics.rounding import EPS, settle, wide
from nngames.core.errors import DomainError
from nngames.core.roots import increasing_root

_ROOT_2 = float(np.sqrt(2.0))
_ROOT_2_PI = float(np.sqrt(2.0 * np.pi))
#: Panels of the quadrature, as shares of its interval: the first is short, for the pole at -1 of 1/(1 + s).
_PANELS = ((0.0, 0.12), (0.12, 0.4), (0.4, 1.0))
#: Beyond the s where (s^2 - m^2)/2 is this, the rest of the integral of the density from m is below rounding.
_DEPTH = 50.0


@activation_named("softsign_probit")
@dataclass(frozen=True)
class SoftsignProbit(ScalarActivation):
    """r(v) = q/(1 + |q|) with q the standard normal quantile of v, for 0 < v < 1.

    With s(y) = y/(1 + |y|), and the normal density phi and distribution Phi: g(v) is the integral of s phi over [0, q];
    g*(z) = z/2 + the integral of Phi(y/(1 - |y|)) - 1/2 over [0, z], on [-1, 1], closed.
    The slope 1/((1 + |q|)^2 phi(q)) is infinite at both ends and least where its logarithm's derivative in |q|,
    |q| - 2/(1 + |q|), vanishes: at |q| = 1, where it is sqrt(2 pi e)/4; at q = 0 it has a kink of height sqrt(2 pi).

    Notes
    -----
    f = g* - z^2/2 on the closed range [-1, 1] of r, and +inf off it. For v in (0, 1) the derivative of
    f(z) + (z - v)^2/2, Phi(z/(1 - |z|)) - v, increases through 0 at z = r(v), so r is the prox of f there. For
    other u, where r is not defined, the prox of f is the nearer end; f is 1-weakly convex.
    """

    @property
    def inputs(self) -> Interval:
        """(0, 1)."""
        return Interval(0.0, 1.0, closed_lower=False, closed_upper=False)

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """sqrt(2 pi e)/4 at |q| = 1, and infinity at the ends."""
        low = SlopeEnd("sqrt(2 pi e)/4", _least_slope, symmetric_pair(0.8413447460685429))
        return low, rational_end(np.inf, (1e-8, 2e-8))

    @property
    def domain(self) -> Domain:
        """[-1, 1]^n."""
        return Interval(-1.0, 1.0)

    @property
    def limits(self) -> tuple[float, float]:
        """-1 and 1."""
        return (-1.0, 1.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return q/(1 + |q|)."""
        q = ndtri(v)
        return np.divide(q, np.abs(q) + 1, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return M/(t (1 + |q|)^2), with the tail t = min(v, 1 - v) and Mills' ratio M = t/phi(q)."""
        size, tail = np.abs(ndtri(v)), np.minimum(v, 1 - v)
        mills = _mills(size)
        with np.errstate(over="ignore"):
            return np.divide(mills, tail * np.square(1 + size), out=out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return the integral of s phi over [0, |q|], to about 1e-15 of it; raises as r does."""
        v = wide(self._admitted(v))
        return _distance(np.abs(ndtri(v)), np.minimum(v, 1 - v), np.zeros_like(v))[0]

    def conjugate(self, z: ArrayLike) -> Array:
        """Return z/2 + the integral of Phi(y/(1 - y)) - 1/2 over [0, |z|], to about 1e-15; +inf off [-1, 1]."""
        z = wide(z)
        inside = np.abs(z) <= 1
        safe = np.where(inside, z, 0.0)
        value = _distance(np.zeros_like(safe), np.full_like(safe, 0.5), np.abs(safe))[0]
        return np.where(inside, 0.5 * safe + value, np.inf)

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return the p in [-1, 1] with (1 - step) p + step Phi(p/(1 - |p|)) = u, or the end that is nearer to it."""
        point, steps = np.broadcast_arrays(wide(u), self.check_step(step))
        own = (steps == 1) & (point > 0) & (point < 1)
        inner = (steps < 1) & (point > steps - 1) & (point < 1)
        steps, target = np.where(inner, steps, 0.5), np.where(inner, point, 0.25)

        def balance(p: Array) -> Array:
            return (1 - steps) * p + steps * ndtr(_quantile_of(p)) - target

        def slope(p: Array) -> Array:
            y = np.abs(_quantile_of(p))
            return (1 - steps) + steps * np.square(1 + y) * np.exp(-0.5 * np.square(np.minimum(y, 40.0))) / _ROOT_2_PI

        def noise(p: Array) -> Array:
            return EPS * ((1 - steps) * np.abs(p) + steps * ndtr(_quantile_of(p)) + np.abs(target))

        root = np.clip(increasing_root(balance, slope, np.zeros_like(target), noise), -1.0, 1.0)
        response = self._response(np.where(own, point, 0.5), None)
        return np.where(inner, root, np.where(own, response, np.where(point >= 1, 1.0, -1.0)))

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the integral of (x - s(t)) phi(t) over t from q to x/(1 - |x|); +inf off [-1, 1]; raises as r does.

        Where x and q have opposite signs it is |x| (Phi(|q|) - 1/2) + g(v) + (g*(|x|) - |x|/2), all terms positive.
        """
        x, v = np.broadcast_arrays(wide(x), wide(self._admitted(v)))
        outside = ~(np.abs(x) <= 1)
        a, q, tail = np.where(outside, 0.0, np.abs(x)), ndtri(v), np.minimum(v, 1 - v)
        opposite = (x < 0) != (q < 0)
        centre = np.where(opposite, 0.0, np.abs(q)), np.where(opposite, 0.5, tail)
        value, error = _distance(*centre, a)
        drive, drive_error = _distance(np.abs(q), tail, np.zeros_like(a))
        cross = np.where(opposite, a * (0.5 - tail), 0.0)
        value = value + np.where(opposite, drive, 0.0) + cross
        error = error + np.where(opposite, drive_error, 0.0) + 4 * EPS * cross
        return settle(value, error, outside)

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z/2 - (1 - |z|) (Phi(y) - 1/2) + the integral of phi(t)/(1 + t) over [0, y], y = |z|/(1 - |z|)."""
        from flint import arb

        if z < -1 or z > 1:
            return None
        z = ball(z)
        size = abs(z)
        if size.is_exact():
            return z / 2 + _half_conjugate(size)
        # It increases in |z|.
        low, high = size.lower().max(arb(0)), size.upper().min(arb(1))
        return z / 2 + _half_conjugate(low).union(_half_conjugate(high))

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return q/(1 + |q|); for a ball that leaves (0, 1), a ball around the values inside, or NaN.

        Raises
        ------
        DomainError
            If v is a rational number off (0, 1).
        """
        from flint import arb

        if is_rational(v):
            if not 0 < v < 1:
                raise DomainError(f"activation {self.name!r} is defined on (0, 1) only; the argument is {v}")
            return _response_ball(ball(v))
        if v.is_exact():
            return _response_ball(v)
        if v <= 0 or v >= 1:
            return arb("nan")
        low, high = v.lower(), v.upper()
        first = _response_ball(low) if low > 0 else arb(-1)
        return first.union(_response_ball(high) if high < 1 else arb(1))

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return charts in q on both sides of its kink at 0, and tails, on which the slope grows without bound."""
        from flint import arb

        def positive(q: Any) -> Any:
            return (q * q / 2).exp() / ((1 + q) * (1 + q)) * (2 * arb.pi()).sqrt()

        def negative(q: Any) -> Any:
            return positive(-q)

        def point(q: Any) -> Any:
            return (-q / arb(2).sqrt()).erfc() / 2

        def bounds(start: Any) -> tuple[Any, Any]:
            return positive(abs(start)), start.pos_inf()

        how, grows = "t is the normal quantile of x", "the slope increases in |q| without bound for |q| >= 1"
        return (
            TailBound(-3.0, -1, negative, bounds, grows, ("high",), point),
            Chart(-3, 0, negative, point, how),
            Chart(0, 3, positive, point, how),
            TailBound(3.0, 1, positive, bounds, grows, ("high",), point),
        )


def _mills(size: Array) -> Array:
    """Return Phi(-y)/phi(y) for y >= 0."""
    scaled = erfcx(size / size.dtype.type(_ROOT_2))
    return np.multiply(scaled, scaled.dtype.type(0.5 * _ROOT_2_PI))


def _quantile_of(p: Array) -> Array:
    """Return p/(1 - |p|), infinite from 1 on."""
    size = np.abs(p)
    inside = size < 1
    return np.where(inside, p / np.where(inside, 1 - size, 1.0), np.copysign(np.inf, p))


def _distance(q: Array, tail: Array, a: Array) -> tuple[Array, Array]:
    """Return the integral of (a - s(t)) phi(t) over t from q to y = a/(1 - a), for q >= 0 and 0 <= a <= 1.

    ``tail`` is Phi(-q), known exactly. Returns the integral and a bound on its error.

    Notes
    -----
    a - s(t) = (y - t)/((1 + y) (1 + t)): the integrand has one sign, so nothing cancels. With m the lesser of q and y
    the integral is cut where the density has fallen by e^-50 from that at m, and done by Gauss and Legendre's rule on
    three panels.
    """
    rest = 1 - a
    y = np.where(rest > 0, a / np.where(rest > 0, rest, 1.0), np.inf)
    forward = y >= q
    least = np.where(forward, q, y)
    span = np.abs(y - q)
    reach = np.minimum(span, 2 * _DEPTH / (np.sqrt(np.square(least) + 2 * _DEPTH) + least))
    # (1 + q) |a - s(q)|, where y may be infinite.
    height = np.where(rest > 0, rest * np.where(rest > 0, span, 0.0), 1.0)
    share = np.where(span > 0, reach / np.where(span > 0, span, 1.0), 1.0)
    total = np.zeros_like(reach)
    for start, end in _PANELS:
        for node, weight in quadrature(16):
            t = start + (end - start) * node
            moved = reach * t
            density = np.exp(-moved * (least + 0.5 * moved)) / (1 + least + moved)
            total = total + (weight * (end - start)) * density * np.where(forward, 1 - share * t, t)
    # The density at m: from its tail where q is near, since the exponential of a large square is less accurate.
    at_q = tail / _mills(q)
    fall = 0.5 * (q - least) * (q + least)
    from_tail = fall <= 1
    square = np.square(np.where(from_tail, 0.0, least))
    density = np.where(from_tail, at_q * np.exp(np.where(from_tail, fall, 0.0)), np.exp(-0.5 * square) / _ROOT_2_PI)
    value = np.where(forward, height, rest * reach) * reach * total * density
    # Errors of q and y move the ends: the integral's derivatives are (a - s(q)) phi(q), and in a the mass between.
    moved_q, moved_y = 8 * EPS * q, np.where(rest > 0, 2 * EPS * np.where(rest > 0, y, 0.0), 0.0)
    mass = density * np.minimum(np.where(span < np.inf, span, 2.0) + moved_q + moved_y, 1.26)
    ends = (height / (1 + q) + moved_q) * at_q * moved_q + 4 * EPS * a * rest * mass
    return value, EPS * (128 + 2 * square) * value + 2 * ends


def _least_slope() -> Any:
    from flint import arb

    return (2 * arb.pi() * arb(1).exp()).sqrt() / 4


def _quantile_ball(v: Any) -> Any:
    """Return the normal quantile of a ball in (0, 1)."""
    from flint import arb

    root = arb(2).sqrt()
    return -root * (2 * v).erfcinv() if v < 0.5 else root * (2 * (1 - v)).erfcinv()


def _response_ball(v: Any) -> Any:
    q = _quantile_ball(v)
    return q / (1 + abs(q))


def _half_conjugate(size: Any) -> Any:
    """Return g*(z) - z/2 for |z| = ``size`` in [0, 1], a ball around one number."""
    from flint import acb, arb, ctx

    # Beyond the limit the integral of the density is below the working precision.
    limit = arb(2 * ctx.prec).sqrt().ceil() + 2
    rest = 1 - size
    y = size / rest if rest > 0 else limit
    top = y if y < limit else limit
    root = (2 * arb.pi()).sqrt()
    inner = acb.integral(lambda t, _: (-t * t / 2).exp() / (1 + t), acb(0), acb(top)).real / root
    left = arb(0).union((-top * top / 2).exp()) if top is limit else arb(0)
    return inner + left - rest * (y / arb(2).sqrt()).erf() / 2
