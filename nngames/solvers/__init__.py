"""Solvers: schemes that find equilibria, the loop that runs them, and ``solve``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np

from nngames.core.errors import NotApplicableError, OptionError, UnknownNameError
from nngames.core.profiles import Profile
from nngames.core.seeds import Seed
from nngames.games import Game
from nngames.results.batch import BatchResult
from nngames.results.result import Result
from nngames.solvers import external
from nngames.solvers.loop import Callback, Interrupted, Run, check_stopping
from nngames.solvers.solver import (
    MAX_ITERATIONS,
    TOLERANCE,
    Guarantee,
    Iterate,
    Rate,
    Solver,
    check_game,
    registry,
    solver_named,
)

registry.discover(
    sys.modules[__name__],
    infrastructure=(
        "absence",
        "advice",
        "anderson_steps",
        "automatic",
        "batches",
        "checkpoints",
        "covering_ray",
        "differences",
        "external",
        "fixed_point",
        "inclusion",
        "long_anderson",
        "long_differences",
        "long_spectral",
        "loop",
        "minimisation",
        "mixed_precision",
        "multisecant",
        "newton_compiled",
        "newton_systems",
        "options",
        "piecewise_equation",
        "potential_program",
        "reflections",
        "reused_arrays",
        "safeguard",
        "solver",
        "stopping",
        "turn_order",
    ),
)
registry.discover(external, infrastructure=("formulas", "jax_library", "network_maps", "torch_library", "whole_run"))

from nngames.solvers.automatic.auto import Auto, AutoRun  # noqa: E402  (needs the registry filled)
from nngames.solvers.batches.automatic import AutoBatchRun  # noqa: E402
from nngames.solvers.batches.mixed import MixedBatchRun  # noqa: E402
from nngames.solvers.batches.problem import check_starts  # noqa: E402
from nngames.solvers.batches.run import BatchRun  # noqa: E402
from nngames.solvers.mixed_precision import is_mixed  # noqa: E402

Kind = TypeVar("Kind", bound=Solver)


def methods(external: bool = True) -> tuple[str, ...]:
    """Return the names of all methods, ``auto`` included, sorted.

    Parameters
    ----------
    external : bool
        Whether the solvers of other packages are among them, whose names have a colon.
    """
    own = (name for name in registry.names() if external or not registry[name].external)
    return tuple(sorted((*own, "auto")))


def solver(method: str | Solver, **options: Any) -> Solver:
    """Return the solver of that name with those options; a solver object is returned as it is.

    Raises
    ------
    UnknownNameError, OptionError
        If there is no such method or option.
    NotApplicableError
        For ``auto``, which takes a game to choose.
    """
    if isinstance(method, Solver):
        if options:
            raise OptionError(f"options {sorted(options)} were given beside a solver object; set them on the object")
        return method
    if isinstance(method, str) and method == "auto":
        raise NotApplicableError("auto chooses a scheme for a game, so it is no scheme by itself: nng.solve(game)")
    if not isinstance(method, str) or method not in registry:
        raise UnknownNameError("method", method, methods())
    return registry.create(method, **options) if options else _with_defaults(registry[method])


def _automatic(options: Mapping[str, Any]) -> Auto:
    """Return the default method. Raises OptionError if options are given."""
    if options:
        raise OptionError(f"auto chooses the options itself; name a method to set {', '.join(map(repr, options))}")
    return _with_defaults(Auto)


@cache
def _with_defaults(kind: type[Kind]) -> Kind:
    """Return the solver with its default options; it is frozen, so one serves every run."""
    return kind()


def solve(
    game: Game,
    method: str | Solver = "auto",
    start: Profile | None = None,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
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
        A run that takes longer ends at its last whole step. Proofs that it would take longer to make count as not made.
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
    profile = np.zeros(game.size) if start is None else game.space.array(start, what="start")

    chosen = isinstance(method, str) and method == "auto"
    scheme, kind = (_automatic(options), AutoRun) if chosen else (solver(method, **options), Run)
    return kind(
        game,
        scheme,
        profile,
        float(tolerance),
        int(max_iterations),
        max_seconds,
        seed,
        callback,
        trace_nash_gap,
        given,
    ).run()


def solve_batch(
    game: Game,
    starts: Profile,
    method: str | Solver = "auto",
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    max_seconds: float | None = None,
    **options: Any,
) -> BatchResult:
    """Solve from many starts at once: one product of matrices a layer and pass; starts that are done are dropped.

    With a scheme's name each start goes as ``solve`` from it alone, up to the rounding of the products, and ends by the
    same rules. With ``auto`` all begin with plain passes, in single precision first, and a start that these do not
    bring to an equilibrium in less time than it would take alone goes as ``solve`` from it.

    Parameters
    ----------
    game : Game
    starts : array_like (batch, N), or mapping player -> (batch, n_l)
    method : str or Solver
        ``auto``, or a scheme that does to each start what it does to it alone: picard, km, halpern, best_response with
        ``order="simultaneous"``, and the schemes on the inclusion with a constant step. With ``precision="mixed"``
        picard and km make each start's first steps in single precision.
    tolerance, max_iterations, max_seconds, **options
        As for ``solve``; the limit of time is for all starts together.

    Returns
    -------
    BatchResult

    Raises
    ------
    NotApplicableError
        If the method takes one start at a time, or cannot run on this game, with the reason.
    UnknownNameError, OptionError, ShapeError, InputError
        If an argument is not usable.
    """
    game = check_game(game)
    check_stopping(tolerance, max_iterations, max_seconds)
    array = check_starts(game, starts)
    limits = float(tolerance), int(max_iterations), max_seconds
    if isinstance(method, str) and method == "auto":
        return AutoBatchRun(game, _automatic(options), array, *limits).run()
    scheme = solver(method, **options)
    # Starts that were given in single precision ask for a run in it.
    kind = MixedBatchRun if is_mixed(scheme) and array.dtype == np.float64 else BatchRun
    return kind(game, scheme, array, *limits).run()


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
    "solve_batch",
    "solver",
    "solver_named",
]
