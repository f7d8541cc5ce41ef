"""What external solvers share: a run of theirs is one step, and its end is judged by our residual."""

from __future__ import annotations

import importlib.util
import time
import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngames.core.errors import DomainError, NotApplicableError
from nngames.core.profiles import Array
from nngames.games import FixedPoint, Game
from nngames.results.result import Status
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.options import integer_from, number_that, share
from nngames.solvers.solver import (
    MAX_ITERATIONS,
    TOLERANCE,
    Budget,
    Ended,
    Guarantee,
    Solver,
    State,
    no_guarantee,
    norm,
)

#: Another package rounds the map differently, so it is asked for slightly less than the target.
ASKED = 0.99
#: What a run is asked for outside the loop, when a person steps through it.
UNASKED = Budget(TOLERANCE, MAX_ITERATIONS, None)


@dataclass(frozen=True)
class Answer:
    """What an external solver returned.

    Attributes
    ----------
    x : ndarray
        In the map's variables.
    iterations, evaluations : int
        As the package reports them, or as counted.
    success : bool
        What the package says of its own run.
    said : str
        Its own words, or those of its rule for ending.
    exhausted : bool
        Whether it ended because it had used ``max_iterations``.
    """

    x: Array
    iterations: int
    evaluations: int
    success: bool
    said: str
    exhausted: bool = False


class ExternalProblem(FixedPointProblem):
    """A fixed-point map, and how the run of another package on it ended."""

    def __init__(self, view: FixedPoint, game: Game) -> None:
        super().__init__(view)
        self.game = game
        self.budget = UNASKED
        self.answer: Answer | None = None

    @property
    def network(self) -> Any:
        """The network of a game that has one."""
        return getattr(self.game, "network", None)

    @property
    def asked(self) -> float:
        """The residual that the package is asked for."""
        return ASKED * self.budget.target


class ExternalSolver(Solver):
    """A solver of another package: one step is its whole run.

    Its own tolerance is set to the run's target, in its own measure. Whether it converged is decided by the residual
    that nngames computes at the point it returns. ``iterations`` are those the package reports; ``evaluations`` are its
    calls of the map as far as it counts them, and two of ours, at the start and at the end.
    """

    external: ClassVar[bool] = True
    #: The packages it needs beyond nngames' own.
    packages: ClassVar[tuple[str, ...]] = ()

    def guarantee(self, game: Game) -> Guarantee:
        """Return that nothing is proved."""
        return no_guarantee("nngames proves nothing about an external solver")

    def problem(self, game: Game, rng: np.random.Generator) -> ExternalProblem:
        """Return the fixed-point view that the package works on."""
        reason = missing(self.packages) or self.refusal(game)
        if reason is not None:
            raise NotApplicableError(reason)
        return ExternalProblem(self.view(game), game)

    def view(self, game: Game) -> FixedPoint:
        """Return the game's own choice of a fixed-point map: composite on a ring, joint elsewhere."""
        return game.fixed_point("auto")

    def refusal(self, game: Game) -> str | None:
        """Return why the package, once installed, cannot run on this game, or None."""
        return None

    def prepare(self, problem: ExternalProblem, budget: Budget) -> None:
        """Note what the run is to reach."""
        problem.budget, problem.answer = budget, None

    def start(self, problem: ExternalProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.start(x0)

    def step(self, problem: ExternalProblem, state: State) -> State:
        """Return the state at the end of the package's run; a second step says how that ended."""
        if problem.answer is not None:
            raise self._ended(problem.answer)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = self.run(problem, np.array(state.x, dtype=np.float64))
        except DomainError:
            raise
        except Exception as error:
            # Whatever another package raises is a failed run with its reason, never a traceback.
            reason = " ".join(str(error).split())[:300] or "no reason given"
            raise Ended(Status.FAILED, f"{self.name} failed: {type(error).__name__}: {reason}") from None
        problem.answer = answer
        x = np.array(answer.x, dtype=state.x.dtype)
        following = problem.start(x)
        following.evaluations = state.evaluations + answer.evaluations + 1
        following.iterations = answer.iterations
        return following

    @abstractmethod
    def run(self, problem: ExternalProblem, x0: Array) -> Answer:
        """Run the package from x0 (a fresh array, float64) to ``problem.asked`` within ``problem.budget``."""

    def _ended(self, answer: Answer) -> Ended:
        if answer.success:
            said = f"{self.name} claims success by its own measure ({answer.said}), which the residual does not confirm"
            return Ended(Status.STALLED, said)
        status = Status.MAX_ITERATIONS if answer.exhausted else Status.STALLED
        return Ended(status, f"{self.name} says: {answer.said}")


def missing(packages: tuple[str, ...]) -> str | None:
    """Return that a package is not installed and what to install, or None."""
    absent = [package for package in packages if package not in _FOUND and not _find(package)]
    if not absent:
        return None
    return f"{' and '.join(absent)} not installed: it needs the extra 'peers', pip install 'nngames[peers]'"


#: Packages seen to be installed: looking costs more than a short solve.
_FOUND: set[str] = set()


def _find(package: str) -> bool:
    found = importlib.util.find_spec(package) is not None
    if found:
        _FOUND.add(package)
    return found


class Enough(Exception):
    """Ends the run of a package that calls the map from Python."""


class Watched:
    """The displacements T(x) - x as a package calls them from Python: counted, and ended at the target or out of time.

    Parameters
    ----------
    displacement : callable
        x -> T(x) - x in the package's own arrays.
    measure : callable
        The Euclidean norm of such an array, as a float.
    problem : ExternalProblem
    """

    def __init__(
        self, displacement: Callable[[Any], Any], measure: Callable[[Any], float], problem: ExternalProblem
    ) -> None:
        self._displacement, self._measure, self._asked = displacement, measure, problem.asked
        seconds = problem.budget.max_seconds
        self._deadline = None if seconds is None else time.perf_counter() + seconds
        self.calls = 0
        self.best: Any = None
        self.residual = np.inf

    def __call__(self, x: Any) -> Any:
        """Return T(x) - x, or raise Enough: at the target, where it is not finite, or when the time is up."""
        g = self._displacement(x)
        self.calls += 1
        residual = self._measure(g)
        if residual < self.residual:
            # The package may write into its x again.
            self.best, self.residual = x + 0.0, residual
        if residual <= self._asked or not np.isfinite(residual):
            self.best = x + 0.0
            raise Enough
        if self._deadline is not None and time.perf_counter() > self._deadline:
            raise Enough
        return g


def displacement_of(view: FixedPoint) -> Callable[[Array], Array]:
    """Return x -> T(x) - x in NumPy, a fresh array at each call."""

    def displacement(x: Array) -> Array:
        x = np.ascontiguousarray(x, dtype=np.float64)
        image = view.evaluate(x, np.empty_like(x))
        image -= x
        return image

    return displacement


def watched(problem: ExternalProblem) -> Watched:
    """Return the displacements of the problem's map in NumPy."""
    return Watched(displacement_of(problem.view), norm, problem)


def read_anderson_options(solver: Any) -> None:
    """Read the memory, mixing and regularisation of a package's Anderson acceleration, or raise OptionError."""
    weight = number_that(solver.name, "regularization", solver.regularization, "be nonnegative", lambda w: w >= 0)
    options = {
        "memory": integer_from(solver.name, "memory", solver.memory, 2),
        "mixing": share(solver.name, "mixing", solver.mixing),
        "regularization": weight,
    }
    for name, value in options.items():
        object.__setattr__(solver, name, value)
