"""Direction spaces: in which directions a player's action can vary, and couplings seen through them, also exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.activations import AffineHull
from nngames.core.exact import rational_matrix
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
        self.mask = _mask(hull, n)
        self.exact = self.mask is not None or hull.exact_projector == "sum_zero"
        # Means of n entries and one subtraction; a basis is itself computed data, good to about n units.
        self.rounding = 0.0 if self.mask is not None else 8 * (n + 4) * _UNIT

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
            return self._hull.project_directions(dense.T).T
        if hasattr(matrix, "tocsr"):
            from scipy import sparse

            return sparse.csr_array(sparse.diags_array(self.mask.astype(float)) @ matrix)
        return np.where(self.mask[:, None], matrix, 0.0)

    def exact_project(self, matrix: Any) -> Any:
        """Return P A for a flint rational matrix A (n, m), where P is known exactly."""
        from flint import fmpq, fmpq_mat

        if self.mask is not None:
            return rational_matrix(np.diag(self.mask.astype(float))) * matrix
        n, m = matrix.nrows(), matrix.ncols()
        means = fmpq_mat(1, n, [fmpq(1, n)] * n) * matrix
        return matrix - fmpq_mat(n, 1, [1] * n) * fmpq_mat(1, m, means.entries())


def _mask(hull: AffineHull, n: int) -> NDArray[np.bool_] | None:
    if hull.exact_projector == "identity" or hull.basis is None:
        return np.ones(n, dtype=bool)
    if hull.exact_projector == "zero":
        return np.zeros(n, dtype=bool)
    basis: Array = hull.basis
    if np.isin(basis, (0.0, 1.0)).all() and (basis.sum(axis=0) == 1).all():
        return np.asarray(basis.sum(axis=1) == 1)
    return None
