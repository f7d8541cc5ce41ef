"""What a solver is: frozen hyperparameters, a problem view, a start and a step, and the guarantee behind them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array
from nngames.core.registry import Registry
from nngames.core.seeds import Seed, generator
from nngames.core.verdicts import Decision, Verdict
from nngames.core.workspace import taken
from nngames.games import Game, required_game
from nngames.networks.compiled.loading import Kernels
from nngames.networks.compiled.maps import FusedMap
from nngames.results.result import Status

if TYPE_CHECKING:
    from nngames.solvers.stopping import Stretch

#: Every solver, by name.
registry: Registry[type[Solver]] = Registry("method")

#: The decorator that registers a solver class (a frozen dataclass of its hyperparameters) under a name.
solver_named = registry.named


#: Where a run ends whose caller says nothing of it.
TOLERANCE, MAX_ITERATIONS = 1e-9, 10_000


@dataclass(frozen=True)
class Rate:
    """A proved bound on the iterates of a scheme.

    Attributes
    ----------
    quantity : str
        What is bounded at iteration k: ``"distance"``, the norm of x_k - x*; ``"residual"``, |R(x_k) - x_k|_2;
        ``"best_residual"``, the smallest residual up to k.
    norm : callable
        The norm of a difference of iterates that the bound starts from and, for a distance, is stated in.
    bound : callable
        (k, initial distance in that norm) -> the bound at iteration k.
    description : str
        The bound as a formula.
    """

    quantity: str
    norm: Callable[[Array], float]
    bound: Callable[[int, float], float]
    description: str


@dataclass(frozen=True)
class Guarantee(Verdict):
    """A verdict on a scheme's convergence; ``rate`` is its bound where it is PROVED.

    The bound is about the scheme's own iterates: of x_L on a composite map, of profiles elsewhere.
    """

    rate: Rate | None = None


def no_guarantee(reason: str) -> Guarantee:
    """Return the verdict that nothing proves convergence here, and why."""
    return Guarantee(Decision.UNDECIDED, reason, "no certificate that licenses the scheme was proved")


@dataclass(slots=True)
class State:
    """An iterate of a scheme.

    Attributes
    ----------
    x : ndarray
        The iterate, in the problem's own variables.
    residual : float
        The undamped residual at x, or the undamped displacement that led to x where a pass gives no residual.
    evaluations : int
        Passes made so far.
    memory : Any
        What the scheme carries along.
    iterations : int, optional
        Iterations so far, where one call of ``step`` makes many.
    """

    x: Array
    residual: float
    evaluations: int
    memory: Any = None
    iterations: int | None = None


@dataclass(frozen=True)
class Budget:
    """What a run is to reach and what it may spend.

    Attributes
    ----------
    target : float
        tolerance * scale.
    max_iterations : int
    max_seconds : float or None
    """

    target: float
    max_iterations: int
    max_seconds: float | None


class Ended(Exception):
    """Raised by ``step`` of a scheme that goes no further.

    Parameters
    ----------
    status : Status
    said : str
        Why, for the result's message; the whole message where the status is ``failed``.
    decided : bool
        Whether it is proved that no scheme can find an equilibrium.
    """

    def __init__(self, status: Status, said: str, decided: bool = False) -> None:
        super().__init__(said)
        self.status, self.said, self.decided = status, said, decided


@dataclass(frozen=True, eq=False)
class Iterate:
    """A step as a user of ``iterate`` or of a callback sees it.

    Attributes
    ----------
    iteration, evaluations : int
    profile : ndarray (N,)
        A copy.
    residual : float
        As in ``Trace.residual``.
    """

    iteration: int
    evaluations: int
    profile: Array
    residual: float


class Problem(ABC):
    """A problem view bound to one run: it turns profiles into the scheme's variables and back."""

    #: Whether compiled steps may read weights in single precision, which moves residuals by rounding.
    refined: bool = False

    #: Whether a step depends on the state and the generator alone, so that a checkpoint holds all that a run needs.
    resumable: ClassVar[bool] = False

    @property
    def fused(self) -> FusedMap | None:
        """The map for which ``several_steps`` makes compiled steps; None where the scheme goes step by step."""
        return None

    def several_steps(self, kernels: Kernels, state: Any, stretch: Stretch) -> tuple[State, Array, Any]:
        """Return the state after at least one step of a stretch, and the residuals and passes of all states on the way.

        The passes are an array, or a range where each step makes one.
        An interruption finds ``state`` with an iterate of the run, be it a later one. Only called where ``fused`` is a
        map.
        """
        raise NotImplementedError

    def batched(self, dtype: np.dtype[Any]) -> Problem:
        """Return the problem for many starts at once, whose iterates have one more axis and whose residuals are arrays.

        Raises
        ------
        NotApplicableError
            If it takes one start at a time.
        """
        raise NotApplicableError("its steps are made for one start at a time")

    #: The axis of the starts in a batched problem's iterates.
    batch_axis: ClassVar[int] = 0

    #: Of a batch: whether a step needs the place of the iterate only, not what is in it.
    replaces: bool = False

    def profiles(self, x: Array, those: NDArray[np.intp]) -> Array:
        """Return the profiles (batch, N) of ``those`` starts of a batched problem's iterate."""
        return self.profile(np.take(x, those, axis=self.batch_axis))

    def kept_iterate(self, x: Array, kept: NDArray[np.intp]) -> Array:
        """Return a batched problem's iterate with the starts ``kept`` only, as the next step needs it."""
        return taken(x, kept, self.batch_axis)

    def keep(self, kept: NDArray[np.intp]) -> None:  # noqa: B027  (most problems have no buffers)
        """Drop the starts of a batched problem but for those at the indices ``kept``."""

    @abstractmethod
    def restrict(self, profile: Array) -> Array:
        """Return the scheme's variables of a profile, as a fresh array."""

    @abstractmethod
    def profile(self, x: Array) -> Array:
        """Return the profile of the scheme's variables."""

    def told(self, x: Array) -> tuple[Array, float, float] | None:
        """Return a profile of the variables and the game's residual with its rounding, where one pass tells.

        The profile stays as it is until the next step.
        """
        return None

    def passed(self, state: State) -> tuple[Array, float, float] | None:
        """Return what ``told`` does, but from the last pass, R(x) - x in the state's own arrays.

        None where the pass was none of the game's residual at x. Only asked of a state that no step has followed yet.
        """
        return None


