"""NashOpt's solvers of games: the KKT system of smooth costs, and linear-quadratic games on boxes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from nngames.activations import Activation
from nngames.core.errors import NNGamesError, check_choice
from nngames.core.profiles import Array
from nngames.games import FixedPoint, Game, NetworkGame
from nngames.networks import Network
from nngames.solvers.external.jax_library import library, loaded
from nngames.solvers.external.network_maps import translated, untranslatable
from nngames.solvers.external.whole_run import Answer, ExternalProblem, ExternalSolver
from nngames.solvers.solver import solver_named

#: Numbers in NashOpt's matrices: one of all variables for each player.
MOST_ENTRIES = 50_000_000
#: NashOpt's algorithms for variational equilibria that end at an exact active set.
ALGORITHMS = ("dr_daqp", "op_extrap", "qp_gnep")
#: What they say of a run that ended well.
SOLVED = ("1", "converged", "active_set_identified")
#: Activations that are projections on boxes, by name.
BOXES = ("box", "hard_tanh", "nonnegative", "relu6")


class NashOpt(ExternalSolver):
    """A solver of NashOpt: it works on whole profiles, with dense matrices."""

    packages: ClassVar[tuple[str, ...]] = ("jax", "nashopt", "qpsolvers")

    def view(self, game: Game) -> FixedPoint:
        """Return the view on whole profiles."""
        return game.fixed_point("joint" if isinstance(game, NetworkGame) else "auto")


@solver_named("nashopt:gnep")
@dataclass(frozen=True)
class Gnep(NashOpt):
    """NashOpt's GNEP: the stationarity of all players' costs by Powell's hybrid method, with JAX's derivatives.

    The costs are |x_l - r_l(v_l(x))|^2/2, whose best responses are the network's (the tracking cost): smooth where r
    is, without constraints. ``max_iterations`` bounds its evaluations of the system; it stops by the length of its
    steps, and cannot be interrupted by ``max_seconds``. It compiles anew in every solve.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Bemporad (2025); ``nashopt.GNEP``.
    """

    def refusal(self, game: Game) -> str | None:
        """Return why the network's map cannot be written in JAX, or None."""
        return untranslatable(game)

    def run(self, problem: ExternalProblem, x0: Array) -> Answer:
        """Return what NashOpt finds."""
        limit = max(1, problem.budget.max_iterations)
        with loaded().enable_x64(True), redirect_stdout(StringIO()):
            gnep = _kept(_GNEPS, problem.game, lambda: _gnep(problem.network))
            found = gnep.solve(x0=x0, max_nfev=limit, tol=min(1e-12, problem.asked), verbose=0)
        calls = int(found.stats.kkt_evals)
        residual = float(np.linalg.norm(found.res))
        said = f"KKT residual {residual:.2e} after {calls} evaluations"
        return Answer(np.asarray(found.x), calls, calls, residual <= problem.asked, said, calls >= limit)


