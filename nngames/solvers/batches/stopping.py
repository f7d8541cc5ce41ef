"""When the runs of a batch end: the rules of ``nngames.solvers.stopping``, for all starts at once.

What each rule says, and when, is as for a single run; only the arithmetic is done on arrays with an entry for each
start.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.profiles import Array
from nngames.core.workspace import aligned, taken
from nngames.networks.compiled.maps import RECURRENCE
from nngames.results.result import Status
from nngames.solvers.stopping import DIVERGENCE, STALL_FACTOR, STALL_ITERATIONS

#: What a rule may say; its place here is the code of a start to which it applies, 0 for none.
CODES = (None, Status.CONVERGED, Status.NOT_FINITE, Status.DIVERGED, Status.CYCLING, Status.STALLED)
CONVERGED, NOT_FINITE, DIVERGED, CYCLING, STALLED = range(1, 6)

Codes = NDArray[np.int8]

_NONE = np.empty(0, np.int64)


class BatchWatch:
    """Watches the states of a batch; see ``Watch``.

    Parameters
    ----------
    target, scale : float
    autonomous : bool
        Whether the scheme's step depends on the state alone.
    max_iterations : int
    axis : {0, 1}
        The axis of the starts in the iterates.
    count : int
        The number of starts.
    takes : bool
        Whether it may take the array of an iterate and give another one for it.
    bounds : ndarray, optional
        Residuals above which each start diverges, NaN where its first one tells.

    Attributes
    ----------
    given : ndarray or None
        The array to use in the place of the last iterate's, which was taken.
    """

    given: Array | None

    def __init__(
        self,
        target: float,
        scale: float,
        autonomous: bool,
        max_iterations: int,
        axis: int,
        count: int,
        takes: bool = False,
        bounds: Array | None = None,
    ) -> None:
        self._earlier, self.bounds = bounds, np.full(count, np.nan)
        self.target, self._scale, self._max_iterations, self._axis = target, scale, max_iterations, axis
        self._best, self._checkpoint = np.full(count, np.inf), np.full(count, np.inf)
        self._checkpoint_x: Array | None = None
        # Which starts the rule for cycles is applied to, and what it keeps of each.
        self._watched, self._watches = np.full(count, autonomous), autonomous
        # Starts that are done leave their places in it.
        self._anchor: Array | None = None
        self._takes, self.given = takes, None
        self._places = np.arange(count)
        # No start has a stored iterate yet, and none is near it.
        self._anchor_residual, self._allowed = np.full(count, np.inf), np.full(count, -1.0)
        self._anchor_at, self._renew_at = np.zeros(count, np.int64), np.ones(count, np.int64)
        self._away, self._all_away = np.zeros(count, bool), False
        self._first_steps, self._first_miss = np.zeros(count, np.int64), np.zeros(count)
        # Whether some start has returned once, and when the next stored iterate is renewed.
        self._pending, self._next_renewal = False, 1
        # Whether they are all renewed at the same iterations.
        self._together = True
        # Residuals below which each start is not near its stored iterate.
        self._below = np.full(count, -np.inf)

    def look(self, x: Array, residuals: Array, iteration: int, active: NDArray[np.bool_], whole: bool) -> Codes | None:
        """Return the code of each start whose run the rules but that for stalling end, 0 where they do not.

        None if no run ends, which most often two comparisons tell. ``whole`` says whether all are active.
        """
        if iteration == 0:
            bounds = DIVERGENCE * np.maximum(residuals, self._scale)
            earlier = self._earlier
            self._set_bounds(bounds if earlier is None else np.where(np.isnan(earlier), bounds, earlier))
        going = residuals if whole else residuals[active]
        if not going.size:
            return None
        # Where all residuals have fallen below those of stored iterates none has grown beyond its bound.
        fallen = self._watches and bool(np.logical_and.reduce(residuals < self._below))
        plain = self.target < np.minimum.reduce(going) and (fallen or np.maximum.reduce(going) <= self._least_bound)
        codes = None if plain else self._codes(residuals, iteration)
        if self._watches:
            among = active if codes is None else active & (codes == 0)
            returned = self._returned(x, residuals, iteration, among, fallen)
            if returned:
                codes = np.zeros(len(residuals), np.int8) if codes is None else codes
                codes[returned] = CYCLING
        if codes is not None and not whole:
            codes[~active] = 0
        return codes

    def _codes(self, residuals: Array, iteration: int) -> Codes:
        """Return what the residuals alone say."""
        codes = np.zeros(len(residuals), np.int8)
        codes[residuals <= self.target] = CONVERGED
        codes[~np.isfinite(residuals)] = NOT_FINITE
        if iteration > 0:
            codes[(residuals > self.bounds) & (codes == 0)] = DIVERGED
        return codes

    def _set_bounds(self, bounds: Array) -> None:
        # A finite one, for an infinite residual is not below it even where it is the first one.
        self.bounds, self._least_bound = bounds, min(float(bounds.min()), float(np.finfo(bounds.dtype).max))

    def stalled(self, x: Array, residuals: Array, iteration: int) -> NDArray[np.bool_] | None:
        """Return which of the starts stall; None if the rule does not look at this iteration."""
        np.fmin(self._best, residuals, out=self._best)
        if iteration % STALL_ITERATIONS:
            return None
        before, self._checkpoint = self._checkpoint, self._best.copy()
        start, self._checkpoint_x = self._checkpoint_x, _copy(x)
        if start is None:
            return None
        windows = (self._max_iterations - iteration) / STALL_ITERATIONS
        slow = self._best > STALL_FACTOR * before
        out_of_reach = self._best * (self._best / before) ** windows > self.target
        return np.asarray(slow & out_of_reach & (self._norms(x - start) < residuals))

    def keep_going(self, those: NDArray[np.bool_]) -> None:
        """Widen the bound of divergence of these starts and look for no cycle: they are proved to settle."""
        self._set_bounds(np.where(those, self.bounds * DIVERGENCE, self.bounds))
        self._watched[those] = False
        self._watches = bool(self._watched.any())

    def keep(self, kept: NDArray[np.int64]) -> None:
        """Drop the starts but for those at the indices ``kept``."""
        for name in [
            "_best",
            "_checkpoint",
            "_watched",
            "_anchor_residual",
            "_anchor_at",
            "_renew_at",
            "_away",
            "_first_steps",
            "_first_miss",
            "_allowed",
            "_below",
            "_places",
        ]:
            setattr(self, name, getattr(self, name)[kept])
        self._set_bounds(self.bounds[kept])
        self._watches = bool(self._watched.any())
        if self._checkpoint_x is not None:
            self._checkpoint_x = taken(self._checkpoint_x, kept, self._axis)

    def _returned(
        self, x: Array, residuals: Array, iteration: int, going: NDArray[np.bool_], fallen: bool
    ) -> list[int]:
        """Return the indices of the starts to which the rule for cycles applies."""
        found: list[int] = []
        # The residuals agree if the states do; comparing them first costs little.
        near = _NONE if fallen else (np.abs(residuals - self._anchor_residual) <= self._allowed).nonzero()[0]
        if near.size:
            near = near[going[near] & self._watched[near] & (residuals[near] > 1e3 * self.target)]
        if near.size or self._pending:
            found = self._look_closely(x, iteration, near)
        elif not self._all_away:
            self._away[:] = self._all_away = True
        if iteration >= self._next_renewal:
            if self._together and not self._pending:
                self._renew_all(x, residuals, iteration)
            else:
                due = (iteration >= self._renew_at) & (self._first_steps == 0)
                if due.any():
                    self._renew(x, residuals, iteration, due)
        return found

    def _look_closely(self, x: Array, iteration: int, near: NDArray[np.int64]) -> list[int]:
        """Return for which of the starts ``near`` their stored iterates the rule applies; take note of the returns."""
        found: list[int] = []
        steps = iteration - self._anchor_at
        back, misses = np.zeros(len(steps), bool), np.zeros(len(steps))
        if near.size and self._anchor is not None:
            there = np.take(x, near, axis=self._axis)
            misses[near] = self._norms(there - np.take(self._anchor, self._places[near], axis=self._axis))
            back[near] = misses[near] <= RECURRENCE * np.maximum(self._scale, self._norms(there))
        returned = back & self._away
        for k in np.flatnonzero(returned):
            if self._first_steps[k] == 0:
                self._first_steps[k], self._first_miss[k] = steps[k], misses[k]
            elif steps[k] == 2 * self._first_steps[k] and self._is_return(x, int(k), misses[k]):
                found.append(int(k))
            else:
                self._first_steps[k] = 0
        self._first_steps[~back & (steps >= 2 * self._first_steps)] = 0
        self._away, self._all_away = ~back | (self._away & ~returned), False
        self._pending = bool(self._first_steps.any())
        return found

    def _renew_all(self, x: Array, residuals: Array, iteration: int) -> None:
        # The place of the last ones, for as many starts as are left.
        place = None if self._anchor is None else self._anchor.reshape(-1)[: x.size].reshape(x.shape)
        if self._takes:
            self._anchor, self.given = x, aligned(x.shape, x.dtype) if place is None else place
        else:
            self._anchor = _copy(x, place)
        self._places, self._anchor_residual = np.arange(len(residuals)), residuals
        self._anchor_at.fill(iteration)
        self._renew_at.fill(2 * iteration)
        self._away.fill(False)
        self._next_renewal, self._together = 2 * iteration, True
        self._set_range()

    def _renew(self, x: Array, residuals: Array, iteration: int, due: NDArray[np.bool_]) -> None:
        if self._anchor is None or due.all():
            self._renew_all(x, residuals, iteration)
            return
        if self._axis:
            self._anchor[:, self._places[due]] = x[:, due]
        else:
            self._anchor[self._places[due]] = x[due]
        self._anchor_residual = np.where(due, residuals, self._anchor_residual)
        self._anchor_at[due], self._renew_at[due], self._away[due] = iteration, 2 * iteration, False
        self._next_renewal, self._together = int(self._renew_at.min()), False
        self._set_range()

    def _set_range(self) -> None:
        self._allowed = RECURRENCE * np.maximum(self._anchor_residual, self._scale)
        # Twice what is allowed, so that rounding excludes none.
        self._below = self._anchor_residual - 2 * self._allowed
        self._all_away = False

    def _is_return(self, x: Array, k: int, miss: float) -> bool:
        size = float(np.linalg.norm(np.take(x, k, axis=self._axis)))
        unit = float(np.finfo(x.dtype).eps) * max(self._scale, size)
        return bool(miss <= 1.5 * self._first_miss[k] or miss <= 16 * self._first_steps[k] * unit)

    def _norms(self, x: Array) -> Any:
        return np.linalg.norm(x, axis=1 - self._axis)


def _copy(x: Array, out: Array | None = None) -> Array:
    copy = aligned(x.shape, x.dtype) if out is None else out
    np.copyto(copy, x)
    return copy
