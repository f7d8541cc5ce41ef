"""The projection on the simplex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.domain import Domain, Simplex, simplex_threshold
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.projections import ON_SET, RationalProjection
from nngames.activations.foundations.slopes import Pair
from nngames.activations.numerics.rounding import EPS, Mask, floating, wide
from nngames.core.exact import rational


@activation_named("simplex")
@dataclass(frozen=True)
class SimplexProjection(RationalProjection):
    """The projection on the vectors with nonnegative entries that sum to ``total``: r(v) = max(v - t, 0)."""

    total: float = 1.0

    def __post_init__(self) -> None:
        store(self, total=number(self, "total", positive=True))

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def domain(self) -> Domain:
        """The simplex."""
        return Simplex(self.total)

    @property
    def notation(self) -> str:
        """The set in the usual notation."""
        return str(self.domain)

    def slope_pair(self, slope: float) -> Pair:
        """Return two points in R^2: of the simplex, or with equal entries."""
        half = 0.5 * self.total
        return ((half, half), (0.5 * half, 1.5 * half)) if slope else ((0.0, 0.0), (half, half))

    def project(self, v: Array) -> Array:
        """Return the nearest point of the simplex."""
        return self.domain.project(v)

    def contains(self, z: ArrayLike) -> Mask:
        """Return whether each row is nonnegative with the right sum, up to rounding."""
        array = floating(z)
        tolerance = max(ON_SET, 8 * array.shape[-1] * float(np.finfo(array.dtype).eps)) * self.total
        return np.all(array >= 0, axis=-1) & (np.abs(np.sum(wide(array), axis=-1) - self.total) <= tolerance)

    def jvp(self, v: Array, d: Array) -> Array:
        """Return d less its mean on the entries that are positive in r(v), 0 elsewhere."""
        support = self(v) > 0
        mean = np.sum(np.where(support, d, 0.0), axis=-1, keepdims=True) / np.sum(support, axis=-1, keepdims=True)
        return np.where(support, d - mean, 0.0)

    def gap_parts(self, x: Array, v: Array) -> tuple[Array, Array, Array, Array]:
        """Return the normal part sum_i x_i max(t - v_i, 0), t the threshold: what the entries cut to 0 are short of."""
        n = x.shape[-1]
        with np.errstate(over="ignore"):
            shifted = v - np.max(v, axis=-1, keepdims=True)
        cut = np.maximum(shifted, -self.total)
        threshold = simplex_threshold(cut, self.total)
        p = np.maximum(cut - threshold, 0.0)
        short = np.maximum(threshold - shifted, 0.0)
        entry_error = (n + 8) * EPS * self.total
        off = np.abs(np.sum(x, axis=-1) - self.total) + n * EPS * self.total
        steepest = np.max(np.abs(x - p) + np.where(x > 0, short, 0.0), axis=-1)
        error = entry_error * np.sum(np.where(p > 0, 0.0, x), axis=-1) + (off + entry_error) * steepest
        return p, np.full(error.shape, entry_error * np.sqrt(n)), np.sum(x * short, axis=-1), error

    def set_constraints(self, z: Any) -> list[Any]:
        """Return z >= 0 and sum(z) = total."""
        import cvxpy as cp

        return [z >= 0, cp.sum(z) == self.total]

    def polyhedral_form(self, n: int) -> tuple[Array, Array, Array]:
        """Return the signs and the sum."""
        matrix = np.vstack([np.eye(n), np.ones((1, n))])
        return matrix, np.append(np.zeros(n), self.total), np.append(np.full(n, np.inf), self.total)

    def exact_projection(self, v: list[Any]) -> list[Any]:
        """Return max(v - t, 0): t is the largest of (sum of the k largest entries - total)/k."""
        ordered, total, running = sorted(v, reverse=True), rational(self.total), rational(0.0)
        threshold = None
        for k, entry in enumerate(ordered, start=1):
            running = running + entry
            candidate = (running - total) / k
            threshold = candidate if threshold is None else max(threshold, candidate)
        return [max(entry - threshold, rational(0.0)) for entry in v]

    def may_contain(self, z: Sequence[FlintNumber]) -> bool:
        """Return whether no entry is negative and the sum is right, or may be."""
        wrong_sum = sum(z) != rational(self.total)
        return not (wrong_sum or any(t < 0 for t in z))
