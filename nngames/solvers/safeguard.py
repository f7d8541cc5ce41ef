"""What makes an accelerated scheme safe: every proposed step is tried, and a relaxed step is taken where it fails.

A scheme proposes a step s from x_k, whose displacement is g_k = R(x_k) - x_k. The step is *licensed* if
|s| <= STEP_LIMIT |g_k| and |g_k| <= RESIDUAL_LIMIT |g_0| (i + 1)^-(1 + DECAY), i the number of proposals accepted so
far; it is *accepted* if besides |g(x_k + s)| is finite and at most ``growth`` times the smallest residual so far. Else
x_{k+1} = x_k + lambda g_k, a Krasnoselskii-Mann step with lambda = 1/2, halved (down to 1/64) after a relaxed step that
raised the residual and doubled after one that did not. A rejected proposal costs a pass.

Whatever the proposals are, x_k converges to a fixed point if R is nonexpansive in the Euclidean norm and has one, or if
R contracts in some norm. Proof. The accepted steps are summable, since sum_i (i + 1)^-(1 + DECAY) is finite. For a
nonexpansive R and a fixed point x*, a relaxed step gives |x_{k+1} - x*|^2 <= |x_k - x*|^2 - lambda (1 - lambda)|g_k|^2,
so |x_k - x*| converges (quasi-Fejer monotonicity), the g_k of relaxed steps are square summable, and those of accepted
steps tend to 0 by the licence: g_k -> 0. The bounded sequence has a cluster point, which is a fixed point, and as the
distance to that point converges too, x_k converges to it. For a contraction by q in a norm, a relaxed step multiplies
the distance to x* in that norm by at most 1 - lambda (1 - q), and the accepted steps add a summable amount: with
infinitely many relaxed steps the distance tends to 0; with finitely many g_k -> 0, and the norm of g_k is at least
1 - q times the distance. The licence is that of Zhang, O'Donoghue and Boyd (2020), who derive the bound on the step
from their scheme; here it is a test, so that any scheme may propose.
"""

from __future__ import annotations

import math

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.figures import shown
from nngames.core.errors import DomainError
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import FixedPoint, Game
from nngames.networks.bound_passes import BoundPass
from nngames.solvers.fixed_point import contraction, displaced
from nngames.solvers.options import number_that
from nngames.solvers.solver import Guarantee, Problem, Solver, State, no_guarantee, norm

STEP_LIMIT = 1e10
RESIDUAL_LIMIT = 1e6
DECAY = 1e-6
#: The largest and the smallest relaxation of the step that is taken where a proposal fails.
RELAXATION, SMALLEST_RELAXATION = 0.5, 1 / 64
#: A stretch of accelerated steps pays if each of them lowers the residual by this factor in the mean.
PAYING = 0.7


class DisplacementProblem(Problem):
    """A fixed-point map; the memory of a state is its displacement R(x) - x.

    Attributes
    ----------
    view : FixedPoint
    """

    #: What makes the passes of the run in place of the view.
    _near: BoundPass | None = None

    def __init__(self, view: FixedPoint) -> None:
        self.view = view

    def restrict(self, profile: Array) -> Array:
        """Return the map's argument."""
        return np.array(self.view.restrict(profile))

    def profile(self, x: Array) -> Array:
        """Return the profile of the map's argument."""
        return self.view.profile(x)

    def told(self, x: Array) -> tuple[Array, float, float] | None:
        """Return a fresh profile of the map's argument and the game's residual with its rounding, if one pass tells."""
        return self.view.told(x)

    def passed(self, state: State) -> tuple[Array, float, float] | None:
        """Return the profile of the iterate, and the length of its displacement, with its rounding.

        Passes near a base are not those of the game's residual.
        """
        return None if self._near is not None else displaced(self, state.x, state.memory)

    def attempt(self, state: State, step: Array) -> tuple[State | None, int]:
        """Return the state at x + step, or None where the map is undefined or not finite, and the passes so far."""
        return self.tried(state.x + step, state.evaluations)

    def tried(self, x: Array, evaluations: int) -> tuple[State | None, int]:
        """Return the state at x, or None where the map is undefined or not finite, and the passes so far."""
        try:
            trial = self._at(x, evaluations)
        except DomainError:
            return None, evaluations + 1
        return (trial if math.isfinite(trial.residual) else None), trial.evaluations

    def _at(self, x: Array, evaluations: int) -> State:
        displacement = (self._near or self.view.evaluate)(x, np.empty_like(x))
        displacement -= x
        return State(x, norm(displacement), evaluations + 1, displacement)


