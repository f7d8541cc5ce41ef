"""Broyden's method with limited memory on R(x) - x: rank-one updates of the inverse Jacobian, safeguarded."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass

import numpy as np

from nngames.core.profiles import Array
from nngames.games import FixedPoint, Game
from nngames.solvers.fixed_point import check_map
from nngames.solvers.options import nonnegative_integer
from nngames.solvers.safeguard import SafeguardedProblem, SafeguardedSolver, Turns, growth_option
from nngames.solvers.solver import State, norm, solver_named

#: An update whose denominator is smaller than this share of its factors is left out.
CURVATURE = 1e-8


@solver_named("broyden")
@dataclass(frozen=True)
class Broyden(SafeguardedSolver):
    """Broyden's (good) method x_{k+1} = x_k - H_k g_k on g = R(x) - x, with H_0 = -Id.

    With s = x_{k+1} - x_k and y = g_{k+1} - g_k, H_{k+1} = H_k + (s - H_k y) s'H_k / (s'H_k y): the inverse, by the
    formula of Sherman and Morrison, of the matrix closest to the last one that maps s to y. H is held as -Id and at
    most ``memory`` terms of rank one, of which the oldest is dropped. A step that fails the safeguard is replaced by
    x_k + lambda g_k, lambda <= 1/2, and H starts anew. Where memory + 1 steps have lowered the residual by less than a
    factor of 0.7 each in the mean, as many plain steps x_k + g_k follow, and H starts anew.

    Parameters
    ----------
    memory : int
        How many updates are kept; 0 is picard with the safeguard.
    growth : float
        A proposal is rejected where its residual exceeds this multiple of the smallest one so far.
    map : {"auto", "composite", "joint"}
        R, as for picard.

    Guarantee
    ---------
    Of the safeguard, whatever H is: if O is nonexpansive and has a fixed point, or R contracts in some norm, x_k
    converges to a fixed point. No rate. Without a safeguard the full-memory method converges q-superlinearly from
    starts near an equilibrium where R is differentiable, its derivative Lipschitz and R' - Id regular, if H_0 is close
    enough to the inverse: no certificate checks that.

    References
    ----------
    Broyden (1965); Broyden, Dennis and More (1973) for the local theory; Zhang, O'Donoghue and Boyd (2020) for the
    safeguard.
    """

    memory: int = 20
    growth: float = 4.0
    map: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", nonnegative_integer("broyden", "memory", self.memory))
        object.__setattr__(self, "growth", growth_option("broyden", self.growth))
        check_map("broyden", self.map)

    def problem(self, game: Game, rng: np.random.Generator) -> BroydenProblem:
        """Return the fixed-point view with the updates of one run."""
        return BroydenProblem(game.fixed_point(self.map), self.growth, self.memory)

    def start(self, problem: BroydenProblem, x0: Array) -> State:
        """Return the state at x0."""
        state = problem.begin(x0)
        problem.turns.begin(state.residual)
        return state

    def step(self, problem: BroydenProblem, state: State) -> State:
        """Return the state after the proposed step, or the relaxed one."""
        plain = problem.turns.plain
        following = problem.advance(state, state.memory if plain else -problem.inverse(state.memory))
        problem.learn(state, following)
        return following


class BroydenProblem(SafeguardedProblem):
    """A fixed-point map with the updates of one run, and the turns of accelerated and plain steps."""

    def __init__(self, view: FixedPoint, growth: float, memory: int) -> None:
        super().__init__(view, growth)
        self.inverse = InverseJacobian(memory)
        # More updates than the dimension are of use: the method ends on a linear map after twice as many steps.
        self.turns = Turns(min(memory, view.size))

    def learn(self, state: State, following: State) -> None:
        """Update H by a step and decide whose turn the next one is."""
        if self.rejected:
            self.inverse.forget()
            self.turns.begin(following.residual)
        elif self.turns.passed(following.residual):
            self.inverse.forget()
            return
        if not self.turns.plain:
            self.inverse.update(following.x - state.x, following.memory - state.memory)


class InverseJacobian:
    """H = -Id + sum_j u_j v_j', an approximate inverse of the derivative of R(x) - x, with at most ``memory`` terms."""

    def __init__(self, memory: int) -> None:
        most = min(memory, sys.maxsize)
        self._left: deque[Array] = deque(maxlen=most)
        self._right: deque[Array] = deque(maxlen=most)

    @property
    def full(self) -> bool:
        """Whether the next update drops the oldest one."""
        return len(self._left) == self._left.maxlen

    def __call__(self, g: Array) -> Array:
        """Return H g."""
        result = -g
        for left, right in zip(self._left, self._right, strict=True):
            result += float(right @ g) * left
        return result

    def adjoint(self, s: Array) -> Array:
        """Return H's."""
        result = -s
        for left, right in zip(self._left, self._right, strict=True):
            result += float(left @ s) * right
        return result

    def update(self, s: Array, y: Array) -> None:
        """Let H y = s, unless the update is not defined up to rounding."""
        image, row = self(y), self.adjoint(s)
        curvature = float(row @ y)
        if abs(curvature) > CURVATURE * norm(row) * norm(y) and np.isfinite(image).all():
            self._left.append((s - image) / curvature)
            self._right.append(row)

    def forget(self) -> None:
        """Return to H = -Id."""
        self._left.clear()
        self._right.clear()