class Solver(ABC):
    """A scheme: frozen hyperparameters with ``start`` and ``step``; the loop owns everything else.

    Subclasses are frozen dataclasses; their fields are the options, each with a default.
    """

    name: ClassVar[str]
    #: Whether the scheme is another package's.
    external: ClassVar[bool] = False
    #: Whether the scheme itself notices that it diverges or stalls.
    steered: ClassVar[bool] = False

    @property
    def rowwise(self) -> bool:
        """Whether a step does to each of many starts what it does to it alone, so that ``solve_batch`` takes it."""
        return False

    @property
    def autonomous(self) -> bool:
        """Whether a step depends on the state alone, so that a state that recurs proves a cycle."""
        return True

    @property
    def draws(self) -> bool:
        """Whether the scheme may draw from the run's generator, which a short solve does not make for nothing."""
        return not (self.autonomous or self.steered)

    def applies(self, game: Game) -> str | None:
        """Return why the scheme cannot run on this game at all, or None."""
        try:
            self.problem(game, np.random.default_rng(0))
        except NotApplicableError as error:
            return str(error)
        return None

    @abstractmethod
    def guarantee(self, game: Game) -> Guarantee:
        """Return whether convergence is proved on this game, by which certificate and theorem, at what rate."""

    @abstractmethod
    def problem(self, game: Game, rng: np.random.Generator) -> Problem:
        """Return the view of the game that the scheme works on. Raises NotApplicableError if there is none."""

    def prepare(self, problem: Any, budget: Budget) -> None:  # noqa: B027  (most schemes have nothing to prepare)
        """Tell the problem, before ``start``, what the run is to reach: for schemes that a step runs to their end."""

    @abstractmethod
    def start(self, problem: Any, x0: Array) -> State:
        """Return the state at x0."""

    @abstractmethod
    def step(self, problem: Any, state: State) -> State:
        """Return the next state; arrays of ``state`` may be reused."""

    def iterate(self, game: Game, start: Any = None, seed: Seed = None) -> Iterator[Iterate]:
        """Step through the scheme without end: ``for state in solver.iterate(game): ...``.

        Parameters
        ----------
        game : Game
        start : profile, optional
            Default: the zero profile.
        seed : int or Generator, optional
            For schemes that draw.

        Raises
        ------
        NotApplicableError
            If the scheme cannot run on this game.
        """
        problem = self.problem(check_game(game), generator(seed))
        profile = np.zeros(game.size) if start is None else game.space.array(start, what="start")
        # The caller's own code runs between the steps, so the state of warnings may not stay changed there.
        quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")
        state = quiet(self.start)(problem, problem.restrict(profile))
        for iteration in count():
            shown = np.array(quiet(problem.profile)(state.x))
            yield Iterate(iteration, state.evaluations, shown, state.residual)
            try:
                state = quiet(self.step)(problem, state)
            except Ended:
                return

    @property
    def options(self) -> dict[str, Any]:
        """The hyperparameters by name."""
        return {name: getattr(self, name) for name in _option_names(type(self))}


@cache
def _option_names(kind: type[Solver]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))  # type: ignore[arg-type]


def check_game(game: Any) -> Game:
    """Return the game, or raise InputError saying what to pass."""
    return required_game(game, "a solver")


def norm(d: Array) -> float:
    """Return the Euclidean norm of a vector."""
    return math.sqrt(d.dot(d))


def row_norms(d: Array) -> Any:
    """Return the Euclidean norms of the rows."""
    return np.sqrt(np.einsum("ij,ij->i", d, d))


def column_norms(d: Array) -> Any:
    """Return the Euclidean norms of the columns."""
    return np.sqrt(np.einsum("ij,ij->j", d, d))
