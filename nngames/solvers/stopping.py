"""When a run ends: the rules for convergence, cycles, divergence and stalling, each stated.

With ``target`` = tolerance * scale and r_k the undamped residual of iterate k:

converged
    r_k <= target; the loop then recomputes the residual at the profile it returns and goes on if that is larger. Where
    a pass is dear it may be the length of R(x) - x that the last pass, from that very profile, left behind.
not_finite
    an entry of the iterate, or r_k, is NaN or infinite.
diverged
    r_k > 1e10 * max(r_0, scale), unless convergence to an equilibrium is proved.
cycling
    a scheme whose step depends on the state alone leaves a stored iterate and returns to it within 1e-9 (relative to
    the larger of scale and |x|), twice with the same number p >= 2 of steps between, while r_k > 1000 * target; and the
    second return misses it by no more than 1.5 times the first, or by no more than 16 p rounding units: a slow spiral
    misses it by twice as much. The stored iterate is renewed at powers of two, so a cycle of any length that fits into
    the run is found. Not where convergence to an equilibrium is proved: there only rounding can bring iterates back.
stalled
    over the last 1000 iterations the best residual fell by less than 0.1 per cent, at that pace the iterations left
    cannot reach the target, and the iterate moved by less than the residual, that is by less than one undamped step.
    A run that wanders, or waits for a signal to pass through many layers, does not stall.

Of a run of mixed precision the rules for cycling and stalling count from its first state in double precision, as if it
began there: in few digits rounding makes cycles of its own. Before, the rule for stalling counts from the start.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.networks.compiled.maps import RECURRENCE
from nngames.results.result import Status
from nngames.solvers.solver import State, norm

DIVERGENCE = 1e10
STALL_ITERATIONS = 1000
STALL_FACTOR = 0.999


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
    max_iterations : int
        The budget of the run.
    steered : bool
        Whether the scheme itself notices that it diverges or stalls, and does something about it.
    mixed : bool
        Whether the first states may be in single precision, until the scheme goes on in double.
    start : ndarray or None
        A start that nobody writes into.
    """

    def __init__(
        self,
        target: float,
        scale: float,
        autonomous: bool,
        max_iterations: int,
        steered: bool = False,
        mixed: bool = False,
        start: Array | None = None,
    ) -> None:
        self.target = target
        self.scale = scale
        self.max_iterations = max_iterations
        self._steered, self._start = steered, start
        #: Whether the states are still in single precision, and the iteration from which the rules count.
        self._single, self._first = mixed, 0
        self.period: int | None = None
        self._bound = math.inf
        self._best = self._checkpoint = math.inf
        self._checkpoint_state: Array | None = None
        self._returns = _Returns(target, scale) if autonomous else None

    def look(self, state: State, iteration: int) -> Status | None:
        """Return the status that ends the run at this state, or None."""
        residual = state.residual
        if self._single and state.x.dtype == np.float64:
            self._single, self._first = False, iteration
            self._best = self._checkpoint = math.inf
            self._checkpoint_state = None
        if not math.isfinite(residual):
            return Status.NOT_FINITE
        if residual <= self.target:
            return Status.CONVERGED
        if self._steered:
            return None
        if iteration == 0:
            self._bound = DIVERGENCE * max(residual, self.scale)
        elif residual > self._bound:
            return Status.DIVERGED
        if self._returns is not None and not self._single:
            self.period = self._returns.period(state, iteration - self._first)
            if self.period is not None:
                return Status.CYCLING
        return self.stalls(state, residual, iteration)

    def stalls(self, state: State, residual: float, iteration: int) -> Status | None:
        """Return STALLED once the rule for stalling holds; ``residual`` counts for the state."""
        if self._steered:
            return None
        self._best = min(self._best, residual)
        if (iteration - self._first) % STALL_ITERATIONS:
            return None
        before, self._checkpoint = self._checkpoint, self._best
        start, self._checkpoint_state = self._checkpoint_state, self._whole(state.x, iteration)
        if start is None or self._best <= STALL_FACTOR * before:
            return None
        windows = (self.max_iterations - iteration) / STALL_ITERATIONS
        out_of_reach = self._best * (self._best / before) ** windows > self.target
        return Status.STALLED if out_of_reach and norm(state.x - start) < residual else None

    def _whole(self, x: Array, iteration: int) -> Array:
        """Return an array that holds x and that nobody writes into: a copy, or the start if that is long and x still.

        Most runs end before another iterate is compared with it.
        """
        start = self._start if x.size >= LONG and not iteration else None
        return start if start is not None and np.array_equal(start, x) else np.array(x)

    def stretch(self, state: State, iteration: int, steps: int) -> Stretch | None:
        """Return how far at most ``steps`` steps from this state may be made at once; None if it has to go singly."""
        steps = min(steps, STALL_ITERATIONS - iteration % STALL_ITERATIONS)
        if self._returns is None:
            return Stretch(steps, iteration, self.target, self._bound, self.scale)
        return self._returns.stretch(Stretch(steps, iteration, self.target, self._bound, self.scale), state)

    def passed(self, stretch: Stretch, residuals: list[float]) -> None:
        """Take note of the states of a stretch but for the last one, which is still to be looked at."""
        if residuals and not self._steered:
            self._best = min(self._best, *residuals)
            if self._returns is not None:
                self._returns.passed(stretch, len(residuals))

    #: What ``look`` remembers from state to state; the rest follows from the run's own arguments.
    _REMEMBERED = ("period", "_bound", "_best", "_checkpoint", "_checkpoint_state")

    def memory(self) -> dict[str, Any]:
        """Return what the rules remember, for ``recall`` in another process."""
        returns = self._returns
        return {
            "watch": {name: getattr(self, name) for name in self._REMEMBERED},
            "returns": None if returns is None else {name: getattr(returns, name) for name in returns.REMEMBERED},
        }

    def recall(self, watch: Mapping[str, Any], returns: Mapping[str, Any] | None) -> None:
        """Take what ``memory`` returned in a run with the same arguments."""
        for name, value in watch.items():
            setattr(self, name, value)
        if returns is None:
            self._returns = None
        for name, value in (returns or {}).items():
            setattr(self._returns, name, value)

    def keep_going(self) -> None:
        """Widen the bound of divergence and look for no cycle: the run is proved to settle."""
        self._bound *= DIVERGENCE
        self._returns, self.period = None, None