@solver_named("nashopt:lq")
@dataclass(frozen=True)
class LinearQuadratic(NashOpt):
    """NashOpt's GNEP_LQ: a game with quadratic costs, linear couplings and boxes, as its variational inequality.

    Its algorithms finish at an active set. They take no start, and their tolerances are not on the residual;
    ``max_iterations`` bounds their own iterations (for dr_daqp those of each phase), ``max_seconds`` does not reach
    them. One constraint that always holds is added, without which NashOpt does not run them.

    Parameters
    ----------
    algorithm : {"dr_daqp", "op_extrap", "qp_gnep"}
        NashOpt's name: Douglas-Rachford splitting with DAQP; operator extrapolation, for strongly monotone games; a
        sequence of quadratic programs.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Bemporad (2025); ``nashopt.GNEP_LQ``.
    """

    algorithm: str = "dr_daqp"

    def __post_init__(self) -> None:
        check_choice(f"{self.name}: algorithm", self.algorithm, ALGORITHMS)

    def refusal(self, game: Game) -> str | None:
        """Return why the game is none with quadratic costs on boxes, or None."""
        if len(game.players) < 2:
            return "NashOpt's linear-quadratic games have at least two players"
        if len(game.players) * game.size**2 > MOST_ENTRIES:
            return "NashOpt takes a dense matrix of all variables for each player: the game is too large"
        for block, own in getattr(game, "own", {}).items():
            if _box(own.activation) is None:
                return f"player {block}: the penalty of {own.activation.name!r} is not the indicator of a box"
        try:
            game.inclusion().matrix  # noqa: B018  (raises where a coupling is not linear)
        except NNGamesError as error:
            return str(error)
        return None

    def run(self, problem: ExternalProblem, x0: Array) -> Answer:
        """Return what NashOpt finds."""
        with redirect_stdout(StringIO()):
            held = _kept(_LINEAR, problem.game, dict)
            if self.algorithm not in held:
                held[self.algorithm] = _linear_quadratic(problem.game, self.algorithm)
            limit = max(1, problem.budget.max_iterations)
            options: dict[str, Any] = {"tol": problem.asked, "maxiter": limit}
            if self.algorithm == "dr_daqp":
                options = {"iter_limit": limit}
            found = held[self.algorithm].solve(solver_options=options)
        status = str(getattr(found, "status_str", "none"))
        steps = int(getattr(found, "num_iters", 0) or 0)
        return Answer(np.asarray(found.x), steps, steps, status in SOLVED, f"status {status}", steps >= limit)


_GNEPS: WeakKeyDictionary[Game, Any] = WeakKeyDictionary()
_LINEAR: WeakKeyDictionary[Game, Any] = WeakKeyDictionary()


def _kept(held: WeakKeyDictionary[Game, Any], game: Game, make: Callable[[], Any]) -> Any:
    if game not in held:
        held[game] = make()
    return held[game]


def _gnep(network: Network) -> Any:
    from nashopt import GNEP

    xp = library()
    joint, data = translated(network, xp, composite=False)

    def cost(where: slice) -> Callable[[Any], Any]:
        # Only the rows of one player reach its cost; the compiler leaves out the others.
        return lambda x: ((x - joint(x, data))[where] ** 2).sum() / 2

    sizes = list(network.dims.values())
    return GNEP(sizes, f=[cost(where) for where in network.space.slices.values()])


def _linear_quadratic(game: Any, algorithm: str) -> Any:
    """Return NashOpt's game with the costs z'M_ll z/2 + z'(M_l,others x + q_l) on the players' boxes."""
    from nashopt import GNEP_LQ

    inclusion = game.inclusion()
    matrix, n = inclusion.matrix.dense, game.size
    q = inclusion.operator(np.zeros(n), np.empty(n))
    quadratic, linear = [], []
    for where in game.space.slices.values():
        form, row = np.zeros((n, n)), np.zeros(n)
        form[:, where], form[where, :] = matrix[where].T, matrix[where]
        row[where] = q[where]
        quadratic.append(form)
        linear.append(row)
    lower, upper = np.empty(n), np.empty(n)
    for block, where in game.blocks.slices.items():
        lower[where], upper[where] = _box(game.own[block].activation)  # type: ignore[misc]
    return GNEP_LQ(
        list(game.dims.values()),
        quadratic,
        linear,
        lb=lower,
        ub=upper,
        A=np.zeros((1, n)),
        b=np.ones(1),
        variational=True,
        solver=algorithm,
    )


def _box(activation: Activation) -> tuple[Any, Any] | None:
    """Return the box that the activation projects on, or None."""
    if activation.name == "identity":
        return -np.inf, np.inf
    if activation.name == "relu" and activation.parameters == {"slope": 1.0, "bias": 0.0}:
        return 0.0, np.inf
    if activation.name in BOXES:
        domain: Any = activation.domain
        return domain.lower, domain.upper
    return None
