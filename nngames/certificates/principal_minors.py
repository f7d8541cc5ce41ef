"""Principal minors of one matrix: whether all are positive, exactly for small ones, by sufficient tests beyond.

All principal minors of A are positive iff a_11 > 0 and those of A without its first row and column, and of its Schur
complement A/a_11, are (Tsatsomeros and Li): the recursion visits each of the 2^n - 1 minors once, as a pivot.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.least_eigenvalue import least_eigenvalue
from nngames.certificates.perron import contraction_weights
from nngames.core.exact import EXACT_ORDER, fraction

_UNIT = 2.0**-53
#: All minors are computed up to this order: 2^n - 1 of them.
MINORS_ORDER = 14


@dataclass(frozen=True)
class Minor:
    """A principal minor: the rows and columns it is taken from, and its exact value."""

    indices: tuple[int, ...]
    value: Fraction


def nonpositive_minor(matrix: Any) -> Minor | None:
    """Return a principal minor that is not positive of a flint rational matrix (n, n); None if all are positive."""
    n = matrix.nrows()
    entries = [[matrix[i, j] for j in range(n)] for i in range(n)]
    # (indices left, their Schur complement, indices already pivoted on, the product of those pivots)
    waiting: list[Any] = [(tuple(range(n)), entries, (), 1)]
    while waiting:
        left, rows, done, product = waiting.pop()
        if not left:
            continue
        pivot = rows[0][0]
        if pivot <= 0:
            return Minor((*done, left[0]), fraction(product * pivot))
        rest = range(1, len(left))
        waiting.append((left[1:], [rows[i][1:] for i in rest], done, product))
        factors = [rows[i][0] / pivot for i in rest]
        complement = [[rows[i][j] - factors[i - 1] * rows[0][j] for j in rest] for i in rest]
        waiting.append((left[1:], complement, (*done, left[0]), product * pivot))
    return None


def opposed_pair(matrix: Any) -> tuple[int, int] | None:
    """Return i, j whose minor a_ii a_jj - a_ij a_ji of a sparse A with a positive diagonal may not be positive."""
    from scipy import sparse

    diagonal = matrix.diagonal()
    with np.errstate(all="ignore"):
        scaled = sparse.csr_array(sparse.diags_array(1 / diagonal) @ matrix)
        products = scaled.multiply(scaled.T).tocoo()
    off = products.row != products.col
    if not off.any() or not np.isfinite(products.data).all():
        return None
    worst = int(np.argmax(np.where(off, products.data, -np.inf)))
    if products.data[worst] < 1 - 1e-12:
        return None
    return int(products.row[worst]), int(products.col[worst])


def dominance(matrix: Any, error: Any) -> float | None:
    """Return by how much the comparison matrix of a sparse A is an M-matrix; None where it is not shown to be one.

    With D = diag(A) > 0 and |A - D| u < D u for some u > 0 every A_JJ is nonsingular, also with each off-diagonal entry
    shrunk to 0 along the way, so that det A_JJ > 0. With |A - D| u <= q D u that also holds for A + E, wherever
    |E| u < (1 - q) min_i D_i u: the number is (1 - q) min_i D_i.
    """
    from scipy import sparse

    least = (matrix.diagonal() - error.diagonal()) * (1 - 2 * _UNIT)
    if not (least > 0).all():
        return None
    entries = (abs(matrix) + error).tocoo()
    off = entries.row != entries.col
    with np.errstate(over="ignore"):
        values = entries.data[off] / least[entries.row[off]] * (1 + 8 * _UNIT)
    if not np.isfinite(values).all():
        return None
    ratio = sparse.csr_array((values, (entries.row[off], entries.col[off])), shape=matrix.shape)
    factor = contraction_weights(ratio)[1]
    return (1 - factor) * float(least.min()) * (1 - 4 * _UNIT) if factor < 1 else None


def symmetric_direction(matrix: Any, error: Any) -> tuple[float, Any]:
    """Return a lower bound on the least eigenvalue of (A + A')/2 and, unless it is positive, a direction near it.

    Where the bound is positive x'Ax > 0 for x != 0, so that every principal minor is positive, and so are those of
    A + E for |E| below the bound.
    """
    from scipy import sparse

    symmetric = sparse.csr_array(matrix / 2 + matrix.T / 2)
    spread = sparse.csr_array((error + error.T) / 2 + 2 * _UNIT * abs(symmetric))
    lower, _, direction = least_eigenvalue(symmetric, spread)
    return lower, direction


def suspected_minor(matrix: Any, direction: Any) -> NDArray[np.intp] | None:
    """Return the indices of a minor that is negative in floating point, among those on which a direction is largest."""
    order = np.argsort(-np.abs(direction), kind="stable")[:EXACT_ORDER]
    entries = matrix[order][:, order].toarray()
    signs = (np.linalg.slogdet(entries[:k, :k])[0] for k in range(2, order.size + 1))
    return next((order[: k + 2] for k, sign in enumerate(signs) if sign < 0), None)
