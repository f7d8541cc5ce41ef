"""Layer and root-mean-square normalisation: the inverse square root unit of a vector, with and without its mean.

With w = v (``rms_norm``) or w = C v, v less its mean (``layer_norm``), and h = sqrt(|w|^2/n + e): r(v) = w/h,
    g(v) = n h,    g*(z) = -sqrt(e) n c(z), c(z) = sqrt(1 - |z|^2/n), for |z| <= sqrt n (and sum z = 0).
(x, sqrt(n) c(x)) and (r(v), sqrt(n e)/h) are points of one sphere of R^(n+1), and the gap is h/2 times the square of
their distance: h/2 (|x - r(v)|^2 + n (c(x) - sqrt(e)/h)^2), a sum of squares.

A learned gain after it, diag(a) r(v), has the Jacobian diag(a) J, which is symmetric only where the gains are equal:
with different gains it is no gradient, so the prox of nothing. A bias does no such harm.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Activation, Array, FlintNumber, activation_named
from nngames.activations.foundations.domain import AffineHull, Domain, sum_zero_basis
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.projections import ON_SET, row_scale
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.directions import as_layer, deficit, polar
from nngames.activations.numerics.flint_forms import ball, half_square, nonnegative_root
from nngames.activations.numerics.rounding import EPS, Mask, floating, settle, wide
from nngames.core.exact import rational


@dataclass(frozen=True)
class RootBall(Domain):
    """{z in R^n: |z| <= sqrt n}, of the sum-zero vectors only where ``centred``."""

    centred: bool

    def project(self, z: Array) -> Array:
        """Return the nearest point: z less its mean where ``centred``, shortened to sqrt n."""
        array = np.asarray(z)
        kind = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
        point: Array = np.asarray(array, dtype=np.float64)
        point = centre(point) if self.centred else point
        length, direction = polar(point)
        root = np.sqrt(point.shape[-1])
        return np.where(length <= root, point, root * direction).astype(kind, copy=False)

    def affine_hull(self, n: int) -> AffineHull:
        """Return R^n, or the vectors that sum to zero."""
        if not self.centred:
            return AffineHull(np.zeros(n))
        return AffineHull(np.zeros(n), sum_zero_basis(n), "sum_zero" if n > 1 else "zero")

    def __str__(self) -> str:
        return "{z in R^n: |z|^2 <= n" + (", sum z = 0}" if self.centred else "}")


def centre(v: Array) -> Array:
    """Return v less its mean along the last axis."""
    scale = row_scale(v)
    return _without_mean(v / scale) * scale


def _without_mean(v: Array) -> Array:
    """Return v less its mean; where a common part is large, less the mean of what its rounding left as well."""
    mean = np.mean(v, axis=-1, keepdims=True)
    w: Array = v - mean
    common = np.abs(mean) > np.max(np.abs(w), axis=-1, keepdims=True)
    if np.any(common):
        w -= np.where(common, np.mean(w, axis=-1, keepdims=True), v.dtype.type(0.0))
    return w


class Normalization(Activation):
    """r(v) = w/sqrt(|w|^2/n + e), w = v or v less its mean; see the module. e = ``epsilon`` > 0.

    Frameworks take 1e-5 for e. The Jacobian is (P - r r'/n)/h with P = I or C: its eigenvalues are 1/h on the
    directions of P across w, e/h^3 along w, and 0 off P. All are in [0, 1/sqrt(e)], so that f is convex iff e >= 1.
    """

    epsilon: float

    def __post_init__(self) -> None:
        store(self, epsilon=number(self, "epsilon", positive=True))

    @property
    @abstractmethod
    def centred(self) -> bool:
        """Whether the mean is taken off."""

    @property
    def bounded(self) -> bool:
        """Always: |r(v)| < sqrt n."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """0 far out (and along the mean), and 1/sqrt(e) where w = 0."""
        root, e = self._root, self.epsilon
        far, near = 1e5 * max(root, 1.0), 1e-6 * root
        low = rational_end(0, ((1.0, 1.0), (2.0, 2.0)) if self.centred else ((far, 0.0), (2 * far, 0.0)), self.centred)
        pair = ((-near, near), (near, -near))
        if Fraction(root) ** 2 == Fraction(e):
            return low, rational_end(1 / Fraction(root), pair)
        return low, SlopeEnd(f"1/sqrt({e!r})", lambda: 1 / ball(rational(e)).sqrt(), pair)

    @property
    def _root(self) -> float:
        return float(np.sqrt(self.epsilon))

    @property
    def domain(self) -> Domain:
        """The ball of radius sqrt n, of the sum-zero vectors for layer_norm."""
        return RootBall(self.centred)

    def _offset(self, v: Array) -> Array:
        return centre(v) if self.centred else v

    def _scaled(self, v: Array) -> tuple[Array, Array, Array]:
        """Return w/s, h/s and s (..., 1), s a power of two near the size of v where that is extreme."""
        scale = row_scale(v)
        w = self._offset(v / scale)
        length, _ = polar(w)
        return w, np.hypot(length / np.sqrt(v.shape[-1]), self._root / scale), scale

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return w/h."""
        array = as_layer(self.name, v)
        n = array.shape[-1]
        kind = np.finfo(array.dtype)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            w = _without_mean(array) if self.centred else array
            square = np.einsum("...i,...i->...", w, w)[..., None]
            square /= n
            square += self.epsilon
            # Where the squares neither overflow nor underflow, as nearly always.
            if np.all(square < kind.max) and self.epsilon > kind.tiny / kind.eps:
                return np.divide(w, np.sqrt(square, out=square), out=out)
            w, h, _ = self._scaled(wide(array))
            result = w / np.where(h > 0, h, 1.0)
            if out is None:
                return result.astype(array.dtype, copy=False)
            np.copyto(out, result, casting="same_kind")
        return out

    def jvp(self, v: Array, d: Array) -> Array:
        """Return (P d - r <r, d>/n)/h, for long w as the part across w and the part along it."""
        w, h, scale = self._scaled(wide(v))
        direction = polar(w)[1]
        moved = self._offset(wide(d))
        along = direction * np.sum(direction * moved, axis=-1, keepdims=True)
        share = np.square(self._root / scale / np.where(h > 0, h, 1.0))
        result = (moved - along + share * along) / np.where(h > 0, h, 1.0) / scale
        return result.astype(np.result_type(v, d), copy=False)

    def primitive(self, v: ArrayLike) -> Array:
        """Return n h."""
        array = wide(as_layer(self.name, v))
        _, h, scale = self._scaled(array)
        with np.errstate(over="ignore"):
            return (array.shape[-1] * h * scale)[..., 0]

    def contains(self, z: ArrayLike) -> Mask:
        """Return whether each row is in the domain up to rounding."""
        array = floating(z)
        n = array.shape[-1]
        tolerance = max(ON_SET, 8 * n * float(np.finfo(array.dtype).eps))
        point = wide(array)
        inside: Mask = polar(point)[0][..., 0] <= np.sqrt(n) * (1 + tolerance)
        if not self.centred:
            return inside
        with np.errstate(over="ignore", invalid="ignore"):
            return inside & (np.abs(np.sum(point, axis=-1)) <= tolerance * n)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return -sqrt(e) n c(z) on the ball, up to rounding; +inf off it."""
        array = as_layer(self.name, z)
        inside = self.contains(array)
        point = np.where(inside[..., None], wide(array), 0.0)
        return np.where(inside, -self._root * array.shape[-1] * self._height(point)[0], np.inf)

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return the prox of step f at u.

        Notes
        -----
        p = sqrt(n) q w/|w|, w = u (centred), with k q/sqrt(1 - q^2) + (1 - step) q = y, where k = step sqrt(e) and
        y = |w|/sqrt n. In t = q/sqrt(1 - q^2), k t + (1 - step) t/sqrt(1 + t^2) = y, whose left side increases for
        every admissible step: its slope is at least k + min(1 - step, 0) > 0.
        """
        steps = self.layer_steps(step)
        point = wide(as_layer(self.name, u))
        point = np.broadcast_to(point, np.broadcast_shapes(point.shape, steps.shape))
        scale = row_scale(point)
        length, direction = polar(self._offset(point / scale))
        k, bend = steps * self._root, 1 - steps
        root_n = np.sqrt(point.shape[-1])
        with np.errstate(over="ignore"):
            # Beyond t = 1e100 the quotient is 1.
            t = _angle(np.minimum(length / root_n * scale, 1e100 * k + np.abs(bend)), k, bend)
            return root_n * (t / np.hypot(1, t)) * direction

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return h/2 (|x - r(v)|^2 + n (c(x) - sqrt(e)/h)^2); +inf off dom f.

        Where rounding leaves x off the domain, the bound covers the difference to the gap at the nearest point.
        """
        outside = ~self.contains(as_layer(self.name, x))
        x, v = np.broadcast_arrays(wide(x), wide(v))
        outside = np.broadcast_to(outside, x.shape[:-1])
        x = np.where(outside[..., None], 0.0, x)
        n = x.shape[-1]
        unit, root_n = (n + 12) * EPS, np.sqrt(n)
        with np.errstate(over="ignore", invalid="ignore"):
            w, h, scale = self._scaled(v)
            safe = np.where(h > 0, h, 1.0)
            straight = np.linalg.norm(self._offset(x) - w / safe, axis=-1)
            rest = (self._root / scale / safe)[..., 0]
            height, height_error, beyond = self._height(x)
            lift = root_n * np.abs(height - rest)
            lift_error = root_n * (height_error + unit * rest)
            slip = unit * root_n + beyond
            half = 0.5 * (h * scale)[..., 0]
            value = half * (np.square(straight) + np.square(lift))
            error = half * ((2 * straight + slip) * slip + (2 * lift + lift_error) * lift_error) + 4 * unit * value
            return settle(np.where(np.isnan(value), np.inf, value), error, outside)

    def _height(self, z: Array) -> tuple[Array, Array, Array]:
        """Return c(z), a bound on its error, and how far z is beyond the ball, for z less its mean where centred."""
        n = z.shape[-1]
        square, error = deficit(z, float(n))
        if self.centred:
            # |z - mean|^2 = |z|^2 - (sum z)^2/n, and the sum is 0 up to rounding.
            total, slip = np.abs(np.sum(z, axis=-1)), n * EPS * np.sum(np.abs(z), axis=-1)
            square, error = square + np.square(total) / n, error + (2 * total + slip) * slip
        height = np.sqrt(np.maximum(square, 0.0) / n)
        loss = np.where(square > 2 * error, error / np.sqrt(np.maximum(square, error) * n), np.sqrt(3 * error / n))
        return height, loss + EPS * height, np.maximum(error - square, 0.0)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return -sqrt(e n) t maximised over |(t, z)| <= sqrt n."""
        import cvxpy as cp

        n = z.shape[0]
        t = cp.Variable()
        both = cp.norm(cp.hstack([z, t]), 2) <= np.sqrt(n)
        return -self._root * np.sqrt(n) * t, [both, *([cp.sum(z) == 0] if self.centred else [])]

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return -sqrt(e) n sqrt(1 - |z|^2/n); None off the ball, or where the sum cannot be 0."""
        n = len(z)
        if self.centred and sum(z) != 0:
            return None
        rest = n - 2 * sum(half_square(t) for t in z)
        if rest < 0:
            return None
        root = ball(rational(self.epsilon) * n).sqrt()
        return -root * nonnegative_root(rest)

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return w/h as balls."""
        n = len(v)
        if self.centred:
            mean = sum(v) / n
            v = [t - mean for t in v]
        h = ball(sum(half_square(t) for t in v) * 2 / n + rational(self.epsilon)).sqrt()
        return [ball(t) / h for t in v]


def _angle(y: Array, k: Array, bend: Array) -> Array:
    """Solve k t + bend t/sqrt(1 + t^2) = y for t >= 0, by Newton steps kept in a bracket."""
    # The quotient is between 0 and 1, and at most t.
    middle, ends = y / k, ((y - bend) / k, y / (k + bend))
    low = np.where(bend >= 0, np.maximum(*ends), middle)
    high = np.where(bend >= 0, middle, np.minimum(*ends))
    t = 0.5 * (low + high)
    for _ in range(200):
        long = np.hypot(1, t)
        value = k * t + bend * (t / long) - y
        low, high = np.where(value <= 0, t, low), np.where(value >= 0, t, high)
        newton = t - value / (k + bend / long / long / long)
        inside = (newton > low) & (newton < high)
        following = np.where(value == 0, t, np.where(inside, newton, 0.5 * (low + high)))
        if np.all((np.abs(following - t) <= EPS * t) | (high - low <= 2 * EPS * high)):
            return following
        t = following
    return t


@activation_named("layer_norm")
@dataclass(frozen=True)
class LayerNorm(Normalization):
    """r(v) = (v - mean)/sqrt(var + e), var the mean of the squares of v - mean and e = ``epsilon`` > 0.

    Slopes go from 0 to 1/sqrt(e), so that f is convex iff e >= 1. Frameworks take 1e-5 for e.

    g(v) = n sqrt(var + e), g*(z) = -n sqrt(e) sqrt(1 - |z|^2/n) for |z|^2 <= n, sum z = 0.
    """

    epsilon: float = 0.25

    @property
    def centred(self) -> bool:
        """Always."""
        return True


@activation_named("rms_norm")
@dataclass(frozen=True)
class RmsNorm(Normalization):
    """r(v) = v/sqrt(|v|^2/n + e) with e = ``epsilon`` > 0.

    Slopes go from 0 to 1/sqrt(e), so that f is convex iff e >= 1. Frameworks take 1e-5 for e.

    g(v) = n sqrt(|v|^2/n + e), g*(z) = -n sqrt(e) sqrt(1 - |z|^2/n) for |z|^2 <= n.
    """

    epsilon: float = 0.25

    @property
    def centred(self) -> bool:
        """Never."""
        return False
