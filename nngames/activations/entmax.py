"""The 1.5-entmax activation: between softmax and sparsemax, with exact zeros and a smooth response inside a support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Activation, Array, FlintNumber, activation_named
from nngames.activations.foundations.domain import Domain, Simplex
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.directions import as_layer
from nngames.activations.numerics.elementwise import BLOCK
from nngames.activations.numerics.flint_forms import ball, is_rational, nonnegative_root, rational_midpoint
from nngames.activations.numerics.rounding import EPS, settle, wide
from nngames.activations.softmax import _on_simplex


@activation_named("entmax15")
@dataclass(frozen=True)
class Entmax15(Activation):
    """r(v) = max(v/2 - t, 0)^2 with the t for which the entries sum to 1 (Peters, Niculae and Martins 2019).

    It maximises <p, v> + (4/3) sum (p_i - p_i^1.5) over the simplex: g is the maximum and
    g*(z) = (4/3) (sum z_i^1.5 - 1) on the simplex.

    The Jacobian is diag(s) - s s'/sum(s), s = sqrt p. It is between 0 and diag(s) <= I, and s_i = 1 leaves only one
    entry, where it is 0: so all its eigenvalues are below 1. With n entries, one of them cos(a)^2 and the others
    equal, the only eigenvalue besides 0 and sin(a)/sqrt(n - 1) is n/(sqrt(n - 1)/sin a + (n - 1)/cos a), whose maximum
    n/(sqrt(n - 1) (1 + (n - 1)^(1/3))^1.5) is at tan(a)^3 = 1/sqrt(n - 1): it is 1/sqrt 2 for n = 2, where that is the
    supremum, and tends to 1 as n grows, like 1 - 1.5 n^(-1/3). So over all sizes the slopes are in [0, 1), and 1 is
    their supremum.
    """

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """0 along (1, ..., 1), and 1 as a limit of ever larger layers: no pair of workable size comes near it."""
        return rational_end(0, ((1.0, 1.0), (2.0, 2.0))), rational_end(1, ((), ()), attained=False)

    @property
    def domain(self) -> Domain:
        """The simplex."""
        return Simplex()

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return max(v/2 - t, 0)^2."""
        array = as_layer(self.name, v)
        result = np.empty_like(array) if out is None else out
        n = array.shape[-1]
        if array.size <= BLOCK or not (array.flags.c_contiguous and result.flags.c_contiguous):
            np.square(np.maximum(self._levels(array), 0.0), out=result)
            return result
        # A few rows at a time, so that the temporaries stay in the cache.
        rows, filled, count = array.reshape(-1, n), result.reshape(-1, n), max(1, BLOCK // n)
        for start in range(0, len(rows), count):
            levels = self._levels(rows[start : start + count])
            np.square(np.maximum(levels, 0.0, out=levels), out=filled[start : start + count])
        return result

    def _levels(self, v: Array) -> Array:
        """Return v/2 - t, no less than -1 where it is negative, to about n units of rounding of 1."""
        with np.errstate(over="ignore"):
            half = np.subtract(v, np.max(v, axis=-1, keepdims=True))
        half *= 0.5
        # t is in [-1, 0) for the shifted entries.
        np.maximum(half, -1.0, out=half)
        return half - _threshold(half)

    def jvp(self, v: Array, d: Array) -> Array:
        """Return s (d - <s, d>/sum s), s = sqrt r(v)."""
        s = np.maximum(self._levels(as_layer(self.name, v)), 0.0)
        return s * (d - np.sum(s * d, axis=-1, keepdims=True) / np.sum(s, axis=-1, keepdims=True))

    def primitive(self, v: ArrayLike) -> Array:
        """Return <p, v> + (4/3) (1 - sum p^1.5), p = r(v), with the largest entry of v apart."""
        v = wide(as_layer(self.name, v))
        top = np.max(v, axis=-1)
        s = np.maximum(self._levels(v), 0.0)
        with np.errstate(over="ignore"):
            below = np.where(s > 0, v - top[..., None], 0.0)
        return top + np.sum(np.square(s) * (below - (4 / 3) * s), axis=-1) + 4 / 3

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (4/3) (sum z^1.5 - 1) on the simplex, up to rounding of the sum; +inf off it."""
        inside = _on_simplex(as_layer(self.name, z))
        safe = np.where(inside[..., None], wide(z), 0.0)
        return np.where(inside, (4 / 3) * (np.sum(safe * np.sqrt(safe), axis=-1) - 1), np.inf)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return sum (2/3) (a - b)^2 (2 a + b) + 2 x max(t - v/2, 0), a = sqrt x and b = sqrt r(v); +inf off dom f.

        Where the sum of x is 1 only up to rounding, the bound covers the difference to the gap at the rescaled x.
        """
        inside = _on_simplex(as_layer(self.name, x))
        x, v = np.broadcast_arrays(wide(x), wide(as_layer(self.name, v)))
        n = x.shape[-1]
        x = np.where(inside[..., None], x, 1 / n)
        with np.errstate(over="ignore"):
            half = 0.5 * (v - np.max(v, axis=-1, keepdims=True))
            level = half - _threshold(np.maximum(half, -1.0))
        a, b, short = np.sqrt(x), np.maximum(level, 0.0), np.where(x > 0, np.maximum(-level, 0.0), 0.0)
        d = a - b
        value = np.sum((2 / 3) * np.square(d) * (2 * a + b) + 2 * x * short, axis=-1)
        # b, and the shortfall beside its relative rounding, are known to so much; the slope in b is 2 d (a + b).
        slip = (n + 12) * EPS
        error = np.sum((2 * (a + b) * (np.abs(d) + slip) + 2 * x) * slip + 8 * EPS * x * short, axis=-1)
        off = np.abs(np.sum(x, axis=-1) - 1) + n * EPS
        steep = np.max(np.where(x > 0, 2 * (np.abs(d) + short), 0.0), axis=-1)
        error = error + off * (steep + off) + 2 * n * EPS * value
        return settle(value, error, np.broadcast_to(~inside, value.shape))

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return the prox of step f at u; any positive step is admissible.

        Notes
        -----
        With a = sqrt p the minimiser of step (4/3) sum p^1.5 + (1 - step) |p|^2/2 - <p, u> on the simplex satisfies
        2 step a_i + (1 - step) a_i^2 = max(u_i - m, 0). The left side increases on [0, 1], so p decreases in m; where
        the largest entry is 1 the sum is too large, where it is 1/n too small, and Newton steps kept between find m.
        """
        steps = self.layer_steps(step)
        u = wide(as_layer(self.name, u))
        u = np.broadcast_to(u, np.broadcast_shapes(u.shape, steps.shape))
        if np.all(steps == 1):
            return self(u)
        with np.errstate(over="ignore"):
            below = u - np.max(u, axis=-1, keepdims=True)
        least = 1 / np.sqrt(u.shape[-1])
        low = -(1 + steps) * np.ones_like(below[..., :1])
        high = low + (1 + steps) - least * (2 * steps + (1 - steps) * least)
        m = 0.5 * (low + high)
        for _ in range(200):
            a = _root_share(below - m, steps)
            value = np.sum(np.square(a), axis=-1, keepdims=True) - 1
            low, high = np.where(value >= 0, m, low), np.where(value <= 0, m, high)
            slope = np.sum(a / (steps + (1 - steps) * a), axis=-1, keepdims=True)
            newton = m + value / np.where(slope > 0, slope, 1.0)
            inside = (newton > low) & (newton < high)
            following = np.where(value == 0, m, np.where(inside, newton, 0.5 * (low + high)))
            done = (np.abs(following - m) <= EPS * np.abs(m)) | (high - low <= 2 * EPS * (1 + steps))
            m = following
            if np.all(done):
                break
        return np.square(_root_share(below - m, steps))

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return (4/3) (sum z^1.5 - 1) with sum(z) = 1."""
        import cvxpy as cp

        # Solvers may return entries a little below 0, where the power is not defined.
        return (4 / 3) * (cp.sum(cp.power(cp.pos(z), 1.5)) - 1), [z >= 0, cp.sum(z) == 1]

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return (4/3) (sum z^1.5 - 1); None if an entry is negative or the sum cannot be 1."""
        if any(t < 0 for t in z) or sum(z) != 1:
            return None
        return (sum(nonnegative_root(t) ** 3 for t in z) - 1) * 4 / 3

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return max(v/2 - t, 0)^2 as balls; for balls, that of the midpoint, widened by the radius.

        With the k largest of the v_i/2, of mean M and with squared deviations D in sum, t = M - sqrt((1 - D)/k). The
        k-th is above that iff (M - v_k/2)^2 < (1 - D)/k, which rationals decide; r is 1-Lipschitz.
        """
        from flint import arb

        balls = [ball(t) for t in v]
        exact = [t if is_rational(t) else rational_midpoint(ball(t)) for t in v]
        radius = arb(0) if all(map(is_rational, v)) else sum(t.rad() * t.rad() for t in balls).sqrt().upper()
        halves = sorted((t / 2 for t in exact), reverse=True)
        threshold, total, squares = None, 0 * halves[0], 0 * halves[0]
        for k, half in enumerate(halves, start=1):
            total, squares = total + half, squares + half * half
            mean = total / k
            share = (1 - squares + k * mean * mean) / k
            if k > 1 and (share <= 0 or (mean - half) * (mean - half) >= share):
                break
            threshold = ball(mean) - ball(share).sqrt()
        above = [(ball(t / 2) - threshold).max(arb(0)) for t in exact]
        return [s * s + arb(0, radius) for s in above]


def _threshold(half: Array) -> Array:
    """Return the t (..., 1) for which max(half - t, 0)^2 sums to 1; the largest entry is 0, none is below -1.

    With the k largest, t = M - sqrt((1 - D)/k) as long as the k-th is above it; one Newton step on the sum, which is
    convex in t, takes off the rounding of the moments.
    """
    ordered = -np.sort(-half, axis=-1)
    counts = np.arange(1, half.shape[-1] + 1, dtype=half.dtype)
    mean = np.cumsum(ordered, axis=-1) / counts
    share = (1 - np.cumsum(np.square(ordered), axis=-1)) / counts + np.square(mean)
    candidates = mean - np.sqrt(np.maximum(share, 0.0))
    support = np.maximum(np.sum((ordered > candidates) & (share > 0), axis=-1, keepdims=True), 1)
    t = np.take_along_axis(candidates, support - 1, axis=-1)
    for _ in range(2):
        above = np.maximum(half - t, 0.0)
        total = np.sum(above, axis=-1, keepdims=True)
        t = t + (np.sum(np.square(above), axis=-1, keepdims=True) - 1) / (2 * total)
    return t


def _root_share(above: Array, steps: Array) -> Array:
    """Return the a in [0, 1] with 2 step a + (1 - step) a^2 = max(above, 0), where that is at most 1 + step."""
    level = np.minimum(np.maximum(above, 0.0), 1 + steps)
    return level / (steps + np.sqrt(np.maximum(np.square(steps) + (1 - steps) * level, 0.0)))
