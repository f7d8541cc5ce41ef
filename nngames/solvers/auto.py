"""The default method: the scheme whose convergence is proved, else the schemes in turn with a share of the budget."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from typing import Any

from nngames.core.errors import OptionError
from nngames.games import Game
from nngames.results.result import Result
from nngames.solvers.advice import licensed_methods
from nngames.solvers.solver import Solver, registry

#: Tried in this order where nothing is proved.
FALLBACKS = ("best_response", "km", "extragradient")


def plan(game: Game) -> list[tuple[Solver, str]]:
    """Return the schemes to run, each with the reason."""
    licensed = next(licensed_methods(game, besides=""), None)
    if licensed is not None:
        return [(registry.create(licensed[0]), licensed[1])]
    chosen = [registry.create(name) for name in FALLBACKS]
    return [(solver, "no certificate licenses a scheme") for solver in chosen if solver.applies(game) is None]


def solve_automatically(
    game: Game, run: Any, options: dict[str, Any], max_iterations: int, max_seconds: float | None
) -> Result:
    """Run the plan until a scheme converges; return that result, or the one with the smallest residual.

    The evaluations and the seconds of the result are those of all schemes together.

    Parameters
    ----------
    game : Game
    run : callable (Solver, max_iterations, max_seconds) -> Result
    options : dict
        Must be empty: ``auto`` chooses every option itself.
    max_iterations : int
        Shared evenly among the schemes.
    max_seconds : float or None
        For all schemes together.

    Raises
    ------
    OptionError
        If options are given.
    """
    if options:
        raise OptionError(f"auto chooses the options itself; name a method to set {', '.join(map(repr, options))}")
    schemes = plan(game)
    share = -(-max_iterations // len(schemes))
    results: list[tuple[Result, str]] = []
    for number, (solver, reason) in enumerate(schemes):
        most = min(share, max_iterations - number * share)
        left = None if max_seconds is None else max_seconds - sum(result.seconds for result, _ in results)
        if number and (most <= 0 or (left is not None and left <= 0)):
            break
        results.append((run(solver, most, left), reason))
        if results[-1][0].converged:
            break
    best, why = min(results, key=lambda pair: (not pair[0].converged, isnan(pair[0].residual), pair[0].residual))
    return replace(
        best,
        method=f"auto:{best.method}",
        evaluations=sum(result.evaluations for result, _ in results),
        seconds=sum(result.seconds for result, _ in results),
        message=_message(best, why, [result for result, _ in results]),
    )


def _message(best: Result, why: str, results: list[Result]) -> str:
    if best.converged or len(results) == 1:
        return f"auto chose {best.method} ({why}): {best.message}"
    tried = ", ".join(f"{result.method}: {result.status}" for result in results)
    return (
        f"auto found no equilibrium, and {why} ({tried}); closest was {best.method} with residual {best.residual:.2e}: "
        f"try another start, or --max-iterations {10 * sum(max(result.iterations, 100) for result in results)}"
    )
