"""The softplus activation log(1 + e^(beta v))/beta: its primitive and conjugate are dilogarithms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, spence

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.formulas import decimal, multiple
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.affine_drive import affine_response
from nngames.activations.numerics.bregman import quadrature
from nngames.activations.numerics.compensated import corrected, exponential_correction
from nngames.activations.numerics.elementwise import EXPONENT_CAP, logistic_share
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import EPS, dilogarithm, relative_entropy, settle, wide
from nngames.core.exact import rational

#: Bernoulli numbers B_2, B_4, ..., B_22.
_BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330, 854513 / 138
)  # fmt: skip
_ZETA_2 = float(np.pi**2 / 6)


@activation_named("softplus_beta")
@dataclass(frozen=True)
class SoftplusBeta(ScalarActivation):
    """r(v) = log(1 + e^(b v))/b with beta = b > 0.

    g(v) = -Li2(-e^(b v))/b^2, g*(z) = G(b z)/b^2 on [0, inf) with G(y) = y^2/2 + Li2(e^-y) - pi^2/6, the integral of
    log(e^s - 1) over [0, y]; f(z) = (Li2(e^(-b z)) - pi^2/6)/b^2.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        store(self, beta=number(self, "beta", positive=True))

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at -infinity to 1 at infinity."""
        near, far = 40 / self.beta, 41 / self.beta
        return (rational_end(0, (-far, -near), attained=False), rational_end(1, (near, far), attained=False))

    @property
    def domain(self) -> Domain:
        """[0, inf)^n."""
        return Interval(0.0)

    @property
    def limits(self) -> tuple[float, float]:
        """0 and infinity."""
        return (0.0, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return log(1 + e^(b v))/b."""
        # For b v above the cap, where e^(b v) would overflow, log(1 + e^cap)/b < v = r(v) to rounding; r(v) > v always.
        drive = v if self.beta == 1.0 else affine_response(v, self.beta, 0.0)
        rise = np.asarray(np.minimum(drive, EXPONENT_CAP[v.dtype]))
        np.exp(rise, out=rise)
        np.log1p(rise, out=rise)
        if self.beta == 1.0:
            return np.maximum(v, rise, out=out)
        rise /= self.beta
        return np.maximum(v, corrected(rise, exponential_correction(v, self.beta, drive)), out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1/(1 + e^(-b v))."""
        with np.errstate(over="ignore"):
            return logistic_share(np.multiply(v, self.beta), out)

    def shortfall(self, w: Array, response: Array) -> tuple[Array, Array]:
        """Return -r(-w), which is w - r(w)."""
        value = -self(-w)
        return value, EPS * np.abs(value)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one chart, in which the slope is the variable itself."""
        b = rational(self.beta)
        return (
            Chart(
                0,
                1,
                lambda t: t,
                lambda t: (t / (1 - t)).log() / b,
                "t = 1/(1 + e^(-b x))",
                ("lower", "upper"),
            ),
        )

    def primitive(self, v: ArrayLike) -> Array:
        """Return -Li2(-e^(b v))/b^2."""
        with np.errstate(over="ignore"):
            return dilogarithm(self.beta * wide(v)) / self.beta**2

    @property
    def penalty_formula(self) -> str | None:
        """(Li2(e^(-b z)) - pi^2/6)/b^2."""
        b = self.beta
        total = f"Li2(e^({multiple(-b, 'z')})) - pi^2/6"
        return total if b == 1 else f"({total})/{decimal(b)}^2"

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return u where it is so large that f is constant to rounding; elsewhere the prox by its scalar equation."""
        point = wide(u)
        # p - u = step log(1/(1 - e^(-b p)))/b is below rounding for b u > 100 + log step.
        far = point > (100 + np.log(np.maximum(self.check_step(step), 1.0))) / self.beta
        return np.where(far, point, super().prox(np.where(far, 0.0, point), step))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return G(b z)/b^2 on [0, inf), +inf elsewhere."""
        return self._scaled(z, _conjugate)

    def penalty(self, z: ArrayLike) -> Array:
        """Return (Li2(e^(-b z)) - pi^2/6)/b^2 on [0, inf), +inf elsewhere."""
        return self._scaled(z, _penalty)

    def _scaled(self, z: ArrayLike, function: Callable[[Array], Array]) -> Array:
        """Return function(b z)/b^2 on [0, inf), +inf elsewhere."""
        z = wide(z)
        inside = z >= 0
        with np.errstate(over="ignore"):
            y = self.beta * np.where(inside, z, 0.0)
            return np.where(inside, function(y) / self.beta**2, np.inf)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the integral of (y - s)/(1 - e^-s) over s from P = b r(v) to y = b x, over b^2; +inf for x < 0.

        1/(1 - e^-s) = 1/s + B(s) splits it into the generalised Kullback-Leibler term of y and P and a smooth
        integral, done by Gauss-Legendre quadrature (B has its nearest poles at +-2 pi i). Where y and P are more than
        2 apart the closed form has no cancellation.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        outside = ~(x >= 0)
        rounded = 0.0 if self.beta == 1 else 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            x = np.where(outside, 0.0, x)
            y, w = self.beta * x, self.beta * v
            p = np.logaddexp(0.0, w)
            d = y - p
            near = np.abs(d) <= 2
            error = EPS * rounded * (y + np.abs(w) * expit(w)) + 4 * EPS * p + EPS * np.abs(d)
            value, bound = _near_gap(y, p, w, np.where(near, d, 0.0), error, EPS * (8 + rounded * np.abs(w)))
            far, far_terms = _far_gap(y, w, self.beta * (x - v))
            slopes = y * np.abs(y + np.log(-np.expm1(-np.where(y > 0, y, 1.0))) - w) + np.abs(w * d)
            far_error = 16 * EPS * far_terms + np.where(w > 0, 0.0, 2 * EPS * rounded * slopes)
            value, bound = np.where(near, value, far), np.where(near, bound, far_error)
            # A product beta x that underflows is off by less than 5e-324.
            bound = bound + 8 * EPS * value + rounded * 5e-324 * (np.abs(w) + 800)
            return settle(value / self.beta**2, bound / self.beta**2, outside)

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return G(b z)/b^2."""
        from flint import arb

        if z < 0:
            return None
        b = rational(self.beta)
        if z == 0:
            return arb(0)
        y = ball(b * z)
        return (y**2 / 2 + (-y).exp().polylog(2) - arb.pi() ** 2 / 6) / b**2

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return log(1 + e^(b v))/b."""
        b = rational(self.beta)
        return ball(b * v).exp().log1p() / b


def _near_gap(y: Array, p: Array, w: Array, d: Array, error: Array, relative: Array) -> tuple[Array, Array]:
    """Return the gap for |y - p| <= 2 and beta = 1, and its error bound."""
    log_p = np.where(w < -37, w, np.log(np.where(w < -37, 1.0, p)))
    value, bound = relative_entropy(y, p, d, log_p, error, relative)
    integral = sum(weight * (1 - node) * _smooth_part(p + node * d) for node, weight in quadrature(10))
    smooth = np.square(d) * integral
    return value + smooth, bound + 2 * (np.abs(d) + error) * error + 16 * EPS * smooth


def _far_gap(y: Array, w: Array, difference: Array) -> tuple[Array, Array]:
    """Return the gap for y and log(1 + e^w) far apart and beta = 1, and the sum of its terms' sizes.

    ``difference`` is y - w.
    """
    dilog = _below(y), dilogarithm(-np.abs(w))
    square = 0.5 * np.square(difference)
    right = square + dilog[0] - dilog[1]
    own, drive = _conjugate(y), y * np.maximum(-w, 0.0)
    left = own + dilog[1] + drive
    sizes = square + dilog[0] + dilog[1] + 1, np.abs(own) + 2 + dilog[1] + drive
    return np.where(w > 0, right, left), np.where(w > 0, sizes[0], sizes[1])


def _smooth_part(s: Array) -> Array:
    """Return B(s) = 1/(1 - e^-s) - 1/s for s >= 0, from 1/2 at 0 to 1 at infinity."""
    near = s < 1
    small = np.where(near, s, 0.0)
    square = np.square(small)
    total = np.zeros_like(small)
    for k in range(len(_BERNOULLI), 0, -1):
        total = total * square + _BERNOULLI[k - 1] / factorial(2 * k)
    far = np.where(near, 1.0, s)
    return np.where(near, 0.5 + total * small, -1 / np.expm1(-far) - 1 / far)


def _below(y: Array) -> Array:
    """Return Li2(e^-y) for y >= 0."""
    return spence(-np.expm1(-y))


def _penalty(y: Array) -> Array:
    """Return G(y) - y^2/2 = Li2(e^-y) - pi^2/6."""
    small = np.minimum(y, 1.0)
    return np.where(y < 1, _conjugate(small) - 0.5 * small * small, _below(y) - _ZETA_2)


def _conjugate(y: Array) -> Array:
    """Return G(y), the integral of log(e^s - 1) over [0, y].

    For y < 1 by the series y log y - y + y^2/4 + sum_k B_2k y^(2k+1)/(2k (2k+1)!) of its logarithmic form.
    """
    small = np.where(y < 1, y, 0.0)
    square = np.square(small)
    total = np.zeros_like(small)
    for k in range(len(_BERNOULLI), 0, -1):
        total = total * square + _BERNOULLI[k - 1] / (2 * k * factorial(2 * k + 1))
    logarithm = np.log(np.where(small > 0, small, 1.0))
    series = small * (logarithm - 1 + small * (0.25 + total * small))
    return np.where(y < 1, series, 0.5 * np.square(y) + (_below(y) - _ZETA_2))
