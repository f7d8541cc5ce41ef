"""The default method: plain passes, then what they show to be fastest, and in the end a scheme that is proved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.results.result import Status
from nngames.solvers.advice import existence_proved
from nngames.solvers.automatic.last_resorts import licensed_schemes
from nngames.solvers.automatic.stages import Course
from nngames.solvers.automatic.turns import first_scheme
from nngames.solvers.loop import Run
from nngames.solvers.solver import Budget, Guarantee, Solver, State, no_guarantee


@dataclass(frozen=True)
class Auto(Solver):
    """A run through several schemes, each left when it does not keep what it promised.

    1. Plain passes; where no signal returns to where it came from, one sweep in topological order, which ends the run;
       on a dense affine ring Newton's method, which solves one linear system; where the couplings are one sparse matrix
       and the kernels are loaded, spectral steps with sweeps in which players answer in turn, and without kernels plain
       spectral steps if the matrix is symmetric: plain passes come only after them.
    2. After a few passes a forecast (``forecast``). Where they were compiled dense ones and promise that few steps of
       the Krasnoselskii-Mann scheme with relaxation 1/2 are needed, as on rotations, these follow without a pause for
       as long as they keep that. Else, as the forecast says: plain passes, that scheme, Anderson acceleration, spectral
       steps or Newton's method. Each is forecast again from what it does, and left for good unless the smallest
       residual so far falls by a fixed factor in every window of steps.
    3. A scheme whose convergence is proved on the game, if there is one, for as long as it takes; else several in turn,
       from the best profile so far, and in the end Newton's method from a few drawn ones. Where it is not proved that
       there is an equilibrium, a limited number of pivots comes before. Now and then Newton's method is tried from
       where the scheme stands.

    Guarantee
    ---------
    If some scheme of ``last_resorts.licensed_schemes`` is PROVED to converge and there is an equilibrium, the run
    reaches every positive tolerance (in exact arithmetic). Proof: in part 2 no scheme comes twice, and each is left
    after finitely many steps unless the smallest residual falls by the fixed factor in each of its windows, which are
    bounded, for ever. The pivots before the proved scheme are finitely many. A trial of Newton's method in part 3 ends
    in the same way and leaves the iterates of the proved scheme as they are, so these converge. No rate. In
    floating-point numbers a proved scheme may be unable to start or to go on; the next one that is proved follows.
    """

    name: ClassVar[str] = "auto"
    steered: ClassVar[bool] = True

    @property
    def autonomous(self) -> bool:
        """Never: a run depends on its past."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether a scheme that the run begins or ends with is proved to converge."""
        first = first_scheme(game)
        if first.name == "best_response" and (verdict := first.guarantee(game)).proved:
            return replace(verdict, statement=f"auto begins with {first.name}, and {verdict.statement}", rate=None)
        found = next(licensed_schemes(game), None)
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
        """Tell the run what it has to reach and may spend."""
        problem.target, problem.budget = budget.target, budget

    def start(self, problem: Course, x0: Array) -> State:
        """Return the state of the first scheme that can start at the profile x0."""
        return problem.begin(x0)

    def step(self, problem: Course, state: State) -> State:
        """Return the next state of the scheme whose turn it is."""
        return problem.advance(state)


class AutoRun(Run):
    """An automatic run, whose result names the scheme it ended with and says what it tried.

    One that does not converge ends with the best profile that it remembers, where that is better than the last one.
    """

    def _better(self, profile: Array, residual: float) -> tuple[Array, float]:
        course: Course = self._problem  # type: ignore[assignment]
        best = course.best_profile()
        smaller = self.game.distance(best)
        return (best, smaller) if smaller < residual else (profile, residual)

    def _told(self, status: Status, message: str) -> tuple[str, str]:
        course: Course = self._problem  # type: ignore[assignment]
        if not hasattr(course, "turn"):
            return self.solver.name, message
        scheme, left = course.turn.scheme.name, course.left
        order = getattr(course.turn.scheme, "order", None)
        how = f" in {order} order" if order in ("topological", "sequential") else ""
        tried = "; ".join(f"{name}: {why}" for name, why in left.items() if name != scheme) if left else ""
        if status is Status.CONVERGED:
            message = f"{message}, with {scheme}{how}" + f" (before, {tried})" * bool(tried)
        elif tried and status not in (Status.FAILED, Status.INTERRUPTED):
            # A message ends with what to do next.
            message = f"tried {tried}; then {scheme}: {message}"
        return f"auto:{scheme}", message
