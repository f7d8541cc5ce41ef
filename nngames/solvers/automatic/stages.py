"""The course of an automatic run: what the scheme whose turn it is does, and when it is left."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from nngames.core.deadlines import TimeUpError
from nngames.core.errors import DomainError, NNGamesError, NotApplicableError
from nngames.core.profiles import Array
from nngames.networks import Constant
from nngames.networks.compiled.loading import Kernels
from nngames.results.result import Status
from nngames.solvers.automatic.changes import CANNOT_START, OUTSIDE, UNFORECAST, Changing
from nngames.solvers.automatic.costs import DISPLACEMENTS, RELAXED_CAUTION, SHORT, passes_before_forecast
from nngames.solvers.automatic.extrapolation import state_ahead
from nngames.solvers.automatic.forecast import JUDGED, steps_to
from nngames.solvers.automatic.judging import NEWTON_WINDOW, Promise, uninterrupted
from nngames.solvers.automatic.turns import (
    Turn,
    fast_scheme,
    first_scheme,
    lends,
)
from nngames.solvers.mixed_precision import MixedProblem
from nngames.solvers.solver import Ended, Problem, State
from nngames.solvers.spectral import SweepProblem
from nngames.solvers.stopping import Stretch

#: A scheme whose residual exceeds this multiple of the smallest one so far is left.
BLOW_UP = 1e6
#: A profile is remembered where its residual is below this share of the smallest remembered one, and at each judgement;
#: any better one that its scheme lends, since that takes no copy.
REMEMBERED = 0.01


class Course(Changing):
    """The turns of one run, in the variables of whichever scheme has its turn."""

    def begin(self, profile: Array) -> State:
        """Return the state of the first scheme that is defined at the profile. Raises DomainError if none is."""
        self._best, self._start = (None, profile, None), profile
        try:
            first = first_scheme(self.game, profile.dtype == np.float32)
        except TimeUpError:
            # The run ends at the state of one pass.
            first = fast_scheme("picard")
        try:
            if first.name == "picard":
                return self._begin_plainly(0, profile)
            state = self._enter(first, 0, DISPLACEMENTS, profile)
        except DomainError as error:
            self._refusal, self.left[first.name] = error, CANNOT_START
            return self._resort(0)
        if first.name in UNFORECAST:
            self.turn.check = self._judge.window(first.name)
            if isinstance(self.turn.problem, SweepProblem) and not math.isfinite(state.residual):
                return self._leave(state.evaluations, "left the finite numbers at once")
        return state

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
        if self.target < following.residual < self._smallest and lends(turn.problem):
            self._remember(following)
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
        # The state is whole until the step after the next one.
        if not falls:
            self._remember(state)
            self._secure(state)
        elif self._best[1] is state.x:
            self._take(following.residual, following.x, self._rows[kept])
        if falls and turn.count < turn.check:
            turn.displacements = kept + 1
            return following
        turn.displacements = kept + 1
        return self._next(following)

    def several_steps(self, kernels: Kernels, state: State, stretch: Stretch) -> tuple[State, Array, Any]:
        """Return the state after several steps, none beyond the one that is judged; see ``Problem.several_steps``."""
        if state.residual <= self.target:
            self._remember(state)
        if not self._compiled:
            self._compiled, self._costs = True, None
            if self._appointed is not None:
                self._appointed.costs = self.costs()
        turn, kept, early, relaxed = self.turn, self.turn.displacements, False, 0
        if kept is not None:
            costs = self.costs()
            stretch.displacements = self._rows[kept:]
            early = costs.dear and _is_sparse(turn.problem)
            if early:
                turn.check = turn.check if turn.count else passes_before_forecast(costs)
            elif turn.count == 0:
                turn.check, stretch.pause = uninterrupted(costs, self.target, state.residual)
                # For half of what the loop lets it go at most, so that others have the rest if they end too late.
                half = (stretch.steps - DISPLACEMENTS) // 2
                relaxed = costs.relaxed if costs.relaxed <= half else max(0, half)
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
        if kept is not None:
            turn.displacements = kept + len(residuals)
            if early:
                turn.displacements = min(turn.displacements, len(self._rows))
            elif turn.count <= DISPLACEMENTS:
                turn.check = DISPLACEMENTS
            else:
                turn.displacements = None
                if following.residual > self.target:
                    self._judge.learn(self._rows)
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
            if displacements is not None:
                self._left_over = turn.problem.left_by(state)  # type: ignore[attr-defined]
                if follower == "newton" and self.costs().extrapolated:
                    evaluations = self._extrapolate(state, displacements)
            return self._leave(evaluations, why, follower)
        if single:
            self._secure(state)
            turn.problem = mixed = MixedProblem(self.game.fixed_point(), Constant(1.0))
            return mixed.continued(state)
        if watched and (turn.problem.fused is None or _is_sparse(turn.problem)):
            # A new forecast follows after a few more dear passes: the first ones often tell little.
            self._judge.known = None
            self._keep_others(state)
            turn.check = turn.count + JUDGED
        elif displacements is not None:
            self._secure(state)
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
        # What its scheme lent may be its state.
        self._suspended, self._own = (turn, state), None
        try:
            return self._enter(fast_scheme("newton"), state.evaluations, NEWTON_WINDOW, profile)
        except NNGamesError:
            (self.turn, state), self._suspended = self._suspended, None
            return state


def _is_sparse(problem: Problem) -> bool:
    """Whether the scheme's compiled passes are sparse: dear ones are judged as early as those that go singly."""
    fused = problem.fused
    return fused is not None and fused.sparse
