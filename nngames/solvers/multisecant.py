"""The coefficients of a multisecant step: the combination of the last differences that explains a displacement best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nngames.core.factors import LAPACK, solution
from nngames.core.profiles import Array
from nngames.networks.compiled.maps import GRAM_INDEPENDENCE

#: A difference is dropped if newer ones explain all but this share of it.
INDEPENDENCE = 1e-7
#: What a diagonal is raised by, relative, where a row may repeat others up to rounding.
RIDGE = 1e-15
#: The same of differences that were rounded to single precision: what is less may be rounding.
SINGLE_INDEPENDENCE = 1e-5


def _factor(gram: Array) -> Array:
    """Return the lower factor of a Gram matrix, NaN where there is none."""
    try:
        return np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return np.full_like(gram, np.nan)


_cholesky: Callable[[Array], Array] = getattr(LAPACK, "cholesky_lo", _factor)


def solve_gram(gram: Array, right: Array) -> Array | None:
    """Return the solution of the system with a Gram matrix; None where a row depends on those before it.

    That is where less than ``GRAM_INDEPENDENCE`` of the square of a difference is left beside those before it, or a
    number is not finite.
    """
    left = _cholesky(gram).diagonal().tolist()
    for pivot, square in zip(left, gram.diagonal().tolist(), strict=True):
        if not pivot * pivot > GRAM_INDEPENDENCE * square:
            return None
    return solution(gram, right)


def solve_unrepeated(gram: Array, right: Array) -> Array | None:
    """Return the solution without the rows that repeat those before them, 0 there; None where it does not tell which.

    A row repeats them if they explain all but ``INDEPENDENCE`` of it, whose square is still above rounding. What is
    left of the square of each other row has to be enough for ``solve_gram``. A diagonal that is larger by rounding
    keeps the factor real.
    """
    ridged, squares = gram.copy(), gram.diagonal()
    ridged.flat[:: len(gram) + 1] += RIDGE * squares
    left = _cholesky(ridged).diagonal() ** 2
    independent = left > GRAM_INDEPENDENCE * squares
    if not (independent | (left <= INDEPENDENCE**2 * squares)).all():
        return None
    result = np.zeros_like(right)
    result[independent] = solution(gram[independent][:, independent], right[independent])
    return result


def solve_independent(gram: Array, right: Array) -> Array:
    """Return the solution without the rows that depend on those before them, in the sense of ``solve_gram``.

    It is 0 at those rows.
    """
    chosen: list[int] = []
    for i, square in enumerate(gram.diagonal().tolist()):
        pivot = float(_cholesky(gram[np.ix_([*chosen, i], [*chosen, i])])[-1, -1])
        if pivot * pivot > GRAM_INDEPENDENCE * square:
            chosen.append(i)
    result = np.zeros_like(right)
    result[chosen] = solution(gram[np.ix_(chosen, chosen)], right[chosen])
    return result


def coefficients(
    tests: Array, changes: Array, g: Array, regularization: float, independence: float = INDEPENDENCE
) -> tuple[Array, Array]:
    """Return which rows of ``changes`` are used, and gamma with tests (g - changes' gamma) = 0 on those rows.

    Parameters
    ----------
    tests : ndarray (m, n)
        The differences, newest first, to which what is left of g becomes orthogonal: those of the displacements (then
        gamma is the least-squares solution) or of the iterates.
    changes : ndarray (m, n)
        The differences of the displacements.
    g : ndarray (n,)
    regularization : float
        Relative to the largest squared singular value of the system.
    independence : float
        A difference is dropped if newer ones explain all but this share of it.

    Returns
    -------
    chosen : ndarray of bool (m,)
    gamma : ndarray
        Empty where nothing finite is found.
    """
    chosen = np.ones(len(tests), dtype=bool)
    basis, triangle = np.linalg.qr(tests.T)
    independent = np.abs(np.diag(triangle)) > independence * np.sqrt(np.sum(triangle**2, axis=0))
    if not independent.all():
        chosen = independent
        basis, triangle = np.linalg.qr(tests[chosen].T)
    system = triangle if tests is changes else basis.T @ changes[chosen].T
    if system.size and np.isfinite(system).all():
        try:
            return chosen, _solved(system, basis.T @ g, regularization)
        except np.linalg.LinAlgError:
            # Type I may meet a singular system.
            pass
    return np.zeros(len(tests), dtype=bool), np.zeros(0, dtype=g.dtype)


def _solved(system: Array, target: Array, regularization: float) -> Array:
    """Return the solution of a square system, with Tikhonov's regularisation relative to its largest singular value."""
    if not regularization:
        return np.linalg.solve(system, target)
    left, values, right = np.linalg.svd(system)
    largest = values[0]
    if not largest > 0:
        return np.zeros_like(target)
    shares = values / largest
    return right.T @ (shares / (shares**2 + regularization) * ((left.T @ target) / largest))
