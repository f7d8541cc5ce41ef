"""Semismooth Newton on R(x) - x: on a ring reduced to one layer, with a line search and the safeguard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from nngames.core.errors import DomainError, check_choice
from nngames.core.profiles import Array
from nngames.games import FixedPoint, Game, NetworkGame
from nngames.networks.compiled.loading import Kernels
from nngames.networks.compiled.maps import FusedMap
from nngames.solvers.fixed_point import check_map
from nngames.solvers.newton_compiled import fused_for_newton, room_for, rules
from nngames.solvers.newton_systems import FORCING, Solve, Systems
from nngames.solvers.safeguard import DECAY, RESIDUAL_LIMIT, STEP_LIMIT, SafeguardedProblem, safeguarded_guarantee
from nngames.solvers.solver import Guarantee, Solver, State, solver_named
from nngames.solvers.stopping import Stretch

LINEAR_SOLVERS = ("auto", "dense", "gmres")
#: Up to this size of the map's argument ``auto`` forms the Jacobian: a few products of matrices, which on one core cost
#: about as much as n/10 passes, where GMRES makes up to n.
DENSE_SIZE = 1500
#: The relative residual of an iterative solution shrinks with the residual of the run, down to this.
SMALLEST_FORCING = 1e-10
#: The largest dimension of the Krylov space, which is not restarted: an inexact direction is good enough to try.
KRYLOV = 200
#: A share t of the step is accepted if it lowers the residual by the factor 1 - DESCENT t.
DESCENT = 0.1
#: The line search asks for descent, so no residual may grow.
GROWTH = 1.0
#: No smaller share of the step is tried.
SHORTEST = 1 / 8
#: A factorised Jacobian is used again if the step with which it was made lowers the residual by this factor.
REUSE = 0.3
#: And for as long as its n/20 steps that cost what the next one does would lower the residual by this.
WORTH = 1e-3
#: What compiled steps tell where they end with a direction that fails.
FAILED = 2
#: After the j-th direction in a row that fails, min(2^j, this) relaxed steps are taken before the next is computed.
MOST_RELAXED = 64

_RULES = rules(STEP_LIMIT, RESIDUAL_LIMIT, DECAY, DESCENT, SHORTEST, REUSE)


@solver_named("newton")
@dataclass(frozen=True)
class Newton(Solver):
    """The semismooth Newton method x_{k+1} = x_k + t d, (Id - J) d = R(x_k) - x_k, J the Jacobian of R at x_k.

    On a ring R is the composite map, so that all layers but one are eliminated: J = D_L W_L ... D_1 W_1, D_l the
    Jacobian of r_l, at a kink an element of Clarke's. t is the first of 1, 1/2, ... at which |R(x) - x| falls by the
    factor 1 - t/10; where none down to 1/8 does, or the system has no finite solution, relaxed steps
    lambda (R(x_k) - x_k), lambda <= 1/2, follow: 2, then 4, ..., at most 64, until a direction succeeds. A singular
    system is solved in the least-squares sense.

    A dense Jacobian is factorised once and serves the following steps too, each of which costs one pass and updates it
    by Broyden's formula, if the first step with it is a whole one and lowers the residual by a factor of 0.3, and as
    long as each of the others does by max(0.3, 10^(-60/n)), n the size of the map's argument. Where all couplings of a
    ring are dense and all responses separable, only the entries of x_L with nonzero slope are solved for, and in the
    products of weights the rows and columns of zero slope are left out. Systems of 160 equations and more are first
    factorised in single precision and solved with one step of iterative refinement in double (``newton_systems``);
    residuals, and what is called converged, are in double precision throughout. Where the map is affine and n <= 1500,
    the factors of Id - J and what their refinement needs are kept with the game, at most 2.5 n^2 numbers for each map,
    and n^2 more in single precision after starts in it.

    On dense rings of up to about 500 neurons a layer the steps are compiled where Numba is installed, and a packed copy
    of the weights in double precision is kept with the network.

    Every direction to which J is applied counts as one evaluation, in a batch or not: a dense Jacobian counts as many
    as the map's argument has entries, also where fewer were needed or its factors were kept, one more prepares it, and
    another one is for the refinement. So does each trial of the line search.

    Parameters
    ----------
    linear_solver : {"auto", "dense", "gmres"}
        Form J and factorise Id - J, or apply J only. ``auto``: dense up to 1500 entries.
    map : {"auto", "composite", "joint"}
        R, as for picard.

    Guarantee
    ---------
    Of the safeguard, whatever the directions are: if O is nonexpansive and has a fixed point, or R contracts in some
    norm, x_k converges to a fixed point. Local and not certified: with a Jacobian of its own for each step,
    q-superlinear convergence near an equilibrium at which R is semismooth and every Id - J is regular (Qi and Sun
    1993); with one that serves for several, the same where R is differentiable with a Lipschitz derivative and the
    first of them is close enough (Broyden, Dennis and More 1973), else at least the linear one that is asked of each
    step. In single precision a direction misses the system by a factor, about (6e-8 cond(Id - J))^2 and looked at to
    be at most 1e-2 before the refinement, which takes the place of q-superlinear (Kelley 2022). Where R is affine on a
    set, a full step from a point of it to a solution in it ends the run up to rounding, or up to that factor.

    References
    ----------
    Qi and Sun (1993); Facchinei and Pang (2003), chapter 7; Shamanskii (1967); Broyden, Dennis and More (1973); Kelley
    (2022), Newton's method in mixed precision; Zhang, O'Donoghue and Boyd (2020) for the safeguard.
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
        keeps = dense and keeps_factors(game, view)
        return NewtonProblem(view, dense, _kept.setdefault(game, {}) if keeps else None)

    def start(self, problem: NewtonProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.begin(x0)

    def step(self, problem: NewtonProblem, state: State) -> State:
        """Return the state after the damped Newton step, or the relaxed one."""
        return problem.descend(state)


class NewtonProblem(SafeguardedProblem):
    """A fixed-point map with the linear solver of one run."""

    def __init__(self, view: FixedPoint, dense: bool, kept: dict[Any, Any] | None) -> None:
        super().__init__(view, GROWTH)
        self._systems = Systems(view, kept) if dense else None
        self._reuse = max(REUSE, WORTH ** (20 / view.size))
        self._failures = self._relaxed_steps = 0
        self._steps: list[Array] = []
        self._factorised: Solve | None = None
        self._fused: Any = fused_for_newton(view, kept is not None) if dense else None
        self._room: list[Array] | None = None
        self._held = self._held_single = 0
        #: Why compiled steps ended before another one, and the passes that were made for that.
        self._unmade = self._spent = 0

    @property
    def fused(self) -> FusedMap | None:
        """The map for compiled steps: that of a ring of dense layers whose Jacobian is formed."""
        return self._fused

    def several_steps(self, kernels: Kernels, state: State, stretch: Stretch) -> tuple[State, Array, Any]:
        """Return the state after compiled steps, or after another one where no direction succeeds."""
        fused = self._fused
        if not self._relaxed_steps and self._factorised is None and not self._unmade:
            x, g = state.x.copy(), state.memory.copy()
            if self._room is None:
                self._room = room_for(fused)
            residuals, evaluations = np.empty(stretch.steps), np.empty(stretch.steps, dtype=np.int64)
            numbers = np.array((stretch.target, stretch.bound, self._initial, self._reuse))
            single = self._systems is not None and self._systems.single
            progress = state.evaluations, self._accepted, self._held, self._held_single, single, 0
            counts = np.array((stretch.steps, *progress), dtype=np.int64)
            iterates = x.reshape(fused.shape), g.reshape(fused.shape)
            made = kernels.newton_steps(
                *fused.arguments(), *iterates, *self._room, _RULES, numbers, counts, residuals, evaluations
            )
            _, passes, self._accepted, self._held, self._held_single, _, self._unmade = counts.tolist()
            before = int(evaluations[made - 1]) if made else state.evaluations
            self._spent = passes - before
            if made:
                self._failures, self.rejected = 0, False
                return State(x, float(residuals[made - 1]), before, g), residuals[:made], evaluations[:made]
        following = self.descend(state)
        return following, np.array([following.residual]), np.array([following.evaluations])

    def descend(self, state: State) -> State:
        """Return the first state along the Newton direction that descends enough, else that of the relaxed step."""
        self._held = 0
        if self._relaxed_steps:
            self._relaxed_steps -= 1
            return self.relax(state, state.evaluations)
        following, evaluations = self._again(state)
        if following is not None:
            return following
        evaluations += self._spent
        failed, self._unmade, self._spent = self._unmade == FAILED, 0, 0
        direction, evaluations = (None, evaluations) if failed else self.direction(state, evaluations)
        # No share of it is longer, and a direction that is not finite has no licence.
        if direction is not None and self.licensed(state, direction):
            trial, evaluations = self._search(state, direction, evaluations)
            if trial is not None:
                return self.accept(trial)
        self._factorised = None
        self._failures += 1
        self._relaxed_steps = int(min(2.0**self._failures, MOST_RELAXED)) - 1
        return self.relax(state, evaluations)

    def _search(self, state: State, direction: Array, evaluations: int) -> tuple[State | None, int]:
        """Return the first state along the direction that descends enough, if there is one, and the passes so far."""
        share = 1.0
        while share >= SHORTEST:
            trial, evaluations = self.tried(state.x + share * direction, evaluations)
            if trial is not None and trial.residual <= (1 - DESCENT * share) * state.residual:
                self._failures = 0
                self._steps = [direction]
                if share < 1 or trial.residual > REUSE * state.residual:
                    self._factorised = None
                return trial, evaluations
            share /= 2
        return None, evaluations

    def _again(self, state: State) -> tuple[State | None, int]:
        """Return the state after a step with the last factorised Jacobian if it serves, and the passes so far."""
        if self._factorised is None:
            return None, state.evaluations
        evaluations = state.evaluations
        direction = _updated(self._factorised(state.memory), self._steps)
        if self.licensed(state, direction):
            trial, evaluations = self.attempt(state, direction)
            if trial is not None and trial.residual <= self._reuse * state.residual:
                self._steps.append(direction)
                return self.accept(trial), evaluations
        self._factorised = None
        return None, evaluations

    def direction(self, state: State, evaluations: int) -> tuple[Array | None, int]:
        """Return d with (Id - J) d = R(x) - x, None where there is no finite one, and the passes so far."""
        g = state.memory
        try:
            if self._systems is not None:
                found, self._factorised, passes = self._systems.solve(state.x, g)
            else:
                rtol = max(SMALLEST_FORCING, min(FORCING, state.residual / self._initial))
                found, passes = _solve_iteratively(self.view.linearise(state.x), g, rtol)
        except (DomainError, np.linalg.LinAlgError):
            return None, evaluations + 1
        return found, evaluations + passes


#: Of games whose map is affine, what solves with Id - J.
_kept: WeakKeyDictionary[Game, dict[Any, Any]] = WeakKeyDictionary()
_affine: WeakKeyDictionary[Game, bool] = WeakKeyDictionary()


def keeps_factors(game: Game, view: FixedPoint) -> bool:
    """Whether one factorisation of this view solves the game from every start, and is kept with it."""
    return view.size <= DENSE_SIZE and affine(game)


def affine(game: Game) -> bool:
    """Whether the game's map is affine for all one can see: linear couplings and responses of one slope."""
    known = _affine.get(game)
    if known is None:
        known = _affine[game] = (
            isinstance(game, NetworkGame)
            and game.network.linear
            and all(activation.has_one_slope for activation in game.network.activations.values())
        )
    return known


def _updated(d: Array, steps: list[Array]) -> Array:
    """Return B_m^-1 g from d = B_0^-1 g, B_{j+1} Broyden's update of B_j for the full step s_j = B_j^-1 g_j.

    By the Sherman-Morrison formula, from the steps alone: B_{j+1}^-1 g = (Id + s_{j+1} s_j' / |s_j|^2) B_j^-1 g for
    j < m - 1, and the last step, which is not known yet, solves s_m = z / (1 - s_{m-1}' z / |s_{m-1}|^2).
    """
    if not steps:
        return d
    for before, after in pairwise(steps):
        d = d + (before.dot(d) / before.dot(before)) * after
    last = steps[-1]
    return d / (1 - last.dot(d) / last.dot(last))


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
    return np.asarray(found, dtype=g.dtype), applied + 1
