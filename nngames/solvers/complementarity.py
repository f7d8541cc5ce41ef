"""Equilibria of piecewise-linear games found exactly: the right piece of each response, then one linear system."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.certificates import verdict_of
from nngames.core.errors import NotApplicableError, check_choice
from nngames.core.exact import nearest_float
from nngames.core.profiles import Array
from nngames.core.quadratic_program import minimise_quadratic
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.results.result import Status
from nngames.solvers.absence import Absence, prove_absence
from nngames.solvers.covering_ray import MOST_CONDITION, CoveringRay, End
from nngames.solvers.inclusion import proved_modulus
from nngames.solvers.piecewise_equation import DENSE_SIZE, Cell, PiecewiseEquation
from nngames.solvers.solver import Ended, Guarantee, Problem, Solver, State, no_guarantee, norm, solver_named

ENGINES = ("auto", "lemke", "quadratic_program")
#: So many changes of all pieces at once may fail to lower the number of wrong pieces before Lemke's method takes over.
PATIENCE = 8
#: Pivots of Lemke's method to a step: 1 and one more for each so many actions.
ACTIONS_PER_PIVOT = 64
#: At a solution the steps only remove rounding; after so many of them nothing is left to gain.
REFINEMENTS = 3
# A residual above this, relative to the biases, is not that of rounding.
_UNSOLVED = 1e-6


@solver_named("complementarity")
@dataclass(frozen=True)
class Complementarity(Solver):
    """Pivoting for x = r(v), v = W x + b with separable, nondecreasing, piecewise-linear r: a (mixed) LCP.

    For relu it is the linear complementarity problem z >= 0, w = (I - W) z - b >= 0, z'w = 0; for boxes and hard tanh
    the bounded one; any number of pieces is taken. A quadratic game has W = I - Q + B. On the cell where every r_i
    keeps its piece the equation is linear, so the right cell gives an equilibrium up to rounding.

    A step takes all pieces from the last v at once and solves the cell's system (block principal pivoting, the
    semismooth Newton method); on a ring the other layers then follow one by a pass. Once 8 steps in a row fail to lower
    the number of pieces that were wrong, the system is singular, or steps stay on a cell that holds no solution,
    Lemke's method takes over: it follows the path of v - W r(v) - b + t d = 0 from a covering ray towards t = 0, a step
    being 1 + N/64 pivots, ties broken lexicographically. A path that ends on another ray ends the run; where a
    multiplier proves in exact arithmetic that there is no equilibrium, the message says so.

    Evaluations count passes over the game; the linear systems are not passes: compare seconds.

    Parameters
    ----------
    engine : {"auto", "lemke", "quadratic_program"}
        ``auto``: as above. ``lemke``: its path from the first step on. ``quadratic_program``: where r projects on a box
        and M = I - W is symmetric and positive definite, x minimises x'Mx/2 - <b, x> over the box, in one step by daqp.

    Guarantee
    ---------
    An equilibrium after finitely many steps, in exact arithmetic, if one of these holds; W up to 2000 by 2000.

    *A = diag(1/S) - W is a P-matrix*, S_i the largest slope of r_i, as where M is strongly monotone. For slopes D in
    [0, S], I - W D = (I - D/S) + A D, the diagonal factors nonnegative and never zero together, so that every
    det(I - W D) > 0. G(v) = v - W r(v) is then one-to-one and proper: the equilibrium is unique, and along the
    path v = G^{-1}(b - t d) t only falls, each cell is crossed at most once.

    *Every r_i is bounded*: a ray on which x stays has dv = -dt d, and is the first one; so the path ends at t = 0.

    *M is monotone and every r_i is constant to the left*: the path ends at an equilibrium, or on a ray that proves that
    there is none (``absence``).

    References
    ----------
    Lemke (1965); Cottle, Pang and Stone (2009), chapters 3 and 4; Judice and Pires (1994) for the block steps and their
    safeguard; Qi and Sun (1993) for the steps as Newton's.
    """

    engine: str = "auto"

    def __post_init__(self) -> None:
        check_choice("complementarity: engine", self.engine, ENGINES)

    @property
    def autonomous(self) -> bool:
        """Never: a step depends on the path followed so far."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether the pivots are proved to end at an equilibrium, and by what."""
        equation = PiecewiseEquation(game)
        verdict = verdict_of("monotone", game)
        modulus = proved_modulus(verdict) if verdict.proved else 0.0
        if equation.size > DENSE_SIZE:
            return no_guarantee(
                f"with {equation.size} actions Lemke's method does not take over where the block steps fail"
            )
        if modulus > 0:
            return _unique(f"M is strongly monotone with modulus {modulus:.6g}", "monotone", modulus)
        if verdict_of("p_matrix", game).proved:
            return _unique("diag(1/S) - W is a P-matrix", "p_matrix", verdict_of("p_matrix", game).margin)
        if equation.bounded:
            return Guarantee(
                Decision.PROVED,
                "every response is bounded, so finitely many pivots reach an equilibrium",
                "Lemke's path has no second ray",
                witness={"map": "inclusion", "exists": True},
                references=("lemke1965", "cottle2009"),
            )
        if verdict.proved and equation.flat_start:
            return Guarantee(
                Decision.PROVED,
                "M is monotone and every response constant to the left, so finitely many pivots reach an equilibrium, "
                "if there is one, or a ray that proves that there is none",
                "monotone, the multiplier of the last ray",
                witness={"map": "inclusion"},
                references=("lemke1965", "cottle2009"),
            )
        return no_guarantee(
            f"diag(1/S) - W is not proved to be a P-matrix, and a response is unbounded: {verdict.statement}"
        )

    def problem(self, game: Game, rng: np.random.Generator) -> PivotingProblem:
        """Return the piecewise-linear equation of the game."""
        equation = PiecewiseEquation(game)
        if self.engine == "quadratic_program":
            _check_quadratic(equation)
        if self.engine == "lemke" and equation.size > DENSE_SIZE:
            raise NotApplicableError(f"Lemke's method takes up to {DENSE_SIZE} actions; the game has {equation.size}")
        return PivotingProblem(equation, self.engine)

    def start(self, problem: PivotingProblem, x0: Array) -> State:
        """Return the state at x0; Lemke's path does not depend on it."""
        return problem.begin(x0)

    def step(self, problem: PivotingProblem, state: State) -> State:
        """Return the state after one block step, or after some pivots of Lemke's method."""
        return problem.advance(state)


