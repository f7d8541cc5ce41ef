"""The course of an automatic run: which scheme has its turn, when it is left, and which one follows."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.core.errors import DomainError, NNGamesError
from nngames.core.profiles import Array
from nngames.games import Game, NetworkGame
from nngames.networks.fused import FusedMap, Kernels
from nngames.networks.order import answers_in_order, is_acyclic
from nngames.results.result import Status
from nngames.solvers.forecast import (
    DISPLACEMENTS,
    FORECAST,
    Costs,
    Factors,
    costs_of,
    factors_of,
    plain_factor,
    steps_to,
)
from nngames.solvers.last_resorts import last_resorts
from nngames.solvers.solver import Ended, Problem, Solver, State, registry
from nngames.solvers.stopping import Stretch

#: A scheme is left for another that promises to need less than this share of its time.
GAIN = 0.8
#: After a forecast a scheme is watched over windows of this many steps, Newton's method over fewer.
WINDOW, NEWTON_WINDOW = 16, 6
#: A scheme that keeps its promise is left alone for half of the steps it still promises, but not for more than these.
LONGEST_WINDOW = 256
#: In a window the smallest residual has to fall by this factor, with Newton's method by the other one.
FALL, NEWTON_FALL = 0.99, 0.5
#: A scheme whose residual exceeds this multiple of the smallest one so far is left.
BLOW_UP = 1e6
#: Why a scheme was left, where an activation is not defined.
CANNOT_START, OUTSIDE = "cannot start", "left the set where an activation is defined"
#: Newton's method is tried from a last resort after this many of its steps, and again after twice as many.
TRIAL = 32


@dataclass(slots=True)
class Turn:
    """One scheme's part of a run; ``check`` is the step at which it is judged, ``before`` the residual it has to lower.

    A last resort has ``steps``, without end where it is proved, and ``trial`` of them before Newton's method is tried.
    """

    scheme: Solver
    problem: Problem
    check: int
    before: float
    steps: float | None = None
    trial: int = TRIAL
    count: int = 0
    checked: int = 0
    displacements: list[Array] | None = None


class Course(Problem):
    """The turns of one run, in the variables of whichever scheme has its turn.

    Parameters
    ----------
    game : Game
    rng : numpy.random.Generator

    Attributes
    ----------
    target : float
        The residual to reach.
    turn : Turn
        The present one.
    left : dict
        Why each scheme was left, by name.
    """

    def __init__(self, game: Game, rng: np.random.Generator) -> None:
        self.game, self.rng, self.target = game, rng, 0.0
        self.turn: Turn
        self.left: dict[str, str] = {}
        self._factors: Factors | None = None
        self._resorts: Iterator[tuple[Solver, float]] | None = None
        self._suspended: tuple[Turn, State] | None = None
        self._refusal: DomainError | None = None
        self._smallest = math.inf
        self._best: tuple[Problem | None, Array]
        self._costs: Costs

    def restrict(self, profile: Array) -> Array:
        """Return a copy of the profile: each scheme restricts it itself."""
        return np.array(profile)

    def profile(self, x: Array) -> Array:
        """Return the profile of the variables of the scheme whose turn it is."""
        return self.turn.problem.profile(x)

    def begin(self, profile: Array) -> State:
        """Return the state of the first scheme that is defined at the profile. Raises DomainError if none is."""
        self._best = (None, profile)
        self._costs = costs_of(self.game, self.game.fixed_point().size)
        first = _first_scheme(self.game)
        try:
            state = self._enter(first, profile, 0, DISPLACEMENTS)
        except DomainError as error:
            self._refusal, self.left[first.name] = error, CANNOT_START
            return self._resort(0)
        if first.name == "picard":
            self.turn.displacements = []
            self._keep()
        return state

    def advance(self, state: State) -> State:
        """Return the next state of the scheme whose turn it is, or the first one of the next scheme."""
        turn = self.turn
        try:
            following = turn.scheme.step(turn.problem, state)
        except DomainError as error:
            self._refusal = error
            return self._leave(state.evaluations, OUTSIDE)
        except Ended as end:
            if end.decided:
                raise
            return self._leave(state.evaluations, "came to no end")
        turn.count += 1
        return self._next(following)

    @property
    def fused(self) -> FusedMap | None:
        """The map for which the scheme whose turn it is makes compiled steps, but for those that are forecast from."""
        return self.turn.problem.fused if self.turn.displacements is None else None

    def several_steps(self, kernels: Kernels, state: State, stretch: Stretch) -> tuple[State, Array, Any]:
        """Return the state after several steps, none beyond the one that is judged; see ``Problem.several_steps``."""
        turn = self.turn
        stretch.steps = min(stretch.steps, max(1, turn.check - turn.count))
        stretch.bound = min(stretch.bound, self._bound())
        following, residuals, evaluations = turn.problem.several_steps(kernels, state, stretch)
        turn.count += len(residuals)
        return self._next(following), residuals, evaluations

    def _next(self, following: State) -> State:
        """Return the state that follows a step of the present scheme: its own, or another's if it is left."""
        turn, residual = self.turn, following.residual
        if not residual <= self._bound():
            return self._leave(following.evaluations, f"residual {residual:.1e} after {turn.count} steps")
        if turn.displacements is not None:
            self._keep()
        if residual < 0.5 * self._smallest or turn.count == turn.check:
            self._remember(following)
        if turn.count < turn.check or residual <= self.target:
            return following
        return self._judge(following)

    def _bound(self) -> float:
        """Return the residual beyond which the present scheme is left.

        One that is proved to converge is left only where it is not finite: in another norm than that of its proof,
        such as a weighted maximum norm, its residual may grow by any factor before it falls.
        """
        return sys.float_info.max if self.turn.steps == math.inf else BLOW_UP * self._smallest

    # Judging

    def _judge(self, state: State) -> State:
        turn = self.turn
        if turn.steps is not None:
            return self._judge_resort(state, turn.steps)
        window = NEWTON_WINDOW if turn.scheme.name == "newton" else WINDOW
        fell, steps = self._smallest / turn.before, turn.count - turn.checked
        turn.check, turn.checked, turn.before = turn.count + window, turn.count, self._smallest
        if turn.displacements is not None:
            kept, turn.displacements = turn.displacements, None
            left = steps_to(self.target, state.residual, plain_factor(kept))
            if left * self._costs.plain <= FORECAST:
                return state
            self._factors = factors_of(kept)
            factor = self._factors.plain
        else:
            factor = fell ** (1 / steps)
            if fell > (NEWTON_FALL if turn.scheme.name == "newton" else FALL):
                return self._leave(state.evaluations, f"residual {self._smallest:.1e} after {turn.count} steps")
        if turn.scheme.name == "newton":
            return state
        promised = self._promises()
        promised[turn.scheme.name] = steps_to(self.target, self._smallest, factor) * self._step_cost(turn.scheme.name)
        name = min(promised, key=lambda scheme: promised[scheme])
        if name == turn.scheme.name or promised[name] >= GAIN * promised[turn.scheme.name]:
            # A run that keeps its promise is not judged all the time.
            turn.check += int(min(steps_to(self.target, self._smallest, factor) / 2, LONGEST_WINDOW))
            return state
        if turn.scheme.name == "picard" and factor > 0.5 and self._ends_by_itself():
            turn.check = self.game.size + 1
            return state
        expected = steps_to(self.target, self._smallest, factor)
        more = f"promised {expected:,.0f} more steps" if math.isfinite(expected) else "did not lower the residual"
        return self._leave(state.evaluations, f"{more} after {turn.count}", name)

    def _promises(self) -> dict[str, float]:
        """Return the seconds that each scheme which was not left promises to need."""
        factors = self._factors
        promised = {}
        if "newton" not in self.left:
            promised["newton"] = self._costs.newton
        if factors is not None:
            for name, factor in (("picard", factors.plain), ("km", factors.relaxed), ("anderson", factors.accelerated)):
                if name not in self.left:
                    promised[name] = steps_to(self.target, self._smallest, factor) * self._step_cost(name)
        return promised

    def _step_cost(self, name: str) -> float:
        return self._costs.accelerated if name == "anderson" else self._costs.plain

    def _ends_by_itself(self) -> bool:
        """Whether plain passes end after finitely many because no signal returns."""
        return isinstance(self.game, NetworkGame) and is_acyclic(self.game.network)

    # Turns

    def _leave(self, evaluations: int, why: str, name: str | None = None) -> State:
        """Return the first state of the scheme ``name``, of the most promising one, or of a last resort."""
        self.left[self.turn.scheme.name] = why
        if self._suspended is not None:
            self.turn, state = self._suspended
            self._suspended = None
            state.evaluations = evaluations
            return state
        if self.turn.steps is not None:
            return self._resort(evaluations)
        promised = self._promises()
        while promised:
            name = name or min(promised, key=lambda scheme: promised[scheme])
            if math.isinf(promised.pop(name)):
                break
            try:
                window = NEWTON_WINDOW if name == "newton" else WINDOW
                return self._enter(_fast_scheme(name), self._start(), evaluations, window)
            except DomainError as error:
                self._refusal, self.left[name], name = error, CANNOT_START, None
        return self._resort(evaluations)

    def _enter(self, scheme: Solver, profile: Array, evaluations: int, check: int) -> State:
        problem = scheme.problem(self.game, self.rng)
        state = scheme.start(problem, problem.restrict(profile))
        state.evaluations += evaluations
        self.turn = Turn(scheme, problem, check, state.residual)
        if not self._smallest <= state.residual:
            self._remember(state)
        self.turn.before = self._smallest
        return state

    def _start(self) -> Array:
        """Return the profile with the smallest residual so far."""
        problem, x = self._best
        return np.array(x if problem is None else problem.profile(x))

    def _keep(self) -> None:
        """Keep the displacement of the last plain pass."""
        problem, kept = self.turn.problem, self.turn.displacements
        kept.append(np.array(problem.difference))  # type: ignore[union-attr,attr-defined]

    def _remember(self, state: State) -> None:
        """Keep the variables with the smallest residual so far; their profile may cost a pass."""
        if state.residual < self._smallest:
            self._smallest = state.residual
            self._best = (self.turn.problem, np.array(state.x))

    # Last resorts

    def _resort(self, evaluations: int) -> State:
        """Return the first state of the next last resort.

        Raises Ended where none is left, and DomainError where no scheme stayed where the activations are defined.
        """
        if self._resorts is None:
            self._resorts = last_resorts(self.game, lambda: self._smallest)
        for scheme, steps in self._resorts:
            try:
                state = self._enter(scheme, self._start(), evaluations, TRIAL)
            except NNGamesError as error:
                self.left[scheme.name] = CANNOT_START
                if isinstance(error, DomainError):
                    self._refusal = self._refusal or error
                continue
            self.turn.steps = steps
            return state
        if self._refusal is not None and {*self.left.values()} <= {CANNOT_START, OUTSIDE}:
            raise self._refusal
        raise Ended(Status.STALLED, "no scheme makes progress from here")

    def _judge_resort(self, state: State, steps: float) -> State:
        """Return the state after a decision: to go on, to try Newton's method, or to leave the resort."""
        turn = self.turn
        if turn.count >= steps:
            return self._leave(state.evaluations, f"residual {self._smallest:.1e}")
        turn.trial *= 2
        turn.check = int(min(turn.trial, steps))
        elapsed = turn.count * self._costs.plain
        if elapsed < self._costs.newton / 4:
            return state
        profile = np.array(turn.problem.profile(state.x))
        self._suspended = (turn, state)
        try:
            return self._enter(_fast_scheme("newton"), profile, state.evaluations, NEWTON_WINDOW)
        except NNGamesError:
            (self.turn, state), self._suspended = self._suspended, None
            return state


def _first_scheme(game: Game) -> Solver:
    """Return plain passes, or sweeps where one of them ends at the equilibrium."""
    if (
        isinstance(game, NetworkGame)
        and game.space.count == game.network.space.count
        and answers_in_order(game.network)
    ):
        return registry.create("best_response")
    return registry.create("picard")


def _fast_scheme(name: str) -> Solver:
    return registry.create(name, **({"memory": 10} if name == "anderson" else {}))
