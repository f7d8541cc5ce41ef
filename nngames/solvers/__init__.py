"""Solvers: schemes that find equilibria, the loop that runs them, and ``solve``."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from nngames.core.errors import NotApplicableError, OptionError, UnknownNameError
from nngames.core.profiles import Profile
from nngames.core.seeds import Seed
from nngames.games import Game
from nngames.results.result import Result
from nngames.solvers.loop import Callback, Interrupted, Run, check_stopping
from nngames.solvers.solver import Guarantee, Iterate, Rate, Solver, check_game, registry, solver_named

registry.discover(
    sys.modules[__name__],
    infrastructure=("advice", "auto", "fixed_point", "inclusion", "loop", "options", "safeguard", "solver", "stopping"),
)

from nngames.solvers.auto import solve_automatically  # noqa: E402  (needs the registry filled)


def methods() -> tuple[str, ...]:
    """Return the names of all methods, ``auto`` included, sorted."""
    return tuple(sorted((*registry.names(), "auto")))


def solver(method: str | Solver, **options: Any) -> Solver:
    """Return the solver of that name with those options; a solver object is returned as it is.

    Raises
    ------
    UnknownNameError, OptionError
        If there is no such method or option.
    """
    if isinstance(method, Solver):
        if options:
            raise OptionError(f"options {sorted(options)} were given beside a solver object; set them on the object")
        return method
    if not isinstance(method, str) or method not in registry:
        raise UnknownNameError("method", method, methods())
    return registry.create(method, **options)


def solve(
    game: Game,
    method: str | Solver = "auto",
    start: Profile | None = None,
    tolerance: float = 1e-9,
    max_iterations: int = 10_000,
    max_seconds: float | None = None,
    seed: Seed = None,
    callback: Callback | None = None,
    trace_nash_gap: bool = False,
    **options: Any,
) -> Result:
    """Find an equilibrium.

    Parameters
    ----------
    game : Game
    method : str or Solver
        A name of ``methods()`` or a solver object.
    start : profile, optional
        Default: the zero profile. A solver of the composite map starts from its last layer.
    tolerance : float
        Relative to scale = max(1, |R(0)|_2), fixed before the run.
    max_iterations : int
    max_seconds : float, optional
    seed : int or Generator, optional
        For schemes that draw.
    callback : callable, optional
        Called with each ``Iterate``, the start included; its time is not charged to the run.
    trace_nash_gap : bool
        Whether the trace holds the Nash gap of each iterate.
    **options
        The method's own options.

    Returns
    -------
    Result
        ``status`` is ``converged`` iff the undamped residual |R(x) - x|_2, recomputed at the returned profile, is at
        most tolerance * scale; R is the joint map T of a network, the best-response map of a quadratic game.

    Raises
    ------
    NotApplicableError
        If the method cannot run on this game, with the reason.
    UnknownNameError, OptionError, ShapeError, InputError
        If an argument is not usable.
    DomainError
        If an activation is not defined at the start that was given. Where it is not at zero, the run is ``failed``.
    """
    game = check_game(game)
    check_stopping(tolerance, max_iterations, max_seconds)
    if callback is not None and not callable(callback):
        raise OptionError(f"callback must be a function of an Iterate; got {callback!r}")
    given = start is not None
    profile = game.space.array(np.zeros(game.size) if start is None else start, what="start")

    def run(scheme: Solver, most: int, seconds: float | None) -> Result:
        return Run(game, scheme, profile, float(tolerance), most, seconds, seed, callback, trace_nash_gap, given).run()

    if isinstance(method, str) and method == "auto":
        return solve_automatically(game, run, options, int(max_iterations), max_seconds)
    return run(solver(method, **options), int(max_iterations), max_seconds)


__all__ = [
    "Guarantee",
    "Interrupted",
    "Iterate",
    "NotApplicableError",
    "Rate",
    "Solver",
    "methods",
    "registry",
    "solve",
    "solver",
    "solver_named",
]
