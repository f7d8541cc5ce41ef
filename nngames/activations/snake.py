"""The snake activation v + sin(a v)^2/a: monotone, with a weakly convex penalty and slopes that vanish at points."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, SlopePart, TailBound
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.parameters import number, refusal, store
from nngames.activations.foundations.reparametrised import Reparametrised
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end, symmetric_pair
from nngames.activations.numerics.bregman import NODES, quadrature
from nngames.activations.numerics.elementwise import LARGEST
from nngames.activations.numerics.flint_forms import ball, square
from nngames.activations.numerics.inverses import conjugate_ball
from nngames.activations.numerics.rounding import EPS, Mask, settle, sine_excess, wide

_QUARTER_PI = float(np.pi / 4)
_LARGEST = float(np.finfo(np.float64).max)
#: 2 pi in three parts, of which the first two have 31 bits, and pi/2 - 1 in two.
_TURN = (6.2831853069365025, 2.4308402036057886e-10, -1.0033115225336665e-19)
_SHIFT = (0.5707963267948967, -4.9789962505147994e-17)
#: Up to this size of x, its phase is taken from the parts of 2 pi.
_MODERATE = 1e7


@dataclass(frozen=True)
class _StandardSnake(ScalarActivation):
    """r(v) = v + sin(v)^2, g(v) = v^2/2 + (2 v - sin 2v)/4.

    With r(w) = z: g*(z) = (2 w^2 - 2 w cos 2w + sin 2w)/4 and f(z) = -(2 w - sin 2w)/4 - sin(w)^4/2.
    """

    name = "snake"

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """0 at -pi/4 and 2 at pi/4."""
        return (rational_end(0, symmetric_pair(-_QUARTER_PI)), rational_end(2, symmetric_pair(_QUARTER_PI)))

    @property
    def domain(self) -> Domain:
        """R^n."""
        return Interval()

    @property
    def limits(self) -> tuple[float, float]:
        """-infinity and infinity."""
        return (-np.inf, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v + sin(v)^2."""
        wave = np.asarray(np.sin(_finite(v)))
        wave *= wave
        return np.add(v, wave, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1 + sin 2v as (sin v + cos v)^2, whose digits are right longer where it is small."""
        inner = _finite(v)
        root = np.asarray(np.sin(inner))
        root += np.cos(inner)
        return np.square(root, out=out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return v^2/2 + (2 v - sin 2v)/4."""
        v = wide(v)
        with np.errstate(over="ignore"):
            return 0.5 * np.square(v) + _quarter_excess(v)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (2 w^2 - 2 w cos 2w + sin 2w)/4, r(w) = z."""
        z = wide(z)
        w = z - _solve(z).chord
        inner = np.clip(w, -1e150, 1e150)
        with np.errstate(over="ignore"):
            # -2 w cos 2w + sin 2w = 4 w sin(w)^2 - (2 w - sin 2w).
            return 0.5 * np.square(w) + (inner * np.square(np.sin(inner)) - _quarter_excess(inner))

    def penalty(self, z: ArrayLike) -> Array:
        """Return -(2 w - sin 2w)/4 - sin(w)^4/2, r(w) = z."""
        z = wide(z)
        chord = _solve(z).chord
        return -_quarter_excess(z - chord) - 0.5 * np.square(chord)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the integral of t r'(v + t) over t in [0, d], d = w - v with r(w) = x.

        With u = 2w + pi/2 the slope at w - s is 2 sin(u/2 - s)^2. By quadrature where |d| <= 2, else in closed form.

        Notes
        -----
        r' = a^2 with a Lipschitz constant sqrt(2) of a, so that an error e of the arguments of r' costs at most
        2 e |d| sqrt(gap) + e^2 d^2 (Cauchy and Schwarz). An error e of d costs |x - r(v)| e to first order, where
        |x - r(v)| is at most 2 sqrt(gap) and 2 |d| (|sin(u/2)| + |d|)^2; one of w costs at most r'(w) |d| e.
        """
        x, v = np.broadcast_arrays(wide(x), wide(v))
        solution = _solve(x)
        half, error = 0.5 * solution.u, solution.error
        with np.errstate(over="ignore", invalid="ignore"):
            difference = x - v
            d = difference - solution.chord
            near = np.abs(d) <= 2
            short = np.where(near, d, 0.0)
            total = np.zeros_like(short)
            for node, weight in quadrature(NODES):
                total = total + weight * node * np.square(np.sin(half - (1 - node) * short))
            close = 2 * np.square(short) * total
            trimmed = np.clip(d, -1e300, 1e300)
            waves = 0.25 * (np.cos(solution.u - 2 * trimmed) - np.cos(solution.u))
            apart = 0.5 * d * (d - np.sin(solution.u)) + waves
            slip, d_error = 2 * EPS * (np.abs(half) + np.abs(short)), EPS * (np.abs(difference) + solution.chord)
            near_error = 32 * EPS * close + slip * np.abs(d) * (2 * np.sqrt(close) + 3 * slip * np.abs(d))
            miss = np.minimum(2 * np.sqrt(close), 2 * np.abs(short) * np.square(np.abs(np.sin(half)) + np.abs(short)))
            near_error = near_error + d_error * (miss + 2 * d_error)
            rounding = np.where(near, near_error, 8 * EPS * (np.square(d) + 2))
            slope = 2 * np.square(np.sin(half))
            bound = rounding + np.minimum(slope + 2 * error, 2.0) * error * (np.abs(d) + error)
        return settle(np.where(near, close, apart), bound)

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z w - g(w), r(w) = z."""
        middle = np.asarray(float(ball(z).mid()))
        guess = float(middle - _solve(middle).chord)
        return conjugate_ball(self.flint_response_at, _flint_primitive, lambda w: 1 + (2 * w).sin(), guess, z)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v + sin(v)^2."""
        return ball(v) + square(ball(v).sin())

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return half a period, with t = sin 2x in [-1, 1], and the rest of the line, with the same slopes."""
        from flint import arb

        def bounds(_: Any) -> tuple[Any, Any]:
            return arb(0), arb(2)

        def slope(x: Any) -> Any:
            return 1 + (2 * x).sin()

        return (
            TailBound(-_QUARTER_PI, -1, slope, bounds, "0 <= 1 + sin 2x <= 2"),
            Chart(-1, 1, lambda t: 1 + t, lambda t: t.asin() / 2, "t = sin 2x"),
            TailBound(_QUARTER_PI, 1, slope, bounds, "0 <= 1 + sin 2x <= 2"),
        )


@activation_named("snake")
@dataclass(frozen=True)
class Snake(Reparametrised):
    """r(v) = v + sin(a v)^2/a with frequency = a != 0.

    Its slopes 1 + sin 2av fill [0, 2], whatever a is: r is monotone, and f is 1/2-weakly convex, finite everywhere.
    g(v) = v^2/2 + (2 a v - sin 2av)/(4 a^2); g* and f have closed forms in the w with r(w) = z, which is found
    numerically, up to a few units of rounding of r(w).
    """

    frequency: float = 1.0

    def __post_init__(self) -> None:
        store(self, frequency=number(self, "frequency"))
        if self.frequency == 0:
            raise refusal(self, "frequency", "must not be 0")

    @property
    def base(self) -> _StandardSnake:
        """The one with frequency 1."""
        return _STANDARD

    @property
    def outer(self) -> Fraction:
        """1/a."""
        return 1 / Fraction(self.frequency)

    @property
    def inner(self) -> float:
        """a."""
        return self.frequency

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v + sin(a v)^2/a, also where a v overflows."""
        if self.frequency == 1:
            return self.base._response(v, out)
        wave = np.asarray(np.sin(_finite(self.drive.finite(v))))
        with np.errstate(over="ignore"):
            wave *= wave / self.frequency
            return np.add(v, wave, out=out)

    def _seen(self, z: ArrayLike) -> tuple[Array, Mask]:
        """Return a z, rounded once, and that no z is outside."""
        y = np.asarray(self.drive.finite(wide(z)))
        return y, np.zeros(y.shape, dtype=np.bool_)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1 + sin 2av."""
        return self.base._slope(self.drive.finite(v), out)


_STANDARD = _StandardSnake()


def _finite(v: Array) -> Array:
    """Return v cut at the largest floats, for the sine of an infinity is NaN."""
    largest = LARGEST[v.dtype]
    return np.asarray(np.minimum(np.maximum(v, -largest), largest))


class _Solution(NamedTuple):
    """w with r(w) = x: u = 2w + pi/2 less a multiple of 2 pi, sin(w)^2 = x - w, and a bound on the error of w."""

    u: Array
    chord: Array
    error: Array


def _solve(x: Array) -> _Solution:
    """Solve w + sin(w)^2 = x.

    Notes
    -----
    With u = 2w + pi/2 it is Kepler's equation u - sin u = 2x + pi/2 - 1 of eccentricity 1, both sides up to multiples
    of 2 pi. The right side is computed to relative rounding where it is small, next to the flat points of r, as the
    elasticity of u - sin u, from 2 to 3 for |u| <= pi, requires. Next to x = 0 Newton's method for w itself keeps the
    relative accuracy of w.
    """
    mean, mean_error = _mean_anomaly(x)
    u = _kepler(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(mean_error < np.abs(mean), mean_error / np.abs(mean), np.inf)
    # u - sin u increases by d - sin d >= d^3/10 at least over an interval of length d <= 3.
    u_error = np.minimum(np.abs(u) * relative, np.cbrt(10 * mean_error)) + 8 * EPS * np.abs(u)
    angle = 0.5 * u - _QUARTER_PI
    near = np.abs(x) <= 0.25
    w = np.where(near, angle, 0.0)
    inner = np.where(near, x, 0.0)
    for _ in range(2):
        w = w - (w + np.square(np.sin(w)) - inner) / (1 + np.sin(2 * w))
    error = np.where(near, 8 * EPS * np.abs(w), 0.5 * u_error + EPS)
    return _Solution(np.where(near, 2 * w + 2 * _QUARTER_PI, u), np.square(np.sin(np.where(near, w, angle))), error)


def _mean_anomaly(x: Array) -> tuple[Array, Array]:
    """Return 2x + pi/2 - 1 less a multiple of 2 pi, about between -pi and pi, and a bound on its error."""
    moderate = np.abs(x) <= _MODERATE
    twice = 2 * np.where(moderate, x, 0.0)
    turns = np.rint((twice + _SHIFT[0]) / _TURN[0])
    high, low = _two_sum(twice, -turns * _TURN[0])
    for part in (_SHIFT[0], -turns * _TURN[1]):
        high, lost = _two_sum(high, part)
        low = low + lost
    mean = high + (low + (_SHIFT[1] - turns * _TURN[2]))
    if moderate.all():
        return mean, 4 * EPS * np.abs(mean) + 1e-27
    far = 2 * np.clip(np.where(moderate, 0.0, x), -_LARGEST / 2, _LARGEST / 2)
    angle = np.arctan2(np.sin(far), np.cos(far)) + _SHIFT[0]
    angle = np.where(angle > np.pi, angle - 2 * np.pi, angle)
    return np.where(moderate, mean, angle), np.where(moderate, 4 * EPS * np.abs(mean) + 1e-27, 16 * EPS)


def _kepler(mean: Array) -> Array:
    """Return u with u - sin u = mean, |mean| about pi at most, to relative rounding.

    Newton's method from the first terms of the series in the cube root; from the first step on it comes from above,
    since u - sin u is convex on [0, pi].
    """
    size = np.abs(mean)
    goal = np.where(size > 0, size, 1.0)
    root = np.cbrt(6 * goal)
    square = np.square(root)
    u = root * (1 + square * (1 / 60 + square / 1400))
    for _ in range(4):
        u = u - (sine_excess(u) - goal) / (2 * np.square(np.sin(0.5 * u)))
    return np.where(size > 0, np.copysign(u, mean), 0.0)


def _two_sum(a: Array, b: Array | float) -> tuple[Array, Array]:
    """Return a + b rounded, and what the rounding lost."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _quarter_excess(w: Array) -> Array:
    """Return (2w - sin 2w)/4."""
    near = np.abs(w) <= 0.5
    far = 0.5 * w - 0.25 * np.sin(2 * np.clip(w, -_LARGEST / 2, _LARGEST / 2))
    return np.where(near, 0.25 * sine_excess(2 * np.where(near, w, 0.0)), far)


def _flint_primitive(v: Any) -> Any:
    return square(v) / 2 + (2 * v - (2 * v).sin()) / 4
