"""Many starts solved at once: one product of matrices a layer and pass, and starts that are done are dropped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.deadlines import TimeUpError, called_within
from nngames.core.errors import DomainError
from nngames.core.norms import LEAST, euclidean_length
from nngames.core.profiles import Array
from nngames.core.threads import blas_threads
from nngames.core.workspace import taken, workspace
from nngames.games import Game
from nngames.networks.compiled.loading import ran_without
from nngames.results.batch import BatchResult, batch_message
from nngames.results.result import Result, Status
from nngames.solvers.advice import will_settle
from nngames.solvers.batches.problem import batched_problem
from nngames.solvers.batches.stopping import CODES, CONVERGED, CYCLING, DIVERGED, STALLED, BatchWatch, Codes
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.loop import Run
from nngames.solvers.mixed_precision import in_one_precision
from nngames.solvers.solver import Problem, Solver, State, row_norms

#: The block is made smaller once this share of its starts is done: each time it is copied.
DROPPED_SHARE = 1 / 4
#: The share of a run that compiled kernels save: only that counts for when they are loaded.
COMPILED_SHARE = 0.1


class BatchRun:
    """One run from many starts of ``scheme``: the solver itself, or what it is in one precision.

    ``watch`` makes what says when runs in the block end, ``alone`` a run from a start that is not in the block.
    """

    watch: Callable[..., BatchWatch] = BatchWatch
    alone: type[Run] = Run

    def __init__(
        self,
        game: Game,
        solver: Solver,
        starts: Array,
        tolerance: float,
        max_iterations: int,
        max_seconds: float | None,
    ) -> None:
        self.game, self.solver, self.starts, self.tolerance = game, solver, starts, tolerance
        self.scheme = in_one_precision(solver)
        self.max_iterations, self.max_seconds = max_iterations, max_seconds
        count = len(starts)
        self._profiles, self._residuals = np.zeros(starts.shape, starts.dtype), np.full(count, np.nan)
        self._statuses = np.full(count, None, dtype=object)
        #: Of each start: its steps and passes, before this part of the run until it is done.
        self._iterations, self._evaluations = np.zeros(count, np.int64), np.zeros(count, np.int64)
        #: Whether the run could use the compiled kernels and has none.
        self._without = False

    def run(self) -> BatchResult:
        """Run the scheme and return its result.

        Raises
        ------
        NotApplicableError
            If the scheme cannot run on the game, or takes one start at a time.
        """
        return called_within(self.max_seconds, self._run)

    def _run(self) -> BatchResult:
        self._began = time.perf_counter()
        largest = self.game.multiplications * len(self.starts)
        with workspace(), blas_threads(largest), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._scale = self.game.scale
            self._target = self.tolerance * self._scale
            try:
                self._solve()
            except DomainError:
                # Some start came to where an activation is not defined: those left are run one by one.
                self._run_singly()
            except TimeUpError:
                # Before there was a state of theirs.
                self._leave_at_start()
        return self._result()

    def _solve(self) -> None:
        problem = self._batched(self.starts.dtype)
        variables = problem.restrict(self.starts)
        # Schemes on the inclusion work in double precision whatever that of the starts is.
        self._profiles = self._profiles.astype(variables.dtype, copy=False)
        self._part(problem, np.arange(len(self.starts)), variables, self.scheme.autonomous)

    def _part(
        self,
        problem: Problem,
        rows: NDArray[np.int64],
        variables: Array,
        autonomous: bool,
        bounds: Array | None = None,
    ) -> None:
        """Run the starts ``rows`` from these variables in one block until none goes on."""
        self._problem = problem
        #: Of the starts in the block: which start it is, whether it still goes on, and how many do.
        self._rows, self._active, self._going = rows, np.ones(len(rows), bool), len(rows)
        self._spent = int(self._iterations[rows].max())
        state = self.scheme.start(problem, variables)
        self._watch = self.watch(
            self._target,
            self._scale,
            autonomous,
            self.max_iterations - int(self._iterations[rows].min()),
            problem.batch_axis,
            len(rows),
            problem.replaces,
            bounds,
        )
        self._iterate(state)

    def _batched(self, dtype: np.dtype[Any]) -> Problem:
        problem, self._without = batched_problem(self.scheme, self.game, dtype, self.max_seconds is not None)
        return problem

    def _iterate(self, state: State) -> None:
        iteration = 0
        while True:
            self._look(state, iteration)
            self._check_budget(state, iteration)
            if not self._going:
                return
            if self._watch.given is not None:
                state, self._watch.given = replace(state, x=self._watch.given), None
            if self._going <= (1 - DROPPED_SHARE) * len(self._active):
                state = self._dropped(state)
            state = self.scheme.step(self._problem, state)
            iteration += 1

    def _look(self, state: State, iteration: int) -> None:
        """Finish the starts whose runs end at this state."""
        residuals: Any = state.residual
        whole = self._going == len(self._active)
        codes = self._watch.look(state.x, residuals, iteration, self._active, whole)
        if codes is not None:
            residuals = self._heed(codes, state, iteration)
        stalled = self._watch.stalled(state.x, residuals, iteration)
        if stalled is not None:
            codes = np.zeros(len(stalled), np.int8) if codes is None else codes
            codes[stalled & self._active & (codes == 0)] = STALLED
        if codes is not None:
            ended = np.flatnonzero(codes > CONVERGED)
            if ended.size:
                self._finish(state, ended, [CODES[code] for code in codes], iteration)

    def _heed(self, codes: Codes, state: State, iteration: int) -> Array:
        """Finish the starts that have converged, clear the codes of runs that go on, and return the residuals."""
        residuals: Any = state.residual
        done = np.flatnonzero(codes == CONVERGED)
        if done.size:
            missed = self._converged(state, done, iteration)
            if missed:
                # The scheme's own figures were smaller than the recomputed residuals: those runs go on.
                residuals = residuals.copy()
                residuals[list(missed)] = list(missed.values())
                codes[list(missed)] = 0
        wild = (codes == DIVERGED) | (codes == CYCLING)
        if wild.any() and will_settle(self.game, self.scheme):
            self._watch.keep_going(wild)
            codes[wild] = 0
        return residuals

    def _converged(self, state: State, done: NDArray[np.int64], iteration: int) -> dict[int, float]:
        """Finish the starts that meet the target with their recomputed residuals; return those of the others."""
        residuals = self._recomputed(state, done)
        met = residuals <= self._target
        if met.all():
            self._store(done, residuals, Status.CONVERGED, state, iteration)
            return {}
        self._store(done[met], residuals[met], Status.CONVERGED, state, iteration)
        return dict(zip(done[~met].tolist(), residuals[~met].tolist(), strict=True))

    def _finish(self, state: State, ended: NDArray[np.int64], statuses: list[Any], iteration: int) -> None:
        residuals = self._recomputed(state, ended)
        self._store(ended, residuals, np.array(statuses, dtype=object)[ended], state, iteration)

    def _recomputed(self, state: State, those: NDArray[np.int64]) -> Array:
        """Write the profiles of these starts of the block into their places, and return the residuals there."""
        rows = self._rows[those]
        if isinstance(self._problem, FixedPointProblem) and self._target >= LEAST[state.x.dtype]:
            told = self._problem.tell(state, those, self._profiles, rows)
            if told is not None:
                view: Any = self._problem.view
                # A copy of many takes longer than to read some too many.
                profiles = self._profiles if 8 * len(rows) > len(self._profiles) else self._profiles[rows]
                # Squares of finite differences may be too large.
                unsure = ~(np.isfinite(told) & (abs(told - self._target) > view.rounding(profiles)))
                for k in np.flatnonzero(unsure):
                    # Alone, as whoever looks at one profile does: products of many may be summed in other orders.
                    told[k] = self.game.distance(self._profiles[rows[k]])
                return told
        return self._evaluated(self._problem.profiles(state.x, those), rows)

    def _evaluated(self, profiles: Array, rows: NDArray[np.int64]) -> Array:
        """Write the profiles into these rows and return the residuals there, by another pass."""
        self._profiles[rows] = profiles
        differences = self.game.residuals(profiles)
        norms = np.asarray(row_norms(differences))
        for k in (~((norms >= LEAST[norms.dtype]) & (norms < np.inf))).nonzero()[0]:
            norms[k] = euclidean_length(differences[k])
        return norms

    def _store(self, those: NDArray[np.int64], residuals: Array, statuses: Any, state: State, iteration: int) -> None:
        rows = self._rows[those]
        self._residuals[rows], self._statuses[rows] = residuals, statuses
        self._count(those, iteration, state.evaluations)

    def _count(self, those: NDArray[np.int64], iterations: int, evaluations: int) -> None:
        """Add the steps and passes of this part of the run to those of starts that leave it."""
        rows = self._rows[those]
        self._iterations[rows] += iterations
        self._evaluations[rows] += evaluations
        self._active[those] = False
        self._going -= len(those)

    def _dropped(self, state: State) -> State:
        """Return the state without the starts that are done."""
        kept = np.flatnonzero(self._active)
        axis, count = self._problem.batch_axis, len(self._rows)

        def shorter(part: Any) -> Any:
            if isinstance(part, tuple):
                return tuple(map(shorter, part))
            batch = isinstance(part, np.ndarray) and part.ndim == 2 and part.shape[axis] == count
            return taken(part, kept, axis) if batch else part

        residuals: Any = state.residual
        iterate = self._problem.kept_iterate(state.x, kept)
        following = State(iterate, residuals[kept], state.evaluations, shorter(state.memory))
        self._keep(kept)
        return following

    def _keep(self, kept: NDArray[np.int64]) -> None:
        """Drop what is known of the other starts."""
        self._problem.keep(kept)
        self._watch.keep(kept)
        self._rows, self._active = self._rows[kept], np.ones(len(kept), bool)

    def _check_budget(self, state: State, iteration: int) -> None:
        """Finish the starts that have made all their steps, or all of them when the time is up."""
        if self._spent + iteration >= self.max_iterations:
            made = self._iterations[self._rows] + iteration
            self._finish_all(state, self._active & (made >= self.max_iterations), Status.MAX_ITERATIONS, iteration)
        left = self._seconds_left()
        if left is not None and left <= 0:
            self._finish_all(state, self._active, Status.MAX_SECONDS, iteration)

    def _finish_all(self, state: State, those: NDArray[np.bool_], status: Status, iteration: int) -> None:
        ended = np.flatnonzero(those)
        if ended.size:
            self._finish(state, ended, [status] * len(those), iteration)

    def _seconds_left(self) -> float | None:
        return None if self.max_seconds is None else self.max_seconds - (time.perf_counter() - self._began)

    def _unfinished(self) -> NDArray[np.int64]:
        return np.array([k for k, status in enumerate(self._statuses) if status is None], np.int64)

    def _leave_at_start(self) -> None:
        rows = self._unfinished()
        self._residuals[rows] = self._evaluated(self.starts[rows], rows)
        self._statuses[rows] = Status.MAX_SECONDS

    def _run_singly(self) -> None:
        """Run the starts that have no status yet one by one."""
        for row in self._unfinished():
            left = self._seconds_left()
            self._run_alone(int(row), None if left is None else max(left, 1e-9))

    def _run_alone(self, row: int, seconds: float | None) -> Result:
        """Run one start as ``solve`` does; what it took before counts as well."""
        steps = self.max_iterations - int(self._iterations[row])
        start = self.starts[row]
        result = self.alone(self.game, self.solver, start, self.tolerance, steps, seconds, None, given=False).run()
        self._profiles[row], self._residuals[row], self._statuses[row] = result.profile, result.residual, result.status
        self._iterations[row] += result.iterations
        self._evaluations[row] += result.evaluations
        return result

    def _result(self) -> BatchResult:
        solver, game = self.solver, self.game
        seconds = time.perf_counter() - self._began
        if self._without:
            ran_without(COMPILED_SHARE * seconds)
        return BatchResult(
            profiles=self._profiles,
            statuses=self._statuses,
            residuals=self._residuals,
            iterations=self._iterations,
            evaluations=self._evaluations,
            seconds=seconds,
            message=self._message(),
            scale=self._scale,
            tolerance=self.tolerance,
            method=solver.name,
            options=solver.options,
            _guarantee=partial(solver.guarantee, game),
        )

    def _message(self) -> str:
        return batch_message(self.solver.name, self._statuses, self._target)
