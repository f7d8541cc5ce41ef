"""Factors of linear systems that are solved many times: diagonal, dense and sparse matrices, each within a limit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array

#: Dense factors have at most this order.
DENSE_ORDER = 3000
#: Sparse factors have at most this many entries, by a bound that is known before they are computed.
SPARSE_ENTRIES = 40_000_000
#: A sparse matrix of a smaller order, or with a larger share of entries, is factorised as a dense one.
_SPARSE_ORDER = 300
_SPARSE_SHARE = 0.1

#: For a few rows NumPy's checks take longer than LAPACK, so they are left out where its functions are found.
LAPACK: Any = getattr(np.linalg, "_umath_linalg", None)


def _solved(matrix: Array, right: Array) -> Array:
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)


#: (matrix (n, n), right side (n,)) -> the solution, NaN where the matrix is singular, with a floating-point warning.
solution: Callable[[Array, Array], Array] = getattr(LAPACK, "solve1", _solved)


class Factor(ABC):
    """A linear system that was factorised.

    Attributes
    ----------
    multiplications : int
        Scalar multiplications of one solution.
    """

    multiplications: int

    @abstractmethod
    def solve(self, rhs: Array) -> Array:
        """Return the solution for right-hand sides (n,) or (count, n), as a new array."""


class DiagonalFactor(Factor):
    """A diagonal matrix, given by its diagonal."""

    def __init__(self, diagonal: Array) -> None:
        if not diagonal.all():
            raise np.linalg.LinAlgError("a diagonal entry is zero")
        self._diagonal = diagonal
        self.multiplications = diagonal.size

    def solve(self, rhs: Array) -> Array:
        """Divide by the diagonal."""
        return rhs / self._diagonal


class DenseFactor(Factor):
    """A dense matrix, through its inverse: one product a solution, where two triangular solves take longer.

    The inverse comes from an LU factorisation with partial pivoting; its residual grows with the condition number.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is singular.
    NotApplicableError
        If its order is above ``DENSE_ORDER``.
    """

    def __init__(self, matrix: Array) -> None:
        if len(matrix) > DENSE_ORDER:
            raise NotApplicableError(f"a dense factor of order {len(matrix)} would be needed (limit {DENSE_ORDER})")
        self._inverse = np.linalg.inv(matrix)
        self.multiplications = matrix.size

    def solve(self, rhs: Array) -> Array:
        """Apply the inverse."""
        return np.dot(self._inverse, rhs) if rhs.ndim == 1 else rhs @ self._inverse.T


class TriangularFactor(Factor):
    """A dense matrix, by LU with partial pivoting: for few solutions, where an inverse costs more than it saves.

    With ``overwrite`` the factors may take the matrix's place.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is singular.
    """

    def __init__(self, matrix: Array, overwrite: bool = False) -> None:
        from scipy.linalg import lapack

        single = matrix.dtype == np.float32
        factor = lapack.sgetrf if single else lapack.dgetrf
        self._substitute = lapack.sgetrs if single else lapack.dgetrs
        # LAPACK takes columns: of rows it finds the transpose in memory.
        self._transposed = not matrix.flags.f_contiguous
        self._triangles, self._pivots, info = factor(matrix.T if self._transposed else matrix, overwrite_a=overwrite)
        if info != 0:
            raise np.linalg.LinAlgError("the matrix is singular")
        self.multiplications = matrix.size

    def solve(self, rhs: Array) -> Array:
        """Solve with the triangles."""
        solution: Array = self._substitute(self._triangles, self._pivots, rhs.T, trans=int(self._transposed))[0]
        return solution.T


class SparseFactor(Factor):
    """A sparse matrix, by LU with partial pivoting in an order that bounds the entries of the factors.

    A matrix that a permutation of its indices makes triangular is its own factor. Any other is permuted to a small
    bandwidth b: the factors of order n have at most 3 b n entries.

    Raises
    ------
    NotApplicableError
        If the bound is above ``SPARSE_ENTRIES``.
    numpy.linalg.LinAlgError
        If the matrix is singular.
    """

    def __init__(self, matrix: Any) -> None:
        from scipy.sparse.linalg import splu

        matrix = matrix.tocsr()
        self._order, threshold = _elimination_order(matrix)
        permuted = matrix[self._order][:, self._order].tocsc()
        try:
            self._lu = splu(permuted, permc_spec="NATURAL", diag_pivot_thresh=threshold)
        except RuntimeError as error:
            raise np.linalg.LinAlgError(str(error)) from None
        self.multiplications = int(self._lu.nnz)

    def solve(self, rhs: Array) -> Array:
        """Solve with both triangular factors."""
        result = np.empty_like(rhs)
        result[..., self._order] = self._lu.solve(np.ascontiguousarray(rhs[..., self._order].T)).T
        return result


def _elimination_order(matrix: Any) -> tuple[Any, float]:
    """Return an order of the indices of a sparse matrix, and the threshold of pivoting in it."""
    from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee

    n = matrix.shape[0]
    components, labels = connected_components(matrix, directed=True, connection="strong")
    rows, columns = matrix.nonzero()
    if components == n:
        # Whichever way the components are numbered, triangularity is looked at, not taken from it.
        for numbers in (labels, n - 1 - labels):
            if (numbers[rows] >= numbers[columns]).all():
                return np.argsort(numbers), 0.0
    # In every order a row of m entries makes the bandwidth at least (m - 1)/2.
    width = int(np.bincount(rows, minlength=n).max()) // 2
    if 3 * (width + 1) * n <= SPARSE_ENTRIES:
        order = reverse_cuthill_mckee(matrix, symmetric_mode=False)
        position = np.empty(n, dtype=np.int64)
        position[order] = np.arange(n)
        width = int(np.abs(position[rows] - position[columns]).max(initial=0))
        if 3 * (width + 1) * n <= SPARSE_ENTRIES:
            return order, 1.0
    raise NotApplicableError(
        f"the factors of a sparse matrix of order {n} might have more than {SPARSE_ENTRIES} entries: its graph has "
        f"cycles, and its bandwidth is {width} or more"
    )


def factorised(matrix: Any) -> Factor:
    """Return the factor of a matrix: a diagonal (n,), a dense one (n, n), or a sparse array.

    Raises
    ------
    NotApplicableError
        If it is too large for its structure; the message gives the limit.
    numpy.linalg.LinAlgError
        If it is singular.
    """
    if isinstance(matrix, np.ndarray):
        return DiagonalFactor(matrix) if matrix.ndim == 1 else DenseFactor(matrix)
    n = matrix.shape[0]
    if n < _SPARSE_ORDER or (n <= DENSE_ORDER and matrix.nnz > _SPARSE_SHARE * n * n):
        return DenseFactor(matrix.toarray())
    try:
        return SparseFactor(matrix)
    except NotApplicableError:
        if n > DENSE_ORDER:
            raise
        return DenseFactor(matrix.toarray())
