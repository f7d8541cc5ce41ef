"""Batches of mixed precision: the block in single precision first, then, from where each start has come to, in double.

Each start leaves the block in single precision by the rule of ``mixed_precision`` when that helps it no more, whatever
the others do, and waits for them: starts do not depend on each other, so its own steps count as if it had gone on. What
is left of the run, the target and all other rules are those of double precision; cycles are looked for there alone,
since rounding to few digits makes its own. The rule for stalling counts its iterations anew.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nngames.core.profiles import Array
from nngames.core.workspace import aligned, taken
from nngames.solvers.batches.run import BatchRun
from nngames.solvers.mixed_precision import NOISE, PATIENCE, UNIT
from nngames.solvers.solver import State, column_norms


class MixedBatchRun(BatchRun):
    """One run from many starts in double precision, whose first steps are in single precision."""

    #: While the steps are in single precision: what they still bring.
    _progress: Progress | None = None

    def _solve(self) -> None:
        wide = cast(Any, self._batched(np.dtype(np.float64)))
        #: The columns from which each start goes on in double precision, and the bounds of divergence.
        self._wide, self._reached = wide, wide.restrict(self.starts)
        self._bounds = np.full(len(self.starts), np.nan)
        rounded = aligned(self._reached.shape, np.float32)
        np.copyto(rounded, self._reached, casting="same_kind")
        fitting = np.flatnonzero(np.isfinite(rounded).all(axis=0))
        if fitting.size:
            if len(fitting) < len(self.starts):
                rounded = taken(rounded, fitting, axis=1)
            self._progress = Progress(rounded)
            self._part(self._batched(np.dtype(np.float32)), fitting, rounded, autonomous=False)
            self._progress = None
        left = self._unfinished()
        if left.size:
            if wide.constant is None:
                wide.relaxation = _Later(wide.relaxation, self._evaluations[left])
            all_left = len(left) == len(self.starts)
            columns = self._reached if all_left else taken(self._reached, left, axis=1)
            self._part(wide, left, columns, self.scheme.autonomous, self._bounds[left])

    def _look(self, state: State, iteration: int) -> None:
        if self._progress is None:
            super()._look(state, iteration)
            return
        # Compared with the target as they are, for that may be beyond the range of single precision.
        residuals: Any = np.asarray(state.residual, np.float64)
        largest = float(np.maximum.reduce(residuals))
        if not math.isfinite(largest):
            finite = np.isfinite(residuals)
            lost = (self._active & ~finite).nonzero()[0]
            self._leave(lost, state.x[:, lost], iteration, state.evaluations)
            residuals = np.where(finite, residuals, np.inf)
            largest = float(residuals.max(initial=0.0, where=finite))
        super()._look(State(state.x, residuals, state.evaluations, state.memory), iteration)
        relaxation = self._relaxation(state)
        enough = self._progress.enough(state.x, residuals, largest, relaxation)
        if enough is not None and iteration < self.max_iterations:
            those = (self._active & enough).nonzero()[0]
            if those.size:
                self._leave(those, self._following(state, those, relaxation), iteration + 1, state.evaluations)

    def _following(self, state: State, those: NDArray[np.int64], relaxation: float) -> Array:
        """Return the next iterates of these starts."""
        image = taken(state.memory, those, axis=1)
        if relaxation == 1.0:
            return image
        x = state.x[:, those].astype(np.float64)
        return np.asarray(x + relaxation * (image - x))

    def _relaxation(self, state: State) -> float:
        """Return that of the next step."""
        problem: Any = self._problem
        return float(problem.relaxation(state.evaluations - 1) if problem.constant is None else problem.constant)

    def _leave(self, those: NDArray[np.int64], columns: Array, iterations: int, evaluations: int) -> None:
        """Let starts wait at these columns for double precision, with so many steps and passes made."""
        rows = self._rows[those]
        self._bounds[rows] = self._watch.bounds[those]
        self._reached[:, slice(None) if len(rows) == len(self.starts) else rows] = columns
        self._count(those, iterations, evaluations)

    def _recomputed(self, state: State, those: NDArray[np.int64]) -> Array:
        if self._progress is None:
            return super()._recomputed(state, those)
        columns = state.x[:, those].astype(np.float64)
        return self._evaluated(self._wide.profiles(columns, np.arange(len(those))), self._rows[those])

    def _keep(self, kept: NDArray[np.int64]) -> None:
        super()._keep(kept)
        relaxation = getattr(self._problem, "relaxation", None)
        if self._progress is not None:
            self._progress.keep(kept)
        elif isinstance(relaxation, _Later):
            relaxation.keep(kept)


class Progress:
    """What steps in single precision still bring to each start of a block.

    Parameters
    ----------
    x : ndarray (n, batch)
        The first iterates.
    """

    def __init__(self, x: Array) -> None:
        self._best, self._since = np.full(x.shape[1], np.inf), np.zeros(x.shape[1], np.int64)
        #: No iterate is longer than this, nor is it below 1: only small residuals make the lengths be computed.
        self._longest = max(1.0, float(column_norms(x).max()))

    def enough(self, x: Array, residuals: Array, largest: float, relaxation: float) -> NDArray[np.bool_] | None:
        """Return which starts it helps no more after this state; None where it helps them all.

        ``largest`` is the largest of the residuals, ``relaxation`` that of the next step.
        """
        enough = None
        better = residuals < self._best
        if np.logical_and.reduce(better):
            self._since.fill(0)
            self._best = residuals
        else:
            self._since = np.where(better, 0, self._since + 1)
            self._best = np.fmin(self._best, residuals)
            if self._since.max() >= PATIENCE:
                enough = self._since >= PATIENCE
        if np.minimum.reduce(residuals) <= NOISE * UNIT * self._longest:
            small = residuals <= NOISE * UNIT * np.maximum(column_norms(x), 1.0)
            enough = small if enough is None else enough | small
        # The next iterate is at most this much longer, but for its rounding.
        self._longest = (self._longest + abs(relaxation) * largest) * (1 + 1e-6)
        return enough

    def keep(self, kept: NDArray[np.int64]) -> None:
        """Drop the other starts."""
        self._best, self._since = self._best[kept], self._since[kept]


class _Later:
    """The relaxation of each start of a block, which has made its own number of passes before."""

    def __init__(self, relaxation: Any, passes: NDArray[np.int64]) -> None:
        self._relaxation, self._passes = relaxation, passes

    def __call__(self, step: int) -> Array:
        """Return those of a step of the block."""
        different, places = np.unique(self._passes + step, return_inverse=True)
        return np.array([self._relaxation(int(k)) for k in different])[places]

    def keep(self, kept: NDArray[np.int64]) -> None:
        """Drop the other starts."""
        self._passes = self._passes[kept]
