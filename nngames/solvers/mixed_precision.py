"""Relaxed steps in single precision as long as they help, then in double: half of the memory is read in each pass.

A pass in single precision is off by about u |x|, u the unit roundoff 6e-8, so its residual says little once it is a
small multiple of that. The run goes on in double precision from the iterate reached, for good, when the residual is at
most ``NOISE`` u times the larger of |x| and 1, when ``PATIENCE`` steps in a row have brought no smaller one, or when
one is not finite. The profile that is returned and its residual are in double precision, so what is called converged
is.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from nngames.core.errors import check_choice
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import FixedPoint
from nngames.solvers.advice import existence_proved
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.solver import Guarantee, Solver, State, norm

PRECISIONS = ("double", "mixed")
#: Residuals of at most so many roundings of the iterate are left to double precision.
NOISE = 16.0
#: So many steps without a smaller residual end the single precision.
PATIENCE = 16

#: The unit roundoff.
UNIT = float(np.finfo(np.float32).eps) / 2


def check_precision(owner: str, precision: str) -> None:
    """Raise OptionError unless ``precision`` names one."""
    check_choice(f"{owner}: precision", precision, PRECISIONS)


class MixedProblem(FixedPointProblem):
    """A fixed-point map with the relaxation of one run, whose first steps are in single precision."""

    def __init__(self, view: FixedPoint, relaxation: Any) -> None:
        super().__init__(view)
        self.relaxation = relaxation
        self.single = False
        #: The precision of the profiles: that of the start.
        self._precision: np.dtype[Any] = np.dtype(np.float64)
        self._enough = False
        self._best, self._since = math.inf, 0

    def profile(self, x: Array) -> Array:
        """Return the profile of the map's argument, in the precision of the start."""
        return super().profile(x.astype(self._precision, copy=False))

    def told(self, x: Array) -> tuple[Array, float, float] | None:
        """Return the profile of the map's argument, the game's residual and its rounding, in the start's precision."""
        return super().told(x.astype(self._precision, copy=False))

    def start(self, x0: Array) -> State:
        """Return the state at x0, rounded to single precision."""
        self._precision = x0.dtype
        rounded = x0.astype(np.float32)
        # A start that was given in single precision asks for a run in it; one may be beyond its range.
        self.single = x0.dtype == np.float64 and bool(np.isfinite(rounded).all())
        return super().start(rounded if self.single else x0)

    def continued(self, state: State) -> State:
        """Return a state in double precision, with R(x) as its memory, rounded to single precision: no pass is made."""
        x, image = state.x.astype(np.float32), state.memory.astype(np.float32)
        self.single = bool(np.isfinite(x).all() and np.isfinite(image).all())
        if not self.single:
            x, image = np.array(state.x), np.array(state.memory)
        self.difference, self._spare = np.subtract(image, x), np.empty_like(x)
        return State(x, state.residual, state.evaluations, image)

    def _state(self, x: Array, spare: Array, evaluations: int) -> State:
        if not self.single:
            return super()._state(x, spare, evaluations)
        if self._enough:
            return self._widened(x, evaluations)
        state = super()._state(x, spare, evaluations)
        if not math.isfinite(state.residual):
            return self._widened(x, state.evaluations)
        self._since = 0 if state.residual < self._best else self._since + 1
        self._best = min(self._best, state.residual)
        noise = NOISE * UNIT * max(1.0, norm(x))
        self._enough = state.residual <= noise or self._since >= PATIENCE
        return state

    def _widened(self, x: Array, evaluations: int) -> State:
        """Return the state at x in double precision."""
        self.single = False
        wide = x.astype(np.float64)
        self.difference, self._spare = np.empty_like(wide), np.empty_like(wide)
        return super()._state(wide, np.empty_like(wide), evaluations)


def mixed_guarantee(guarantee: Guarantee) -> Guarantee:
    """Return what a proof for the scheme in double precision, from every start, says about a mixed run.

    After finitely many steps in single precision the iterates are those of the scheme from where it has come to: it
    converges all the same, and its bounds count from there.
    """
    if guarantee.status is not Decision.PROVED:
        return guarantee
    return replace(
        guarantee,
        statement=f"from the end of the single precision on, {guarantee.statement}",
        margin=None,
        rate=None,
        witness={**(guarantee.witness or {}), "exists": existence_proved(guarantee)},
    )


def is_mixed(solver: Solver) -> bool:
    """Whether the solver's first steps are in single precision."""
    return getattr(solver, "precision", "double") == "mixed"


def in_one_precision(solver: Solver) -> Solver:
    """Return the solver, one of mixed precision as the same scheme in the precision of its starts."""
    changed: Any = solver
    return replace(changed, precision="double") if is_mixed(solver) else solver
