"""Sets of one layer's weights for which a certificate holds, and their projections in the Frobenius norm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from nngames.core.profiles import Array

#: How large the minimiser of a ridge and a slope may be.
_FAR = 1e100


class WeightSet(ABC):
    """A closed convex set of matrices.

    Attributes
    ----------
    bounded : bool
    """

    bounded: bool

    @abstractmethod
    def project(self, weight: Array) -> Array:
        """Return the nearest matrix of the set."""

    @abstractmethod
    def most(self, weight: Array, slope: Array, ridge: float) -> float:
        """Return a bound on <W - W', slope> + ridge (|W|^2 - |W'|^2)/2 over the W' of the set; inf where it has none.

        ``slope`` is a matrix of the shape of ``weight``, and W is ``weight``.
        """

    def most_with_ridge(self, weight: Array, slope: Array, ridge: float) -> float:
        """Return ``most`` with a positive ridge: the value at the W' of the set that is nearest to -slope/ridge."""
        best = self.project(-slope / ridge)
        there = float(np.sum(slope * best)) + 0.5 * ridge * float(np.sum(best**2))
        value = float(np.sum(slope * weight)) + 0.5 * ridge * float(np.sum(weight**2)) - there
        return max(0.0, value) if np.isfinite(value) else np.inf

    def finite(self, slope: Array) -> Array:
        """Return a slope near the given one for which ``most`` is finite without a ridge."""
        return slope

    @abstractmethod
    def reach(self, weight: Array, slope: Array, ridge: float, change: float) -> float:
        """Return a Lipschitz constant of ``most`` in slopes that are the given one within ``change``."""

    @abstractmethod
    def formula(self, format: str) -> str:
        """Return the condition on W, as ``"text"`` or ``"latex"``."""


@dataclass(frozen=True)
class SpectralBall(WeightSet):
    """|W - centre I|_2 <= bound."""

    bound: float
    centre: float = 0.0
    bounded = True

    def project(self, weight: Array) -> Array:
        """Clip the singular values of the difference from the centre."""
        if not self.centre:
            return project_spectral(weight, self.bound)
        middle = self.centre * np.eye(*weight.shape)
        moved = weight - middle
        nearest = project_spectral(moved, self.bound)
        return weight if nearest is moved else nearest + middle

    def most(self, weight: Array, slope: Array, ridge: float) -> float:
        """Return <W - centre I, G> + bound |G|_*, |.|_* the nuclear norm, G = slope + ridge W; with a ridge often less.

        ridge (|W|^2 - |W'|^2)/2 <= ridge <W, W - W'>, as the square is convex.
        """
        total = slope + ridge * weight
        nuclear = float(np.linalg.svd(total, compute_uv=False).sum())
        inner = float(np.sum(weight * total)) - self.centre * float(np.trace(total) if self.centre else 0.0)
        linear = max(0.0, inner + self.bound * nuclear)
        # Elsewhere -slope/ridge is far outside, and rounding hides what is gained.
        if ridge and float(np.linalg.norm(slope)) <= _FAR * ridge:
            return min(linear, self.most_with_ridge(weight, slope, ridge))
        return linear

    def reach(self, weight: Array, slope: Array, ridge: float, change: float) -> float:
        """Return |W| + (|centre| + bound) sqrt(rank)."""
        return float(np.linalg.norm(weight)) + (abs(self.centre) + self.bound) * min(weight.shape) ** 0.5

    def formula(self, format: str) -> str:
        """Return the bound on the norm."""
        if format == "latex":
            middle = f" - {self.centre:g} I" if self.centre else ""
            return rf"\|W{middle}\|_2 \le {self.bound:g}"
        return f"|W{f' - {self.centre:g} I' if self.centre else ''}|_2 <= {self.bound:g}"


@dataclass(frozen=True)
class MonotoneWeights(WeightSet):
    """(W + W')/2 <= ceiling I, of square matrices."""

    ceiling: float
    bounded = False

    def project(self, weight: Array) -> Array:
        """Clip the eigenvalues of the symmetric part."""
        return project_monotone(weight, self.ceiling)

    def most(self, weight: Array, slope: Array, ridge: float) -> float:
        """Return ``most_with_ridge``.

        Without a ridge it is <slope, W - ceiling I> for a negative semidefinite slope, and inf for others.
        """
        if not ridge:
            if not np.array_equal(slope, self.finite(slope)):
                return np.inf
            return max(0.0, float(np.sum(slope * weight)) - self.ceiling * float(np.trace(slope)))
        return self.most_with_ridge(weight, slope, ridge)

    def reach(self, weight: Array, slope: Array, ridge: float, change: float) -> float:
        """Return |W - W'| at the W' where ``most`` is attained, and how far that moves; inf without a ridge."""
        if not ridge:
            return np.inf
        return 1.01 * (float(np.linalg.norm(weight - self.project(-slope / ridge))) + change / ridge)

    def finite(self, slope: Array) -> Array:
        """Return the nearest negative semidefinite matrix."""
        symmetric = (slope + slope.T) / 2
        values, vectors = np.linalg.eigh(symmetric)
        if np.array_equal(symmetric, slope) and values[-1] <= 1e-14 * np.abs(values).max():
            return slope
        below = (vectors * np.minimum(values, 0.0)) @ vectors.T
        return (below + below.T) / 2

    def formula(self, format: str) -> str:
        """Return the bound on the symmetric part."""
        if format == "latex":
            return rf"\tfrac12 (W + W^\top) \preceq {self.ceiling:g} I"
        return f"(W + W')/2 <= {self.ceiling:g} I"


def project_spectral(weight: Array, bound: float) -> Array:
    """Return the nearest matrix with |W|_2 <= bound: singular values above the bound become the bound.

    For W = U diag(s) V' the minimiser of |X - W|_F over |X|_2 <= bound is U diag(min(s, bound)) V', by von Neumann's
    trace inequality.
    """
    # What a diverging scheme made is left to be reported.
    if np.linalg.norm(weight) <= bound or not np.isfinite(weight).all():
        return weight
    left, values, right = np.linalg.svd(weight, full_matrices=False)
    if values[0] <= bound:
        return weight
    return (left * np.minimum(values, bound)) @ right


def project_monotone(weight: Array, ceiling: Array | float) -> Array:
    """Return the nearest matrix with (W + W')/2 <= diag(ceiling); I - W is monotone with modulus m for 1 - m.

    Symmetric and skew parts are orthogonal, so the skew part stays. With C = diag(ceiling), the symmetric part S goes
    to C + V diag(min(e, 0)) V', where S - C = V diag(e) V': the nearest negative semidefinite matrix, moved by C.
    """
    if not np.isfinite(weight).all():
        return weight
    symmetric = (weight + weight.T) / 2
    excess = symmetric - ceiling * np.eye(len(weight))
    values, vectors = np.linalg.eigh(excess)
    above = values > 0
    if not above.any():
        return weight
    return weight - (vectors[:, above] * values[above]) @ vectors[:, above].T
