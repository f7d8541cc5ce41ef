"""How an automatic run changes from scheme to scheme: which one follows, and where it begins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from weakref import proxy

import numpy as np

from nngames.core.errors import DomainError, NNGamesError
from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.results.result import Status
from nngames.solvers.anderson_steps import AndersonProblem
from nngames.solvers.automatic.costs import DIRECTIONS, DISPLACEMENTS, Costs, costs_of
from nngames.solvers.automatic.judging import Judge
from nngames.solvers.automatic.last_resorts import Resort, drawn_profile, last_resorts
from nngames.solvers.automatic.remembered import NO_ROWS, Remembering, copied
from nngames.solvers.automatic.turns import MEMORY, TRIAL, Turn, fast_scheme, kept_differences, lends
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.safeguard import SafeguardedProblem
from nngames.solvers.solver import Budget, Ended, Solver, State
from nngames.solvers.spectral import SpectralProblem, SweepProblem

#: Schemes with which a run may begin although nothing was forecast: plain passes follow.
UNFORECAST = ("spectral", "newton")
#: The problems that begin at a state whose displacement is known, and those that begin with earlier displacements.
RESUMING, REMEMBERING = (SafeguardedProblem, FixedPointProblem), (AndersonProblem, SpectralProblem)
#: What a run has to spend before it is told.
NOTHING = Budget(0.0, 0, None)
#: Why a scheme was left, where an activation is not defined.
CANNOT_START, OUTSIDE = "cannot start", "left the set where an activation is defined"


class Changing(Remembering):
    """The changes of scheme in one run.

    Attributes
    ----------
    budget : Budget
        That of the whole run.
    """

    budget: Budget = NOTHING
    _resorts: Iterator[Resort] | None = None
    _suspended: tuple[Turn, State] | None = None
    _refusal: DomainError | None = None
    _compiled = False
    _costs: Costs | None = None
    _appointed: Judge | None = None
    _start: Array

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
        if not isinstance(self.turn.problem, SweepProblem):
            return self._begin_plainly(evaluations)
        swept, smallest, self._smallest = self.best_profile(), self._smallest, math.inf
        state = self._begin_plainly(evaluations, self._start)
        if not smallest < state.residual:
            return state
        begun, self._smallest = (self.turn, self._best, self._rows), math.inf
        other = self._begin_plainly(state.evaluations, swept)
        if other.residual < state.residual:
            return other
        self.turn, self._best, self._rows = begun
        self._smallest, state.evaluations = state.residual, other.evaluations
        return state

    def _begin_plainly(self, evaluations: int, profile: Array | None = None) -> State:
        """Return the first state of plain passes, whose displacements are kept: at a profile, or at the best so far."""
        scheme = fast_scheme("picard")
        problem: Any = scheme.problem(self.game, self.rng)
        problem.refined, problem.room = True, self._room(problem.view)
        argument = None
        if profile is None and self._best[2] is not None:
            state = self._resume(problem, evaluations)
        else:
            argument = problem.view.restrict(self.best_profile() if profile is None else profile)
            state = problem.start(np.array(argument))
            state.evaluations += evaluations
        self._rows = problem.rows
        self.turn = Turn(scheme, problem, DISPLACEMENTS, state.residual, displacements=1)
        if argument is not None and state.residual < self._smallest:
            # The steps write into the state, but not into the argument.
            self._take(state.residual, argument, problem.difference)
            # That may be the user's.
            self._own = None
        self.turn.before = self._smallest
        return state

    def _enter(self, scheme: Solver, evaluations: int, check: int, profile: Array | None = None) -> State:
        """Return the first state of a scheme: at a profile, or where the residual is smallest so far."""
        problem: Any = scheme.problem(self.game, self.rng)
        scheme.prepare(problem, self.budget)
        problem.refined = True
        if profile is None and self._best[2] is not None and isinstance(problem, RESUMING):
            state = self._resume(problem, evaluations)
        else:
            profile = self.best_profile() if profile is None else profile
            state = scheme.start(problem, problem.restrict(profile))
            state.evaluations += evaluations
        self.turn, self._left_over = Turn(scheme, problem, check, state.residual), ()
        if not self._smallest <= state.residual:
            self._remember(state)
        self.turn.before = self._smallest
        return state

    def _resume(self, problem: Any, evaluations: int) -> State:
        """Return the first state of a problem at the best variables, whose displacement is known."""
        x: Array = self._best[1]
        displacement: Any = self._best[2]
        if isinstance(problem, REMEMBERING) and (known := self._judge.known) is not None:
            rows = self._rows
            if x.size >= LONG:
                # The rows become the scheme's own, so that nothing takes as much room again.
                if np.may_share_memory(displacement, overwritten := problem.overwritten(rows)):
                    others = rows[len(overwritten) :]
                    displacement = copied(displacement, others[-1] if len(others) else None)
                self._best, self._judge.known, self._rows = (problem, x, None), None, NO_ROWS
            problem.know(rows, len(known))
        state: State = problem.resume(State(x, self._smallest, evaluations, displacement))
        if lends(problem):
            problem.use(array for array in self._left_over if array.dtype == x.dtype)
        else:
            # The scheme may keep it.
            self._own = None
        return state

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
