"""The course of an automatic run: which scheme has its turn, when it is left, and which one follows."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from nngames.core.errors import DomainError, NNGamesError, NotApplicableError
from nngames.core.profiles import Array
from nngames.games import Game, NetworkGame
from nngames.networks.fused import FusedMap, Kernels
from nngames.networks.order import is_acyclic
from nngames.results.result import Status
from nngames.solvers.anderson import AndersonProblem
from nngames.solvers.differences import LONG
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.forecast import (
    BEGINNING,
    CAUTION,
    DISPLACEMENTS,
    FORECAST,
    JUDGED,
    SHORT,
    SHORT_PASS,
    Costs,
    Factors,
    costs_of,
    passes_before_forecast,
    plain_factor,
    steps_to,
)
from nngames.solvers.last_resorts import Resort, last_resorts
from nngames.solvers.safeguard import SafeguardedProblem
from nngames.solvers.solver import Ended, Problem, Solver, State
from nngames.solvers.stopping import Stretch
from nngames.solvers.turns import TRIAL, Turn, fast_scheme, first_scheme, known_displacement

#: A scheme is left for another that promises to need less than this share of its time.
GAIN = 0.8
#: So an accelerated or relaxed scheme for the other one, whose forecast is by then an old one.
STALE_GAIN = 0.5
#: Plain passes that lower the residual by this factor are not worth a forecast of their accelerations.
QUICK = 0.6
#: After a forecast a scheme is watched over windows of this many steps, Newton's method and dear passes over fewer.
WINDOW, NEWTON_WINDOW, DEAR_WINDOW = 16, 6, 5
#: Nor over fewer plain ones than take these seconds, which are what it costs to judge.
LOOK = 4e-5
#: A scheme that keeps its promise is left alone for a quarter of the steps it still promises, for no more than these.
LONGEST_WINDOW = 256
#: From this many entries on ten differences leave no room in the cache, and anderson keeps fewer.
LITTLE_MEMORY = 2**15
#: In a window the smallest residual has to fall by this factor, with Newton's method by the other one.
FALL, NEWTON_FALL = 0.99, 0.5
#: A scheme whose residual exceeds this multiple of the smallest one so far is left.
BLOW_UP = 1e6
#: A profile is remembered where its residual is below this share of the smallest remembered one, and at each judgement.
REMEMBERED = 0.01
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
        self._rows: Array = np.empty((0, 0))
        self._resorts: Iterator[Resort] | None = None
        self._suspended: tuple[Turn, State] | None = None
        self._refusal: DomainError | None = None
        self._smallest = math.inf
        #: The scheme's problem, its variables and their displacement, where they are known.
        self._best: tuple[Problem | None, Array, Array | None]
        self._known: Array | None = None
        self._costs: Costs

    def restrict(self, profile: Array) -> Array:
        """Return a copy of the profile: each scheme restricts it itself."""
        return np.array(profile)

    def profile(self, x: Array) -> Array:
        """Return the profile of the variables of the scheme whose turn it is."""
        return self.turn.problem.profile(x)

    def begin(self, profile: Array) -> State:
        """Return the state of the first scheme that is defined at the profile. Raises DomainError if none is."""
        self._best = (None, profile, None)
        self._costs = costs_of(self.game, compiled=False)
        first = first_scheme(self.game)
        try:
            state = self._enter(first, 0, DISPLACEMENTS, profile)
        except DomainError as error:
            self._refusal, self.left[first.name] = error, CANNOT_START
            return self._resort(0)
        if first.name == "picard":
            self._keep_displacements()
            self.turn.check = passes_before_forecast(self._costs)
        return state

    def _keep_displacements(self) -> None:
        """Let the plain passes of this turn write each displacement beside the last one."""
        problem: Any = self.turn.problem
        if not len(self._rows):
            self._rows = np.empty((DISPLACEMENTS + 1, problem.difference.size), dtype=problem.difference.dtype)
        self._rows[0] = problem.difference
        self.turn.displacements = [self._rows[0]]

    def advance(self, state: State) -> State:
        """Return the next state of the scheme whose turn it is, or the first one of the next scheme."""
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
            if end.decided:
                raise
            return self._leave(state.evaluations, "came to no end")
        turn.count += 1
        if turn.count < turn.check and REMEMBERED * self._smallest <= following.residual <= BLOW_UP * self._smallest:
            return following
        return self._next(following)

    def _advance_plainly(self, state: State, kept: list[Any]) -> State:
        """Return what follows one of the first plain passes, of which only the last profile is remembered."""
        turn, problem = self.turn, self.turn.problem
        problem.difference = row = self._rows[len(kept)]  # type: ignore[attr-defined]
        try:
            following = problem.relax(state, 1.0)  # type: ignore[attr-defined]
        except DomainError as error:
            self._refusal = error
            self._remember(state)
            return self._leave(state.evaluations, OUTSIDE)
        turn.count += 1
        falls = following.residual <= state.residual
        if falls and turn.count < turn.check:
            kept.append(row)
            return following
        if not falls:
            # It is whole until the step after the next one.
            self._remember(state)
        kept.append(row)
        return self._next(following)

    @property
    def fused(self) -> FusedMap | None:
        """The map for which the scheme whose turn it is makes compiled steps."""
        return self.turn.problem.fused

    def several_steps(self, kernels: Kernels, state: State, stretch: Stretch) -> tuple[State, Array, Any]:
        """Return the state after several steps, none beyond the one that is judged; see ``Problem.several_steps``."""
        turn, kept = self.turn, self.turn.displacements
        if kept is not None:
            self._costs = costs_of(self.game, compiled=True)
            turn.check = DISPLACEMENTS
            stretch.displacements = self._rows[turn.count + 1 :]
            if turn.count == 0:
                # Quick passes are not even interrupted for a look at them.
                turn.check += int(steps_to(self.target, state.residual, QUICK))
                stretch.pause = state.residual * QUICK**DISPLACEMENTS
        stretch.steps = min(stretch.steps, max(1, turn.check - turn.count))
        stretch.bound = min(stretch.bound, self._bound())
        following, residuals, evaluations = turn.problem.several_steps(kernels, state, stretch)
        turn.count += len(residuals)
        if kept is not None and stretch.displacements is not None:
            if turn.count > DISPLACEMENTS:
                self._known, turn.displacements = self._rows, None
            else:
                kept.extend(stretch.displacements[: len(residuals)])
                turn.check = DISPLACEMENTS
        return self._next(following), residuals, evaluations

    def _next(self, following: State) -> State:
        """Return the state that follows a step of the present scheme: its own, or another's if it is left."""
        turn, residual = self.turn, following.residual
        if not residual <= self._bound():
            return self._leave(following.evaluations, f"residual {residual:.1e} after {turn.count} steps")
        if residual < REMEMBERED * self._smallest or turn.count == turn.check:
            self._remember(following)
        if turn.count < turn.check or residual <= self.target:
            return following
        return self._judge(following)

    def _bound(self) -> float:
        """Return the residual beyond which the present scheme is left: where it strays, only one that is not finite."""
        return sys.float_info.max if self.turn.strays else BLOW_UP * self._smallest

    # Judging

    def _judge(self, state: State) -> State:
        turn = self.turn
        if turn.steps is not None:
            return self._judge_resort(state, turn.steps)
        window = self._window(turn.scheme.name)
        fell, steps = self._smallest / turn.before, turn.count - turn.checked
        turn.check, turn.checked, turn.before = turn.count + window, turn.count, self._smallest
        if turn.displacements is not None:
            kept, turn.displacements = turn.displacements, None
            # The next steps shall not write into the last one.
            turn.problem.difference = np.array(turn.problem.difference)  # type: ignore[attr-defined]
            factor = plain_factor(kept)
            seconds = steps_to(self.target, state.residual, factor) * self._costs.plain
            if seconds <= FORECAST:
                return state
            self._known, self._factors = self._rows[: len(kept)], None
            if factor <= QUICK and not self._costs.dear and self._costs.newton >= GAIN * seconds:
                turn.check += int(seconds / self._costs.plain)
                return state
            if self._costs.newton < SHORT and self._costs.plain >= SHORT_PASS and not self._ends_by_itself():
                if self._costs.newton >= GAIN * seconds:
                    return state
                return self._leave(state.evaluations, _promised(seconds / self._costs.plain, turn.count), "newton")
        else:
            factor = fell ** (1 / steps)
            if fell > (NEWTON_FALL if turn.scheme.name == "newton" else FALL):
                return self._leave(state.evaluations, f"residual {self._smallest:.1e} after {turn.count} steps")
        if turn.scheme.name == "newton":
            return state
        if steps_to(self.target, self._smallest, factor) * self._step_cost(turn.scheme.name) <= FORECAST:
            return state
        promised = self._promises()
        promised[turn.scheme.name] = steps_to(self.target, self._smallest, factor) * self._step_cost(turn.scheme.name)
        if turn.scheme.name == "picard" and factor > 0.5 and self._ends_by_itself():
            # Where a signal has to pass through, no other figure of theirs counts.
            end = self.game.size + 1
            if promised.get("newton", math.inf) >= GAIN * (end - turn.count) * self._costs.plain:
                turn.check = max(end, turn.check)
                return state
            return self._leave(state.evaluations, f"up to {end - turn.count} more steps after {turn.count}", "newton")
        name = min(promised, key=lambda scheme: promised[scheme])
        gain = GAIN if name == "newton" or turn.scheme.name == "picard" else STALE_GAIN
        if self._costs.dear and name == "anderson":
            gain = 1.0
        if name == turn.scheme.name or promised[name] >= gain * promised[turn.scheme.name]:
            # A run that keeps its promise is not judged all the time.
            if self._costs.dear and turn.scheme.name == "picard":
                self._forecast_again()
            else:
                turn.check += int(min(steps_to(self.target, self._smallest, factor) / 4, LONGEST_WINDOW))
            return state
        expected = steps_to(self.target, self._smallest, factor)
        return self._leave(state.evaluations, _promised(expected, turn.count), name)

    def _forecast_again(self) -> None:
        """Let a new forecast follow after a few more dear passes: the first ones often tell little."""
        turn = self.turn
        if turn.problem.fused is None:
            self._release_rows()
            self._keep_displacements()
            turn.check = turn.count + JUDGED

    def _release_rows(self) -> None:
        """Let nothing but the last forecast remain of the displacements."""
        problem, x, displacement = self._best
        self._best, self._known = (problem, x, None if displacement is None else np.array(displacement)), None

    def _promises(self) -> dict[str, float]:
        """Return the seconds that each scheme which was not left promises to need."""
        if self._factors is None and self._known is not None:
            self._factors = Factors(self._known)
        factors = self._factors
        promised = {}
        if "newton" not in self.left:
            promised["newton"] = BEGINNING + self._costs.newton
        if factors is not None:
            accelerated = factors.accelerated ** (1 / CAUTION if self._costs.dear else 1)
            for name, factor in (("picard", factors.plain), ("km", factors.relaxed), ("anderson", accelerated)):
                if name not in self.left:
                    steps = steps_to(self.target, self._smallest, factor)
                    promised[name] = BEGINNING + steps * self._step_cost(name)
        return promised

    def _step_cost(self, name: str) -> float:
        return self._costs.accelerated if name == "anderson" else self._costs.plain

    def _window(self, name: str) -> int:
        """Return after how many steps a scheme is judged next: compiled ones are not stopped for less than a look."""
        if name == "newton":
            return NEWTON_WINDOW
        return DEAR_WINDOW if self._costs.dear and name == "picard" else max(WINDOW, int(LOOK / self._costs.plain))

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
        while True:
            if name is None:
                promised = self._promises()
                name = min(promised, key=lambda scheme: promised[scheme], default=None)
                if name is None or math.isinf(promised[name]):
                    return self._resort(evaluations)
            try:
                long = self.game.fixed_point().size >= LITTLE_MEMORY
                return self._enter(fast_scheme(name, long), evaluations, self._window(name))
            except DomainError as error:
                self._refusal, self.left[name], name = error, CANNOT_START, None

    def _enter(self, scheme: Solver, evaluations: int, check: int, profile: Array | None = None) -> State:
        """Return the first state of a scheme: at a profile, or where the residual is smallest so far."""
        problem = scheme.problem(self.game, self.rng)
        _, x, displacement = self._best
        if profile is None and displacement is not None and isinstance(problem, FixedPointProblem | SafeguardedProblem):
            state = problem.resume(State(x, self._smallest, evaluations, displacement))
            if self._known is not None and isinstance(problem, AndersonProblem):
                problem.know(self._known)
                if x.size >= LONG:
                    # They would take as much room again.
                    self._release_rows()
                    self._rows = self._rows[:0].copy()
                    state.memory = self._best[2]
        else:
            state = scheme.start(problem, problem.restrict(self._start() if profile is None else profile))
            state.evaluations += evaluations
        self.turn = Turn(scheme, problem, check, state.residual)
        if not self._smallest <= state.residual:
            self._remember(state)
        self.turn.before = self._smallest
        return state

    def _start(self) -> Array:
        """Return the profile with the smallest residual so far."""
        problem, x, _ = self._best
        return np.array(x if problem is None else problem.profile(x))

    def _remember(self, state: State) -> None:
        """Keep the variables with the smallest residual so far; their profile may cost a pass."""
        if state.residual < self._smallest:
            self._smallest = state.residual
            kept = self.turn.displacements
            self._best = (
                self.turn.problem,
                np.array(state.x),
                kept[-1] if kept else known_displacement(self.turn.problem, state),
            )

    # Last resorts

    def _resort(self, evaluations: int) -> State:
        """Return the first state of the next last resort.

        Raises Ended where none is left, and DomainError where no scheme stayed where the activations are defined.
        """
        if self._resorts is None:
            self._resorts = last_resorts(self.game, lambda: self._smallest)
        for resort in self._resorts:
            try:
                state = self._enter(resort.scheme, evaluations, int(min(TRIAL, resort.steps)))
            except NNGamesError as error:
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
        elapsed = turn.count * self._costs.plain
        if elapsed < self._costs.newton / 4:
            return state
        profile = np.array(turn.problem.profile(state.x))
        self._suspended = (turn, state)
        try:
            return self._enter(fast_scheme("newton"), state.evaluations, NEWTON_WINDOW, profile)
        except NNGamesError:
            (self.turn, state), self._suspended = self._suspended, None
            return state


def _promised(steps: float, count: int) -> str:
    """Return why a scheme is left for a more promising one."""
    more = f"promised {steps:,.0f} more steps" if math.isfinite(steps) else "did not lower the residual"
    return f"{more} after {count}"
