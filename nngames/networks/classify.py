"""The trajectory classifier: fixed point, limit cycle, divergence or undecided, each by a stated rule.

With d_t the undamped residual |O(x_t) - x_t|, s_t = |x_{t+1} - x_t| the step, ``scale`` = max(1, |O(0)|) and the
rounding level of a state 16 eps max(scale, |x_t|), eps the precision of the states:

fixed_point
    d_t <= tolerance * scale, and the path still ahead, estimated as s_t q / (1 - q) from the mean ratio q of the last
    eight steps, is at most sqrt(tolerance) * scale, or the step is at rounding level. The second condition keeps a
    trajectory that creeps to infinity with vanishing steps from being called convergent; so that rounding cannot feign
    a ratio below 1, each step counts with the rounding level against it.
limit_cycle
    with a period p >= 2 (at most 512): x_{t+p} = x_t within tolerance * scale for each t of one whole period, while no
    residual of that period is below 1000 * tolerance * scale; and the drift still ahead, estimated in the same way from
    |x_t - x_{t-p}| and |x_{t-p} - x_{t-2p}|, is at most sqrt(tolerance) * scale, or at p rounding levels. The second
    condition keeps a slow spiral, inwards or along a circle, from being called periodic.
diverged
    a state or its residual is not finite; or |x_t| has exceeded 1e8 * max(scale, |x_0|) for 16 steps and d_t is not
    below what it was when that began, so that the way to a large equilibrium is no divergence.
undecided
    none of these within the steps allowed, or a state at which a layer's activation is not defined.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from nngames.core.errors import DomainError
from nngames.core.profiles import Array

#: A norm this many times the scale counts as divergence.
DIVERGENCE = 1e8
#: The longest period that is recognised.
LONGEST_PERIOD = 512
_RATIO_STEPS = 8
_GROWTH_STEPS = 16


def unit_of(at_zero: Callable[[], float]) -> float:
    """Return max(1, |R(0)|), the unit of tolerances; 1 where R is not defined at 0.

    ``at_zero`` returns |R(0)|.
    """
    try:
        return min(max(1.0, at_zero()), sys.float_info.max)
    except DomainError:
        return 1.0


class Classifier:
    """Watches a trajectory state by state.

    Parameters
    ----------
    scale : float
        max(1, |O(0)|).
    tolerance : float
        Relative to ``scale``.
    start : ndarray
        x_0.
    """

    def __init__(self, scale: float, tolerance: float, start: Array) -> None:
        self.target = tolerance * scale
        self.path = np.sqrt(tolerance) * scale
        self.scale = scale
        self.bound = DIVERGENCE * max(scale, float(np.linalg.norm(start)))
        self._unit = 16 * float(np.finfo(start.dtype).eps)
        self._steps: list[float] = []
        self._beyond: list[float] = []
        self._anchor = start.copy()
        self._anchor_step = 0
        self._recent: list[Array] = [start.copy()]
        self._recent_residuals: list[float] = []

    def is_diverged(self, state: Array, residual: float) -> bool:
        """Whether the rule for divergence holds at ``state``; to be asked of every state in turn."""
        size = float(np.linalg.norm(state))
        if not np.isfinite(size) or not np.isfinite(residual):
            return True
        if size <= self.bound:
            self._beyond.clear()
            return False
        self._beyond.append(residual)
        return len(self._beyond) > _GROWTH_STEPS and residual >= self._beyond[0]

    def is_fixed(self, state: Array, residual: float, step: float) -> bool:
        """Whether the rule for a fixed point holds after a step of length ``step`` from ``state``."""
        self._steps.append(step)
        if residual > self.target:
            return False
        rounding = self._rounding(state)
        if step <= rounding:
            return True
        if len(self._steps) <= _RATIO_STEPS:
            return False
        return _path_ahead(step, self._steps[-1 - _RATIO_STEPS], rounding, _RATIO_STEPS) <= self.path

    def period(self, state: Array, residual: float) -> int | None:
        """Record the next state; return the period once the rule for a limit cycle holds."""
        self._recent.append(state.copy())
        self._recent_residuals.append(residual)
        if len(self._recent) > 2 * LONGEST_PERIOD + 1:
            del self._recent[0], self._recent_residuals[0]
        if residual <= 1e3 * self.target:
            return None
        last = self._recent[-1]
        if not self._near(last, self._anchor):
            self._move_anchor(state)
            return None
        if self._near(last, self._recent[-2]):
            return None  # It hardly moves: a tiny relaxation, not a cycle.
        for period in range(2, (len(self._recent) - 1) // 2 + 1):
            if self._near(last, self._recent[-1 - period]):
                return period if self._recurs(period) else None
        return None

    def cycle(self, period: int) -> Array:
        """Return the states of one period, (period, n)."""
        return np.array(self._recent[-period:])

    def _rounding(self, state: Array) -> float:
        return self._unit * max(self.scale, float(np.linalg.norm(state)))

    def _move_anchor(self, state: Array) -> None:
        # Brent's scheme: the anchor moves at powers of two, so an anchor lies on the cycle soon and stays long enough.
        self._anchor_step += 1
        if self._anchor_step & (self._anchor_step - 1) == 0:
            self._anchor = state.copy()

    def _near(self, x: Any, y: Any) -> bool:
        return float(np.linalg.norm(x - y)) <= self.target

    def _recurs(self, period: int) -> bool:
        states, residuals = self._recent, self._recent_residuals
        if min(residuals[-period:]) <= 1e3 * self.target:
            return False
        if not all(self._near(states[-1 - i], states[-1 - i - period]) for i in range(period + 1)):
            return False
        drift = float(np.linalg.norm(states[-1] - states[-1 - period]))
        before = float(np.linalg.norm(states[-1 - period] - states[-1 - 2 * period]))
        rounding = period * self._rounding(states[-1])
        return drift <= rounding or _path_ahead(drift, before, rounding, 1) <= self.path


def _path_ahead(step: float, earlier: float, rounding: float, steps: int) -> float:
    """Return the length still ahead of a geometric decay from ``earlier`` to ``step`` in so many steps.

    ``rounding`` is the error that each of the two may have; it counts against the decay.
    """
    if earlier - rounding <= step + rounding:
        return np.inf
    ratio = ((step + rounding) / (earlier - rounding)) ** (1 / steps)
    return step * ratio / (1 - ratio)
