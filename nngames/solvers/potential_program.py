"""The potential of a game as a convex program of CVXPY, where it is one and the penalties have expressions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from nngames.activations.foundations.projections import SetProjection
from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array
from nngames.games import CoupledGame
from nngames.solvers.piecewise_equation import pieces_of

#: Programs with more actions are left to descent.
PROGRAM_SIZE = 1000
# An eigenvalue this far below 0, relative, is rounding: the program only proposes a point.
_ROUNDING = 1e-12


class PotentialProgram:
    """min over x of sum_l c_l g_l*(x_l) + x'C(M - I)x/2 + <C q, x>, with M x + q unshifted; a set has f = 0 for g*.

    Where every response has one piece S v + b that is not flat, g* is |z|^2/(2S) - b sum(z)/S on its domain. It belongs
    to the quadratic part as well, and the program of such games is convex iff sym(C M) >= 0.

    Parameters
    ----------
    game : CoupledGame
    weights : ndarray (N,)
        c, one for each coordinate.

    Raises
    ------
    NotApplicableError
        If the program is too large, a penalty has no expression, or the quadratic part is not convex.
    """

    def __init__(self, game: CoupledGame, weights: Array) -> None:
        n = game.size
        if n > PROGRAM_SIZE:
            raise NotApplicableError(f"the convex program takes up to {PROGRAM_SIZE} actions; the game has {n}")
        self._game, self._weights = game, weights
        matrix = game.inclusion().matrix.dense.astype(np.float64)
        # What is added to the diagonal of M - I for g*, NaN where g* stands beside it; and the linear part.
        self._curvature, self._slant = np.full(n, np.nan), np.zeros(n)
        for block, where in game.blocks.slices.items():
            activation = game.own[block].activation
            slope = activation.slope_range[1]
            matrix[where, where] += (1 - 1 / slope if slope > 1 else 0.0) * np.eye(where.stop - where.start)
            found = _quadratic(activation)
            if found is not None:
                self._curvature[where], self._slant[where] = found
        with np.errstate(over="ignore"):
            matrix = weights[:, None] * (matrix - np.diag(1 - np.nan_to_num(self._curvature)))
        self._matrix = matrix / 2 + matrix.T / 2
        if not np.isfinite(self._matrix).all():
            raise NotApplicableError("the potential's entries leave the range of floats")
        values = np.linalg.eigvalsh(self._matrix)
        if values[0] < -_ROUNDING * max(1.0, float(np.abs(values).max())):
            raise NotApplicableError(
                "the potential is not shown to be convex term by term, as a program of CVXPY must be: the quadratic "
                f"part beside the penalties has the eigenvalue {values[0]:.3g}"
            )
        self._build()

    def _build(self) -> None:
        import cvxpy as cp

        game, n = self._game, self._game.size
        self._x = cp.Variable(n)
        linear = (game.inclusion().operator(np.zeros(n), np.empty(n)) + self._slant) * self._weights
        objective: Any = 0.5 * cp.quad_form(self._x, cp.psd_wrap(self._matrix)) + linear @ self._x
        constraints: list[Any] = []
        for block, where in game.blocks.slices.items():
            activation = game.own[block].activation
            z = self._x[where]
            found = activation.conjugate_cvxpy(z)
            if found is None:
                raise NotApplicableError(f"player {block}: the penalty of {activation.name!r} has no CVXPY expression")
            constraints += found[1]
            if np.isnan(self._curvature[where.start]):
                objective = objective + self._conjugate(activation, where, found[0])
        self._problem = cp.Problem(cp.Minimize(objective), constraints)

    def _conjugate(self, activation: Any, where: slice, whole: Any) -> Any:
        """Return sum_i c_i g*(z_i); entries with weights of their own are taken one by one."""
        shares = self._weights[where]
        if (shares == shares[0]).all():
            return float(shares[0]) * whole
        parts = [
            float(share) * activation.conjugate_cvxpy(self._x[where.start + i : where.start + i + 1])[0]
            for i, share in enumerate(shares)
        ]
        return sum(parts)

    def minimiser(self) -> Array | None:
        """Return Clarabel's minimiser, put on the domains; None where it finds none."""
        import cvxpy as cp

        with warnings.catch_warnings():
            # An accuracy that is missed by little is no matter: what is proposed here is polished and judged.
            warnings.simplefilter("ignore")
            try:
                self._problem.solve(solver=cp.CLARABEL)
            except cp.SolverError:
                return None
        if self._x.value is None:
            return None
        return into_domains(self._game, np.array(self._x.value, dtype=np.float64))


def _quadratic(activation: Any) -> tuple[float, float] | None:
    """Return 1/S and -b/S where g* is |z|^2/(2S) - b sum(z)/S on its domain; (1, 0) for a set; else None."""
    if isinstance(activation, SetProjection):
        return 1.0, 0.0
    if not (activation.piecewise_linear and activation.separable and activation.continuous):
        return None
    (pieces,) = pieces_of("", activation, 1)
    moving = [(s, b) for s, b in zip(pieces.slopes, pieces.offsets, strict=True) if s != 0]
    if len(moving) != 1:
        return None
    slope, offset = moving[0]
    return float(1 / slope), float(-offset / slope)


def into_domains(game: CoupledGame, x: Array) -> Array:
    """Return x with every block's part projected on the domain of its penalty."""
    result = np.array(x, dtype=np.float64)
    for block, where in game.blocks.slices.items():
        result[where] = game.own[block].activation.domain.project(result[where])
    return result
