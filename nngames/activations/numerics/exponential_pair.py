"""The pair of an exponential and its inverse that the soft exponential is made of, with their divergence."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from scipy.special import wrightomega

from nngames.activations.numerics.compensated import exponential
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import EPS, UNDERFLOW, Array, exp_excess, relative_entropy
from nngames.core.exact import rational
from nngames.core.roots import increasing_root

_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Pair:
    """The increasing maps E(w) = c + (e^(c w) - 1)/c and L(y) = log(1 + c (y - c))/c, inverse to each other; c > 0.

    L is defined beyond c - 1/c, which is kept in two parts. Integrals of E and L, conjugate to each other, are
    c w + (e^(c w) - 1 - c w)/c^2 and (Y log Y - Y + 1)/c^2 with Y = 1 + c (y - c); their sum at w and y less w y is the
    generalised divergence of Y from e^(c w) over c^2.
    """

    c: float

    @cached_property
    def end(self) -> tuple[float, float]:
        """c - 1/c as a float and what that lacks."""
        exact = Fraction(self.c) - 1 / Fraction(self.c)
        return float(exact), float(exact - Fraction(float(exact)))

    @cached_property
    def zero(self) -> tuple[float, float]:
        """The zero log(1 - c^2)/c of E, for c < 1, as a float and what that lacks."""
        from nngames.core.ball_ranges import working_precision

        with working_precision(1200):
            c = rational(self.c)
            exact = ball(-c * c).log1p() / c
            nearest = float(exact.mid())
            return nearest, float((exact - nearest).mid())

    @property
    def level(self) -> float:
        """c - 1/c, also to relative rounding near c = 1."""
        return (self.c - 1) * ((self.c + 1) / self.c)

    def inside(self, y: Array) -> Array:
        """Return Y = 1 + c (y - c), to relative rounding."""
        nearest, rest = self.end
        with np.errstate(over="ignore"):
            return self.c * ((y - nearest) - rest)

    def grown(self, w: Array) -> Array:
        """Return (e^(c w) - 1)/c, to relative rounding except for that of c w."""
        with np.errstate(over="ignore"):
            return np.expm1(self.c * w) / self.c

    def exponent(self, w: Array) -> Array:
        """Return E(w), for c < 1 near its zero as (1/c - c)(e^(c (w - zero)) - 1), in which nothing cancels."""
        c, level = self.c, self.level
        with np.errstate(over="ignore"):
            if c >= 1:
                return exponential(w, c) / c + level
            nearest, rest = self.zero
            drive = c * ((w - nearest) - rest)
            value = np.asarray(np.expm1(drive) * -level)
            late = drive > 4.0
            if late.any():
                value[late] = exponential(np.asarray(w)[late], c) / c + level
        return value

    def logarithm(self, y: Array) -> Array:
        """Return L(y)."""
        c = self.c
        with np.errstate(over="ignore"):
            drive = np.asarray(c * (y - c))
        value = np.asarray(np.log1p(np.maximum(drive, -0.5)))
        low, high = drive < -0.5, np.isinf(drive)
        if low.any():
            value[low] = np.log(self.inside(np.asarray(y)[low]))
        if high.any():
            value[high] = np.log(np.asarray(y)[high]) + np.log(c)
        return value / c

    def logarithm_slope(self, y: Array) -> Array:
        """Return the slope 1/Y of L."""
        nearest, rest = self.end
        with np.errstate(over="ignore"):
            distance = (y - nearest) - rest
            return np.asarray(1 / (self.c * distance) if self.c <= 1 else (1 / distance) / self.c)

    def exponent_primitive(self, w: Array) -> Array:
        """Return c w + (e^(c w) - 1 - c w)/c^2."""
        c = self.c
        with np.errstate(over="ignore", invalid="ignore"):
            drive = c * w
            near = np.abs(drive) <= 1
            close = c * w + self._over_square(exp_excess(np.where(near, drive, 0.0)), drive, w)
            growth = np.expm1(drive) / c / c
            far = np.where(growth == np.inf, np.inf, self.level * w + growth)
        return np.where(near, close, far)

    def logarithm_primitive(self, y: Array) -> Array:
        """Return (Y log Y - Y + 1)/c^2."""
        with np.errstate(over="ignore", invalid="ignore"):
            offset = y - self.c
            drive = self.c * offset
            one = np.ones_like(y)
            entropy = relative_entropy(self.inside(y), one, drive, 0 * one, 0 * one)[0]
            return self._over_square(entropy, drive, offset)

    def _over_square(self, excess: Array, drive: Array, offset: Array) -> Array:
        """Return excess/c^2 where excess is drive^2/2 to leading order and drive = c offset."""
        return np.where(np.abs(drive) < 1e-150, 0.5 * np.square(offset), excess / self.c / self.c)

    def distance(self, y: Array, w: Array) -> tuple[Array, Array]:
        """Return the divergence of Y(y) from e^(c w) over c^2, and a bound on its error."""
        c = self.c
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            inside, drive = self.inside(y), c * w
            level = exponential(w, c)
            early = drive < -0.7
            offset, growth = y - c, self.grown(w)
            d = np.where(early, inside - level, c * (offset - growth))
            slip = EPS * np.abs(drive) * level
            sizes = np.where(early, 2 * inside + 4 * level, c * (2 * np.abs(offset) + 4 * np.abs(growth)))
            error = EPS * (sizes + np.abs(d)) + slip
            relative = EPS * (8 + np.abs(drive))
            value, bound = relative_entropy(inside, level, d, drive, error, relative)
            value, bound = value / c / c, (bound + 8 * EPS * value + UNDERFLOW) / c / c
        finite = np.isfinite(value)
        return np.where(finite, value, np.inf), np.where(finite, bound, np.inf)

    def mixed_root(self, u: Array, share: Array) -> Array:
        """Return the w with share E(w) + (1 - share) w = u, for shares in [0, 1), by Newton's method.

        It starts from the solution by Wright's function o, o(t) + log o(t) = t, which loses digits where c is small.
        """
        c, rest = self.c, 1 - share

        def value(w: Array) -> Array:
            return share * (c + self.grown(w)) + rest * w - u

        def noise(w: Array) -> Array:
            return EPS * (share * (c + np.abs(self.grown(w))) + np.abs(rest * w) + np.abs(u))

        with np.errstate(all="ignore"):
            level = (u - share * (c - 1 / c)) / rest
            curve = wrightomega(c * level + np.log(share / rest))
            start = np.where(curve > 1, np.log(curve * (rest / share)) / c, level - curve / c)
            start = np.where(np.abs(value(start)) < np.abs(value(u)), start, np.minimum(u, 700 / c))
            root = increasing_root(value, lambda w: share * exponential(w, c) + rest, start, noise)
        return np.clip(root, -_LARGEST, _LARGEST)
