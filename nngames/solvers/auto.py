"""The default method: the scheme whose convergence is proved, else the schemes in turn with a share of the budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nngames.core.errors import OptionError
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.results.result import Result, Status
from nngames.solvers.advice import licensed_methods
from nngames.solvers.solver import Solver, no_guarantee, registry

#: Tried in this order where nothing is proved.
FALLBACKS = ("best_response", "km", "extragradient")


def plan(game: Game) -> list[tuple[Solver, str]]:
    """Return the schemes to run, each with the reason."""
    licensed = [(registry.create(name), reason) for name, reason in licensed_methods(game, besides="")]
    if licensed:
        return licensed[:1]
    chosen = [registry.create(name) for name in FALLBACKS]
    return [(solver, "no certificate licenses a scheme") for solver in chosen if solver.applies(game) is None]


def solve_automatically(game: Game, run: Any, options: dict[str, Any], max_iterations: int) -> Result:
    """Run the plan until a scheme converges; return that result, or the one with the smallest residual.

    Parameters
    ----------
    game : Game
    run : callable (Solver, max_iterations) -> Result
    options : dict
        Must be empty: ``auto`` chooses every option itself.
    max_iterations : int
        Shared among the schemes.

    Raises
    ------
    OptionError
        If options are given.
    """
    if options:
        raise OptionError(f"auto chooses the options itself; name a method to set {', '.join(map(repr, options))}")
    schemes = plan(game)
    share, used, best = max(1, max_iterations // len(schemes)), 0, None
    for solver, reason in schemes:
        result = run(solver, share if len(schemes) > 1 else max_iterations)
        used += result.evaluations
        if best is None or result.residual < best.residual or result.converged:
            best, why = result, reason
        if result.converged or result.status is Status.MAX_SECONDS:
            break
    if best is None:
        raise OptionError("no scheme applies to this game")
    return replace(
        best,
        method=f"auto:{best.method}",
        evaluations=used,
        message=f"auto chose {best.method} ({why}): {best.message}",
    )


def automatic_guarantee(game: Game) -> Any:
    """Return the guarantee of the scheme that ``auto`` would run first."""
    solver, _ = plan(game)[0]
    guarantee = solver.guarantee(game)
    return guarantee if guarantee.status is Decision.PROVED else no_guarantee("no certificate licenses a scheme")
