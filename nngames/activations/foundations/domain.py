"""Domains: the sets on which penalties are finite, with their projections and affine hulls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import ShapeError

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class AffineHull:
    """The affine hull a + range(basis) of a domain in R^n.

    Attributes
    ----------
    point : ndarray (n,)
        A point a of the hull.
    basis : ndarray (n, k) or None
        Orthonormal columns that span its direction space; None when that is all of R^n.
    exact_projector : str
        How the projector on the direction space is known in exact arithmetic: ``"identity"``, ``"zero"``,
        ``"sum_zero"`` (I - 11'/n), or ``"floating"`` (from ``equations``, or from ``basis`` only).
    equations : ndarray (m, n) or None
        Rows that are orthogonal to exactly the directions, taken as the rationals their floats are.
    """

    point: Array
    basis: Array | None = None
    exact_projector: str = "identity"
    equations: Array | None = None

    def project_directions(self, d: Array) -> Array:
        """Return the projection of directions d (..., n) on the direction space."""
        if self.basis is None:
            return d
        if self.exact_projector == "zero":
            return np.zeros_like(d)
        if self.exact_projector == "sum_zero":
            return d - np.mean(d, axis=-1, keepdims=True)
        return (d @ self.basis) @ self.basis.T


class Domain(ABC):
    """A closed convex set of R^n: the closure of the points where a penalty f is finite."""

    @abstractmethod
    def project(self, z: Array) -> Array:
        """Return the nearest point of the set, for z (..., n)."""

    @abstractmethod
    def __str__(self) -> str:
        """Return the set in the usual notation, such as ``[-1, 1]^n``."""

    def affine_hull(self, n: int) -> AffineHull:
        """Return the affine hull in R^n; a set with interior points spans everything."""
        return AffineHull(np.zeros(n))

    def distance(self, z: Array) -> Array:
        """Return the Euclidean distance of z (..., n) to the set."""
        return np.linalg.norm(z - self.project(z), axis=-1)


@dataclass(frozen=True)
class Interval(Domain):
    """The product of one interval in each coordinate.

    Attributes
    ----------
    lower, upper : float
        Its ends; infinite where there is none.
    closed_lower, closed_upper : bool
        Whether the penalty is finite at that end. If not, the projection is on the next number inside.
    """

    lower: float = -np.inf
    upper: float = np.inf
    closed_lower: bool = True
    closed_upper: bool = True

    def project(self, z: Array) -> Array:
        """Return z clipped to the interval, in the precision of z."""
        if self.lower == -np.inf and self.upper == np.inf:
            return z
        z = np.asarray(z)
        kind = z.dtype.type if z.dtype.kind == "f" else np.float64
        low, high = kind(self.lower), kind(self.upper)
        if not self.closed_lower and np.isfinite(low):
            low = np.nextafter(low, high)
        if not self.closed_upper and np.isfinite(high):
            high = np.nextafter(high, low)
        return np.minimum(np.maximum(z, low), high)

    def affine_hull(self, n: int) -> AffineHull:
        """Return R^n, or the point where both ends are equal."""
        if self.lower < self.upper:
            return AffineHull(np.zeros(n))
        return AffineHull(np.full(n, self.lower), np.zeros((n, 0)), "zero")

    def __str__(self) -> str:
        if self.lower == -np.inf and self.upper == np.inf:
            return "R^n"
        if self.lower == self.upper:
            return f"{{{self.lower:g}}}^n"
        left = "(" if self.lower == -np.inf or not self.closed_lower else "["
        right = ")" if self.upper == np.inf or not self.closed_upper else "]"
        return f"{left}{self.lower:g}, {self.upper:g}{right}^n"


@dataclass(frozen=True)
class BoxDomain(Domain):
    """A product of closed intervals that differ by coordinate.

    Attributes
    ----------
    lower, upper : float or tuple of float
        The ends; infinite where there is none.
    """

    lower: float | tuple[float, ...]
    upper: float | tuple[float, ...]

    def _check_size(self, n: int) -> None:
        """Raise ShapeError if the ends are not those of n coordinates."""
        size = np.broadcast(np.atleast_1d(self.lower), np.atleast_1d(self.upper)).size
        if size != n:
            raise ShapeError(f"the box has {size} coordinates; got {n}")

    def project(self, z: Array) -> Array:
        """Return z clipped to the box, in the precision of z."""
        z = np.asarray(z)
        self._check_size(z.shape[-1] if z.ndim else 1)
        kind = z.dtype if z.dtype.kind == "f" else np.dtype(np.float64)
        return np.minimum(np.maximum(z, np.asarray(self.lower, dtype=kind)), np.asarray(self.upper, dtype=kind))

    def affine_hull(self, n: int) -> AffineHull:
        """Return the coordinates that can vary, the others at their values."""
        self._check_size(n)
        low, high = np.broadcast_to(self.lower, n), np.broadcast_to(self.upper, n)
        vary = low < high
        if vary.all():
            return AffineHull(np.zeros(n))
        return AffineHull(np.where(vary, 0.0, low), np.eye(n)[:, vary], "floating" if vary.any() else "zero")

    def __str__(self) -> str:
        low, high = np.broadcast_arrays(np.atleast_1d(self.lower), np.atleast_1d(self.upper))
        if low.size > 4:
            return f"a box in R^{low.size}"
        return " x ".join(
            f"{{{a:g}}}" if a == b else f"{'(' if a == -np.inf else '['}{a:g}, {b:g}{')' if b == np.inf else ']'}"
            for a, b in zip(low.tolist(), high.tolist(), strict=True)
        )


@dataclass(frozen=True)
class Simplex(Domain):
    """The vectors with nonnegative entries that sum to ``total``."""

    total: float = 1.0

    def project(self, z: Array) -> Array:
        """Return the nearest point of the simplex: max(z - t, 0) with the t that makes the sum right.

        Notes
        -----
        The threshold t is found from the sorted entries (Held, Wolfe and Crowder 1974). Entries are shifted by their
        maximum first, and cut at ``total`` below it, where they cannot matter, so that neither overflow nor a large
        common part costs digits.
        """
        z = np.asarray(z)
        shifted = _below_maximum(z if z.dtype.kind == "f" else z.astype(np.float64), self.total)
        return np.maximum(shifted - simplex_threshold(shifted, self.total), 0.0)

    def affine_hull(self, n: int) -> AffineHull:
        """Return the vectors with that sum."""
        projector = "sum_zero" if n > 1 else "zero"
        return AffineHull(np.full(n, self.total / n), sum_zero_basis(n), projector)

    def __str__(self) -> str:
        return f"{{z in R^n: z >= 0, sum z = {self.total:g}}}"


def _below_maximum(z: Array, depth: float) -> Array:
    """Return z minus its largest entry, cut at -depth."""
    with np.errstate(over="ignore"):
        return np.maximum(z - np.max(z, axis=-1, keepdims=True), -depth)


def simplex_threshold(shifted: Array, total: float) -> Array:
    """Return the t (..., 1) for which max(shifted - t, 0) sums to ``total``; the largest entry must be 0."""
    ordered = -np.sort(-shifted, axis=-1)
    counts = np.arange(1, shifted.shape[-1] + 1, dtype=shifted.dtype)
    candidates = (np.cumsum(ordered, axis=-1) - total) / counts
    support = np.maximum(np.sum(ordered > candidates, axis=-1, keepdims=True), 1)
    return np.take_along_axis(candidates, support - 1, axis=-1)


def sum_zero_basis(n: int) -> Array:
    """Return Helmert's orthonormal basis (n, n - 1) of the vectors that sum to zero."""
    basis = np.zeros((n, n - 1))
    for k in range(1, n):
        basis[:k, k - 1], basis[k, k - 1] = 1.0, -k
        basis[:, k - 1] /= np.sqrt(k * (k + 1.0))
    return basis
