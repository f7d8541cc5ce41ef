"""Soft clipping, the difference of two softplus functions one apart: its conjugate has dilogarithms."""

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
from nngames.activations.foundations.formulas import combination, decimal, multiple
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, exact_text, rational_end, symmetric_pair
from nngames.activations.numerics.bregman import NODES, gap_by_inverse, quadrature
from nngames.activations.numerics.compensated import exponential, in_double
from nngames.activations.numerics.flint_forms import ball, entropy_term, half_square, square
from nngames.activations.numerics.rounding import EPS, dilogarithm, settle, wide
from nngames.activations.softplus import SoftplusBeta
from nngames.core.exact import rational

_SOFTPLUS = SoftplusBeta()
#: Sharpness from which one softplus is the response up to 1/2, to rounding.
_SHARP = 80.0


@activation_named("soft_clipping")
@dataclass(frozen=True)
class SoftClipping(ScalarActivation):
    """r(v) = (1/s) log((1 + e^(s v))/(1 + e^(s (v - 1)))) with sharpness = s > 0.

    The slope tanh(s/4) t with t = (1 + cosh(s/2))/(cosh(s/2) + cosh(s (v - 1/2))) goes from 0 to tanh(s/4) at 1/2.
    g(v) = (Li2(-e^(s (v - 1))) - Li2(-e^(s v)))/s^2; f(z) = (P(s z) + P(s (1 - z)) - P(s))/s^2 with the integral
    P(y) = Li2(e^-y) - pi^2/6 of log(1 - e^-u) over [0, y], finite at both ends of [0, 1]: f(0) = f(1) = 0. The inverse
    is (1/s) log((e^(s z) - 1)/(1 - e^(-s (1 - z)))). r(1 - v) = 1 - r(v), f(1 - z) = f(z), g(1 - v) = g(v) - v + 1/2.
    """

    sharpness: float = 1.0

    def __post_init__(self) -> None:
        store(self, sharpness=number(self, "sharpness", positive=True))

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at infinity to tanh(s/4) at 1/2."""
        s = self.sharpness
        quarter = Fraction(s) / 4

        def steepest() -> Any:
            return ball(rational(quarter)).tanh()

        # A sharper r is flat around 1/2 to many digits, and rounding counts.
        top = SlopeEnd(f"tanh({exact_text(quarter)})", steepest, symmetric_pair(0.5, 1e-5 / min(s, 60.0)))
        return (rational_end(0, (-42 / s, -40 / s), attained=False), top)

    @property
    def domain(self) -> Domain:
        """[0, 1]^n."""
        return Interval(0.0, 1.0)

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 1."""
        return (0.0, 1.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return log(1 + (1 - q) E/(1 + q E))/s with E = e^(s v) and q = e^-s; two pieces of softplus for large s."""
        return in_double(self._sharp if self.sharpness > _SHARP else self._smooth, v, out)

    def _smooth(self, v: Array, out: Array | None) -> Array:
        """Return r(v); beyond 1 + 40/s it is 1 to rounding."""
        s = self.sharpness
        drive = exponential(np.minimum(v, 1 + 40 / s), s)
        below = np.asarray(drive * np.exp(-s))
        below += 1.0
        drive *= -np.expm1(-s)
        drive /= below
        result = np.log1p(drive, out=out)
        return result if s == 1 else np.divide(result, s, out=out)

    def _sharp(self, v: Array, out: Array | None) -> Array:
        """Return v clipped to [0, 1] plus log(1 + e^(-s |v|))/s up to 1/2, less log(1 + e^(-s |1 - v|))/s beyond."""
        left = v <= 0.5
        tail = np.log1p(exponential(-np.abs(np.where(left, v, 1 - v)), self.sharpness)) / self.sharpness
        return np.add(np.clip(v, 0.0, 1.0), np.where(left, tail, -tail), out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return (1 - q) E/((1 + E)(1 + q E)) with E = e^(s min(v, 1 - v)) and q = e^-s."""
        return in_double(self._double_slope, v, out)

    def _double_slope(self, v: Array, out: Array | None) -> Array:
        s = self.sharpness
        near = np.minimum(v, 1 - v)
        if s > _SHARP:
            e = exponential(-np.abs(near), s)
            return np.divide(np.where(near < 0, e, 1.0), 1 + e, out=out)
        drive = exponential(near, s)
        return np.divide(-np.expm1(-s) * drive, (1 + drive) * (1 + np.exp(-s) * drive), out=out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return two charts, left and right of 1/2, in which the slope is tanh(s/4) times the variable."""
        s = rational(self.sharpness)

        def slope(t: Any) -> Any:
            return ball(s / 4).tanh() * t

        def distance(t: Any) -> Any:
            # acosh(1 + 2 y^2) = 2 asinh y, which is exact at 0.
            return 2 * ((1 + ball(s / 2).cosh()) * (1 / t - 1) / 2).sqrt().asinh() / s

        half, where = ball(rational(0.5)), "t = (1 + cosh(s/2))/(cosh(s/2) + cosh(s (x - 1/2)))"
        left = Chart(0, 1, slope, lambda t: half - distance(t), f"{where}, x <= 1/2", ("lower",))
        right = Chart(0, 1, slope, lambda t: half + distance(t), f"{where}, x >= 1/2", ("lower",))
        return (left, right)

    def primitive(self, v: ArrayLike) -> Array:
        """Return the integral of r from -infinity; beyond 1/2 as g(1 - v) + v - 1/2."""
        v = wide(v)
        near = np.minimum(v, 1 - v)
        return self._left_primitive(near) + np.where(v > 0.5, v - 0.5, 0.0)

    def _left_primitive(self, v: Array) -> Array:
        """Return g(v) for v <= 1/2."""
        s = self.sharpness
        with np.errstate(over="ignore"):
            if s > _SHARP:
                tail = dilogarithm(-s * np.abs(v)) / s / s
                rest = np.pi**2 / 6 / s / s - tail
                return np.where(v > 0, 0.5 * np.square(np.maximum(v, 0.0)) + rest, tail)
            w = s * v
            if s >= 1:
                return (dilogarithm(w) - dilogarithm(w - s)) / s**2
            # There the difference of the two would cancel.
            total = np.zeros_like(w)
            for node, weight in quadrature(NODES):
                total = total + weight * np.log1p(np.exp(w - s * node))
            return total / s

    def conjugate(self, z: ArrayLike) -> Array:
        """Return f(z) + z^2/2 on [0, 1], +inf elsewhere."""
        return self.penalty(z) + 0.5 * np.square(np.clip(wide(z), 0.0, 1.0))

    def penalty(self, z: ArrayLike) -> Array:
        """Return (P(s z) + P(s (1 - z)) - P(s))/s^2 on [0, 1], +inf elsewhere."""
        z = wide(z)
        inside = (z >= 0) & (z <= 1)
        z = np.where(inside, z, 0.0)
        return np.where(inside, self._left_penalty(np.minimum(z, 1 - z)), np.inf)

    @property
    def penalty_formula(self) -> str | None:
        """(Li2(e^(-s z)) + Li2(e^(-s (1 - z))) - Li2(e^-s) - pi^2/6)/s^2."""
        s = self.sharpness
        left, right = multiple(-s, "z"), combination((s, "z"), (-s, ""))
        total = f"Li2(e^({left})) + Li2(e^({right})) - Li2(e^({decimal(-s)})) - pi^2/6"
        return total if s == 1 else f"({total})/{decimal(s)}^2"

    def _left_penalty(self, z: Array) -> Array:
        """Return f(z) for z <= 1/2, to relative rounding but for a factor log s.

        For s > 1 the difference of the last two terms is an integral over [s (1 - z), s], done by quadrature. For
        s <= 1 the integrand is log u + log((1 - e^-u)/u): one gives s times an entropy, and the other is smooth.
        """
        s = self.sharpness
        total = np.zeros_like(z)
        if s > 1:
            for node, weight in quadrature(NODES):
                with np.errstate(under="ignore"):
                    total = total + weight * np.log1p(-np.exp(-s * (1 - node * z)))
            return _SOFTPLUS.penalty(s * z) / s / s - z * total / s
        for node, weight in quadrature(NODES):
            total = total + weight * (_log_share(s * (node * z)) - _log_share(s * (1 - node * z)))
        return (xlogy(z, z) + xlog1py(1 - z, -z)) / s + z * total / s

    def _inverse(self, z: Array) -> tuple[Array, Array]:
        """Return the w with r(w) = z and a bound on its error, for z in (0, 1); -infinity at 0 and infinity at 1."""
        s = self.sharpness
        near = np.minimum(z, 1 - z)
        with np.errstate(divide="ignore"):
            logs = np.log(-np.expm1(-s * near)), np.log(-np.expm1(-s * (1 - near)))
        w = near + (logs[0] - logs[1]) / s
        error = EPS * (4 + 4 * near + (8 + 4 * np.abs(logs[0]) + 4 * np.abs(logs[1])) / s)
        return np.where(z > 0.5, 1 - w, w), error

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the Bregman distance of g from v to the w with r(w) = x, or, where they are far apart, the plain sum.

        Where x and v are both beyond 1/2, at 1 - x and 1 - v, where r keeps its digits.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        outside = ~((x >= 0) & (x <= 1))
        x = np.where(outside, 0.5, x)
        turned = (x > 0.5) & (v > 0.5)
        x, v = np.where(turned, 1 - x, x), np.where(turned, 1 - v, v)
        with np.errstate(over="ignore", invalid="ignore"):
            w, w_error = self._inverse(x)
            reach = np.pi / self.sharpness
            near = np.abs(w - v) <= reach
            w = np.where(near, w, v)
            x_error = 2 * self.derivative(w) * w_error
            value, bound = gap_by_inverse(self.derivative, self.primitive, x, v, w, x_error, w_error, reach)
            penalty, terms = self.penalty(x), (0.5 * np.square(x), self.primitive(v), x * v)
            apart = penalty + terms[0] + terms[1] - terms[2]
            # The rounding of s v in exponentials shows where they are small.
            sizes = np.abs(penalty) + terms[0] + terms[1] + np.abs(terms[2])
            apart_error = EPS * (64 * sizes + 2 * self.sharpness * np.abs(v) * terms[1])
            value, bound = np.where(near, value, apart), np.where(near, bound, apart_error)
            # 1 - v is rounded where v is beyond 2.
            slip = np.where(turned & (v < -1), EPS * np.abs(v), 0.0)
            bound = bound + slip * (np.abs(self(v) - x) + slip + 8 * EPS * x)
        return settle(value, np.where(np.isfinite(value), bound, np.inf), outside)

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z^2/2 + (P(s z) + P(s (1 - z)) - P(s))/s^2."""
        if z < 0 or z > 1:
            return None
        s = rational(self.sharpness)
        total = _flint_integral(s * z) + _flint_integral(s * (1 - z)) - _flint_integral(s)
        return half_square(ball(z)) + total / s**2

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return log(1 + (1 - q)/(e^(-s v) + q))/s, q = e^-s."""
        s = rational(self.sharpness)
        q = (-ball(s)).exp()
        return ((1 - q) / ((-ball(s * v)).exp() + q)).log1p() / s


def _log_share(u: Array) -> Array:
    """Return log((1 - e^-u)/u) for 0 <= u <= 1, to the rounding of a number near 1."""
    safe = np.where(u > 1e-300, u, 1.0)
    return np.where(u > 1e-300, np.log(-np.expm1(-safe) / safe), 0.0)


def _flint_integral(y: FlintNumber) -> Any:
    """Return P(y) as a ball, for y >= 0; the part of a ball below 0 is ignored.

    For y < 1 as y log y - y - y^2/4 + sum_k B_2k y^(2k+1)/(2k (2k+1)!), where |B_2k|/(2k)! <= 4/(2 pi)^(2k): from the
    n-th term on, the sum is at most (1/6)^(2n), since y < 1.
    """
    from flint import arb, ctx, fmpq, fmpz

    y = ball(y)
    if not y < 1:
        return (-y).exp().polylog(2) - arb.pi() ** 2 / 6
    count = ctx.prec // 5 + 2
    own, total = square(y), arb(0)
    for k in range(count, 0, -1):
        total = total * own + fmpq.bernoulli(2 * k) / (2 * k * fmpz.fac_ui(2 * k + 1))
    rest = arb(6) ** (-2 * count - 2)
    return entropy_term(y) - y - own / 4 + y * own * (total + rest.union(-rest))
