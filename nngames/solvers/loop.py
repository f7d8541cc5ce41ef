"""The loop: one place that owns stopping, tracing, timing, callbacks, non-finite checks and interruption."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nngames.certificates.error_bounds import error_bound
from nngames.core.deadlines import TimeUpError, called_within, ends_within, postpone
from nngames.core.errors import DomainError, NotApplicableError, OptionError, as_float, check_positive, is_real, written
from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.core.seeds import LateGenerator, Seed, check_seed, generator
from nngames.core.threads import blas_threads
from nngames.games import Game
from nngames.networks.compiled.loading import installed, kernels, kernels_come, ran_without
from nngames.results.comparison import Comparison
from nngames.results.result import Result, Status, Trace
from nngames.solvers.advice import (
    cannot_start,
    left_domain,
    message_for,
    more_digits,
    no_time_to_begin,
    will_settle,
)
from nngames.solvers.mixed_precision import in_one_precision, is_mixed
from nngames.solvers.solver import Budget, Ended, Iterate, Solver, State
from nngames.solvers.stopping import STALL_ITERATIONS, Stretch, Watch

Callback = Callable[[Iterate], Any]

#: A residual this close to the target, relative to it, is computed again.
CLOSE = 1e-3
#: Seconds for which compiled steps may go on before the loop looks at the clock, and Ctrl-C is heard.
UNINTERRUPTED = 0.02
#: So many steps go on all the same where there is time for them: a stretch begins with copies, of as much as one reads.
AT_ONCE = 4
#: Seconds that proofs for the message of a run that was limited in time may take.
ADVISING = 0.25
#: Python counts fewer states in less time than an array takes.
FEW = 64
#: 1, 2, ...: the places of the states in a stretch, which the rule for stalling does not let be longer.
COUNTS = np.arange(1.0, STALL_ITERATIONS)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a solve.

    Attributes
    ----------
    result : Result
        What was reached so far.
    comparison : Comparison or None
        In a comparison, every run made so far.
    """

    def __init__(self, result: Result) -> None:
        super().__init__("interrupted")
        self.result = result
        self.comparison: Comparison | None = None


