"""The default method: the scheme whose convergence is proved, else the schemes in turn with a share of the budget."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from typing import Any

from nngames.core.errors import DomainError, OptionError
from nngames.games import Game
from nngames.results.result import Result, Status
from nngames.solvers.advice import licensed_methods
from nngames.solvers.solver import Solver, registry

#: Tried in this order where nothing is proved.
FALLBACKS = ("best_response", "km", "extragradient")


def plan(game: Game) -> list[tuple[Solver, str]]:
    """Return the schemes to run, each with the reason."""
    licensed = next(licensed_methods(game, besides=""), None)
    if licensed is not None:
        return [(registry.create(licensed[0]), licensed[1])]
    return _fallbacks(game, "", "no certificate licenses a scheme")


def _fallbacks(game: Game, besides: str, reason: str) -> list[tuple[Solver, str]]:
    chosen = [registry.create(name) for name in FALLBACKS if name != besides]
    return [(solver, reason) for solver in chosen if solver.applies(game) is None]


def solve_automatically(
    game: Game, run: Any, options: dict[str, Any], max_iterations: int, max_seconds: float | None
) -> Result:
    """Run the plan until a scheme converges; return that result, or the one with the smallest residual.

    A scheme fails where an activation is not defined at its start or at a later step; the next one is then tried, after
    a licensed scheme too. The evaluations and the seconds of the result are those of all schemes together.

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
    DomainError
        If no scheme can start where the user wants it to.
    """
    if options:
        raise OptionError(f"auto chooses the options itself; name a method to set {', '.join(map(repr, options))}")
    attempts = _Attempts(run, max_seconds)
    schemes = plan(game)
    attempts.make(schemes, max_iterations)
    if len(schemes) == 1 and attempts.failed:
        name = schemes[0][0].name
        reason = f"{name}, whose convergence is proved where it is defined, left that set"
        attempts.make(_fallbacks(game, name, reason), max_iterations - attempts.iterations)
    return attempts.outcome()


class _Attempts:
    """The schemes tried so far, with one budget of seconds."""

    def __init__(self, run: Any, max_seconds: float | None) -> None:
        self._run, self._max_seconds = run, max_seconds
        self._results: list[tuple[Result, str]] = []
        self._ended: dict[str, str] = {}
        self._refusal: DomainError | None = None

    @property
    def iterations(self) -> int:
        """The iterations made."""
        return sum(result.iterations for result, _ in self._results)

    @property
    def failed(self) -> bool:
        """Whether no scheme stayed where the activations are defined."""
        return all(result.status is Status.FAILED for result, _ in self._results)

    def make(self, schemes: list[tuple[Solver, str]], max_iterations: int) -> None:
        """Run the schemes, with a share of the iterations each, until one converges."""
        share = -(-max_iterations // max(1, len(schemes)))
        for number, (solver, reason) in enumerate(schemes):
            most = min(share, max_iterations - number * share)
            left = None
            if self._max_seconds is not None:
                left = self._max_seconds - sum(result.seconds for result, _ in self._results)
            if self._ended and (most <= 0 or (left is not None and left <= 0)):
                return
            try:
                result = self._run(solver, most, left)
            except DomainError as error:
                self._ended[solver.name], self._refusal = "cannot start", self._refusal or error
                continue
            unstarted = result.status is Status.FAILED and result.iterations == 0
            self._ended[solver.name] = "failed at the start" if unstarted else str(result.status)
            self._results.append((result, reason))
            if result.converged:
                return

    def outcome(self) -> Result:
        """Return the result that converged, or the one with the smallest residual, with the figures of all."""
        if not self._results:
            raise self._refusal or DomainError("no scheme can start")
        results = [result for result, _ in self._results]
        best, why = min(
            self._results, key=lambda pair: (not pair[0].converged, isnan(pair[0].residual), pair[0].residual)
        )
        return replace(
            best,
            method=f"auto:{best.method}",
            evaluations=sum(result.evaluations for result in results),
            seconds=sum(result.seconds for result in results),
            message=self._message(best, why, results),
        )

    def _message(self, best: Result, why: str, results: list[Result]) -> str:
        tried = ", ".join(f"{name}: {end}" for name, end in self._ended.items() if name != best.method)
        if best.converged or len(self._ended) == 1:
            return f"auto chose {best.method} ({why}{'; ' * bool(tried)}{tried}): {best.message}"
        tried = ", ".join(f"{name}: {end}" for name, end in self._ended.items())
        found = f"auto found no equilibrium, and {why} ({tried})"
        if self.failed:
            return f"{found}: {best.message}"
        return (
            f"{found}; closest was {best.method} with residual {best.residual:.2e}: "
            f"try another start, or --max-iterations {10 * sum(max(result.iterations, 100) for result in results)}"
        )
