"""The turns of an automatic run: what is known of a scheme while it has its turn, and which schemes may have one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game, NetworkGame
from nngames.networks import Constant
from nngames.networks.order import answers_in_order
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.safeguard import SafeguardedProblem
from nngames.solvers.solver import Problem, Solver, State, registry

#: Newton's method is tried from a last resort after this many of its steps, and again after twice as many.
TRIAL = 32


@dataclass(slots=True)
class Turn:
    """One scheme's part of a run; ``check`` is the step at which it is judged, ``before`` the residual it has to lower.

    A last resort has ``steps``, without end where it is proved, and ``trial`` of them before Newton's method is tried;
    one that ``strays`` is not left because its residual grows.
    """

    scheme: Solver
    problem: Problem
    check: int
    before: float
    steps: float | None = None
    trial: int = TRIAL
    strays: bool = False
    count: int = 0
    checked: int = 0
    displacements: list[Any] | None = None


def known_displacement(problem: Problem, state: State) -> Array | None:
    """Return R(x) - x at the last state, which is not overwritten; None where the scheme does not know it."""
    if isinstance(problem, FixedPointProblem):
        return np.array(problem.difference)
    return state.memory if isinstance(problem, SafeguardedProblem) else None


_first: WeakKeyDictionary[Game, Solver] = WeakKeyDictionary()


def first_scheme(game: Game) -> Solver:
    """Return plain passes, or sweeps where one of them ends at the equilibrium."""
    known = _first.get(game)
    if known is None:
        swept = (
            isinstance(game, NetworkGame)
            and game.space.count == game.network.space.count
            and answers_in_order(game.network)
        )
        known = _first[game] = registry.create("best_response" if swept else "picard")
    return known


@cache
def fast_scheme(name: str, long: bool = False) -> Solver:
    """Return the scheme of that name with the options that serve a short run, or one on ``long`` iterates.

    What anderson remembers of these does not fit into the cache, so that it had better be little.
    """
    # A relaxation that is one already takes no reading.
    known: dict[str, dict[str, Any]] = {"anderson": {} if long else {"memory": 10}, "km": {"relaxation": Constant(0.5)}}
    options = known.get(name, {})
    solver: Solver = registry.create(name, **options)
    return solver
