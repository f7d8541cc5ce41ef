"""The second route: minimise a player's cost J_l directly through its penalty f, never through its response r.

Checks use it to recompute by an optimiser what solvers compute by a forward pass. The cost is known here by its values
(and, for CVXPY, by an expression of g* = f + |.|^2/2), so the accuracy is an optimiser's: the *cost* returned is within
about 1e-9 max(1, |cost|) of the minimum, the *action* only within sqrt(2 * 1e-9 * max(1, |cost|) / m) of the best
response, m the modulus of strong convexity. Compare costs, not actions.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from math import inf, isfinite
from typing import Any

import numpy as np

from nngames.activations.foundations.domain import Simplex
from nngames.activations.foundations.projections import SetProjection
from nngames.core.deadlines import look, watched
from nngames.core.errors import NNGamesError, NotApplicableError, OptionError
from nngames.core.profiles import Array, Player, Profile
from nngames.games.coupled_game import CoupledGame
from nngames.games.game import Game
from nngames.games.own_cost import OwnCost
from nngames.games.tracking_game import TrackingGame

ENGINES = ("auto", "cvxpy", "scipy")
#: ``auto`` leaves larger separable layers to CVXPY, which takes all coordinates at once.
_SCALAR_SIZE = 12
# With less time than this left, CVXPY is not imported, which takes longer and does not look at the clock.
_IMPORT_SECONDS = 1.0
# Tighter tolerances are missed on second-order cones, after which the answer is worse; refinement keeps these.
_CLARABEL = {
    "tol_gap_abs": 1e-10,
    "tol_gap_rel": 1e-10,
    "tol_feas": 1e-10,
    "iterative_refinement_reltol": 1e-15,
    "iterative_refinement_abstol": 1e-15,
    "iterative_refinement_max_iter": 20,
}


def minimise_cost(
    game: Game, player: Player, profile: Profile, engine: str = "auto", deadline: float = inf
) -> tuple[Array, float]:
    """Minimise a player's cost over its own action, the others' actions being those of ``profile``.

    Parameters
    ----------
    game : ProximalGame, TrackingGame or QuadraticGame
    player : player
    profile : profile
        The player's own action in it does not matter.
    engine : {"auto", "cvxpy", "scipy"}
        ``cvxpy``: phi = g* + z'(Q - I)z/2 where g* has an expression and Q - I is positive semidefinite, or where f is
        an indicator, solved by Clarabel to 1e-10. ``scipy``: bounded scalar minimisation of each coordinate over the
        interval dom f for separable penalties, BFGS in z = e^t / sum e^t on a simplex, SLSQP on polyhedra, and BFGS for
        the tracking cost. ``auto``: the one that fits.
    deadline : float
        Of time.monotonic: every evaluation of the cost, or iteration of Clarabel, looks at it.

    Returns
    -------
    action : ndarray (n_l,)
    cost : float
        J_player there, from the penalty f.

    Raises
    ------
    OptionError
        If there is no such engine.
    NotApplicableError
        If the engine cannot take the player's cost; the message says why.
    TimeUpError
        If the deadline comes first.
    """
    look(deadline)
    if engine not in ENGINES:
        raise OptionError(f"unknown engine {engine!r}; valid: {', '.join(ENGINES)}")
    x = np.array(game.space.array(profile), dtype=np.float64)
    where = game.space.slice(player)
    if isinstance(game, TrackingGame):
        if engine == "cvxpy":
            raise NotApplicableError("the tracking cost is no convex expression of its player's penalty: use scipy")
        action = _tracking(game, player, x, deadline)
    elif isinstance(game, CoupledGame):
        action = _coupled(game, player, x, engine, deadline)
    else:
        raise NotApplicableError(f"no second route is known for the cost of a {type(game).__name__}")
    x[where] = action
    return action, float(game.cost(player, x))


def _tracking(game: TrackingGame, player: Player, x: Array, deadline: float) -> Array:
    from scipy.optimize import minimize

    where = game.space.slice(player)

    def cost(z: Array) -> float:
        point = x.copy()
        point[where] = z
        return float(game.cost(player, point))

    timed = watched(cost, deadline)
    return np.asarray(minimize(timed, np.zeros(game.dims[player]), method="BFGS", options={"gtol": 1e-10}).x)


def _coupled(game: CoupledGame, player: Player, x: Array, engine: str, deadline: float) -> Array:
    block, coordinate = game.block_of(player)
    own, u = game.own[block], game.block_drive(block, x)
    scalar = own.activation.separable and (own.metric is None or own.metric.ndim == 1)
    if engine == "auto":
        few = coordinate is not None or u.size <= _SCALAR_SIZE
        engine = "scipy" if (scalar and few) or not _has_expression(own, u, deadline) else "cvxpy"
    if engine == "cvxpy":
        action = _by_cvxpy(own, u, deadline)
        return action if coordinate is None else action[coordinate : coordinate + 1]
    if scalar:
        return _by_coordinates(own, u, range(u.size) if coordinate is None else (coordinate,), deadline)
    return _by_nonlinear_programming(own, u, deadline)


# CVXPY


def _has_expression(own: OwnCost, u: Array, deadline: float) -> bool:
    if "cvxpy" not in sys.modules:
        look(deadline - _IMPORT_SECONDS)
    return _expression(own, u) is not None


def _expression(own: OwnCost, u: Array) -> tuple[Any, Any, list[Any]] | None:
    """Return a variable z, phi(z) - <z, u> as a convex expression, and constraints; None where there is none."""
    import cvxpy as cp

    z = cp.Variable(u.size)
    conjugate = own.activation.conjugate_cvxpy(z)
    if conjugate is None:
        return None
    expression, constraints = conjugate
    if own.metric is None:
        return z, expression - u @ z, constraints
    metric = np.diag(own.metric) if own.metric.ndim == 1 else own.metric
    if isinstance(own.activation, SetProjection) or own.activation.name == "identity":
        return z, 0.5 * cp.quad_form(z, cp.psd_wrap(metric)) - u @ z, constraints
    excess = metric - np.eye(u.size)
    if np.linalg.eigvalsh(excess)[0] < 0:
        return None
    return z, expression + 0.5 * cp.quad_form(z, cp.psd_wrap(excess)) - u @ z, constraints


def _by_cvxpy(own: OwnCost, u: Array, deadline: float) -> Array:
    import cvxpy as cp

    built = _expression(own, u)
    if built is None:
        raise NotApplicableError(
            f"the cost with activation {own.activation.name!r} and this curvature has no convex CVXPY expression: "
            "use scipy"
        )
    z, objective, constraints = built
    problem = cp.Problem(cp.Minimize(objective), constraints)
    with warnings.catch_warnings():
        # Clarabel reports a tolerance that it missed by little as inaccurate; the cost is judged by its value.
        warnings.simplefilter("ignore", UserWarning)
        left = deadline - time.monotonic()
        limit = {"time_limit": max(left, 1e-3)} if isfinite(left) else {}
        problem.solve(solver=cp.CLARABEL, **_CLARABEL, **limit)
    if problem.status == cp.USER_LIMIT:
        # Of the time, or of iterations.
        look(deadline)
    if z.value is None:
        raise NNGamesError(f"Clarabel could not minimise the cost of a player: status {problem.status}")
    return own.activation.domain.project(np.asarray(z.value, dtype=np.float64))


# SciPy, separable costs


def _by_coordinates(own: OwnCost, u: Array, coordinates: Any, deadline: float) -> Array:
    """Minimise each coordinate's f(z) + q z^2/2 - u z over its interval."""
    base = own.activation.domain.project(np.zeros(u.size))
    low, high = (own.activation.domain.project(np.full(u.size, end)) for end in (-np.inf, np.inf))
    metric = np.ones(u.size) if own.metric is None else own.metric
    result = []
    for i in coordinates:

        def cost(z: float, i: int = i) -> float:
            point = base.copy()
            point[i] = z
            penalty = float(own.activation.penalty(point)[i])
            return penalty + 0.5 * float(metric[i]) * z * z - float(u[i]) * z

        result.append(_minimum(watched(cost, deadline), float(low[i]), float(high[i]), float(base[i])))
    return np.array(result)