def _unique(premise: str, certificate: str, margin: float | None) -> Guarantee:
    return Guarantee(
        Decision.PROVED,
        f"{premise}, so finitely many pivots reach the unique equilibrium",
        f"{certificate}, positive determinants on all cells",
        margin=margin,
        witness={"map": "inclusion", "certificate": certificate, "unique": True},
        references=("lemke1965", "cottle2009"),
    )


class PivotingProblem(Problem):
    """The equation with what one run knows: the wrong pieces so far, and Lemke's path.

    Attributes
    ----------
    equation : PiecewiseEquation
    pivots : int
        Pieces changed so far, by block steps and along the path.
    """

    def __init__(self, equation: PiecewiseEquation, engine: str) -> None:
        self.equation, self.engine = equation, engine
        self.pivots = 0

    def restrict(self, profile: Array) -> Array:
        """Return a copy of the profile, float64."""
        return np.array(profile, dtype=np.float64)

    def profile(self, x: Array) -> Array:
        """Return the profile itself."""
        return x

    def begin(self, x0: Array) -> State:
        """Return the state at x0, its cell the one of W x0 + b."""
        self.path: CoveringRay | None = None
        self._fewest, self._failures, self._refined = self.equation.size + 1, 0, 0
        self._cell = self.equation.cell_of(self.equation.settled(self.equation.drive(x0)))
        return State(x0, norm(self.equation.game.residuals(x0)), self._passes + 1)

    def advance(self, state: State) -> State:
        """Return the next state.

        Raises
        ------
        Ended
            If no step is left: on a ray, where rounding decides, or at a solution up to rounding.
        """
        if self.engine == "quadratic_program":
            return self._minimise(state)
        if self.engine == "auto" and self.path is None:
            v = self.equation.solve(self._cell)
            if v is not None and norm(v) <= MOST_CONDITION * max(1.0, norm(self.equation.bias)):
                v = self.equation.settled(v)
                if self._change(v, state):
                    return self._at(v, state, self._passes)
        return self._follow(state)

    def _change(self, v: Array, state: State) -> bool:
        """Take the cell of v; return whether block steps may go on, and count what was wrong before."""
        cell = self.equation.cell_of(v)
        wrong = int(np.count_nonzero(cell != self._cell))
        self.pivots += wrong
        self._cell = cell
        if wrong == 0:
            # On a ring the cell that v was solved on may be that of the settled v, and not of v itself: no solution.
            return self._refines(state, cell)
        self._failures = 0 if wrong < self._fewest else self._failures + 1
        self._fewest = min(self._fewest, wrong)
        return self._failures <= PATIENCE

    def _refines(self, state: State, cell: Cell) -> bool:
        """Count a step to the same cell; return whether it may have been one towards a solution.

        Raises
        ------
        Ended
            If such steps have nothing left to gain, or it is proved that there is no equilibrium.
        """
        self._refined += 1
        if self._refined <= REFINEMENTS:
            return True
        if state.residual > _UNSOLVED * max(1.0, norm(self.equation.bias)):
            found = prove_absence(self.equation, cell, None)
            if found is not None:
                raise _absent(found)
            self._refined = 0
            return False
        raise Ended(
            Status.FAILED,
            "complementarity found the equilibrium's cell, and on it the linear system up to rounding: ask for a "
            "larger tolerance, nng.solve(game, 'complementarity', tolerance=...)",
        )

    def _follow(self, state: State) -> State:
        """Return the state after some pivots along Lemke's path."""
        equation = self.equation
        if self.path is None:
            if equation.size > DENSE_SIZE:
                raise Ended(
                    Status.FAILED,
                    f"complementarity's block steps got stuck, and Lemke's method takes up to {DENSE_SIZE} actions "
                    "only: try --method newton",
                )
            self.path = CoveringRay(equation)
        path, before = self.path, self.path.pivots
        while path.end is End.OPEN and path.pivots - before <= equation.size // ACTIONS_PER_PIVOT:
            path.advance()
        self.pivots += path.pivots - before
        if path.end is End.OPEN:
            return self._at(path.v, state)
        if path.end is not End.SOLVED:
            raise self._no_end(path)
        if not self._refines(state, path.cell):
            raise _singular()
        solved = equation.solve(path.cell)
        close = solved is not None and np.abs(solved - path.v).max() <= 1e-6 * max(1.0, float(np.abs(path.v).max()))
        return self._at(solved if close and solved is not None else path.v, state)

    def _no_end(self, path: CoveringRay) -> Ended:
        found = prove_absence(self.equation, path.cell, path.direction)
        if found is not None:
            return _absent(found)
        return Ended(
            Status.FAILED,
            f"complementarity: Lemke's path ended {path.end.value} after {path.pivots} pivots, which proves nothing "
            "here: try --method newton, or another start with --method km",
        )

    def _minimise(self, state: State) -> State:
        equation = self.equation
        if not self._refines(state, self._cell):
            raise _singular()
        matrix = np.eye(equation.size) - equation.weight
        lower, upper = _box(equation)
        x = minimise_quadratic((matrix + matrix.T) / 2, equation.bias, np.eye(equation.size), lower, upper)
        return self._at(equation.drive(x), state)

    @property
    def _passes(self) -> int:
        """Passes of a block step: that of the residual, and on a ring the one that settles v."""
        return 1 if self.equation.ring is None else 2

    def _at(self, v: Array, state: State, passes: int = 1) -> State:
        x = self.equation.response(v)
        return State(x, norm(self.equation.game.residuals(x)), state.evaluations + passes)