class Run:
    """One run of a scheme on a game.

    ``given`` says whether the user chose the start: one at which an activation is not defined is then an error, and
    else a run that failed.
    """

    def __init__(
        self,
        game: Game,
        solver: Solver,
        start: Array,
        tolerance: float,
        max_iterations: int,
        max_seconds: float | None,
        seed: Seed,
        callback: Callback | None = None,
        trace_nash_gap: bool = False,
        given: bool = True,
    ) -> None:
        self.game, self.solver, self.start, self.tolerance = game, solver, start, tolerance
        self.max_iterations, self.max_seconds, self.seed = max_iterations, max_seconds, seed
        self.callback, self.trace_nash_gap, self.given = callback, trace_nash_gap, given
        self._unwatched = callback is None and not trace_nash_gap
        self._residuals: list[float] = []
        self._evaluations: list[int] = []
        self._seconds: list[float] = []
        self._gaps: list[float] = []
        self._excluded = 0.0
        self._compilable = False
        self._kernels: Any = None

    def run(self) -> Result:
        """Run the scheme and return its result.

        Raises
        ------
        NotApplicableError
            If the scheme cannot run on the game.
        DomainError
            If an activation is not defined at the start that the user gave.
        Interrupted
            On Ctrl-C; it carries the result so far.
        """
        return called_within(self.max_seconds, self._run)

    def _run(self) -> Result:
        self._began = time.perf_counter()
        with (
            blas_threads(self.game.multiplications, self.game.size),
            np.errstate(over="ignore", invalid="ignore", divide="ignore"),
        ):
            self._scale = self.game.scale
            check_seed(self.seed)
            rng: Any = generator(self.seed) if self.solver.draws else LateGenerator(self.seed)
            try:
                self._problem = self.solver.problem(self.game, rng)
            except NotApplicableError as error:
                raise NotApplicableError(f"{self.solver.name} does not apply: {error}") from None
            except TimeUpError:
                return self._unstarted(Status.MAX_SECONDS, no_time_to_begin(self.solver))
            self._watch = Watch(
                self.tolerance * self._scale,
                self._scale,
                in_one_precision(self.solver).autonomous,
                self.max_iterations,
                self.solver.steered,
                mixed=is_mixed(self.solver) and self.start.dtype == np.float64,
                start=None if self.given else self.start,
            )
            budget = Budget(self._watch.target, self.max_iterations, self.max_seconds)
            self.solver.prepare(self._problem, budget)
            try:
                self._last = self.solver.start(self._problem, self._problem.restrict(self.start))
            except DomainError as error:
                message = cannot_start(self.solver, error, self.given)
                if self.given:
                    raise DomainError(message) from None
                return self._unstarted(Status.FAILED, message)
            except TimeUpError:
                return self._unstarted(Status.MAX_SECONDS, no_time_to_begin(self.solver))
            self._kernels = self._compiled(self._last)
            try:
                return self._iterate(self._last)
            except KeyboardInterrupt:
                raise Interrupted(self._result(*self._recomputed(self._last), Status.INTERRUPTED)) from None

    def _iterate(self, state: State, iteration: int = 0) -> Result:
        problem, solver, watch = self._problem, self.solver, self._watch
        while True:
            self._record(state, iteration)
            status = watch.look(state, iteration)
            if status is Status.CONVERGED:
                profile, residual = self._reached(state)
                if residual <= watch.target:
                    return self._result(profile, residual, status)
                # The scheme's own figure was smaller than the recomputed residual: the run goes on.
                status = watch.stalls(state, residual, iteration)
            elif (
                status is not None
                and status in (Status.DIVERGED, Status.CYCLING)
                and will_settle(self.game, self.solver)
            ):
                watch.keep_going()
                status = None
            status = status or self._budget(iteration)
            if status is not None:
                return self._ended(state, status)
            stretch = self._stretch(state, iteration) if self._kernels is not None else None
            try:
                if stretch is not None:
                    state, iteration = self._several(state, stretch)
                    continue
                state = solver.step(problem, state)
            except DomainError as error:
                return self._outside(state, error)
            except Ended as end:
                return self._ended(state, end.status, end.said)
            except TimeUpError:
                return self._ended(state, Status.MAX_SECONDS)
            self._last = state
            iteration += 1

    def _ended(self, state: State, status: Status, said: str = "") -> Result:
        """Return the result of a run that ends at this state, as converged if its recomputed residual is low enough.

        A sweep's own figure is no residual of its profile, at which that may be below the target already.
        """
        profile, residual = self._recomputed(state)
        if residual <= self._watch.target:
            status, said = Status.CONVERGED, ""
        return self._result(profile, residual, status, said=said)

    def _compiled(self, state: State) -> Any:
        """Return the compiled kernels if the run may and can use them; None else."""
        limited = self.max_seconds is not None
        self._compilable = installed() and self._unwatched and state.x.dtype == np.float64
        # A map is not packed before it is known that there are kernels for it.
        return kernels(limited) if self._compilable and kernels_come(limited) and self._fusible() else None

    def _fusible(self) -> bool:
        """Whether there is a map for compiled steps."""
        if self._problem.fused is not None:
            return True
        # A steered run changes its problems on the way.
        return self.solver.steered and self.game.fixed_point().fused is not None

    def _stretch(self, state: State, iteration: int) -> Stretch | None:
        """Return how many steps may be made at once; None if the next one is made alone."""
        fused = self._problem.fused
        if fused is None:
            return None
        seconds = max(UNINTERRUPTED, AT_ONCE * fused.seconds)
        if self.max_seconds is not None:
            seconds = min(seconds, self.max_seconds - self._seconds[-1])
        steps = max(1, min(self.max_iterations - iteration, int(seconds / fused.seconds)))
        return self._watch.stretch(state, iteration, steps)

    def _several(self, state: State, stretch: Stretch) -> tuple[State, int]:
        """Make several steps at once; return the state, which is still to be recorded, and its iteration."""
        state, residuals, evaluations = self._problem.several_steps(self._kernels, state, stretch)
        passed = residuals[:-1].tolist()
        self._watch.passed(stretch, passed)
        if passed:
            # Nobody looked at the clock in between: the steps share the time evenly.
            began, ended = self._seconds[-1], time.perf_counter() - self._began - self._excluded
            share = (ended - began) / len(residuals)
            if len(passed) < FEW:
                self._seconds += [began + share * place for place in range(1, len(residuals))]
            else:
                self._seconds += (COUNTS[: len(passed)] * share + began).tolist()
        self._residuals += passed
        self._evaluations += evaluations[:-1] if isinstance(evaluations, range) else evaluations[:-1].tolist()
        self._last = state
        return state, stretch.iteration + len(residuals)

    def _budget(self, iteration: int) -> Status | None:
        if iteration >= self.max_iterations:
            return Status.MAX_ITERATIONS
        if self.max_seconds is not None and self._seconds[-1] >= self.max_seconds:
            return Status.MAX_SECONDS
        return None

    def _record(self, state: State, iteration: int) -> None:
        self._residuals.append(state.residual)
        self._evaluations.append(state.evaluations)
        now = time.perf_counter()
        self._seconds.append(now - self._began - self._excluded)
        if self._unwatched:
            return
        profile = np.array(self._problem.profile(state.x))
        with ends_within(None):
            if self.trace_nash_gap:
                self._gaps.append(_gap(self.game, profile))
            if self.callback is not None:
                self.callback(Iterate(iteration, state.evaluations, profile, state.residual))
        self._exclude(time.perf_counter() - now)

    def _exclude(self, seconds: float) -> None:
        """Charge so many seconds to somebody else."""
        self._excluded += seconds
        postpone(seconds)

    def _unstarted(self, status: Status, message: str) -> Result:
        """Return the result of a run that has no state, as where it is not defined at its start; the game may be."""
        profile = np.array(self.start)
        residual = self._residual_at(profile)
        self._residuals.append(residual)
        self._evaluations.append(1)
        self._seconds.append(time.perf_counter() - self._began)
        if self.trace_nash_gap:
            with ends_within(None):
                self._gaps.append(_gap(self.game, profile))
        return self._result(profile, residual, status, message)

    def _outside(self, state: State, error: DomainError) -> Result:
        """Return the failed result of a run whose next step is not defined."""
        iterations = len(self._residuals) - 1
        message = left_domain(self.solver, iterations, error)
        try:
            profile, residual = self._recomputed(state)
        except DomainError:
            # A sweep may have moved some players already.
            profile = np.array(state.x if state.x.size == self.game.size else self.start)
            residual = self._residual_at(profile)
        return self._result(profile, residual, Status.FAILED, message)

    def _residual_at(self, profile: Array) -> float:
        try:
            return self.game.distance(profile)
        except DomainError:
            return float("nan")

    def _reached(self, state: State) -> tuple[Array, float]:
        """Return the profile of a state whose residual is low enough, and the game's residual there.

        It is recomputed by a pass, unless profiles are long, so that one is dear, and the last pass was the game's own
        from this very profile and is, by what it left, clear of the target.
        """
        passed = self._problem.passed(state) if self.game.size >= LONG else None
        if passed is not None:
            profile, residual, rounding = passed
            if residual + rounding <= (1 - CLOSE) * self._watch.target:
                return self._own(profile), residual
        return self._recomputed(state)

    def _own(self, profile: Array) -> Array:
        """Return the profile that a scheme told: a copy of a long one that is a part of more, or the user's start."""
        if self.game.size < LONG or (profile.base is None and not np.may_share_memory(profile, self.start)):
            return profile
        return np.array(profile)

    def _recomputed(self, state: State) -> tuple[Array, float]:
        """Return the profile of the state and the game's residual there, or of a better one where it is too large."""
        told, target = self._problem.told(state.x), self._watch.target
        if told is None:
            profile = np.array(self._problem.profile(state.x))
            residual = self.game.distance(profile)
        else:
            profile, residual, rounding = told
            # The last bits of two routes differ, and those of the game's own residual decide.
            if not abs(residual - target) > CLOSE * target + rounding:
                residual = self.game.distance(profile)
            profile = self._own(profile)
        return (profile, residual) if residual <= target else self._better(profile, residual)

    def _better(self, profile: Array, residual: float) -> tuple[Array, float]:
        """Return them, or a profile that the run knows to be better and its residual, for a run that remembers one."""
        return profile, residual

    def _result(
        self, profile: Array, residual: float, status: Status, message: str | None = None, said: str = ""
    ) -> Result:
        game, solver = self.game, self.solver
        # The message may prove things about the game; that is not the scheme's time.
        seconds = time.perf_counter() - self._began - self._excluded
        if self._compilable and self._kernels is None and self._fusible():
            ran_without(seconds)
        iterations = max(0, len(self._residuals) - 1)
        # A run that could not start has no state.
        last = getattr(self, "_last", None)
        if last is not None and last.iterations is not None:
            iterations = last.iterations
        if message is None and status is Status.FAILED:
            message = said
        elif message is None:
            precision = more_digits(self.start, self._last.x, status, residual, self._scale)
            target, period = self._watch.target, self._watch.period
            with ends_within(None if self.max_seconds is None else ADVISING):
                message = message_for(game, solver, status, iterations, residual, target, period, precision)
            message = f"{said}; {message}" if said else message
        method, message = self._told(status, message)
        return Result(
            profile=profile,
            status=status,
            message=message,
            iterations=iterations,
            evaluations=self._evaluations[-1] if self._evaluations else 0,
            seconds=seconds,
            residual=residual,
            scale=self._scale,
            tolerance=self.tolerance,
            method=method,
            options=solver.options,
            seed=self.seed,
            trace=Trace(
                np.array(self._residuals),
                np.array(self._evaluations),
                np.array(self._seconds),
                np.array(self._gaps) if self.trace_nash_gap else None,
            ),
            _actions=game.space.actions,
            _nash_gap=partial(_gap, game),
            _guarantee=partial(solver.guarantee, game),
            _error_bound=partial(_error_bound, game),
        )

    def _told(self, status: Status, message: str) -> tuple[str, str]:
        """Return the method's name and the message, for a run that knows more about them."""
        return self.solver.name, message


def _gap(game: Game, profile: Array) -> float:
    try:
        return float(game.nash_gap(profile)) if np.isfinite(profile).all() else float("nan")
    except DomainError:
        return float("nan")


def _error_bound(game: Game, profile: Array) -> Any:
    return error_bound(game, profile) if np.isfinite(profile).all() else None


def check_stopping(tolerance: Any, max_iterations: Any, max_seconds: Any) -> None:
    """Raise OptionError unless the stopping values are usable."""
    if not is_real(tolerance) or not 0 < as_float(tolerance) < 1:
        raise OptionError(f"tolerance must be a number between 0 and 1; got {written(tolerance)}")
    if isinstance(max_iterations, bool) or not isinstance(max_iterations, int | np.integer) or max_iterations < 0:
        raise OptionError(f"max_iterations must be a nonnegative integer; got {written(max_iterations)}")
    if max_seconds is not None:
        check_positive("max_seconds", max_seconds)
