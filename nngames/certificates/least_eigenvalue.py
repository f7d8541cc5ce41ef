"""The least eigenvalue of a sparse symmetric matrix: a tight enclosure up to order 1500, safe one-sided bounds beyond.

A direction that nearly attains it comes with the bounds; ``form_upper`` proves its sign.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngames.certificates.perron import LARGE_ORDER, balanced_weights
from nngames.core.bounds import TIGHT_SIDE, collatz_wielandt, symmetric_extremes
from nngames.core.eigenvectors import eigenvector
from nngames.core.profiles import Array

_UNIT = 2.0**-53
#: Up to this order a bound that rows do not give is sought by a Cholesky factorisation.
CHOLESKY_ORDER = 4000
# Up to this order a dense eigenvector is had sooner than one by Lanczos's method that converges slowly.
_DENSE_ORDER = 2500
# How far below the estimated least eigenvalue, relative to the matrix, a factorisation is tried.
_LOSSES = (1e-8, 1e-6, 1e-4, 1e-2)


def least_eigenvalue(matrix: Any, error: Any) -> tuple[float, float, Array | None]:
    """Return safe bounds on the least eigenvalue and, unless it is positive, a direction that nearly attains it.

    Parameters
    ----------
    matrix, error : sparse array (n, n)
        A symmetric matrix S~ and a componentwise bound on |S~ - S|; the bounds are for S.

    Returns
    -------
    lower, upper : float
    direction : ndarray (n,) or None
    """
    n = matrix.shape[0]
    if not np.isfinite(matrix.data).all() or not np.isfinite(error.data).all():
        return -np.inf, np.inf, np.ones(n)
    if n <= TIGHT_SIDE:
        dense = matrix.toarray()
        least, _ = symmetric_extremes(dense, error.toarray())
        return least.lower, least.upper, None if least.lower > 0 else np.linalg.eigh(_of_unit_size(dense))[1][:, 0]
    lower, upper = weighted_rows(matrix, error), float(matrix.diagonal().min()) + float(error.diagonal().max())
    if lower > 0:
        return lower, upper, None
    direction = _direction(_of_unit_size(matrix))
    value = form_upper(matrix, error, direction)
    upper = min(upper, value / float(direction @ direction) + 4 * n * _UNIT * abs(value))
    if upper > 0 and n <= CHOLESKY_ORDER:
        lower = max(lower, _cholesky_bound(matrix.toarray(), error, upper))
    return lower, upper, None if lower > 0 else direction


def _of_unit_size(matrix: Any) -> Any:
    """Return the matrix over about its largest entry, a power of two: no factorisation leaves the floats then."""
    exponent = math.frexp(float(abs(matrix).max()))[1]
    return matrix * math.ldexp(1.0, min(-exponent, 1000))


def form_upper(matrix: Any, error: Any, d: Array) -> float:
    """Return an upper bound on d'Sd with every rounding counted."""
    terms = 2 * matrix.shape[0] + 8
    magnitude = float(np.abs(d) @ (abs(matrix) @ np.abs(d)))
    rounding = 1.02 * terms * _UNIT * magnitude + 1.02 * float(np.abs(d) @ (error @ np.abs(d))) + 1e-290
    return float(d @ (matrix @ d)) + rounding


def weighted_rows(matrix: Any, error: Any) -> float:
    """Return lambda_min(S) >= s - max_i (|s I - S| u)_i / u_i, for s the largest diagonal entry and some u > 0.

    It is attained where the off-diagonal entries are not positive, since |s I - S| is then s I - S.
    """
    from scipy import sparse

    identity = sparse.eye_array(matrix.shape[0])
    shift = float(matrix.diagonal().max())
    spread = sparse.csr_array(abs(shift * identity - matrix) * (1 + 4 * _UNIT) + error)
    bound = collatz_wielandt(spread, balanced_weights(spread))
    return shift - bound - 2 * _UNIT * (abs(shift) + bound)


def _direction(matrix: Any) -> Array:
    """Return a direction near an eigenvector of the least eigenvalue, in floats: it proves nothing by itself."""
    n = matrix.shape[0]
    if n > _DENSE_ORDER:
        # Where a factorisation is made anyway, eigenvectors are affordable, and slow convergence is not waited for.
        found = _lanczos_direction(matrix, 30 if n <= CHOLESKY_ORDER else 300 if n < LARGE_ORDER else 3)
        if found is not None:
            return found
    if n <= CHOLESKY_ORDER:
        return eigenvector(matrix.toarray(), 0)
    return np.random.default_rng(0).standard_normal(n)


def _lanczos_direction(matrix: Any, restarts: int) -> Array | None:
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    start = np.random.default_rng(0).standard_normal(matrix.shape[0])
    try:
        return np.asarray(eigsh(matrix, k=1, which="SA", v0=start, tol=1e-3, maxiter=restarts)[1][:, 0])
    except ArpackNoConvergence:
        return None


def _cholesky_bound(dense: Array, error: Any, estimate: float) -> float:
    """Return a lower bound on lambda_min(S) near ``estimate`` from a floating Cholesky factorisation, or -inf.

    If the factorisation of A completes, A + E = R'R with |E_ij| <= g sqrt(a_ii a_jj) and g = gamma / (1 - gamma),
    gamma = gamma_{n+1}, so lambda_min(A) >= -g trace(A).
    """
    n = dense.shape[0]
    scale = float(np.abs(dense).max()) + abs(estimate)
    gamma = (n + 1) * _UNIT / (1 - (n + 1) * _UNIT)
    for loss in _LOSSES:
        shift = estimate - loss * scale
        shifted = dense - shift * np.eye(n)
        try:
            np.linalg.cholesky(shifted)
        except np.linalg.LinAlgError:
            continue
        rounding = 1.01 * gamma / (1 - gamma) * float(np.trace(shifted)) + 4 * _UNIT * (scale + abs(shift)) + 1e-280
        return shift - rounding - 1.01 * float(error.sum(axis=1).max())
    return -np.inf
