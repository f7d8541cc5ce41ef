"""Optimistix' fixed-point iteration and root finders, compiled by JAX around the network's map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.solvers.external.jax_library import loaded, run_compiled
from nngames.solvers.external.network_maps import Map, untranslatable
from nngames.solvers.external.whole_run import Answer, ExternalProblem, ExternalSolver
from nngames.solvers.solver import solver_named


class Optimistix(ExternalSolver):
    """A solver of Optimistix, through ``optimistix.fixed_point`` with ``atol`` at the target, rtol 0 and the 2-norm.

    Compiled code cannot be interrupted: ``max_seconds`` takes effect only after the run. The first solve on a game
    compiles. Optimistix counts steps, not calls of the map: ``evaluations`` are its steps, whatever each costs.
    """

    packages: ClassVar[tuple[str, ...]] = ("jax", "optimistix")
    #: The class in Optimistix.
    kind: ClassVar[str]

    def refusal(self, game: Game) -> str | None:
        """Return why the game's map cannot be written in JAX, or None."""
        return untranslatable(game)

    def run(self, problem: ExternalProblem, x0: Array) -> Answer:
        """Return what Optimistix finds."""
        loaded()
        import optimistix

        limit = max(1, problem.budget.max_iterations)
        scheme = getattr(optimistix, self.kind)(rtol=0.0, atol=problem.asked, norm=optimistix.two_norm)

        def make(function: Map) -> Callable[..., Any]:
            def run(x: Any, data: Any) -> Any:
                found = optimistix.fixed_point(function, scheme, x, data, max_steps=limit, throw=False)
                spent = found.result == optimistix.RESULTS.nonlinear_max_steps_reached
                success = found.result == optimistix.RESULTS.successful
                return found.value, found.stats["num_steps"], success, spent, found.result

            return run

        x, steps, success, spent, end = run_compiled(problem.network, (self, problem.asked, limit), make, x0)
        steps, success = int(steps), bool(success)
        said = "successful" if success else " ".join(optimistix.RESULTS[end].split())
        return Answer(np.asarray(x), steps, steps, success, said, bool(spent))


@solver_named("optimistix:fixed_point")
@dataclass(frozen=True)
class FixedPointIteration(Optimistix):
    """Optimistix' plain iteration, compiled; it measures the distance between iterates.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Rader, Lyons and Kidger (2024); ``optimistix.FixedPointIteration``.
    """

    kind: ClassVar[str] = "FixedPointIteration"


@solver_named("optimistix:newton")
@dataclass(frozen=True)
class Newton(Optimistix):
    """Optimistix' Newton method with a dense Jacobian, compiled; it stops when step and residual are both small.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Rader, Lyons and Kidger (2024); ``optimistix.Newton``.
    """

    kind: ClassVar[str] = "Newton"


@solver_named("optimistix:chord")
@dataclass(frozen=True)
class Chord(Optimistix):
    """Optimistix' chord method, compiled: Newton steps with the Jacobian at the start.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Rader, Lyons and Kidger (2024); ``optimistix.Chord``.
    """

    kind: ClassVar[str] = "Chord"


@solver_named("optimistix:dogleg")
@dataclass(frozen=True)
class Dogleg(Optimistix):
    """Optimistix' dogleg method on the least squares of the displacement, compiled.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Rader, Lyons and Kidger (2024); ``optimistix.Dogleg``.
    """

    kind: ClassVar[str] = "Dogleg"
