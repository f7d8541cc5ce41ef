"""Small strictly convex quadratic programs, solved by daqp and polished on the active set to rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InputError, NNGamesError

Array = NDArray[np.floating[Any]]

#: What daqp takes as infinite, and what may be a bound beside it.
_INFINITE, _LARGE = 1e30, 1e20


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
    once more directly, so that the result is good to rounding and not only to daqp's tolerance of 1e-12. Its tolerances
    are absolute, so that coordinates are taken in units in which every curvature is about 1, and the rows of A in units
    in which their largest entry is.
    """
    curvature = q.diagonal()
    stretch = _power_of_two(1 / np.sqrt(np.where(curvature > 0, curvature, 1.0)))
    with np.errstate(over="ignore", invalid="ignore"):
        steepness = np.abs(matrix * stretch).max(axis=1, initial=0.0)
        unit = _power_of_two(1 / np.where(steepness > 0, steepness, 1.0))
        bounds = lower * unit, upper * unit
        scaled = q * stretch * stretch[:, None], u * stretch, matrix * stretch * unit[:, None], *bounds
    given = q, u, matrix, lower, upper
    if all((np.isfinite(new) == np.isfinite(old)).all() for new, old in zip(scaled, given, strict=True)):
        return stretch * _minimiser(*scaled)
    return _minimiser(*given)


def _power_of_two(values: Array) -> Array:
    """Return for each positive number the power of two at or below it, of those that floats hold."""
    return np.ldexp(1.0, np.frexp(values)[1] - 1)


def _minimiser(q: Array, u: Array, matrix: Array, lower: Array, upper: Array) -> Array:
    """Return the minimiser of a program whose curvatures are about 1."""
    sizes = [float(np.abs(t[np.isfinite(t)]).max(initial=0.0)) for t in (u, lower, upper)]
    size, farthest = max(sizes), max(sizes[1:])
    unit = math.ldexp(1.0, math.frexp(size)[1]) if 0 < size < math.inf else 1.0
    # The tolerances are absolute, so that small data are scaled up; large ones only where they prevent a solution, or
    # bounds come near to what counts as infinite.
    scale = unit if farthest > _LARGE else min(unit, 1.0)
    z, flag, multipliers = _active_set(q, u / scale, matrix, lower / scale, upper / scale)
    if flag == -1 and unit > scale:
        scale = unit
        z, flag, multipliers = _active_set(q, u / scale, matrix, lower / scale, upper / scale)
    if flag == -1:
        raise InputError("the constraints lower <= A z <= upper have no solution")
    if flag not in (1, 2):
        raise NNGamesError(f"the quadratic program of size {u.size} could not be solved (daqp exit flag {flag})")
    active = np.abs(multipliers) > 0
    if not active.any():
        return np.linalg.solve(q, u)
    rows = matrix[active]
    bounds = np.where(multipliers[active] > 0, upper[active], lower[active])
    try:
        polished = _on_constraints(q, u, rows, bounds)
    except np.linalg.LinAlgError:
        return z * scale
    slack = 1e-9 * max(scale, float(np.abs(polished).max()))
    feasible = (matrix @ polished <= upper + slack).all() and (matrix @ polished >= lower - slack).all()
    return polished if feasible else z * scale


def _on_constraints(q: Array, u: Array, rows: Array, bounds: Array) -> Array:
    """Return argmin z'Qz/2 - <z, u> subject to A z = bounds, for rows of A that are independent.

    A row with one entry fixes a coordinate. For the others z = z_0 + N w with A N = 0 and N'QN w = N'(u - Q z_0), so
    that the size of the multipliers leaves no rounding in z.
    """
    z, single = np.zeros(u.size), np.count_nonzero(rows, axis=1) == 1
    fixing, places = np.nonzero(rows * single[:, None])
    z[places] = bounds[fixing] / rows[fixing, places]
    free = np.ones(u.size, dtype=bool)
    free[places] = False
    others = rows[~single]
    z[free] = _on_equations(q[np.ix_(free, free)], u[free] - q[free] @ z, others[:, free], bounds[~single] - others @ z)
    return z


def _on_equations(q: Array, u: Array, rows: Array, bounds: Array) -> Array:
    """Return the minimiser on A z = bounds: as many coordinates as rows follow from the others, which are free.

    With pivots, so that they follow well; and with coordinates, so that simple data stay free of rounding.
    """
    from scipy.linalg import qr

    count, size = rows.shape
    if count > size:
        raise np.linalg.LinAlgError
    order = qr(rows, mode="r", pivoting=True)[1] if count else np.arange(size)
    basic, others = order[:count], order[count:]
    start, directions = np.zeros(size), np.zeros((size, size - count))
    start[basic] = np.linalg.solve(rows[:, basic], bounds)
    directions[others] = np.eye(size - count)
    directions[basic] = -np.linalg.solve(rows[:, basic], rows[:, others])
    return start + directions @ np.linalg.solve(directions.T @ q @ directions, directions.T @ (u - q @ start))


def _active_set(q: Array, u: Array, matrix: Array, lower: Array, upper: Array) -> tuple[Array, int, Array]:
    """Return daqp's minimiser, exit flag and multipliers."""
    import daqp

    # daqp takes writable arrays only.
    z, _, flag, info = daqp.solve(
        np.array(q, dtype=np.float64, order="C"),
        np.array(-u, dtype=np.float64, order="C"),
        np.array(matrix, dtype=np.float64, order="C"),
        np.array(np.minimum(upper, _INFINITE), dtype=np.float64, order="C"),
        np.array(np.maximum(lower, -_INFINITE), dtype=np.float64, order="C"),
        np.where(lower == upper, 5, 0).astype(np.int32),
        primal_tol=1e-12,
        dual_tol=1e-12,
    )
    return np.asarray(z), int(flag), np.asarray(info["lam"])
