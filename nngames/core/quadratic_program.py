"""Small strictly convex quadratic programs, solved by daqp and polished on the active set to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InputError, NNGamesError

Array = NDArray[np.floating[Any]]


def minimise_quadratic(q: Array, u: Array, matrix: Array, lower: Array, upper: Array) -> Array:
    """Return argmin z'Qz/2 - <z, u> subject to lower <= A z <= upper, for Q positive definite.

    Parameters
    ----------
    q : ndarray (n, n)
        Positive definite.
    u : ndarray (n,)
    matrix : ndarray (m, n)
    lower, upper : ndarray (m,)
        Infinite where there is no constraint; equal for an equation.

    Raises
    ------
    InputError
        If no point satisfies the constraints.

    Notes
    -----
    daqp's dual active-set method finds the active constraints; the equality-constrained problem on them is then solved
    once more directly, so that the result is good to rounding and not only to daqp's tolerance of 1e-12.
    """
    import daqp

    n = u.size
    sense = np.where(lower == upper, 5, 0).astype(np.int32)
    # daqp takes writable arrays only.
    z, _, flag, info = daqp.solve(
        np.array(q, dtype=np.float64, order="C"),
        np.array(-u, dtype=np.float64, order="C"),
        np.array(matrix, dtype=np.float64, order="C"),
        np.array(np.minimum(upper, 1e30), dtype=np.float64, order="C"),
        np.array(np.maximum(lower, -1e30), dtype=np.float64, order="C"),
        sense,
        primal_tol=1e-12,
        dual_tol=1e-12,
    )
    if flag == -1:
        raise InputError("the constraints lower <= A z <= upper have no solution")
    if flag not in (1, 2):
        raise NNGamesError(f"the quadratic program of size {n} could not be solved (daqp exit flag {flag})")
    multipliers = np.asarray(info["lam"])
    active = np.abs(multipliers) > 0
    if not active.any():
        return np.linalg.solve(q, u)
    rows = matrix[active]
    bounds = np.where(multipliers[active] > 0, upper[active], lower[active])
    system = np.block([[q, rows.T], [rows, np.zeros((rows.shape[0],) * 2)]])
    try:
        polished = np.linalg.solve(system, np.concatenate([u, bounds]))[:n]
    except np.linalg.LinAlgError:
        return np.asarray(z)
    slack = 1e-9 * max(1.0, float(np.abs(polished).max()))
    feasible = (matrix @ polished <= upper + slack).all() and (matrix @ polished >= lower - slack).all()
    return polished if feasible else np.asarray(z)
