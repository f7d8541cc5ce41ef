"""When a run ends: the rules for convergence, cycles, divergence and stalling, each stated.

With ``target`` = tolerance * scale and r_k the undamped residual of iterate k:

converged
    r_k <= target; the loop then recomputes the residual at the profile it returns and goes on if that is larger.
not_finite
    an entry of the iterate, or r_k, is NaN or infinite.
diverged
    r_k > 1e10 * max(r_0, scale).
cycling
    a scheme whose step depends on the state alone returns to a stored iterate within 1e-9 (relative to the larger of
    scale and |x|), twice with the same number p >= 2 of steps between, while r_k > 1000 * target. The stored iterate
    is renewed at powers of two, so a cycle of any length that fits into the run is found.
stalled
    over the last 1000 iterations the best residual fell by less than 0.1 per cent.
"""

from __future__ import annotations

import math

import numpy as np

from nngames.core.profiles import Array
from nngames.results.result import Status
from nngames.solvers.solver import State, norm

DIVERGENCE = 1e10
STALL_ITERATIONS = 1000
STALL_FACTOR = 0.999
RECURRENCE = 1e-9


class Watch:
    """Watches the states of one run.

    Parameters
    ----------
    target : float
        tolerance * scale.
    scale : float
        The game's unit.
    autonomous : bool
        Whether the scheme's step depends on the state alone.
    """

    def __init__(self, target: float, scale: float, autonomous: bool) -> None:
        self.target = target
        self.scale = scale
        self.autonomous = autonomous
        self.period: int | None = None
        self._bound = math.inf
        self._best = self._checkpoint = math.inf
        self._anchor: Array | None = None
        self._anchor_residual = math.inf
        self._anchor_at = 0
        self._renew_at = 1
        self._expected: int | None = None

    def look(self, state: State, iteration: int) -> Status | None:
        """Return the status that ends the run at this state, or None."""
        residual = state.residual
        if not math.isfinite(residual):
            return Status.NOT_FINITE
        if residual <= self.target:
            return Status.CONVERGED
        if iteration == 0:
            self._bound = DIVERGENCE * max(residual, self.scale)
        elif residual > self._bound:
            return Status.DIVERGED
        if self.autonomous and self._recurs(state, iteration):
            return Status.CYCLING
        return self._stalls(residual, iteration)

    def _stalls(self, residual: float, iteration: int) -> Status | None:
        self._best = min(self._best, residual)
        if iteration % STALL_ITERATIONS == 0:
            if self._best > STALL_FACTOR * self._checkpoint:
                return Status.STALLED
            self._checkpoint = self._best
        return None

    def _recurs(self, state: State, iteration: int) -> bool:
        if self._anchor is not None and self._matches(state):
            steps = iteration - self._anchor_at
            if self._expected is None and steps >= 2:
                self._expected = 2 * steps
            elif steps == self._expected:
                self.period = steps // 2
                return True
        elif self._expected is not None and iteration - self._anchor_at >= self._expected:
            self._expected = None
        if iteration >= self._renew_at and self._expected is None:
            self._anchor, self._anchor_residual = np.array(state.x), state.residual
            self._anchor_at, self._renew_at = iteration, 2 * iteration
        return False

    def _matches(self, state: State) -> bool:
        # The residuals agree if the states do; comparing them first costs nothing.
        if abs(state.residual - self._anchor_residual) > RECURRENCE * max(self._anchor_residual, self.scale):
            return False
        if state.residual <= 1e3 * self.target or self._anchor is None:
            return False
        return norm(state.x - self._anchor) <= RECURRENCE * max(self.scale, norm(state.x))
