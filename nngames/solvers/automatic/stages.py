"""The course of an automatic run: which scheme has its turn, when it is left, and which one follows."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any
from weakref import proxy

import numpy as np

from nngames.core.deadlines import TimeUpError
from nngames.core.errors import DomainError, NNGamesError, NotApplicableError
from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.games import Game
from nngames.networks import Constant
from nngames.networks.compiled.loading import Kernels
from nngames.networks.compiled.maps import FusedMap
from nngames.results.result import Status
from nngames.solvers.anderson_steps import AndersonProblem
from nngames.solvers.automatic.extrapolation import state_ahead
from nngames.solvers.automatic.forecast import (
    DIRECTIONS,
    DISPLACEMENTS,
    JUDGED,
    RELAXED_CAUTION,
    SHORT,
    Costs,
    costs_of,
    passes_before_forecast,
    steps_to,
)
from nngames.solvers.automatic.judging import NEWTON_WINDOW, Judge, Promise, uninterrupted
from nngames.solvers.automatic.last_resorts import Resort, drawn_profile, last_resorts
from nngames.solvers.automatic.turns import (
    MEMORY,
    TRIAL,
    Turn,
    fast_scheme,
    first_scheme,
    kept_differences,
    known_displacement,
)
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.mixed_precision import MixedProblem
from nngames.solvers.safeguard import SafeguardedProblem
from nngames.solvers.solver import Budget, Ended, Problem, Solver, State
from nngames.solvers.spectral import SpectralProblem, SweepProblem
from nngames.solvers.stopping import Stretch

#: A scheme whose residual exceeds this multiple of the smallest one so far is left.
BLOW_UP = 1e6
#: A profile is remembered where its residual is below this share of the smallest remembered one, and at each judgement.
REMEMBERED = 0.01
#: Schemes with which a run may begin although nothing was forecast: plain passes follow.
UNFORECAST = ("spectral", "newton")
#: The problems that begin at a state whose displacement is known, and those that begin with earlier displacements.
RESUMING, REMEMBERING = (FixedPointProblem, SafeguardedProblem), (AndersonProblem, SpectralProblem)
#: What a run has to spend before it is told, and the displacements that it knows.
NOTHING, NO_ROWS = Budget(0.0, 0, None), np.empty((0, 0))
#: Why a scheme was left, where an activation is not defined.
CANNOT_START, OUTSIDE = "cannot start", "left the set where an activation is defined"


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
    budget : Budget
        That of the whole run.
    turn : Turn
        The present one.
    left : dict
        Why each scheme was left, by name, as something that ``str`` makes a text of.
    """

    target: float = 0.0
    budget: Budget = NOTHING
    turn: Turn
    _resorts: Iterator[Resort] | None = None
    _suspended: tuple[Turn, State] | None = None
    _refusal: DomainError | None = None
    #: The scheme's problem, its variables and their displacement, where they are known.
    _best: tuple[Problem | None, Array, Array | None]
    _start: Array
    #: The last copy of long variables that nobody else has.
    _copy: Array | None = None

    def __init__(self, game: Game, rng: np.random.Generator) -> None:
        self.game, self.rng = game, rng
        self.left: dict[str, object] = {}
        self._rows, self._smallest = NO_ROWS, math.inf
        self._compiled = False
        self._costs: Costs | None = None
        self._appointed: Judge | None = None

    def costs(self) -> Costs:
        """Return the estimates of what steps take, counted when they are first asked for."""
        if self._costs is None:
            self._costs = costs_of(self.game, self._compiled)
        return self._costs

    def _step_seconds(self, compiled: bool) -> float:
        """Return the estimated seconds of a step that makes a pass: singly, unless it is one of ``compiled`` steps."""
        return (self.costs() if compiled else costs_of(self.game, compiled=False)).plain

    @property
    def _judge(self) -> Judge:
        """Who judges the schemes: short runs end before there is anything to judge."""
        if self._appointed is None:
            self._appointed = Judge(self.game, self.target, self.left, self.costs())
        return self._appointed

    def restrict(self, profile: Array) -> Array:
        """Return the profile: each scheme restricts it itself, to an array of its own."""
        return profile

    def profile(self, x: Array) -> Array:
        """Return the profile of the variables of the scheme whose turn it is."""
        return self.turn.problem.profile(x)

    def told(self, x: Array) -> tuple[Array, float, float] | None:
        """Return what the scheme whose turn it is can tell by one pass."""
        return self.turn.problem.told(x)

    def passed(self, state: State) -> tuple[Array, float, float] | None:
        """Return what the last pass of the scheme whose turn it is told."""
        return self.turn.problem.passed(state)

    def begin(self, profile: Array) -> State:
        """Return the state of the first scheme that is defined at the profile. Raises DomainError if none is."""
        self._best, self._start = (None, profile, None), profile
        try:
            first = first_scheme(self.game, profile.dtype == np.float32)
        except TimeUpError:
            # The run ends at the state of one pass.
            first = fast_scheme("picard")
        try:
            state = self._enter(first, 0, DISPLACEMENTS, profile, first.name == "picard")
        except DomainError as error:
            self._refusal, self.left[first.name] = error, CANNOT_START
            return self._resort(0)
        if first.name in UNFORECAST:
            self.turn.check = self._judge.window(first.name)
            if isinstance(self.turn.problem, SweepProblem) and not math.isfinite(state.residual):
                return self._leave(state.evaluations, "left the finite numbers at once")
        return state

    def _room(self, problem: Any) -> int:
        """Return how many displacements of plain passes are kept."""
        # Passes over long vectors are dear, and judged by then; only compiled dense ones are judged later.
        early = problem.view.size >= LONG and ((fused := problem.fused) is None or fused.sparse)
        return (JUDGED if early else DISPLACEMENTS) + 1

    def _keep_displacements(self) -> None:
        """Let the plain passes of this turn write each displacement beside the last one."""
        problem: Any = self.turn.problem
        difference = problem.difference
        if self._rows is NO_ROWS:
            self._rows = np.empty((self._room(problem), difference.size), difference.dtype)
        self._rows[0] = difference
        self.turn.displacements = 1

    def advance(self, state: State) -> State:
        """Return the next state of the scheme whose turn it is, or the first one of the next scheme."""
        if state.residual <= self.target:
            self._remember(state)
        turn = self.turn
        if turn.displacements is not None:
            return self._advance_plainly(state, turn.displacements)
        try:
            following = turn.scheme.step(turn.problem, state)
        except DomainError as error:
            self._refusal = error
            return self._leave(state.evaluations, OUTSIDE)
        except NotApplicableError:
            # A scheme may learn on the way what the game has not.
            return self._leave(state.evaluations, "came to no end")
        except Ended as end:
            if end.decided or end.status is Status.MAX_SECONDS:
                raise
            return self._leave(state.evaluations, "came to no end")
        turn.count += 1
        if turn.count < turn.check and REMEMBERED * self._smallest <= following.residual <= BLOW_UP * self._smallest:
            return following
        return self._next(following)

    def _advance_plainly(self, state: State, kept: int) -> State:
        """Return what follows one of the first plain passes, of which only the last profile is remembered."""
        turn, problem = self.turn, self.turn.problem
        if turn.count == 0:
            turn.check = passes_before_forecast(self.costs())
        if kept == len(self._rows):
            # The run did not end at the state: its recomputed residual is above the target.
            return self._judged(state)
        problem.difference = self._rows[kept]  # type: ignore[attr-defined]
        try:
            following = problem.relax(state, 1.0)  # type: ignore[attr-defined]
        except DomainError as error:
            self._refusal = error
            self._remember(state)
            return self._leave(state.evaluations, OUTSIDE)
        turn.count += 1
        falls = following.residual <= state.residual
        if falls and turn.count < turn.check:
            turn.displacements = kept + 1
            return following
        if not falls:
            # It is whole until the step after the next one.
            self._remember(state)
        turn.displacements = kept + 1
        return self._next(following)

    @property
    def fused(self) -> FusedMap | None:
        """The map for which the scheme whose turn it is makes compiled steps."""
        return self.turn.problem.fused

    def several_steps(self, kernels: Kernels, state: State, stretch: Stretch) -> tuple[State, Array, Any]:
        """Return the state after several steps, none beyond the one that is judged; see ``Problem.several_steps``."""
        if state.residual <= self.target:
            self._remember(state)
        turn, kept, relaxed = self.turn, self.turn.displacements, 0
        if not self._compiled:
            self._compiled, self._costs = True, None
            if self._appointed is not None:
                self._appointed.costs = self.costs()
        if kept is not None:
            costs = self.costs()
            stretch.displacements = self._rows[kept:]
            early = costs.dear and _is_sparse(turn.problem)
            if early:
                turn.check = turn.check if turn.count else passes_before_forecast(costs)
            elif turn.count == 0:
                turn.check, stretch.pause = uninterrupted(costs, self.target, state.residual)
                # For half of what the loop lets it go at most, so that others have the rest if they end too late.
                relaxed = min(costs.relaxed, max(0, stretch.steps - DISPLACEMENTS) // 2)
                stretch.relaxed, stretch.caution = relaxed, RELAXED_CAUTION
            else:
                turn.check = DISPLACEMENTS
        left = turn.check - turn.count
        if left < stretch.steps:
            stretch.steps = max(1, left)
        # The loop's own rule for divergence is for schemes that do not notice it themselves.
        stretch.bound = self._bound()
        following, residuals, evaluations = turn.problem.several_steps(kernels, state, stretch)
        turn.count += len(residuals)
        if stretch.relaxed:
            return self._after_relaxed(following, residuals, relaxed), residuals, evaluations
        if kept is not None and stretch.displacements is not None:
            if early:
                turn.displacements = min(kept + len(residuals), len(self._rows))
            elif turn.count > DISPLACEMENTS:
                turn.displacements = None
                if following.residual > self.target:
                    self._judge.learn(self._rows)
            else:
                turn.displacements = kept + len(residuals)
                turn.check = DISPLACEMENTS
        return self._next(following), residuals, evaluations

    def _after_relaxed(self, state: State, residuals: Array, most: int) -> State:
        """Return what follows relaxed steps, at most so many, that followed the first plain passes without a pause.

        Where they did not keep their promise, neither may others from the same displacements: Newton's method follows
        if it is short.
        """
        turn, scheme, count = self.turn, fast_scheme("km"), len(residuals) - DISPLACEMENTS
        before, _, after = residuals[DISPLACEMENTS - 3 : DISPLACEMENTS].tolist()
        self.left[turn.scheme.name] = Promise(steps_to(self.target, after, math.sqrt(after / before)), DISPLACEMENTS)
        problem: Any = scheme.problem(self.game, self.rng)
        problem.follow(turn.problem)
        self.turn = Turn(scheme, problem, count, min(after, self._smallest), count=count)
        if state.residual > self.target:
            self._judge.learn(self._rows)
        if state.residual <= self.target or count == most or not state.residual <= self._bound():
            return self._next(state)
        self._remember(state)
        short = self.costs().newton < SHORT and "newton" not in self.left
        why = f"residual {state.residual:.1e} after {count} steps"
        return self._leave(state.evaluations, why, "newton" if short else None)

    def _next(self, following: State) -> State:
        """Return the state that follows a step of the present scheme: its own, or another's if it is left."""
        turn, residual = self.turn, following.residual
        # At a remembered profile below the target the run did not end: its recomputed residual is above.
        if residual <= self.target < self._smallest:
            # The run ends here, or it is remembered before the next step.
            return following
        if not residual <= self._bound():
            return self._leave(following.evaluations, f"residual {residual:.1e} after {turn.count} steps")
        if residual < REMEMBERED * self._smallest or turn.count == turn.check:
            self._remember(following)
        if turn.count < turn.check:
            return following
        return self._judged(following)

    def _bound(self) -> float:
        """Return the residual beyond which the present scheme is left: where it strays, only one that is not finite."""
        return sys.float_info.max if self.turn.strays else BLOW_UP * self._smallest

    def _judged(self, state: State) -> State:
        turn, displacements = self.turn, None
        if turn.steps is not None:
            return self._judge_resort(state, turn.steps)
        if turn.displacements is not None:
            displacements, turn.displacements = self._rows[: turn.displacements], None
        why, follower, watched, single = self._judge.judge(turn, state.residual, self._smallest, displacements)
        if why is not None:
            evaluations = state.evaluations
            if follower == "newton" and displacements is not None and self.costs().extrapolated:
                evaluations = self._extrapolate(state, displacements)
            return self._leave(evaluations, why, follower)
        if single:
            turn.problem = mixed = MixedProblem(self.game.fixed_point(), Constant(1.0))
            return mixed.continued(state)
        if watched and (turn.problem.fused is None or _is_sparse(turn.problem)):
            # A new forecast follows after a few more dear passes: the first ones often tell little.
            self._release_rows()
            self._keep_displacements()
            turn.check = turn.count + JUDGED
        elif displacements is not None:
            # The next steps shall not write into the last one.
            turn.problem.difference = np.array(turn.problem.difference)  # type: ignore[attr-defined]
        return state

    def _extrapolate(self, state: State, displacements: Array) -> int:
        """Remember what the plain passes extrapolate to if its residual is smaller; return the passes so far."""
        problem: Any = self.turn.problem
        trial, evaluations = state_ahead(problem.view, state, displacements)
        if trial is not None and trial.residual < self._smallest:
            self._take(trial.residual, trial.x, trial.memory)
        return evaluations

    def _release_rows(self) -> None:
        """Let nothing but the last forecast remain of the displacements."""
        problem, x, displacement = self._best
        self._best = problem, x, None if displacement is None else np.array(displacement)
        self._judge.known = None

    # Turns

    def _leave(self, evaluations: int, why: object, name: str | None = None) -> State:
        """Return the first state of the scheme ``name``, of the most promising one, or of a last resort."""
        self.left[self.turn.scheme.name] = why
        if self._suspended is not None:
            self.turn, state = self._suspended
            self._suspended = None
            state.evaluations = evaluations
            return state
        if self.turn.steps is not None:
            return self._resort(evaluations)
        begun = self.turn.scheme.name
        if begun in UNFORECAST and (name is None or begun == "spectral") and "picard" not in self.left:
            # The run began with it: nothing was forecast yet but Newton's method, of which nothing is known.
            return self._enter_plainly(evaluations)
        while True:
            if name is None:
                promised = self._judge.promises(self._smallest)
                name = min(promised, key=lambda scheme: promised[scheme], default=None)
                if name is None or math.isinf(promised[name]):
                    return self._resort(evaluations)
            try:
                memory = kept_differences(self.game) if name == "anderson" else MEMORY
                return self._enter(fast_scheme(name, memory), evaluations, self._judge.window(name))
            except DomainError as error:
                self._refusal, self.left[name], name = error, CANNOT_START, None

    def _enter_plainly(self, evaluations: int) -> State:
        """Return the first state of plain passes after the scheme with which the run began.

        Sweeps of an expanding map may have led far away from the start, and what they show is no residual of the joint
        map: the passes go from wherever that is smaller.
        """
        plain = fast_scheme("picard")
        if not isinstance(self.turn.problem, SweepProblem):
            return self._enter(plain, evaluations, DISPLACEMENTS, plain=True)
        swept, smallest, self._smallest = self.best_profile(), self._smallest, math.inf
        state = self._enter(plain, evaluations, DISPLACEMENTS, self._start, plain=True)
        if not smallest < state.residual:
            return state
        begun, self._smallest = (self.turn, self._best, self._rows), math.inf
        other = self._enter(plain, state.evaluations, DISPLACEMENTS, swept, plain=True)
        if other.residual < state.residual:
            return other
        self.turn, self._best, self._rows = begun
        self._smallest, state.evaluations = state.residual, other.evaluations
        return state

    def _enter(
        self, scheme: Solver, evaluations: int, check: int, profile: Array | None = None, plain: bool = False
    ) -> State:
        """Return the first state of a scheme: at a profile, or where the residual is smallest so far.

        ``plain`` says that its displacements are kept.
        """
        problem: Any = scheme.problem(self.game, self.rng)
        scheme.prepare(problem, self.budget)
        problem.refined = True
        if plain:
            problem.room = self._room(problem)
        _, x, displacement = self._best
        if profile is None and displacement is not None and isinstance(problem, RESUMING):
            rows, known = self._rows, self._judge.known
            if isinstance(problem, REMEMBERING) and known is not None:
                if x.size >= LONG:
                    # The rows become the scheme's own, so that nothing takes as much room again.
                    if np.may_share_memory(displacement, problem.overwritten(rows)):
                        displacement = np.array(displacement)
                    self._best, self._judge.known, self._rows = (problem, x, None), None, NO_ROWS
                problem.know(rows, len(known))
            # The scheme may keep it.
            self._copy = None
            state = problem.resume(State(x, self._smallest, evaluations, displacement))
        else:
            profile = self.best_profile() if profile is None else profile
            state = scheme.start(problem, problem.restrict(profile))
            state.evaluations += evaluations
        self.turn = Turn(scheme, problem, check, state.residual)
        if plain:
            self._rows, self.turn.displacements = problem.rows, 1
            if state.residual < self._smallest:
                # The steps write into the state, but not into the profile.
                self._take(state.residual, problem.view.restrict(profile), problem.difference)
        elif not self._smallest <= state.residual:
            self._remember(state)
        self.turn.before = self._smallest
        return state

    def best_profile(self) -> Array:
        """Return the profile with the smallest residual so far."""
        problem, x, _ = self._best
        return np.array(x if problem is None else problem.profile(x))

    def _remember(self, state: State) -> None:
        """Keep the variables with the smallest residual so far; their profile may cost a pass."""
        if state.residual < self._smallest:
            problem, kept = self.turn.problem, self.turn.displacements
            if kept is not None:
                displacement = self._rows[kept - 1]
            elif isinstance(problem, AndersonProblem) and state.x.size >= LONG:
                # A pass more for the next scheme, if there is one, takes less than the room.
                displacement = None
            else:
                displacement = known_displacement(problem, state)
            self._take(state.residual, self._copied(state.x), displacement)

    def _copied(self, x: Array) -> Array:
        """Return a copy of x, in the room of the last copy where that is long and ends with it."""
        last, place = self._copy, self._best[1]
        if last is not None and last is place and last.shape == x.shape and last.dtype == x.dtype:
            np.copyto(last, x)
            return last
        copy = np.array(x)
        self._copy = copy if x.size >= LONG else None
        return copy

    def _take(self, residual: float, x: Array, displacement: Array | None) -> None:
        """Take these variables, which nobody writes into, and their displacement, if it is known, for the best ones."""
        # Of a residual below the target that did not end the run nothing is known but that.
        self._smallest = residual if residual > self.target else self.target
        self._best = self.turn.problem, x, displacement

    # Last resorts

    def _resort(self, evaluations: int) -> State:
        """Return the first state of the next last resort.

        Raises Ended where none is left, and DomainError where no scheme stayed where the activations are defined.
        """
        if self._resorts is None:
            # Most of the schemes in a round go singly, whatever is compiled.
            share = self._step_seconds(compiled=False) * DIRECTIONS / self.costs().newton
            # One that held itself would keep its memory until cycles are collected.
            run = proxy(self)
            self._resorts = last_resorts(self.game, lambda: float(run._smallest), share)
        for resort in self._resorts:
            start = drawn_profile(self.best_profile(), self.rng) if resort.drawn else None
            try:
                state = self._enter(resort.scheme, evaluations, int(min(TRIAL, resort.steps)), start)
            except NNGamesError as error:
                if not resort.drawn:
                    self.left[resort.scheme.name] = CANNOT_START
                if isinstance(error, DomainError):
                    self._refusal = self._refusal or error
                continue
            self.turn.steps, self.turn.strays = resort.steps, resort.strays
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
        elapsed = turn.count * self._step_seconds(compiled=turn.problem.fused is not None)
        if elapsed < self.costs().newton / 4:
            return state
        profile = np.array(turn.problem.profile(state.x))
        self._suspended = (turn, state)
        try:
            return self._enter(fast_scheme("newton"), state.evaluations, NEWTON_WINDOW, profile)
        except NNGamesError:
            (self.turn, state), self._suspended = self._suspended, None
            return state


def _is_sparse(problem: Problem) -> bool:
    """Whether the scheme's compiled passes are sparse: dear ones are judged as early as those that go singly."""
    fused = problem.fused
    return fused is not None and fused.sparse
