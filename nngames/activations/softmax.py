"""The softmax activation, whose penalty is the negative entropy on the simplex less half the square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import lambertw, wrightomega, xlogy

from nngames.activations.foundations.base import Activation, Array, FlintNumber, activation_named
from nngames.activations.foundations.domain import Domain, Simplex
from nngames.activations.foundations.formulas import quotient
from nngames.activations.foundations.parameters import number, refusal, store
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.compensated import corrected, exponential_correction
from nngames.activations.numerics.flint_forms import ball, entropy_term
from nngames.activations.numerics.rounding import EPS, Mask, floating, relative_entropy, settle, wide
from nngames.core.errors import ShapeError
from nngames.core.exact import rational


@activation_named("softmax")
@dataclass(frozen=True)
class Softmax(Activation):
    """r(v)_i = e^(gain v_i) / sum_j e^(gain v_j).

    g(v) = log(sum_j e^(gain v_j))/gain. The Jacobian gain (diag(p) - pp') has eigenvalues between 0 and gain/2, which
    is reached at p = (1/2, 1/2). For gain > 0: g*(z) = sum z_i log(z_i)/gain on the simplex. For gain < 0 it is the
    prox of nothing. A gain of 0 is refused: r would be constant, at a point that depends on the size of the layer.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        store(self, gain=number(self, "gain"))
        if self.gain == 0:
            raise refusal(self, "gain", "must not be 0: the response would be constant")

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Eigenvalues between 0 along equal entries and gain/2 at p = (1/2, 1/2)."""
        half = 1e-5 / self.gain
        flat, steep = rational_end(0, ((0.0, 0.0), (1.0, 1.0))), Fraction(self.gain) / 2
        across = rational_end(steep, ((half, -half), (-half, half)))
        return (flat, across) if self.gain > 0 else (across, flat)

    @property
    def domain(self) -> Domain:
        """The simplex."""
        self.require_penalty()
        return Simplex()

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return e^(gain v) over its sum."""
        array = floating(v)
        if array.ndim == 0 or array.shape[-1] == 0:
            given = "a single number" if array.ndim == 0 else "an empty one"
            raise ShapeError(f"activation {self.name!r} acts on a layer; got {given}")
        correction = None
        with np.errstate(over="ignore"):
            result = np.subtract(array, self.top(array), out=out)
            if self.gain != 1.0:
                below = result.copy()
                result *= self.gain
                correction = exponential_correction(below, self.gain, result)
        np.exp(result, out=result)
        result = corrected(result, correction)
        result /= _sums(result)
        return result

    def top(self, v: Array) -> Array:
        """Return the entry (..., 1) with the largest share."""
        return _largest(v) if self.gain > 0 else v.min(axis=-1, keepdims=True)

    def jvp(self, v: Array, d: Array) -> Array:
        """Return gain (p d - p <p, d>)."""
        p = self(v)
        # Where one share is nearly 1 the mean of d is close to its d, which is taken off first.
        d = d - _entry_of_largest(d, p)
        return self.gain * p * (d - _sums(p * d))

    def primitive(self, v: ArrayLike) -> Array:
        """Return log(sum e^(gain v))/gain."""
        v = wide(v)
        top = self.top(v)
        with np.errstate(over="ignore"):
            terms = np.exp(self.gain * (v - top))
        return top[..., 0] + np.log(_sums(terms)[..., 0]) / self.gain

    def conjugate(self, z: ArrayLike) -> Array:
        """Return sum z log(z)/gain on the simplex, up to rounding of the sum; +inf off it."""
        self.require_penalty()
        inside = _on_simplex(floating(z))
        safe = np.where(inside[..., None], wide(z), 0.0)
        return np.where(inside, np.sum(xlogy(safe, safe), axis=-1) / self.gain, np.inf)

    @property
    def penalty_formula(self) -> str | None:
        """z log(z)/gain - z^2/2 where gain > 0."""
        return f"{quotient('z*ln(z)', self.gain)} - z^2/2" if self.gain > 0 else None

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the Kullback-Leibler divergence of x from r(v), over gain; +inf off the simplex.

        Each coordinate gives x log(x/p) - x + p >= 0. Where the sum of x is 1 only up to rounding, the bound covers
        the difference to the gap at the rescaled x.
        """
        self.require_penalty()
        inside = _on_simplex(floating(x))
        x, v = np.broadcast_arrays(wide(x), wide(v))
        n = x.shape[-1]
        x = np.where(inside[..., None], x, 1 / n)
        with np.errstate(over="ignore"):
            argument = self.gain * (v - v.max(axis=-1, keepdims=True))
        terms = np.exp(argument)
        total = np.sum(terms, axis=-1, keepdims=True)
        p, log_p = terms / total, argument - np.log(total)
        relative = EPS * (8 + n + 2 * np.minimum(np.abs(argument), 800.0))
        d = x - p
        value, error = relative_entropy(x, p, d, log_p, relative * p + EPS * np.abs(d), relative)
        value, error = np.sum(value, axis=-1), np.sum(error, axis=-1) + n * EPS * np.sum(value, axis=-1)
        return settle(value / self.gain, (error + _sum_error(x, p, d, log_p)) / self.gain, ~inside)

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return the prox of step f at u; ``step`` is one number for each layer, of shape () or (..., 1).

        Notes
        -----
        With k = step/gain the minimiser of k sum p log p + (1 - step) |p|^2/2 - <p, u> on the simplex satisfies
        Y(p_i) = u_i - t for all i, Y(p) = k log p + (1 - step) p. Y increases up to p* = k/(step - 1), which is above
        1/2 for every admissible step: so only the largest p_i, m say, can lie beyond p*. Given m, t = max(u) - Y(m) and
        the others follow by Lambert's W; m solves m + sum of the others = 1. At a solution the left side increases in m
        (the cost is strongly convex), so there is one root in [1/n, 1], found by Newton steps kept in a bracket.
        """
        steps = self.layer_steps(step)
        u = wide(u)
        u = np.broadcast_to(u, np.broadcast_shapes(u.shape, steps.shape))
        steps = np.broadcast_to(steps, (*u.shape[:-1], 1))
        if (steps == 1).all():
            return self(u)
        return _EntropyProx(u, steps, self.gain).solve()

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return the negative entropy over gain, with sum(z) = 1."""
        import cvxpy as cp

        self.require_penalty()
        return -cp.sum(cp.entr(z)) / self.gain, [cp.sum(z) == 1]

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return sum z log(z)/gain; None if an entry is negative or the sum cannot be 1."""
        self.require_penalty()
        if any(t < 0 for t in z) or sum(z) != 1:
            return None
        return sum(entropy_term(t) for t in z) / rational(self.gain)

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return e^(gain v) over its sum."""
        scaled = [rational(self.gain) * ball(t) for t in v]
        return [1 / sum((other - t).exp() for other in scaled) for t in scaled]


class _EntropyProx:
    """The prox of step f for softmax, on rows u (..., n) with steps (..., 1)."""

    def __init__(self, u: Array, steps: Array, gain: float) -> None:
        self.weight = steps / gain
        self.curvature = 1 - steps
        self.top = np.argmax(u, axis=-1, keepdims=True)
        with np.errstate(over="ignore"):
            self.below = u - np.max(u, axis=-1, keepdims=True)

    def solve(self) -> Array:
        """Return the minimisers."""
        n = self.below.shape[-1]
        low, high = np.full(self.top.shape, 1.0 / n), np.ones(self.top.shape)
        m = np.maximum(low, 0.5)
        for _ in range(200):
            others = self._others(m)
            value = m - 1 + np.sum(others, axis=-1, keepdims=True)
            low, high = np.where(value <= 0, m, low), np.where(value >= 0, m, high)
            slope = 1 + self._slope(m) * np.sum(
                others / (self.weight + self.curvature * others), axis=-1, keepdims=True
            )
            with np.errstate(divide="ignore", invalid="ignore"):
                newton = m - value / slope
            good = (newton > low) & (newton < high) & (slope > 0)
            following = np.where(value == 0, m, np.where(good, newton, 0.5 * (low + high)))
            if np.all((np.abs(following - m) <= EPS * m) | (high - low <= EPS * high)):
                break
            m = following
        p = self._others(m)
        np.put_along_axis(p, self.top, m, axis=-1)
        return p

    def _level(self, m: Array) -> Array:
        return self.weight * np.log(m) + self.curvature * m

    def _slope(self, m: Array) -> Array:
        return self.weight / m + self.curvature

    def _others(self, m: Array) -> Array:
        """Return the entries that go with the largest one m, on the increasing branch of Y; 0 at the largest one."""
        with np.errstate(over="ignore"):
            level = (self.below + self._level(m)) / self.weight
        size = np.abs(self.curvature)
        ratio = np.where(size > 0, size / self.weight, 1.0)
        plain = np.exp(np.minimum(level, 0.0))
        convex = wrightomega(level + np.log(ratio)) / ratio
        concave = -lambertw(np.maximum(-ratio * plain, -np.exp(-1.0))).real / ratio
        p = np.where(self.curvature > 0, convex, np.where(self.curvature < 0, concave, plain))
        np.put_along_axis(p, self.top, 0.0, axis=-1)
        return p


def _entry_of_largest(d: Array, p: Array) -> Array:
    """Return the entry (..., 1) of d where p is largest."""
    if d.shape == p.shape and _many_short(p):
        # Of equal shares the mean of their entries.
        largest = p == _largest(p)
        return _sums(np.where(largest, d, 0.0)) / _sums(largest.astype(d.dtype))
    rows, places = np.broadcast_arrays(d, np.argmax(p, axis=-1, keepdims=True))
    return np.take_along_axis(rows, places[..., :1], axis=-1)


def _many_short(v: Array) -> bool:
    """Whether there are so many rows, and so short, that NumPy's reductions along them are slow."""
    return v.ndim == 2 and v.shape[1] <= 64 < len(v)


def _largest(v: Array) -> Array:
    """Return the largest entry (..., 1) of each row."""
    return np.ascontiguousarray(v.T).max(axis=0)[:, None] if _many_short(v) else v.max(axis=-1, keepdims=True)


def _sums(v: Array) -> Array:
    """Return the sum (..., 1) of each row."""
    return np.einsum("tn->t", v)[:, None] if _many_short(v) else v.sum(axis=-1, keepdims=True)


def _on_simplex(z: Array) -> Mask:
    """Return whether each row is nonnegative and sums to 1 up to rounding in its precision."""
    tolerance = max(1e-12, 8 * z.shape[-1] * float(np.finfo(z.dtype).eps))
    return np.all(z >= 0, axis=-1) & (np.abs(np.sum(wide(z), axis=-1) - 1) <= tolerance)


def _sum_error(x: Array, p: Array, d: Array, log_p: Array) -> Array:
    """Bound how far the divergence moves when x is rescaled to sum 1: |sum x - 1| sum x |log(x/p)| to first order."""
    off = np.abs(np.sum(x, axis=-1) - 1) + x.shape[-1] * EPS
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(np.abs(d) <= 0.5 * p, 2 * np.abs(d) / p, np.abs(np.log(x)) + np.abs(log_p))
        steep = np.sum(np.where(x > 0, x * ratio, 0.0), axis=-1)
    return 2 * off * (steep + off)
