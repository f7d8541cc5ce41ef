"""Exact arithmetic: floats as the rationals they are, and decisions about rational matrices by python-flint."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Exact eigenvalue decisions are made up to this order: the characteristic polynomial's digits grow with it.
EXACT_ORDER = 48


def rational(value: float | Fraction) -> Any:
    """Return a finite float or a Fraction as the flint rational it equals."""
    from flint import fmpq

    numerator, denominator = (value if isinstance(value, Fraction) else float(value)).as_integer_ratio()
    return fmpq(numerator, denominator)


def nearest_float(number: float | Fraction) -> float:
    """Return the nearest float, an infinity where that overflows."""
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf


def rational_matrix(matrix: NDArray[Any]) -> Any:
    """Return a float matrix (m, n) as the flint rational matrix it equals."""
    from flint import fmpq_mat

    m, n = matrix.shape
    return fmpq_mat(m, n, [rational(x) for x in np.asarray(matrix, dtype=np.float64).ravel().tolist()])


def row_echelon(matrix: Any) -> tuple[Any, list[int]]:
    """Return a flint rational matrix in reduced row echelon form, and the column of the pivot of each row that has one.

    The rows come first that have a pivot, so their number is the rank.
    """
    reduced, rank = matrix.rref()
    columns = range(matrix.ncols())
    return reduced, [next(column for column in columns if reduced[row, column] != 0) for row in range(rank)]


def fraction(value: Any) -> Fraction:
    """Return a flint rational as a Fraction."""
    return Fraction(int(value.p), int(value.q))


def is_positive_semidefinite(matrix: Any) -> bool:
    """Decide whether a symmetric flint rational matrix is positive semidefinite.

    The eigenvalues are real, so all are >= 0 iff the coefficients of the characteristic polynomial alternate in sign
    (Descartes' rule): (-1)^(n-k) c_k >= 0 for each k.
    """
    coefficients = matrix.charpoly().coeffs()
    n = len(coefficients) - 1
    return all(c * (-1) ** (n - k) >= 0 for k, c in enumerate(coefficients))
