"""The form behind diagonal stability, H(P) = sym((I - sW)' P (sigma - tau W)), evaluated with every rounding counted.

It is taken in the coordinates P^(1/2) x, so that a bound m on its least eigenvalue says H(P) >= m P.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates.figures import round_up
from nngames.certificates.least_eigenvalue import CHOLESKY_ORDER, least_eigenvalue
from nngames.certificates.sectors import Sectors
from nngames.core.bounds import TIGHT_SIDE, spectral_norm
from nngames.core.operators import DenseMap, SparseMap
from nngames.core.profiles import Array

_UNIT = 2.0**-53
#: Beyond this many products of entries, W'PW is not formed.
MOST_PRODUCTS = 20_000_000
# Multipliers outside of it would bring products near the ends of the floats.
_LEAST, _LARGEST = 1e-100, 1e100


@dataclass(frozen=True)
class StabilityForm:
    """The two factors of H: I - sW and sigma - tau W, sparse, with the sums of the magnitudes of their terms."""

    first: Any
    second: Any
    first_size: Any
    second_size: Any
    sigma: Array
    one_sided: bool

    @classmethod
    def of(cls, weight: Any, sectors: Sectors) -> StabilityForm | None:
        """Return the form for a sparse W (N, N); None where W'PW is needed and would be too large."""
        from scipy import sparse

        n = weight.shape[0]
        lower = sectors.lower
        needed = _products(weight) > MOST_PRODUCTS
        if needed and (lower < 0).any():
            return None
        if needed:
            lower = np.zeros(n)
        identity, magnitude = sparse.eye_array(n, format="csr"), abs(weight)
        scale, sigma = sparse.diags_array(sectors.tau), sparse.diags_array(sectors.sigma)
        below = sparse.diags_array(lower)
        return cls(
            sparse.csr_array(identity - below @ weight),
            sparse.csr_array(sigma - scale @ weight),
            sparse.csr_array(identity + abs(below) @ magnitude),
            sparse.csr_array(abs(sigma) + abs(scale) @ magnitude),
            sectors.sigma,
            not lower.any(),
        )

    def definiteness(self, multipliers: Array) -> float:
        """Return a lower bound on the largest m with H(P) >= m P, P = diag(multipliers) > 0; -inf if none is found."""
        if not usable(multipliers):
            return -np.inf
        matrix, error = self._scaled_form(multipliers)
        if not np.isfinite(matrix.data).all() or not np.isfinite(error.data).all() or not _looks_definite(matrix):
            return -np.inf
        least, _, _ = least_eigenvalue(matrix, error)
        # The scaling is by floats near P^(1/2).
        return least * (1 - 32 * _UNIT) if least > 0 else -np.inf

    def _scaled_form(self, multipliers: Array) -> tuple[Any, Any]:
        """Return S = sym(A'B), A = P^(1/2)(I - sW)P^(-1/2), B likewise, and a bound on |S - the exact one|."""
        from scipy import sparse

        first, first_size, second, second_size = self._scaled(multipliers)
        terms = 24 if self.one_sided else multipliers.size + 24
        product, size = (second, second_size) if self.one_sided else (first.T @ second, first_size.T @ second_size)
        product, size = sparse.csr_array(product), sparse.csr_array(size)
        error = sparse.csr_array(1.02 * terms * _UNIT * (size + size.T) / 2)
        error.data += 1e-250
        return sparse.csr_array((product + product.T) / 2), error

    def _scaled(self, multipliers: Array) -> tuple[Any, Any, Any, Any]:
        from scipy import sparse

        root = np.sqrt(multipliers)
        left, right = sparse.diags_array(root), sparse.diags_array(1 / root)
        parts = (self.first, self.first_size, self.second, self.second_size)
        with np.errstate(over="ignore"):
            first, first_size, second, second_size = (sparse.csr_array(left @ part @ right) for part in parts)
        return first, first_size, second, second_size

    def in_metric(self, multipliers: Array) -> tuple[Array, Array]:
        """Return P^(1/2)(I - sW)P^(-1/2) and P^(1/2)(sigma - tau W)P^(-1/2), written out and rounded."""
        first, _, second, _ = self._scaled(multipliers)
        return first.toarray(), second.toarray()

    def residual_gain(self, multipliers: Array) -> float:
        """Return an upper bound on |P^(1/2)(sigma - tau W + sigma(I - sW))P^(-1/2)|."""
        from scipy import sparse

        first, first_size, second, second_size = self._scaled(multipliers)
        sigma = sparse.diags_array(self.sigma)
        matrix = sparse.csr_array(second + sigma @ first)
        size = sparse.csr_array(second_size + sigma @ first_size)
        dense = matrix.shape[0] <= TIGHT_SIDE
        norm = spectral_norm(DenseMap(matrix.toarray()) if dense else SparseMap(matrix)).upper
        spread = np.sqrt(float(size.sum(axis=0).max()) * float(size.sum(axis=1).max()))
        return round_up((norm + 40 * _UNIT * spread) * (1 + 64 * _UNIT))

    def nonpositive(self, directions: Array) -> Array:
        """Return upper bounds (N,) on <Y Y', dH/dp_i> = sum_r ((I - sW) y_r)_i ((sigma - tau W) y_r)_i for Y (N, m)."""
        count = sum(directions.shape) + 24
        size = np.sum((self.first_size @ np.abs(directions)) * (self.second_size @ np.abs(directions)), axis=1)
        value = np.sum((self.first @ directions) * (self.second @ directions), axis=1)
        return value + 2.1 * count * _UNIT * size + 1e-280


def usable(multipliers: Array) -> bool:
    """Whether every multiplier is positive and far from the ends of the floats."""
    return bool(((multipliers > _LEAST) & (multipliers < _LARGEST)).all())


def _products(weight: Any) -> int:
    return int(np.sum(np.diff(weight.indptr).astype(np.int64) ** 2))


def _looks_definite(matrix: Any) -> bool:
    """Whether a floating Cholesky factorisation of a small matrix completes: the cheap test before the safe one."""
    if matrix.shape[0] > CHOLESKY_ORDER:
        return bool((matrix.diagonal() > 0).all())
    try:
        np.linalg.cholesky(matrix.toarray())
    except np.linalg.LinAlgError:
        return False
    return True
