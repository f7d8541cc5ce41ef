"""One eigenvector of a symmetric matrix."""

from __future__ import annotations

import numpy as np

from nngames.core.profiles import Array


def eigenvector(matrix: Array, place: int) -> Array:
    """Return a unit eigenvector of the eigenvalue at this place, in increasing order, of a symmetric finite matrix."""
    from scipy.linalg import eigh

    found = eigh(matrix, subset_by_index=[place, place], check_finite=False)[1]
    if not found.shape[1]:
        # Of eigenvalues that lie together, as those of Id and entries of 1e-150, LAPACK's search for one may find none.
        found = np.linalg.eigh(matrix)[1][:, place : place + 1]
    return np.asarray(found[:, 0])