def _singular() -> Ended:
    return Ended(
        Status.FAILED,
        "complementarity: the linear system of the cell it found is singular up to rounding, which proves nothing "
        "here: try --method newton, or another start with --method km",
    )


def _absent(found: Absence) -> Ended:
    """Return the end of a run that proved that there is no equilibrium."""
    entries = ", ".join(f"{nearest_float(entry):.6g}" for entry in found.multiplier[:6])
    more = ", ..." if len(found.multiplier) > 6 else ""
    return Ended(
        Status.FAILED,
        f"no equilibrium exists: with y = ({entries}{more}) every v has <y, v> - <W'y, r(v)> <= "
        f"{nearest_float(found.bound):.6g} in exact arithmetic, and an equilibrium would have <y, b> = "
        f"{nearest_float(found.value):.6g}; change the weights or biases",
        decided=True,
    )


def _box(equation: PiecewiseEquation) -> tuple[Array, Array]:
    """Return the ends of the box that r projects on. Raises NotApplicableError if it projects on none."""
    lower, upper = np.full(equation.size, -np.inf), np.full(equation.size, np.inf)
    for i, pieces in enumerate(equation.pieces):
        for slope, offset in zip(pieces.slopes, pieces.offsets, strict=True):
            if slope != 0 and not (slope == 1 and offset == 0):
                raise NotApplicableError("a response is no projection on a box: use engine='lemke'")
        if pieces.slopes[0] == 0:
            lower[i] = equation.offsets[i, 0]
        if pieces.slopes[-1] == 0:
            upper[i] = equation.offsets[i, -1]
    return lower, upper


def _check_quadratic(equation: PiecewiseEquation) -> None:
    """Raise NotApplicableError unless the equilibria are the minimisers of a strictly convex quadratic on a box."""
    _box(equation)
    if equation.size > DENSE_SIZE:
        raise NotApplicableError(
            f"the quadratic program takes up to {DENSE_SIZE} actions; the game has {equation.size}"
        )
    matrix = np.eye(equation.size) - equation.weight
    if np.abs(matrix - matrix.T).max() > 1e-12 * np.abs(matrix).max():
        raise NotApplicableError(
            "M = I - W is not symmetric, so no quadratic program has its equilibria: use engine='lemke'"
        )
    try:
        np.linalg.cholesky((matrix + matrix.T) / 2)
    except np.linalg.LinAlgError:
        raise NotApplicableError("M = I - W is not positive definite: use engine='lemke'") from None
