"""Linear operators: dense, sparse and matrix-free maps R^n -> R^m behind one interface that keeps their structure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InputError, ShapeError
from nngames.core.profiles import float_array

Array = NDArray[np.floating[Any]]

#: Matrix-free and sparse maps are written out as dense matrices only up to this many entries.
DENSE_ENTRIES = 4_000_000


class LinearMap(ABC):
    """A bounded linear map R^n -> R^m.

    Attributes
    ----------
    shape : tuple of int
        (m, n).
    """

    shape: tuple[int, int]

    @abstractmethod
    def apply(self, x: Array, out: Array | None = None) -> Array:
        """Return A x for x of shape (n,) or (batch, n), into ``out`` if given."""

    @abstractmethod
    def adjoint(self, u: Array) -> Array:
        """Return A' u for u of shape (m,) or (batch, m)."""

    @abstractmethod
    def astype(self, dtype: np.dtype[Any] | type) -> LinearMap:
        """Return the same map in another precision."""

    @cached_property
    def dense(self) -> Array:
        """The matrix (m, n), float64.

        Raises
        ------
        InputError
            If it would have more than ``DENSE_ENTRIES`` entries.
        """
        m, n = self.shape
        if m * n > DENSE_ENTRIES:
            raise InputError(f"a {m} by {n} map is not written out as a dense matrix (limit {DENSE_ENTRIES} entries)")
        return np.ascontiguousarray(self._write_out(), dtype=np.float64)

    @property
    def has_dense(self) -> bool:
        """Whether ``dense`` is available at this size."""
        return self.shape[0] * self.shape[1] <= DENSE_ENTRIES

    @property
    def multiplications(self) -> int:
        """Scalar multiplications of one application, as far as they are known."""
        return self.shape[0] * self.shape[1]

    def _write_out(self) -> Array:
        return self.apply(np.eye(self.shape[1])).T

    @abstractmethod
    def is_finite(self) -> bool:
        """Whether every known entry is a finite number."""


class DenseMap(LinearMap):
    """A dense matrix."""

    def __init__(self, matrix: Array) -> None:
        self.matrix = np.ascontiguousarray(matrix)
        self.matrix.setflags(write=False)
        self.shape = (matrix.shape[0], matrix.shape[1])

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """Return A x."""
        if x.ndim == 1:
            return np.dot(self.matrix, x, out=out)
        return np.matmul(x, self.matrix.T, out=out)

    def adjoint(self, u: Array) -> Array:
        """Return A' u."""
        return np.matmul(u, self.matrix)

    def astype(self, dtype: np.dtype[Any] | type) -> DenseMap:
        """Return the same map in another precision."""
        return self if self.matrix.dtype == dtype else DenseMap(self.matrix.astype(dtype))

    def is_finite(self) -> bool:
        """Whether every entry is a finite number."""
        return bool(np.isfinite(self.matrix).all())

    def _write_out(self) -> Array:
        return self.matrix


class SparseMap(LinearMap):
    """A sparse matrix, kept in CSR form."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix.tocsr()
        self.shape = (int(matrix.shape[0]), int(matrix.shape[1]))

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """Return A x."""
        m, n = self.shape
        if out is not None and self._product is not None and self._fits(x, n) and self._fits(out, m):
            out.fill(0.0)
            self._product(m, n, self.matrix.indptr, self.matrix.indices, self.matrix.data, x, out)
            return out
        result = self.matrix @ x if x.ndim == 1 else (self.matrix @ x.T).T
        if out is None:
            return result
        out[...] = result
        return out

    @cached_property
    def _product(self) -> Any:
        """What adds A x to an array: no array of the result is made and copied; None if it has to be."""
        product = added_product()
        return None if product is _added_by_copy else product

    def _fits(self, x: Array, size: int) -> bool:
        # The product would read and write beyond the end of a shorter vector.
        return x.shape == (size,) and x.dtype == self.matrix.dtype and x.flags.c_contiguous

    def has_rows(self, dtype: np.dtype[Any]) -> bool:
        """Whether ``add_rows`` takes vectors of that precision."""
        return self._product is not None and self.matrix.dtype == dtype

    def add_rows(self, rows: slice, x: Array, out: Array) -> None:
        """Add the entries ``rows`` of A x to ``out``; x and ``out`` are contiguous vectors."""
        pointers = self.matrix.indptr[rows.start : rows.stop + 1]
        self._product(out.size, self.shape[1], pointers, self.matrix.indices, self.matrix.data, x, out)

    def adjoint(self, u: Array) -> Array:
        """Return A' u."""
        return self.matrix.T @ u if u.ndim == 1 else (self.matrix.T @ u.T).T

    def astype(self, dtype: np.dtype[Any] | type) -> SparseMap:
        """Return the same map in another precision."""
        return self if self.matrix.dtype == dtype else SparseMap(self.matrix.astype(dtype))

    @property
    def multiplications(self) -> int:
        """The number of stored entries."""
        return int(self.matrix.nnz)

    def is_finite(self) -> bool:
        """Whether every stored entry is a finite number."""
        return bool(np.isfinite(self.matrix.data).all())

    def _write_out(self) -> Array:
        return self.matrix.toarray()