class SafeguardedProblem(DisplacementProblem):
    """A fixed-point map with the safeguard of one run.

    Attributes
    ----------
    growth : float
        How many times the smallest residual an accepted proposal may reach.
    rejected : bool
        Whether the last step was a relaxed one because the proposal failed.
    """

    def __init__(self, view: FixedPoint, growth: float) -> None:
        super().__init__(view)
        self.growth = growth
        self.rejected = False

    def begin(self, x0: Array) -> State:
        """Return the state at x0."""
        return self.resume(self._at(x0, 0))

    def resume(self, state: State) -> State:
        """Begin at a state of which the displacement is known, its memory, and return it."""
        self._initial = self._best = state.residual
        self._accepted = 0
        self._relaxation = RELAXATION
        return state

    def licensed(self, state: State, step: Array) -> bool:
        """Whether the proposal is short enough and the residual low enough for the proof of convergence."""
        return self.allowed(state, norm(step))

    def allowed(self, state: State, length: float) -> bool:
        """Whether a proposal of that length is licensed."""
        most = RESIDUAL_LIMIT * self._initial * (self._accepted + 1.0) ** -(1 + DECAY)
        return state.residual <= most and length <= STEP_LIMIT * state.residual

    def accept(self, state: State) -> State:
        """Return the state of a proposal after counting it."""
        self._accepted += 1
        self.rejected = False
        self._best = min(self._best, state.residual)
        return state

    def along(self, state: State, length: float) -> Array:
        """Return the map's argument a step of that length along the displacement."""
        moved: Array = state.x + length * state.memory
        return moved

    def relax(self, state: State, evaluations: int) -> State:
        """Return the state after the relaxed step, ``evaluations`` passes having been made."""
        self.rejected = True
        following = self._at(self.along(state, self._relaxation), evaluations)
        raised = not following.residual <= state.residual
        self._relaxation = (
            max(self._relaxation / 2, SMALLEST_RELAXATION) if raised else min(2 * self._relaxation, RELAXATION)
        )
        self._best = min(self._best, following.residual)
        return following

    def advance(self, state: State, step: Array) -> State:
        """Return the state after the proposed step if it is accepted, else after the relaxed step."""
        evaluations = state.evaluations
        if self.licensed(state, step):
            trial, evaluations = self.attempt(state, step)
            if trial is not None and trial.residual <= self.growth * self._best:
                return self.accept(trial)
        return self.relax(state, evaluations)


class Turns:
    """Whose turn a step is: stretches of accelerated steps, and of plain ones after a stretch that did not pay.

    On a chain through which a signal has to pass, plain steps end exactly and accelerated ones smear the signal out. So
    ``length`` + 1 accelerated steps (of which the first knows nothing) that do not lower the residual enough are
    followed by as many plain ones, after which the scheme must forget what it learnt: the steps that acceleration
    wastes are about as many as the plain ones.

    Attributes
    ----------
    length : int
    accelerated : int
        Steps of the present stretch.
    left : int
        Plain steps that are still to be taken.
    residual : float
        At the beginning of the stretch.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.accelerated, self.left = 0, 0
        self.residual = math.inf

    @property
    def plain(self) -> bool:
        """Whether the next step is a plain one."""
        return self.left > 0

    def begin(self, residual: float) -> None:
        """Begin a stretch of accelerated steps at a state with this residual."""
        self.accelerated, self.left, self.residual = 0, 0, residual

    def resume(self, residual: float, accelerated: int, left: int) -> None:
        """Go on in a stretch that began at this residual, after so many accelerated steps, or with plain ones left."""
        self.residual, self.accelerated, self.left = residual, accelerated, left

    def passed(self, residual: float) -> bool:
        """Count a step that was not rejected; return whether the scheme has to forget what it learnt."""
        if self.left:
            self.left -= 1
            if not self.left:
                self.begin(residual)
                return True
            return False
        self.accelerated += 1
        if self.accelerated > self.length > 0:
            paid = residual <= PAYING**self.accelerated * self.residual
            self.begin(residual)
            self.left = 0 if paid else self.length + 1
        return False


class SafeguardedSolver(Solver):
    """A solver whose safeguarded proposals depend on earlier steps."""

    map: str
    growth: float

    @property
    def autonomous(self) -> bool:
        """Never: a step depends on earlier ones."""
        return False

    @property
    def draws(self) -> bool:
        """Never."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether a contraction or nonexpansiveness of the map is proved."""
        return safeguarded_guarantee(game, game.fixed_point(self.map).name, self.growth)


def safeguarded_guarantee(game: Game, kind: str, growth: float) -> Guarantee:
    """Decide the convergence of a safeguarded scheme on a map: by a contraction, or nonexpansiveness of O.

    ``growth`` is how many times the smallest residual an accepted proposal may reach.
    """
    found = contraction(game, kind)
    if found is not None:
        factor, _, certificate = found
        return Guarantee(
            Decision.PROVED,
            f"the {kind} map contracts by {shown(factor)}, so the safeguarded scheme converges to the unique "
            "equilibrium; how fast is not proved",
            f"{certificate}, summable accepted steps",
            margin=1 - factor,
            witness={"map": kind, "factor": factor, "certificate": certificate, "unique": True},
            references=("zhang2020", "bauschke2017"),
        )
    if kind == "composite" and verdict_of("composite_nonexpansive", game).proved:
        return Guarantee(
            Decision.PROVED,
            "the composite map is nonexpansive, so the safeguarded scheme converges to an equilibrium, if there is "
            "one; how fast is not proved",
            "composite_nonexpansive, quasi-Fejer monotonicity",
            witness={"map": "composite", "certificate": "composite_nonexpansive"},
            references=("zhang2020", "bauschke2017"),
        )
    beyond = "" if growth == 1 else f" beyond {str(growth).removesuffix('.0')} times the smallest"
    return no_guarantee(
        f"neither a contraction nor nonexpansiveness of the {kind} map is proved, and without one the safeguard only "
        f"keeps the proposals from raising the residual{beyond}"
    )


def growth_option(owner: str, growth: object) -> float:
    """Return ``growth`` as a float, or raise OptionError unless it is a finite number of at least 1."""
    return number_that(owner, "growth", growth, "be a number of at least 1", lambda number: number >= 1)
