"""The softsign of a vector with its Euclidean length: its penalty is logarithmic at the unit sphere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.domain import Domain
from nngames.activations.foundations.radial import RadialActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.directions import as_layer, deficit, length_ball, polar, turning
from nngames.activations.numerics.flint_forms import ball, is_rational
from nngames.activations.numerics.rounding import EPS, Mask, log_excess, wide

_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class OpenUnitBall(Domain):
    """{z: |z| < 1}; the projection of what is not inside is the direction, a few units of its precision shorter."""

    def project(self, z: Array) -> Array:
        """Return z inside, else just inside in its direction, in the precision of z."""
        array = np.asarray(z)
        kind = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
        length, direction = polar(np.asarray(array, dtype=np.float64))
        edge = 1 - (array.shape[-1] + 8) * float(np.finfo(kind).eps)
        return np.where(length < edge, array, edge * direction).astype(kind, copy=False)

    def __str__(self) -> str:
        return "{z in R^n: |z| < 1}"


@activation_named("softsign_norm")
@dataclass(frozen=True)
class SoftsignNorm(RadialActivation):
    """r(v) = v/(1 + |v|), the softsign of a vector with its Euclidean length.

    g(v) = |v| - log(1 + |v|), g*(z) = -|z| - log(1 - |z|) on the open unit ball. The Jacobian has the eigenvalue
    1/(1 + |v|)^2 along v and 1/(1 + |v|) across: both are in (0, 1], and 1 is taken at v = 0 only.
    """

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """0 at infinity, 1 at 0."""
        return (
            rational_end(Fraction(0), ((1e6, 0.0), (1e6 + 1, 0.0)), attained=False),
            rational_end(Fraction(1), ((0.0, 0.0), (1e-10, 0.0))),
        )

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def domain(self) -> Domain:
        """The open unit ball."""
        return OpenUnitBall()

    def share(self, length: Array, out: Array | None = None) -> Array:
        """Return 1/(1 + |v|)."""
        return np.reciprocal(length + length.dtype.type(1.0), out=out)

    def stretch(self, length: Array) -> Array:
        """Return 1/(1 + |v|)^2."""
        return np.square(self.share(length))

    def length_primitive(self, length: Array) -> Array:
        """Return |v| - log(1 + |v|)."""
        return log_excess(length, np.log1p(length))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return -|z| - log(1 - |z|) where |z| < 1, +inf elsewhere."""
        z = wide(as_layer(self.name, z))
        rest, _ = _rest(z)
        inside = rest > 0
        size = np.where(inside, polar(z)[0][..., 0], 0.0)
        return np.where(inside, log_excess(-size, np.log(np.where(inside, rest, 1.0))), np.inf)

    def length_prox(self, u: Array, step: Array) -> Array:
        """Return w/(1 + w), w the positive root of step w^2 + (1 - u) w = u."""
        root = np.hypot(u - 1, 2 * np.sqrt(step) * np.sqrt(u))
        # Of the two forms of the root, the one that adds.
        w = np.where(u >= 1, (u - 1 + root) / (2 * step), 2 * u / np.where(u >= 1, 1.0, 1 - u + root))
        return np.where(w < np.inf, w / (1 + np.minimum(w, _LARGEST)), 1.0)

    def gap_parts(self, x: Array, v: Array) -> tuple[Array, Array, Mask]:
        """Return h((1 - s)(1 + |v|) - 1) + s |v| (1 - cos) with s = |x| and h(t) = t - log(1 + t)."""
        size, length, turn, turn_error = turning(x, v)
        unit = (x.shape[-1] + 8) * EPS
        rest, rest_error = _rest(x)
        outside = ~(rest > 0)
        rest = np.where(outside, 1.0, rest)
        size = np.where(outside, 0.0, size)
        scaled = length * rest
        t = scaled - size
        rest_error = np.where(outside, 0.0, rest_error / rest)
        slip = (2 * unit + rest_error) * scaled + unit * size
        logs = np.log(rest), np.log1p(length)
        # Near t = -1 the sum of logarithms is accurate, and t itself is not.
        value = log_excess(t, np.where(t < -0.5, logs[0] + logs[1], np.log1p(np.maximum(t, -0.5))))
        error = 16 * EPS * value + np.where(
            np.abs(t) <= 0.5, 2 * (np.abs(t) + slip) * slip, slip + rest_error + 2 * unit * (1 + logs[1] - logs[0])
        )
        product = size * length
        value = value + product * turn
        return value, error + product * turn_error + 2 * unit * product * turn, outside

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return -t - log(1 - t) minimised over t >= |z|, where it increases."""
        import cvxpy as cp

        t = cp.Variable()
        return -t - cp.log(1 - t), [cp.norm(z, 2) <= t]

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return -|z| - log(1 - |z|)."""
        if all(is_rational(t) for t in z) and sum(t * t for t in z) >= 1:
            return None
        size = length_ball(z)
        return None if size >= 1 else -size - (1 - size).log()

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return v/(1 + |v|) as balls."""
        length = length_ball(v)
        return [ball(t) / (1 + length) for t in v]


def _rest(x: Array) -> tuple[Array, Array]:
    """Return 1 - |x| = (1 - |x|^2)/(1 + |x|), at most 0 where |x| >= 1, and a bound on its error."""
    value, error = deficit(x, 1.0)
    grown = 1 + np.linalg.norm(np.clip(x, -2.0, 2.0), axis=-1)
    return value / grown, (error + (x.shape[-1] + 8) * EPS * np.abs(value)) / grown