@dataclass(slots=True)
class Stretch:
    """How far several steps may be made at once: up to the first state at which a rule might end the run.

    Attributes
    ----------
    steps : int
        The most that may be made: the rule for stalling looks at the last one.
    iteration : int
        Of the state from which they start.
    target, bound, scale : float
        A residual that is at most ``target``, above ``bound`` or not finite ends the stretch.
    anchor : ndarray or None
        The stored iterate of the rule for cycling, None if that is not applied. A residual as close to that of the
        anchor as a return needs ends the stretch. At iteration ``renew_at`` the anchor is overwritten.
    anchor_residual, anchor_at, renew_at
        The anchor's residual and iteration, and the iteration of its next renewal: overwritten with it.
    displacements : ndarray (any number, size) or None
        Takes R(x) - x of so many first states that the stretch leads to, where a step is a relaxed one.
    pause : float
        The stretch ends with the last of these states if its residual is above this.
    relaxed : int
        Where it would end so, it goes on with relaxation 1/2 if the displacements promise that at most so many steps
        are needed then, each of which pays only ``caution`` of what the first ones do; 0 where it does not. A result:
        whether it did.
    """

    steps: int
    iteration: int
    target: float
    bound: float
    scale: float
    anchor: Array | None = None
    anchor_residual: float = math.inf
    anchor_at: int = 0
    renew_at: int = 0
    displacements: Array | None = None
    pause: float = math.inf
    relaxed: int = 0
    caution: float = 1.0


class _Returns:
    """Watches whether the iterates return to a stored one."""

    REMEMBERED = ("_anchor", "_anchor_residual", "_anchor_at", "_renew_at", "_away", "_first")

    def __init__(self, target: float, scale: float) -> None:
        self._target, self._scale = target, scale
        self._anchor: Array | None = None
        self._anchor_residual = math.inf
        self._anchor_at = 0
        self._renew_at = 1
        self._away = False
        self._first: tuple[int, float] | None = None

    def period(self, state: State, iteration: int) -> int | None:
        """Return the period once the rule for cycling holds."""
        miss = self._miss(state)
        steps = iteration - self._anchor_at
        if miss is None:
            self._away = True
            if self._first is not None and steps >= 2 * self._first[0]:
                self._first = None
        elif self._away:
            self._away = False
            if self._first is None:
                self._first = (steps, miss)
            elif steps == 2 * self._first[0] and self._is_return(state, miss, *self._first):
                return self._first[0]
            else:
                self._first = None
        if iteration >= self._renew_at and self._first is None:
            self._anchor, self._anchor_residual = np.array(state.x), state.residual
            self._anchor_at, self._renew_at, self._away = iteration, 2 * iteration, False
        return None

    def stretch(self, stretch: Stretch, state: State) -> Stretch | None:
        """Return the stretch with the anchor; None after a first return."""
        if self._first is not None:
            return None
        if self._anchor is None:
            self._anchor = np.empty_like(state.x)
        stretch.anchor, stretch.anchor_residual = self._anchor, self._anchor_residual
        stretch.anchor_at, stretch.renew_at = self._anchor_at, self._renew_at
        return stretch

    def passed(self, stretch: Stretch, states: int) -> None:
        """Take note of so many states of a stretch, none of which returned."""
        self._anchor_residual = stretch.anchor_residual
        self._anchor_at, self._renew_at = stretch.anchor_at, stretch.renew_at
        self._away = stretch.iteration + states > stretch.anchor_at

    def _is_return(self, state: State, miss: float, steps: int, first_miss: float) -> bool:
        unit = float(np.finfo(state.x.dtype).eps) * max(self._scale, norm(state.x))
        return miss <= 1.5 * first_miss or miss <= 16 * steps * unit

    def _miss(self, state: State) -> float | None:
        """Return the distance to the stored iterate where it is small enough to be a return."""
        # The residuals agree if the states do; comparing them first costs nothing.
        if abs(state.residual - self._anchor_residual) > RECURRENCE * max(self._anchor_residual, self._scale):
            return None
        if state.residual <= 1e3 * self._target or self._anchor is None:
            return None
        miss = norm(state.x - self._anchor)
        return miss if miss <= RECURRENCE * max(self._scale, norm(state.x)) else None
