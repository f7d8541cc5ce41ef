"""Proved bounds along runs: what a scheme's rate allows at each iterate, from the distance of its start to x*."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.core.errors import NNGamesError
from nngames.core.profiles import Array
from nngames.games import Game
from nngames.results.bound_curve import BoundCurve
from nngames.results.result import Result
from nngames.solvers.solver import Guarantee, Solver


def bound_curve(game: Game, start: Any, scheme: Solver, result: Result, equilibrium: Array) -> BoundCurve | None:
    """Return the bound on a run's iterates that its guarantee proves; None where there is none.

    Parameters
    ----------
    game : Game
    start : profile or None
        None: zero.
    scheme : Solver
    result : Result
    equilibrium : ndarray (N,)
        What the start's distance is measured to. A bound holds for every equilibrium; for a profile near one it holds
        up to their distance.
    """
    trace = result.trace
    if not trace.residual.size or equilibrium.size != game.size:
        return None
    guarantee = result.guarantee
    rate = guarantee.rate if isinstance(guarantee, Guarantee) and guarantee.proved else None
    if rate is None:
        return None
    try:
        problem = scheme.problem(game, np.random.default_rng(0))
        profile = np.zeros(game.size) if start is None else game.space.array(start, what="start")
        distance = rate.norm(problem.restrict(profile) - problem.restrict(np.array(equilibrium)))
    except NNGamesError:
        return None
    values = np.array([rate.bound(k, distance) for k in range(trace.residual.size)], dtype=float)
    return BoundCurve(trace.evaluations, values, rate.quantity, rate.description)