def _minimum(cost: Callable[[float], float], low: float, high: float, inside: float) -> float:
    """Return the minimiser over [low, high] of a strongly convex cost, from its values."""
    from scipy.optimize import minimize_scalar

    if low == high:
        return low
    ends = [end for end in (low, high) if np.isfinite(end)]
    left = low if np.isfinite(low) else _rise(cost, inside, -1.0)
    right = high if np.isfinite(high) else _rise(cost, inside, 1.0)
    candidates = [*ends, float(minimize_scalar(cost, bounds=(left, right), method="bounded", options=_FINE).x)]
    for end in ends:
        # Entropies are steep at the ends of their interval: there the distance to the end is the better variable.
        side = 1.0 if end == low else -1.0
        top = np.log(max(abs(candidates[len(ends)] - end), 1e-12)) + 3.0
        fine = minimize_scalar(
            lambda t, end=end, side=side: cost(end + side * np.exp(t)) if np.exp(t) <= right - left else np.inf,
            bounds=(-700.0, min(top, np.log(right - left))),
            method="bounded",
            options=_FINE,
        )
        candidates.append(float(end + side * np.exp(fine.x)))
    return min(candidates, key=cost)


_FINE = {"xatol": 1e-12, "maxiter": 500}


def _rise(cost: Callable[[float], float], inside: float, step: float) -> float:
    """Return a point on that side of ``inside`` where a strongly convex cost is higher."""
    value = cost(inside)
    while not cost(inside + step) > value:
        step *= 2
    return inside + step


