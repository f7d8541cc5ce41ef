"""JAXopt's fixed-point solvers and its Broyden method, compiled by JAX around the network's map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.solvers.external.jax_library import loaded, run_compiled
from nngames.solvers.external.network_maps import Map, untranslatable
from nngames.solvers.external.whole_run import Answer, ExternalProblem, ExternalSolver, read_anderson_options
from nngames.solvers.options import integer_from
from nngames.solvers.solver import solver_named


class Jaxopt(ExternalSolver):
    """A solver of JAXopt.

    Compiled code cannot be interrupted: ``max_seconds`` takes effect only after the run. The first solve on a game
    compiles. ``evaluations`` are the calls of the map that JAXopt counts.
    """

    packages: ClassVar[tuple[str, ...]] = ("jax", "jaxopt")

    def refusal(self, game: Game) -> str | None:
        """Return why the game's map cannot be written in JAX, or None."""
        return untranslatable(game)

    def run(self, problem: ExternalProblem, x0: Array) -> Answer:
        """Return what JAXopt finds."""
        loaded()
        limit = max(1, problem.budget.max_iterations)

        def make(function: Map) -> Callable[..., Any]:
            # Unrolled, as it is by default without derivatives, its loop would pass through all that is allowed.
            stopping = {"tol": problem.asked, "maxiter": limit, "implicit_diff": False, "unroll": False}
            scheme = self.scheme(function, stopping)

            def run(x: Any, data: Any) -> Any:
                found = scheme.run(x, data)
                return found.params, found.state.iter_num, found.state.num_fun_eval, found.state.error

            return run

        x, *figures = run_compiled(problem.network, (self, problem.asked, limit), make, x0)
        steps, calls, error = int(figures[0]), int(figures[1]), float(figures[2])
        said = f"error {error:.2e} after {steps} iterations"
        return Answer(np.asarray(x), steps, calls, error <= problem.asked, said, steps >= limit)

    def scheme(self, function: Map, stopping: dict[str, Any]) -> Any:
        """Return JAXopt's solver object."""
        raise NotImplementedError


@solver_named("jaxopt:fixed_point")
@dataclass(frozen=True)
class FixedPointIteration(Jaxopt):
    """JAXopt's plain iteration, compiled; it measures the distance between iterates.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Blondel et al. (2022); ``jaxopt.FixedPointIteration``.
    """

    def scheme(self, function: Map, stopping: dict[str, Any]) -> Any:
        """Return JAXopt's solver object."""
        import jaxopt

        return jaxopt.FixedPointIteration(function, **stopping)


@solver_named("jaxopt:anderson")
@dataclass(frozen=True)
class Anderson(Jaxopt):
    """JAXopt's Anderson acceleration, compiled; the defaults are its own.

    Parameters
    ----------
    memory : int
        How many iterates are kept, at least 2.
    mixing : float
        beta in (0, 1].
    regularization : float
        Tikhonov's, absolute.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Blondel et al. (2022); Pollock and Rebholz (2021); ``jaxopt.AndersonAcceleration``.
    """

    memory: int = 5
    mixing: float = 1.0
    regularization: float = 1e-5

    def __post_init__(self) -> None:
        read_anderson_options(self)

    def scheme(self, function: Map, stopping: dict[str, Any]) -> Any:
        """Return JAXopt's solver object."""
        import jaxopt

        return jaxopt.AndersonAcceleration(
            function, history_size=self.memory, beta=self.mixing, ridge=self.regularization, **stopping
        )


@solver_named("jaxopt:broyden")
@dataclass(frozen=True)
class Broyden(Jaxopt):
    """JAXopt's limited-memory Broyden method with its backtracking line search, compiled.

    Parameters
    ----------
    memory : int
        How many updates are kept. JAXopt's own default is as many as iterations are allowed, each step then costing
        products with them all.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Broyden (1965); Blondel et al. (2022); ``jaxopt.Broyden``.
    """

    memory: int = 30

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", integer_from(self.name, "memory", self.memory, 1))

    def scheme(self, function: Map, stopping: dict[str, Any]) -> Any:
        """Return JAXopt's solver object."""
        import jaxopt

        # Its Jacobian begins as the identity.
        return jaxopt.Broyden(lambda x, data: x - function(x, data), history_size=self.memory, **stopping)
