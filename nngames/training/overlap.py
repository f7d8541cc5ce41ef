"""Overlapping classes, proved: positive weights of the samples that exclude every separating direction.

No D with S D >= 0, E D = 0 and S D != 0 exists if some lambda > 0 and mu have S'lambda + E'mu = 0: then lambda'S D = 0
(Stiemke's theorem says that otherwise such a D does exist). A linear program gives such weights up to rounding. With
B = (S, E) of independent columns and r = S'lambda + E'mu, the least change that makes them exact has the norm
|(B'B)^{-1/2} r| <= |r|/sigma_min(B): they prove the overlap where all of lambda is larger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nngames.core.bounds import symmetric_extremes
from nngames.core.exact import rational_matrix, row_echelon
from nngames.core.profiles import Array

#: Products of at most this many rationals are taken where rounding leaves the proof open.
LARGEST_PRODUCTS = 500_000
_UNIT = 2.0**-53
_WHOLE = 2.0**26


def distinct_columns(rows: Array) -> NDArray[np.bool_]:
    """Return which columns to keep of rows that end in a one, so that those left out are exact combinations of them.

    Left out are zero, constant and repeated columns, and columns of integers that are sums of others with integer
    coefficients, as are the indicators of all categories: their directions change no pre-activation that those of the
    others do not.
    """
    _, first = np.unique(rows, axis=1, return_index=True)
    kept = np.zeros(rows.shape[1], dtype=bool)
    kept[first] = True
    kept &= ~(rows == rows[0]).all(axis=0)
    kept[-1] = True
    whole = np.flatnonzero(kept & (np.abs(rows).max(axis=0) <= _WHOLE) & (rows == np.rint(rows)).all(axis=0))
    kept[whole[~_integer_basis(rows[:, whole])]] = False
    return kept


def _integer_basis(columns: Array) -> NDArray[np.bool_]:
    """Return which columns of integers to keep; the others are sums of them with integer coefficients."""
    from scipy.linalg import qr

    triangle, order = qr(columns, mode="r", pivoting=True)
    sizes = np.abs(triangle.diagonal())
    rank = int(np.count_nonzero(sizes > 1e-10 * sizes[0]))
    basis, kept = columns[:, order[:rank]], np.ones(columns.shape[1], dtype=bool)
    for place in order[rank:]:
        coefficients = np.rint(np.linalg.lstsq(basis, columns[:, place], rcond=None)[0])
        # Sums of products of integers this small are exact in floats.
        kept[place] = not (
            np.abs(coefficients).sum() <= _WHOLE and np.array_equal(basis @ coefficients, columns[:, place])
        )
    return kept


def independent(lines: Array) -> bool:
    """Whether the columns are linearly independent, proved in floats."""
    return bool(len(lines)) and _least_square(lines) > 0


def overlapping(signed: Array, equal: Array, weights: Array, multipliers: Array) -> bool:
    """Whether no D with signed D >= 0, equal D = 0 and some of signed D > 0 exists, proved from weights near a proof.

    Parameters
    ----------
    signed, equal : ndarray (m, n), (k, n)
    weights : ndarray (m,)
        Near a lambda > 0.
    multipliers : ndarray (k,)
        Near its mu.
    """
    lines = np.concatenate([signed, equal])
    near = np.concatenate([weights, multipliers])
    # What the linear program left is taken off as well as floats do it.
    near = near - lines @ np.linalg.lstsq(lines.T @ lines, lines.T @ near, rcond=1e-14)[0]
    least = float(near[: len(signed)].min())
    if not least > 0:
        return False
    gamma = 1.1 * (len(lines) + 4) * _UNIT
    left = np.abs(lines.T @ near) + gamma * (np.abs(lines).T @ np.abs(near)) + 1e-290
    square = _least_square(lines)
    if square > 0 and float(np.linalg.norm(left)) * (1 + 1e-9) < least * np.sqrt(square) * (1 - 1e-9):
        return True
    if lines.size * lines.shape[1] > LARGEST_PRODUCTS:
        return False
    return _overlapping_exactly(lines, near, len(signed))


def _least_square(lines: Array) -> float:
    """Return a lower bound on the least eigenvalue of B'B."""
    gram = lines.T @ lines
    gram = (gram + gram.T) / 2
    absolute = np.abs(lines)
    error = 1.1 * (len(lines) + 4) * _UNIT * (absolute.T @ absolute) + 1e-290
    return symmetric_extremes(gram, error)[0].lower


def _overlapping_exactly(lines: Array, near: Array, count: int) -> bool:
    """Whether the least change, in rationals, that makes the weights exact leaves the first ``count`` positive."""
    # Of these columns all others are combinations, exactly.
    _, pivots = row_echelon(rational_matrix(lines))
    if not pivots:
        return True
    exact, vector = rational_matrix(lines[:, pivots]), rational_matrix(near[:, None])
    transposed = exact.transpose()
    moved = vector - exact * (transposed * exact).solve(transposed * vector)
    return all(moved[i, 0] > 0 for i in range(count))
