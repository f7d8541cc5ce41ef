"""What a batch starts from: the starts as an array, and the problem of a scheme on all of them at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.core.errors import NotApplicableError, ShapeError
from nngames.core.profiles import Array
from nngames.games import Game
from nngames.networks.compiled.loading import installed, kernels
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.solver import Problem, Solver, registry

#: Schemes that do the same to every start draw nothing.
_NO_RNG: Any = None


def check_starts(game: Game, starts: Any) -> Array:
    """Return the starts as an array (batch, N), or raise ShapeError or InputError."""
    array = game.space.array(starts, batch=True, what="starts")
    if array.ndim != 2 or not len(array):
        raise ShapeError(f"starts has shape {array.shape}; expected (batch, {game.size}) with a row for each start")
    return array


def batched_problem(solver: Solver, game: Game, dtype: np.dtype[Any], limited: bool) -> tuple[Problem, bool]:
    """Return the solver's problem for many starts at once, in that precision, and whether it misses compiled kernels.

    ``limited`` says whether the run has a limit of time, which loading them would use up.

    Raises
    ------
    NotApplicableError
        If the scheme cannot run on the game, or takes one start at a time.
    """
    if not solver.rowwise:
        able = ", ".join(m for m in registry.names() if _by_rows(m))
        raise NotApplicableError(
            f"{solver.name} with these options takes one start at a time: call solve for each start; batches are taken "
            f"by {able} and best_response with order='simultaneous'"
        )
    try:
        problem = solver.problem(game, _NO_RNG)
        missed = installed() and isinstance(problem, FixedPointProblem) and kernels(limited) is None
        return problem.batched(dtype), missed
    except NotApplicableError as error:
        raise NotApplicableError(f"{solver.name} does not apply: {error}") from None


def _by_rows(method: str) -> bool:
    kind = registry[method]
    return not kind.external and bool(kind().rowwise)
