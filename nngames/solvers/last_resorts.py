"""The last resorts of an automatic run: a scheme that is proved on the game, else several in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nngames.core.errors import NNGamesError
from nngames.games import Game
from nngames.solvers.advice import LARGEST_ADVISED, existence_proved
from nngames.solvers.solver import Guarantee, Solver, registry

#: The schemes that may be proved; the first two also where the game is too large to factorise or to prove much about.
PROVABLE: Mapping[str, Mapping[str, Any]] = {
    "picard": {},
    "km": {},
    "douglas_rachford": {},
    "golden_ratio": {"adaptive": True},
    "best_response": {},
}
#: The schemes that are tried where none is proved.
UNPROVED: Mapping[str, Mapping[str, Any]] = {
    "golden_ratio": {"adaptive": True},
    "anderson": {"memory": 20, "mixing": 0.5},
    "km": {"relaxation": 0.25},
    "best_response": {"damping": 0.5},
}
#: Up to this size pivots may prove that there is no equilibrium.
LARGEST_DECIDED = 400
#: Each of these has so many steps, and twice as many in each round.
STEPS = 100
#: The rounds end, not before this one, with a round in which the smallest residual did not fall by this factor.
ROUNDS, FALL = 4, 0.99


def last_resorts(game: Game, smallest: Callable[[], float]) -> Iterator[tuple[Solver, float]]:
    """Yield schemes, each with its number of steps.

    A scheme that is proved to converge has as many as it takes; where it is not proved that there is an equilibrium, a
    piecewise-linear game is solved by pivots before, which may also prove that there is none. Where nothing is proved,
    or a scheme left the set where it is defined, rounds of other schemes follow.

    Parameters
    ----------
    game : Game
    smallest : callable
        Returns the smallest residual so far.
    """
    found = licensed_scheme(game)
    open_question = found is None or not existence_proved(found[1])
    if open_question and game.size <= LARGEST_DECIDED and registry.create("complementarity").applies(game) is None:
        yield registry.create("complementarity"), math.inf
    if found is not None:
        yield found[0], math.inf
    schemes = [registry.create(name, **options) for name, options in UNPROVED.items()]
    schemes = [scheme for scheme in schemes if scheme.applies(game) is None]
    steps, before, rounds = STEPS, math.inf, 0
    while rounds < ROUNDS or smallest() < FALL * before:
        before = smallest()
        for scheme in schemes:
            yield scheme, steps
        steps, rounds = 2 * steps, rounds + 1


def licensed_scheme(game: Game) -> tuple[Solver, Guarantee] | None:
    """Return a scheme that is proved to converge with its guarantee, rather one whose proof gives an equilibrium."""
    without = None
    for name in list(PROVABLE)[: None if game.size <= LARGEST_ADVISED else 2]:
        scheme = registry.create(name, **PROVABLE[name])
        if scheme.applies(game) is not None:
            continue
        try:
            guarantee = scheme.guarantee(game)
        except NNGamesError:
            continue
        if guarantee.proved and existence_proved(guarantee):
            return scheme, guarantee
        if guarantee.proved and without is None:
            without = (scheme, guarantee)
    return without
