"""Domains: the sets on which penalties are finite, with their projections and affine hulls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        ``"sum_zero"`` (I - 11'/n), or ``"floating"`` (from ``basis`` only).
    """

    point: Array
    basis: Array | None = None
    exact_projector: str = "identity"

    def project_directions(self, d: Array) -> Array:
        """Return the projection of directions d (..., n) on the direction space."""
        if self.basis is None:
            return d
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
        Whether the penalty is finite at that end. The projection is on the closure.
    """

    lower: float = -np.inf
    upper: float = np.inf
    closed_lower: bool = True
    closed_upper: bool = True

    def project(self, z: Array) -> Array:
        """Return z clipped to the interval."""
        if self.lower == -np.inf and self.upper == np.inf:
            return z
        return np.clip(z, self.lower, self.upper)

    def __str__(self) -> str:
        if self.lower == -np.inf and self.upper == np.inf:
            return "R^n"
        left = "(" if self.lower == -np.inf or not self.closed_lower else "["
        right = ")" if self.upper == np.inf or not self.closed_upper else "]"
        return f"{left}{self.lower:g}, {self.upper:g}{right}^n"