@cache
def added_product() -> Callable[..., None]:
    """Return what SciPy's own product of a CSR matrix and a vector calls, which adds it to an array.

    Its arguments are m, n, indptr, indices, data, x and the array. ``indptr`` may be a stretch of a larger matrix's: it
    is then the product of those rows.
    """
    try:
        from scipy.sparse._sparsetools import csr_matvec
    except ImportError:
        return _added_by_copy
    product: Callable[..., None] = csr_matvec
    return product


def _added_by_copy(m: int, n: int, starts: Any, columns: Any, values: Any, x: Array, out: Array) -> None:
    from scipy.sparse import csr_array

    stretch = slice(int(starts[0]), int(starts[-1]))
    out += csr_array((values[stretch], columns[stretch], starts - starts[0]), shape=(m, n)) @ x


class OperatorMap(LinearMap):
    """A matrix-free map: a scipy.sparse.linalg.LinearOperator with matvec and rmatvec."""

    def __init__(self, operator: Any) -> None:
        self.operator = operator
        self.shape = (int(operator.shape[0]), int(operator.shape[1]))

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """Return A x."""
        result = self.operator.matvec(x) if x.ndim == 1 else self.operator.matmat(x.T).T
        if out is None:
            return result
        out[...] = result
        return out

    def adjoint(self, u: Array) -> Array:
        """Return A' u."""
        return self.operator.rmatvec(u) if u.ndim == 1 else self.operator.rmatmat(u.T).T

    def astype(self, dtype: np.dtype[Any] | type) -> OperatorMap:
        """Return the map itself: its precision is its own."""
        return self

    def is_finite(self) -> bool:
        """Whether the map sends the vector of ones to finite numbers."""
        return bool(np.isfinite(self.apply(np.ones(self.shape[1]))).all())


def as_linear_map(value: Any, what: str, shape: tuple[int | None, int | None] = (None, None)) -> LinearMap:
    """Return ``value`` as a LinearMap.

    Parameters
    ----------
    value : scalar, array_like (m, n), scipy.sparse matrix or array, LinearOperator or LinearMap
        A scalar is a 1 by 1 matrix.
    what : str
        What to call it in a message, such as ``"the weight of the edge 1 -> 2"``.
    shape : tuple
        The expected (m, n); None where anything is right.

    Raises
    ------
    ShapeError
        If it is not a matrix of that shape.
    InputError
        If it is not numeric, or an entry is not finite.
    """
    result = _convert(value, what)
    if any(want is not None and want != got for want, got in zip(shape, result.shape, strict=True)):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ShapeError(f"{what} has shape {result.shape}; expected ({wanted})")
    if not result.is_finite():
        raise InputError(f"{what} has an entry that is not finite{_first_bad(result)}")
    return result


def _convert(value: Any, what: str) -> LinearMap:
    if isinstance(value, LinearMap):
        return value
    matrix: Any
    if hasattr(value, "tocsr") or (hasattr(value, "matvec") and hasattr(value, "rmatvec")):
        if np.dtype(value.dtype).kind not in "fiub":
            raise InputError(f"{what} is not an array of real numbers: it holds {np.dtype(value.dtype).name}")
        if not hasattr(value, "tocsr"):
            return OperatorMap(value)
        stored = value.astype(np.float32 if value.dtype == np.float32 else np.float64).tocsr()
        # An entry may be stored in parts; absolute values and single entries need their sum.
        stored.sum_duplicates()
        return SparseMap(stored)
    # A copy: what was proved about a network must stay true when the caller's array changes.
    matrix = np.array(float_array(value, what))
    if matrix.ndim == 0:
        matrix = matrix.reshape(1, 1)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ShapeError(f"{what} has shape {matrix.shape}; expected a matrix (rows, columns)")
    return DenseMap(matrix)


def _first_bad(value: LinearMap) -> str:
    if not isinstance(value, DenseMap):
        return ""
    i, j = (int(k) for k in np.argwhere(~np.isfinite(value.matrix))[0])
    return f": [{i}, {j}] is {value.matrix[i, j]}"