# SciPy, costs that couple their coordinates


def _by_nonlinear_programming(own: OwnCost, u: Array, deadline: float) -> Array:
    from scipy.optimize import minimize

    domain, n = own.activation.domain, u.size

    def cost(z: Array) -> float:
        look(deadline)
        return float(own.value(z) - z @ u)

    form = own.activation.polyhedral_form(n)
    if form is not None or own.activation.name == "identity":
        found = minimize(
            watched(lambda z: 0.5 * z @ own.quadratic(z) - z @ u, deadline),
            domain.project(np.zeros(n)),
            jac=lambda z: own.quadratic(z) - u,
            method="SLSQP",
            constraints=[] if form is None else _linear_constraints(*form),
            options={"ftol": 1e-15, "maxiter": 1000},
        )
        return domain.project(np.asarray(found.x))
    if isinstance(domain, Simplex):
        found = minimize(lambda t: cost(_shares(t, domain.total)), np.zeros(n), method="BFGS", options={"gtol": 1e-9})
        return _shares(np.asarray(found.x), domain.total)
    if own.activation.separable:
        # Coupled by a matrix Q only: f is finite on a box.
        ends = [domain.project(np.full(n, end)) for end in (-np.inf, np.inf)]
        bounds = list(zip(*(end.tolist() for end in ends), strict=True))
        found = minimize(
            cost, domain.project(np.zeros(n)), method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-9}
        )
        return np.asarray(found.x)
    raise NotApplicableError(f"no SciPy route is known for the penalty of {own.activation.name!r}: use cvxpy")


def _linear_constraints(matrix: Array, lower: Array, upper: Array) -> list[Any]:
    """Return lower <= A z <= upper with equations and inequalities apart, as SLSQP wants them."""
    from scipy.optimize import LinearConstraint

    equal = lower == upper
    parts = [(matrix[rows], lower[rows], upper[rows]) for rows in (equal, ~equal) if rows.any()]
    return [LinearConstraint(*part) for part in parts]


def _shares(t: Array, total: float) -> Array:
    weights = np.exp(t - t.max())
    return total * weights / weights.sum()
