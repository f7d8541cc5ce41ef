"""Many starts solved at once: one product of matrices a layer and pass, and starts that are done are dropped."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import DomainError, NotApplicableError, ShapeError
from nngames.core.profiles import Array
from nngames.core.seeds import generator
from nngames.core.threads import blas_threads
from nngames.core.workspace import taken, workspace
from nngames.games import Game
from nngames.networks.fused import installed, kernels, ran_without
from nngames.results.batch import BatchResult, batch_message
from nngames.results.result import Status
from nngames.solvers.advice import convergence_proved, existence_proved
from nngames.solvers.batch_stopping import CODES, CONVERGED, CYCLING, DIVERGED, STALLED, BatchWatch
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.loop import Run
from nngames.solvers.solver import Problem, Solver, State, registry, row_norms

#: The block is made smaller once this share of its starts is done: each time it is copied.
DROPPED_SHARE = 1 / 4
#: The share of a run that compiled kernels save: only that counts for when they are loaded.
COMPILED_SHARE = 0.1


def check_starts(game: Game, starts: Any) -> Array:
    """Return the starts as an array (batch, N), or raise ShapeError or InputError."""
    array = game.space.array(starts, batch=True, what="starts")
    if array.ndim != 2 or not len(array):
        raise ShapeError(f"starts has shape {array.shape}; expected (batch, {game.size}) with a row for each start")
    return array


class BatchRun:
    """One run of a scheme from many starts."""

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
        self.max_iterations, self.max_seconds = max_iterations, max_seconds
        count = len(starts)
        self._profiles, self._residuals = np.empty_like(starts), np.full(count, np.nan)
        self._statuses = np.full(count, None, dtype=object)
        self._iterations, self._evaluations = np.zeros(count, np.int64), np.zeros(count, np.int64)
        #: Of the starts still in the block: which start it is, and whether it still goes on.
        self._rows, self._active = np.arange(count), np.ones(count, bool)
        #: Whether the run could use the compiled kernels and has none.
        self._without = False

    def run(self) -> BatchResult:
        """Run the scheme and return its result.

        Raises
        ------
        NotApplicableError
            If the scheme cannot run on the game, or takes one start at a time.
        """
        self._began = time.perf_counter()
        largest = self.game.multiplications * len(self.starts)
        with workspace(), blas_threads(largest), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._scale = self.game.scale
            self._problem = self._batched()
            self._watch = BatchWatch(
                self.tolerance * self._scale,
                self._scale,
                self.solver.autonomous,
                self.max_iterations,
                self._problem.batch_axis,
                len(self.starts),
            )
            variables = self._problem.restrict(self.starts)
            # Schemes on the inclusion work in double precision whatever that of the starts is.
            self._profiles = self._profiles.astype(variables.dtype, copy=False)
            try:
                self._iterate(self.solver.start(self._problem, variables))
            except DomainError:
                # Some start came to where an activation is not defined: those left are run one by one.
                self._run_singly()
        return self._result()

    def _batched(self) -> Problem:
        name = self.solver.name
        if not self.solver.rowwise:
            able = ", ".join(m for m in registry.names() if _by_rows(m))
            raise NotApplicableError(
                f"{name} with these options takes one start at a time: call solve for each start; batches are taken by "
                f"{able} and best_response with order='simultaneous'"
            )
        try:
            problem = self.solver.problem(self.game, generator(None))
            if installed() and isinstance(problem, FixedPointProblem) and self.starts.dtype == np.float64:
                self._without = kernels(limited=self.max_seconds is not None) is None
            return problem.batched(self.starts.dtype)
        except NotApplicableError as error:
            raise NotApplicableError(f"{name} does not apply: {error}") from None

    def _iterate(self, state: State) -> None:
        iteration = 0
        while True:
            self._look(state, iteration)
            if not self._active.any():
                return
            status = self._budget(iteration)
            if status is not None:
                self._finish(state, np.flatnonzero(self._active), [status] * len(self._rows), iteration)
                return
            if np.count_nonzero(self._active) <= (1 - DROPPED_SHARE) * len(self._active):
                state = self._dropped(state)
            state = self.solver.step(self._problem, state)
            iteration += 1

    def _look(self, state: State, iteration: int) -> None:
        """Finish the starts whose runs end at this state."""
        residuals: Any = state.residual
        codes = self._watch.look(state.x, residuals, iteration, self._active)
        among = self._active
        if codes is None:
            codes = np.zeros(len(among), np.int8)
        else:
            done = np.flatnonzero(codes == CONVERGED)
            if done.size:
                missed = self._converged(state, done, iteration)
                if missed:
                    # The scheme's own figures were smaller than the recomputed residuals: those runs go on.
                    residuals = residuals.copy()
                    residuals[list(missed)] = list(missed.values())
                    codes[list(missed)] = 0
            wild = (codes == DIVERGED) | (codes == CYCLING)
            if wild.any() and self._will_settle():
                self._watch.keep_going(wild)
                codes[wild] = 0
            among = self._active & (codes == 0)
        stalled = self._watch.stalled(state.x, residuals, iteration, among)
        if stalled is not None:
            codes[stalled] = STALLED
        ended = np.flatnonzero(codes > CONVERGED)
        if ended.size:
            self._finish(state, ended, [CODES[code] for code in codes], iteration)

    def _converged(self, state: State, done: NDArray[np.int64], iteration: int) -> dict[int, float]:
        """Finish the starts that meet the target with their recomputed residuals; return those of the others."""
        profiles, residuals = self._recomputed(state, done)
        met = residuals <= self._watch.target
        if met.all():
            self._store(done, profiles, residuals, Status.CONVERGED, state, iteration)
            return {}
        self._store(done[met], profiles[met], residuals[met], Status.CONVERGED, state, iteration)
        return dict(zip(done[~met].tolist(), residuals[~met].tolist(), strict=True))

    def _finish(self, state: State, ended: NDArray[np.int64], statuses: list[Any], iteration: int) -> None:
        profiles, residuals = self._recomputed(state, ended)
        self._store(ended, profiles, residuals, np.array(statuses, dtype=object)[ended], state, iteration)

    def _recomputed(self, state: State, those: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return the profiles of these starts of the block, and their residuals."""
        if isinstance(self._problem, FixedPointProblem):
            examined = self._problem.examined(state.x, those)
            if examined is not None:
                return examined
        profiles = self._problem.profiles(state.x, those)
        return profiles, row_norms(self.game.residuals(profiles))

    def _store(
        self,
        those: NDArray[np.int64],
        profiles: Array,
        residuals: Array,
        statuses: Any,
        state: State,
        iteration: int,
    ) -> None:
        rows = self._rows[those]
        self._profiles[rows], self._residuals[rows], self._statuses[rows] = profiles, residuals, statuses
        self._iterations[rows], self._evaluations[rows] = iteration, state.evaluations
        self._active[those] = False

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
        self._problem.keep(kept)
        self._watch.keep(kept)
        self._rows, self._active = self._rows[kept], np.ones(len(kept), bool)
        return following

    def _budget(self, iteration: int) -> Status | None:
        if iteration >= self.max_iterations:
            return Status.MAX_ITERATIONS
        left = self._seconds_left()
        return Status.MAX_SECONDS if left is not None and left <= 0 else None

    def _seconds_left(self) -> float | None:
        return None if self.max_seconds is None else self.max_seconds - (time.perf_counter() - self._began)

    def _run_singly(self) -> None:
        for row in self._rows[self._active]:
            left = self._seconds_left()
            seconds = None if left is None else max(left, 1e-9)
            result = Run(
                self.game,
                self.solver,
                self.starts[row],
                self.tolerance,
                self.max_iterations,
                seconds,
                seed=None,
                given=False,
            ).run()
            self._profiles[row], self._residuals[row], self._statuses[row] = (
                result.profile,
                result.residual,
                result.status,
            )
            self._iterations[row], self._evaluations[row] = result.iterations, result.evaluations

    def _will_settle(self) -> bool:
        """Whether every run is proved to reach an equilibrium in the end, however far it goes meanwhile."""
        return convergence_proved(self.game, self.solver) and existence_proved(self.solver.guarantee(self.game))

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
            message=batch_message(solver.name, self._statuses, self.tolerance * self._scale),
            scale=self._scale,
            tolerance=self.tolerance,
            method=solver.name,
            options=solver.options,
            _guarantee=lambda: solver.guarantee(game),
        )


def _by_rows(method: str) -> bool:
    kind = registry[method]
    return not kind.external and bool(kind().rowwise)
