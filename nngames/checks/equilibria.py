"""Equilibria found by several methods, and when a small residual may be taken for an equilibrium.

A small residual proves nothing: softplus with W = 1, b = 0 has residual 3e-10 at 22, exactly 0 in floating point at 40,
and no equilibrium. A profile counts as an equilibrium found in floating point only if Id - R, R the map that is fed, is
invertible there with a margin that confines the solution: Newton's steps must reach a residual of 1e-12 scale, move the
state by at most sqrt(tolerance) scale, and leave (residual + rounding) / sigma below that, sigma the smallest singular
value of Id - DR. Or R must be proved to contract. Otherwise it must be an equilibrium in exact arithmetic, itself or
after rounding to multiples of 2^-30.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from nngames.certificates import verdict_of
from nngames.checks.cycle_certificates import certification_reason
from nngames.checks.existing.exact import is_exact_equilibrium
from nngames.checks.feed_batches import FedMap
from nngames.core.deadlines import look, watched
from nngames.core.errors import DomainError
from nngames.core.profiles import Array
from nngames.core.threads import blas_threads
from nngames.games import CoupledGame, Game
from nngames.solvers import registry
from nngames.solvers.solver import Solver

#: The solvers that look for equilibria, as far as they apply.
METHODS = ("best_response", "km", "extragradient")
#: Above this size no Jacobian is formed.
MOST_COORDINATES = 400
#: Singular values of Id - DR below this are not told from 0, DR being known by differences.
SINGULAR = 1e-7
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Resolved:
    """A profile that counts as an equilibrium.

    Attributes
    ----------
    profile : ndarray (N,)
    residual : float
    isolated : bool
        Whether it is proved or computed to be the only one nearby.
    how : str
    """

    profile: Array
    residual: float
    isolated: bool
    how: str


def roots(game: Game, starts: Sequence[Array], deadline: float = inf) -> Iterator[tuple[str, Array]]:
    """Yield ("root", profile) from Powell's hybrid method on R(x) - x = 0; nothing is claimed of the profiles.

    Every evaluation looks at the deadline, a moment of time.monotonic, and raises TimeUpError after it.
    """
    from scipy.optimize import root

    options = {"xtol": 1e-13, "maxfev": 200 * (game.size + 1)}
    residuals = watched(game.residuals, deadline)
    for start in starts if game.size <= MOST_COORDINATES // 2 else ():
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                x = np.asarray(root(residuals, start, method="hybr", options=options).x, dtype=np.float64)
                near = np.isfinite(x).all() and game.residual(x) <= 1e-6 * game.scale
            except DomainError:
                continue
        if near:
            yield "root", x


def solutions(
    game: Game, starts: Sequence[Array], iterations: int = 100, deadline: float = inf
) -> Iterator[tuple[str, Array]]:
    """Yield (method, profile) from solvers that came near an equilibrium; nothing is claimed of the profiles.

    Every iteration looks at the deadline, a moment of time.monotonic, and raises TimeUpError after it.
    """
    for start in starts:
        for method in METHODS:
            # Some solvers bound the norm of the whole system first.
            look(deadline - _time_for([game.size] if isinstance(game, CoupledGame) and game.linear else ()))
            solver = registry[method]()
            if solver.applies(game) is None:
                try:
                    profile = _last_iterate(solver, game, start, iterations, deadline)
                    residual = float(game.residual(profile)) if np.isfinite(profile).all() else inf
                except DomainError:
                    continue
                if residual <= 1e-3 * game.scale:
                    yield method, profile


def _last_iterate(solver: Solver, game: Game, start: Array, iterations: int, deadline: float) -> Array:
    """Return what a solver has after so many iterations, or once its residual is small or not a number."""
    profile = start
    with blas_threads(game.multiplications, game.size):
        for iterate in itertools.islice(solver.iterate(game, start), iterations + 1):
            look(deadline)
            profile = iterate.profile
            if not 1e-9 * game.scale < iterate.residual < inf:
                break
    return profile


def resolve(game: Game, fed: FedMap, profile: Array, tolerance: float, deadline: float = inf) -> Resolved | str:
    """Return the equilibrium at ``profile``, or the reason why the profile does not count as one.

    Raises TimeUpError where the deadline, a moment of time.monotonic, comes before it is decided.
    """
    look(deadline)
    try:
        return _resolved(game, fed, profile, tolerance, deadline)
    except DomainError as error:
        return f"near it an activation is not defined: {error}"


def _resolved(game: Game, fed: FedMap, profile: Array, tolerance: float, deadline: float) -> Resolved | str:
    state = fed.restrict(profile)
    if fed.size > MOST_COORDINATES:
        return (
            _contracted(game, profile, tolerance, deadline)
            or _exact(game, profile, tolerance, deadline)
            or (f"no Jacobian is formed for {fed.size} coordinates and no contraction is proved")
        )
    scale = max(float(np.linalg.norm(state)), fed.unit)
    near = float(np.sqrt(tolerance)) * scale
    with np.errstate(all="ignore"):
        jacobian = np.eye(fed.size) - _derivative(fed, state)
        if not np.isfinite(jacobian).all():
            return "the derivative is not finite there"
        sigma = float(np.linalg.svd(jacobian, compute_uv=False)[-1])
        if sigma > SINGULAR:
            x, residual = _newton(fed, state, jacobian)
            rounding = 8 * _EPS * np.sqrt(fed.size) * scale
            moved = float(np.linalg.norm(x - state))
            if residual <= 1e-12 * scale and moved <= near and (residual + rounding) / sigma <= near:
                found = fed.lift(x)
                how = f"Id - DR is invertible there, smallest singular value {sigma:.3g}"
                return Resolved(found, float(game.residual(found)), True, how)
    return _exact(game, profile, tolerance, deadline) or (
        f"Id - DR has the smallest singular value {sigma:.2g} there, so that a residual of "
        f"{float(game.residual(profile)):.2g} does not tell an equilibrium from a drift"
    )


def _derivative(fed: FedMap, x: Array) -> Array:
    """Return DR at the state x by central differences."""
    steps = 1e-6 * np.maximum(1.0, np.abs(x))
    moves = np.diag(steps)
    return ((fed.advance(x + moves) - fed.advance(x - moves)) / (2 * steps[:, None])).T


def _newton(fed: FedMap, x: Array, jacobian: Array) -> tuple[Array, float]:
    """Return the best of a few Newton steps with a fixed Jacobian, and its residual."""
    best, move = x, fed.advance(x) - x
    for _ in range(8):
        x = best + np.linalg.solve(jacobian, move)
        change = fed.advance(x) - x
        if not np.linalg.norm(change) < np.linalg.norm(move):
            break
        best, move = x, change
    return best, float(np.linalg.norm(move))


def _contracted(game: Game, profile: Array, tolerance: float, deadline: float) -> Resolved | None:
    """Return the profile if a contraction is proved and the residual is small: then it is near the one equilibrium."""
    residual = float(game.residual(profile))
    if not residual <= tolerance * game.scale:
        return None
    for name in ("composite_contraction", "joint_contraction", "neuron_contraction"):
        look(deadline - _time_for(game.dims.values()))
        verdict = verdict_of(name, game)
        if verdict.proved and residual <= tolerance * game.scale * (1 - float(verdict.witness["factor"])):
            return Resolved(profile, residual, True, f"the map contracts ({name})")
    return None


def _time_for(orders: Iterable[float]) -> float:
    """Return about how much time must be left for bounds on norms of matrices, which do not look at the clock."""
    return max(min(2e-9 * sum(order**3 for order in orders), 5.0) - 0.4, 0.0)


def _exact(game: Game, profile: Array, tolerance: float, deadline: float) -> Resolved | None:
    """Return the profile, or its rounding, if it is an equilibrium in exact or ball arithmetic of radius 0."""
    if certification_reason(game) is not None:
        return None
    rounded = np.rint(profile * 2.0**30) / 2.0**30
    for x in (profile, rounded):
        if np.linalg.norm(x - profile) <= np.sqrt(tolerance) * game.scale and is_exact_equilibrium(game, x, deadline):
            return Resolved(x, float(game.residual(x)), False, "an equilibrium in exact arithmetic")
    return None
