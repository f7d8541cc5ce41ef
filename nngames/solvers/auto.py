"""The default method: plain passes, then what they show to be fastest, and in the end a scheme that is proved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.results.result import Result, Status
from nngames.solvers.advice import existence_proved
from nngames.solvers.last_resorts import licensed_scheme
from nngames.solvers.loop import Run
from nngames.solvers.solver import Budget, Guarantee, Solver, State, no_guarantee
from nngames.solvers.stages import Course


@dataclass(frozen=True)
class Auto(Solver):
    """A run through several schemes, each left when it does not keep what it promised.

    1. Plain passes; where the players answer in an order in which nobody listens to a later one, a sweep.
    2. After a few passes a forecast (``forecast``): as it says, plain passes, the Krasnoselskii-Mann scheme with
       relaxation 1/2, Anderson acceleration or Newton's method. Each is forecast again from what it does, and left for
       good unless the smallest residual so far falls by a fixed factor in every window of steps.
    3. A scheme whose convergence is proved on the game, if there is one, for as long as it takes; else several in turn,
       from the best profile so far. Now and then Newton's method is tried from where it stands.

    Guarantee
    ---------
    If some scheme of ``advice.licensed_methods`` is PROVED to converge, the run reaches every positive tolerance (in
    exact arithmetic): in part 2 either the residual falls by the fixed factor for ever, or each scheme is left after
    finitely many steps, and part 3 does not change the iterates of the proved scheme. No rate.
    """

    name: ClassVar[str] = "auto"
    steered: ClassVar[bool] = True

    @property
    def autonomous(self) -> bool:
        """Never: a run depends on its past."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether a scheme that the run ends with is proved to converge."""
        found = licensed_scheme(game)
        if found is None:
            return no_guarantee("no scheme is proved to converge on this game, so neither is the run through several")
        scheme, verdict = found
        return replace(
            verdict,
            statement=f"auto ends with {scheme.name}, and {verdict.statement}",
            margin=None,
            rate=None,
            witness={**verdict.witness, "scheme": scheme.name, "unique": existence_proved(verdict)},
        )

    def problem(self, game: Game, rng: np.random.Generator) -> Course:
        """Return the run, with nothing decided yet."""
        return Course(game, rng)

    def prepare(self, problem: Course, budget: Budget) -> None:
        """Tell the run what it has to reach."""
        problem.target = budget.target

    def start(self, problem: Course, x0: Array) -> State:
        """Return the state of the first scheme that can start at the profile x0."""
        return problem.begin(x0)

    def step(self, problem: Course, state: State) -> State:
        """Return the next state of the scheme whose turn it is."""
        return problem.advance(state)


class AutoRun(Run):
    """An automatic run, whose result names the scheme it ended with and says what it tried."""

    def _result(self, *arguments: Any, **named: Any) -> Result:
        result = super()._result(*arguments, **named)
        course: Course = self._problem  # type: ignore[assignment]
        if not hasattr(course, "turn"):
            return result
        scheme, left, message = course.turn.scheme.name, dict(course.left), result.message
        left.pop(scheme, None)
        tried = "; ".join(f"{name}: {why}" for name, why in left.items())
        if result.status is Status.CONVERGED:
            message = f"{message}, with {scheme}" + f" (before, {tried})" * bool(tried)
        elif tried and result.status not in (Status.FAILED, Status.INTERRUPTED):
            # A message ends with what to do next.
            message = f"tried {tried}; then {scheme}: {message}"
        return replace(result, method=f"auto:{scheme}", message=message)
