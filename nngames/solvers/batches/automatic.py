"""Automatic batches: plain passes of all starts at once while they pay, then runs alone for those that are left.

A pass over many starts multiplies matrices, so that a start's part of it takes a fraction of what a pass takes alone;
a start stays in the block while the passes that it still needs, by those that it has made, take less than a run of
Newton's method from it would. Both are counted, not measured. Passes are made in single precision first, see ``mixed``.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array
from nngames.games import Game
from nngames.networks.compiled.loading import kernels
from nngames.results.batch import batch_message
from nngames.results.result import Result, Status
from nngames.solvers.automatic.auto import Auto, AutoRun
from nngames.solvers.automatic.costs import BEGINNING, costs_of, shared_pass_seconds
from nngames.solvers.batches.mixed import MixedBatchRun
from nngames.solvers.batches.run import BatchRun
from nngames.solvers.batches.stopping import BatchWatch
from nngames.solvers.picard import Picard

#: The first forecast is made after so many passes, or about half of those allowed, and another whenever there have been
#: twice as many.
FIRST = 16
#: No start makes more than so many times the passes that are worth a run of its own.
LONGEST = 4
#: What ends the passes of a start in the block and not its run.
LEFT = frozenset({Status.STALLED, Status.CYCLING, Status.DIVERGED, Status.NOT_FINITE})


class PayingWatch(BatchWatch):
    """Watches the states of a batch, whose starts leave where their passes do not pay.

    ``worthwhile`` is how many passes do.
    """

    def __init__(self, worthwhile: float, *given: Any) -> None:
        super().__init__(*given)
        self._worthwhile = worthwhile
        # A power of two, after which a start that leaves has as many steps left as it has made, or more.
        self._first = min(FIRST, 2 ** max(1, (self._max_iterations // 2).bit_length() - 1))

    def stalled(self, x: Array, residuals: Array, iteration: int) -> NDArray[np.bool_] | None:
        """Return which starts need too many passes at the rate of the last half of theirs; None if none is forecast.

        Too many are more than pay, and more than are left to make.

        From b_k to b_2k, the smallest residuals of k and of 2 k passes, it takes k; from there to the target t
        k log(b_2k / t) / log(b_k / b_2k).
        """
        np.fmin(self._best, residuals, out=self._best)
        if iteration < self._first // 2 or iteration & (iteration - 1):
            return None
        before, self._checkpoint = self._checkpoint, self._best.copy()
        if iteration < self._first:
            return None
        # Logarithms, for quotients of residuals may be beyond all floats.
        now, earlier = np.log(self._best, dtype=np.float64), np.log(before, dtype=np.float64)
        most = min(self._worthwhile, self._max_iterations - iteration)
        enough = iteration // 2 * (now - np.log(self.target)) <= most * (earlier - now)
        # Residuals that have not fallen are not enough, nor what is no number, of those that are not finite.
        pays = enough & (iteration < LONGEST * self._worthwhile)
        return np.asarray(~pays & (self._best > self.target))


class AutoBatchRun(MixedBatchRun):
    """One run from many starts, of which each leaves the block where plain passes do not pay."""

    alone = AutoRun

    def __init__(self, game: Game, solver: Auto, starts: Array, *limits: Any) -> None:
        super().__init__(game, solver, starts, *limits)
        self.scheme = Picard()
        #: How many starts ended outside the block, by what they ended with.
        self._ended_with: Counter[str] = Counter()

    def _solve(self) -> None:
        try:
            self.watch = partial(PayingWatch, worthwhile_passes(self.game, self.max_seconds is not None))
            # Starts that were given in single precision ask for a run in it.
            solve = super()._solve if self.starts.dtype == np.float64 else partial(BatchRun._solve, self)
            solve()
        except NotApplicableError:
            # Another scheme may apply.
            pass
        self._run_singly()

    def _run_singly(self) -> None:
        for row in [k for k, status in enumerate(self._statuses) if status in LEFT]:
            left = self._seconds_left()
            if self._iterations[row] >= self.max_iterations:
                self._statuses[row] = Status.MAX_ITERATIONS
            elif left is not None and left <= 0:
                self._statuses[row] = Status.MAX_SECONDS
            else:
                self._run_alone(row, left)
        super()._run_singly()

    def _run_alone(self, row: int, seconds: float | None) -> Result:
        result = super()._run_alone(row, seconds)
        self._ended_with[result.method.removeprefix("auto:")] += 1
        return result

    def _message(self) -> str:
        return batch_message(self.solver.name, self._statuses, self._target, self._ended_with)


def worthwhile_passes(game: Game, limited: bool) -> float:
    """Return how many passes in a block take as long as a run from a start alone.

    ``limited`` says whether the run has a limit of time, which loading compiled kernels would use up.

    Raises
    ------
    NotApplicableError
        If the game has no fixed-point map.
    """
    return (BEGINNING + costs_of(game, kernels(limited) is not None).newton) / shared_pass_seconds(game)
