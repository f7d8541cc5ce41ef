"""Semismooth Newton on R(x) - x: on a ring reduced to one layer, with a line search and the safeguard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from nngames.core.errors import DomainError, check_choice
from nngames.core.factors import TriangularFactor, solution
from nngames.core.profiles import Array
from nngames.core.threads import blas_threads
from nngames.games import FixedPoint, Game
from nngames.solvers.fixed_point import check_map
from nngames.solvers.safeguard import SafeguardedProblem, safeguarded_guarantee
from nngames.solvers.solver import Guarantee, Solver, State, solver_named

LINEAR_SOLVERS = ("auto", "dense", "gmres")
#: Up to this size of the map's argument ``auto`` forms the Jacobian: a few products of matrices, which on one core cost
#: about as much as n/10 passes, where GMRES makes up to n.
DENSE_SIZE = 1500
#: The residual of the linear system, relative, is at most this; it shrinks with the residual of the run.
FORCING = 1e-2
SMALLEST_FORCING = 1e-10
#: The largest dimension of the Krylov space, which is not restarted: an inexact direction is good enough to try.
KRYLOV = 200
#: Up to this size a system is eliminated anew each time: the calls for the triangular factors cost more.
SMALL = 64
#: A share t of the step is accepted if it lowers the residual by the factor 1 - DESCENT t.
DESCENT = 0.1
#: The line search asks for descent, so no residual may grow.
GROWTH = 1.0
#: The step is halved at most this often.
HALVINGS = 3
#: A factorised Jacobian is used again if the step with which it was made lowers the residual by this factor.
REUSE = 0.3
#: And for as long as its n/20 steps that cost what the next one does would lower the residual by this.
WORTH = 1e-3
#: After the j-th direction in a row that fails, min(2^j, this) relaxed steps are taken before the next is computed.
MOST_RELAXED = 64


@solver_named("newton")
@dataclass(frozen=True)
class Newton(Solver):
    """The semismooth Newton method x_{k+1} = x_k + t d, (Id - J) d = R(x_k) - x_k, J the Jacobian of R at x_k.

    On a ring R is the composite map, so that all layers but one are eliminated: J = D_L W_L ... D_1 W_1, D_l the
    Jacobian of r_l, at a kink an element of Clarke's. t is the first of 1, 1/2, ... at which |R(x) - x| falls by the
    factor 1 - t/10; where none down to 1/8 does, or the system has no finite solution, relaxed steps
    lambda (R(x_k) - x_k), lambda <= 1/2, follow: 2, then 4, ..., at most 64, until a direction succeeds. A singular
    system is solved in the least-squares sense. A dense Jacobian is factorised once and serves the following steps too,
    each of which costs one pass, if the first step with it lowers the residual by a factor of 0.3, and as long as each
    of the others does by max(0.3, 10^(-60/n)), n the size of the map's argument (Shamanskii's method).

    Every direction to which J is applied counts as one evaluation, in a batch or not: a dense Jacobian costs as many
    as the map's argument has entries, and one more prepares it. So does each trial of the line search.

    Parameters
    ----------
    linear_solver : {"auto", "dense", "gmres"}
        Form J and factorise Id - J, or apply J only. ``auto``: dense up to 1500 entries.
    map : {"auto", "composite", "joint"}
        R, as for picard.

    Guarantee
    ---------
    Of the safeguard, whatever the directions are: if O is nonexpansive and has a fixed point, or R contracts in some
    norm, x_k converges to a fixed point. Local and not certified: q-superlinear convergence near an equilibrium at
    which R is semismooth and every Id - J is regular (Qi and Sun 1993); where R is affine on a set, a full step from a
    point of it to a solution in it ends the run up to rounding.

    References
    ----------
    Qi and Sun (1993); Facchinei and Pang (2003), chapter 7; Shamanskii (1967); Zhang, O'Donoghue and Boyd (2020) for
    the safeguard.
    """

    linear_solver: str = "auto"
    map: str = "auto"

    def __post_init__(self) -> None:
        check_choice("newton: linear_solver", self.linear_solver, LINEAR_SOLVERS)
        check_map("newton", self.map)

    @property
    def autonomous(self) -> bool:
        """Never: the licence of a step depends on how many came before."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether a contraction or nonexpansiveness of the map is proved."""
        return safeguarded_guarantee(game, game.fixed_point(self.map).name, GROWTH)

    def problem(self, game: Game, rng: np.random.Generator) -> NewtonProblem:
        """Return the fixed-point view with its linear solver."""
        view = game.fixed_point(self.map)
        dense = self.linear_solver == "dense" or (self.linear_solver == "auto" and view.size <= DENSE_SIZE)
        return NewtonProblem(view, dense)

    def start(self, problem: NewtonProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.begin(x0)

    def step(self, problem: NewtonProblem, state: State) -> State:
        """Return the state after the damped Newton step, or the relaxed one."""
        return problem.descend(state)


class NewtonProblem(SafeguardedProblem):
    """A fixed-point map with the linear solver of one run."""

    def __init__(self, view: FixedPoint, dense: bool) -> None:
        super().__init__(view, GROWTH)
        self._dense = dense
        self._reuse = max(REUSE, WORTH ** (20 / view.size))
        self._failures = self._relaxed_steps = 0
        self._factorised: Callable[[Array], Array] | None = None

    def descend(self, state: State) -> State:
        """Return the first state along the Newton direction that descends enough, else that of the relaxed step."""
        if self._relaxed_steps:
            self._relaxed_steps -= 1
            return self.relax(state, state.evaluations)
        following, evaluations = self._again(state)
        if following is not None:
            return following
        direction, evaluations = self.direction(state, evaluations)
        share = 1.0
        for _ in range(HALVINGS + 1):
            if direction is None or not self.licensed(state, direction):
                break
            trial, evaluations = self.attempt(State(state.x, state.residual, evaluations), direction)
            if trial is not None and trial.residual <= (1 - DESCENT * share) * state.residual:
                self._failures = 0
                if trial.residual > REUSE * state.residual:
                    self._factorised = None
                return self.accept(trial)
            share, direction = share / 2, direction / 2
        self._failures += 1
        self._relaxed_steps = int(min(2.0**self._failures, MOST_RELAXED)) - 1
        return self.relax(state, evaluations)

    def _again(self, state: State) -> tuple[State | None, int]:
        """Return the state after a step with the last factorised Jacobian if it serves, and the passes so far."""
        if self._factorised is None:
            return None, state.evaluations
        evaluations = state.evaluations
        direction = self._factorised(state.memory)
        if np.isfinite(direction).all() and self.licensed(state, direction):
            trial, evaluations = self.attempt(state, direction)
            if trial is not None and trial.residual <= self._reuse * state.residual:
                return self.accept(trial), evaluations
        self._factorised = None
        return None, evaluations

    def direction(self, state: State, evaluations: int) -> tuple[Array | None, int]:
        """Return d with (Id - J) d = R(x) - x, None where there is no finite one, and the passes so far."""
        g = state.memory
        try:
            if self._dense:
                solve = factorised(self.view.jacobian(state.x))
                found, passes = (None if solve is None else solve(g)), g.size
                self._factorised = solve
            else:
                rtol = max(SMALLEST_FORCING, min(FORCING, state.residual / self._initial))
                found, passes = _solve_iteratively(self.view.linearise(state.x), g, rtol)
        except (DomainError, np.linalg.LinAlgError):
            return None, evaluations + 1
        usable = found is not None and np.isfinite(found).all()
        return (found if usable else None), evaluations + 1 + passes


def factorised(jacobian: Array) -> Callable[[Array], Array] | None:
    """Return g -> d with (Id - J) d = g, a shortest least-squares one if Id - J is singular; None if not finite."""
    system = _identity_minus(jacobian)
    if not np.isfinite(system).all():
        return None
    if len(system) <= SMALL:
        return partial(_eliminated, system)
    try:
        with blas_threads(system.size):
            return TriangularFactor(system, overwrite=True).solve
    except np.linalg.LinAlgError:
        return partial(_shortest, _identity_minus(jacobian))


def _identity_minus(jacobian: Array) -> Array:
    """Return Id - J, with the entries in the order in which those of J lie."""
    system = np.negative(jacobian)
    system.ravel(order="K")[:: len(system) + 1] += 1.0
    return system


def _eliminated(system: Array, g: Array) -> Array:
    found = solution(system, g)
    return found if np.isfinite(found).all() else _shortest(system, g)


def _shortest(system: Array, g: Array) -> Array:
    return np.linalg.lstsq(system, g, rcond=None)[0]


def _solve_iteratively(change: Callable[[Array], Array], g: Array, rtol: float) -> tuple[Array, int]:
    """Return the solution of (Id - J) d = g by GMRES to a relative residual, and how often J was applied."""
    from scipy.sparse.linalg import LinearOperator, gmres

    applied = 0

    def apply(d: Array) -> Array:
        nonlocal applied
        applied += 1
        # SciPy may hand over a column.
        flat = np.asarray(d, dtype=g.dtype).reshape(-1)
        return flat - change(flat)

    operator = LinearOperator((g.size, g.size), matvec=apply, dtype=g.dtype)
    found, _ = gmres(operator, g, rtol=rtol, atol=0.0, restart=min(g.size, KRYLOV), maxiter=1)
    return np.asarray(found, dtype=g.dtype), applied
