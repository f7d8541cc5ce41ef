"""Direction spaces: in which directions a player's action can vary, and couplings seen through them, also exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.activations import AffineHull
from nngames.core.exact import EXACT_ORDER, fraction, rational_matrix
from nngames.core.profiles import Array

_UNIT = 2.0**-53


class DirectionSpace:
    """The direction space of the affine hull of a penalty's domain in R^n, by its orthogonal projector P.

    Attributes
    ----------
    mask : ndarray of bool (n,) or None
        Which coordinates vary, where P is diagonal; None where it is not.
    exact : bool
        Whether P is known exactly.
    rounding : float
        A bound on the rounding of P A relative to A's largest entry; 0 where P is diagonal.
    """

    def __init__(self, hull: AffineHull, n: int) -> None:
        self._hull = hull
        self._n = n
        self._rational = _exact_projector(hull, n)
        self._floats = None if self._rational is None else _floats(self._rational)
        self.mask = _mask(hull, n) if self._rational is None else _diagonal_mask(self._rational)
        self.exact = self.mask is not None or self._rational is not None or hull.exact_projector == "sum_zero"
        # Means of n entries and one subtraction, or a product with rounded entries.
        self.rounding = 0.0 if self.mask is not None else 8 * (n + 4) * _UNIT * _condition(hull, self.exact)

    @property
    def whole(self) -> bool:
        """Whether every direction is possible."""
        return self.mask is not None and bool(self.mask.all())

    def project(self, matrix: Any) -> Any:
        """Return P A for A (n, m), dense or sparse; sparse stays sparse where P is diagonal."""
        if self.whole:
            return matrix
        if self.mask is None:
            dense = matrix.toarray() if hasattr(matrix, "toarray") else matrix
            return self._hull.project_directions(dense.T).T if self._floats is None else self._floats @ dense
        if hasattr(matrix, "tocsr"):
            from scipy import sparse

            return sparse.csr_array(sparse.diags_array(self.mask.astype(float)) @ matrix)
        return np.where(self.mask[:, None], matrix, 0.0)

    def exact_project(self, matrix: Any) -> Any:
        """Return P A for a flint rational matrix A (n, m), where P is known exactly."""
        from flint import fmpq, fmpq_mat

        if self.mask is not None:
            return rational_matrix(np.diag(self.mask.astype(float))) * matrix
        if self._rational is not None:
            return self._rational * matrix
        n, m = matrix.nrows(), matrix.ncols()
        means = fmpq_mat(1, n, [fmpq(1, n)] * n) * matrix
        return matrix - fmpq_mat(n, 1, [1] * n) * fmpq_mat(1, m, means.entries())


def _exact_projector(hull: AffineHull, n: int) -> Any | None:
    """Return I - R'(RR')^-1 R for independent rows R of the equations, rational; None where none are given or n is
    large.
    """
    from flint import fmpq_mat

    if hull.exact_projector != "floating" or hull.equations is None or n > EXACT_ORDER:
        return None
    reduced, rank = rational_matrix(hull.equations).rref()
    rows = fmpq_mat(rank, n, [reduced[i, j] for i in range(rank) for j in range(n)])
    return rational_matrix(np.eye(n)) - rows.transpose() * (rows * rows.transpose()).solve(rows)


def _floats(matrix: Any) -> Array:
    entries = [float(fraction(t)) for t in matrix.entries()]
    return np.array(entries).reshape(matrix.nrows(), matrix.ncols())


def _diagonal_mask(projector: Any) -> NDArray[np.bool_] | None:
    n = projector.nrows()
    if any(projector[i, j] != 0 for i in range(n) for j in range(n) if i != j):
        return None
    return np.array([projector[i, i] == 1 for i in range(n)])


def _condition(hull: AffineHull, exact: bool) -> float:
    """Return by how much the basis magnifies the rounding of the equations that it was computed from."""
    if exact or hull.equations is None or hull.basis is None:
        return 1.0
    values = np.linalg.svd(hull.equations, compute_uv=False)
    rank = hull.basis.shape[0] - hull.basis.shape[1]
    # What was cut off as rounding may be there.
    return float(values[0] / values[rank - 1]) if values.size == rank else np.inf


def _mask(hull: AffineHull, n: int) -> NDArray[np.bool_] | None:
    if hull.exact_projector == "identity" or hull.basis is None:
        return np.ones(n, dtype=bool)
    if hull.exact_projector == "zero":
        return np.zeros(n, dtype=bool)
    basis: Array = hull.basis
    if np.isin(basis, (0.0, 1.0)).all() and (basis.sum(axis=0) == 1).all():
        return np.asarray(basis.sum(axis=1) == 1)
    return None
