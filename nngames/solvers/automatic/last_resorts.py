"""The last resorts of an automatic run: a scheme that is proved on the game, else several in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from nngames.core.deadlines import TimeUpError
from nngames.core.errors import NNGamesError
from nngames.core.norms import euclidean_length
from nngames.core.profiles import Array
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
#: They have so many steps, of 1 + N/64 pivots each: many times the N that a path usually takes.
DECIDING = 1000
#: Each of these has so many steps, and twice as many in each round.
STEPS = 100
#: The rounds end, not before this one, with a round in which the smallest residual did not fall by this factor.
ROUNDS, FALL = 4, 0.99
#: Newton's method has so many steps from each drawn profile, and this is the largest number of these profiles.
DRAWN_STEPS, MOST_DRAWN = 32, 100
#: All of these steps are counted to cost at most so many times what the rounds have.
DRAWN_COST = 4


@dataclass(frozen=True)
class Resort:
    """A scheme with its number of steps.

    ``strays`` says whether its residual may grow by any factor on the way, so that growth is no reason to leave it: as
    that of a scheme which is proved in another norm, such as a weighted maximum norm, or which follows a path.
    ``drawn`` says that it begins at a profile that is drawn, not at the best one so far.
    """

    scheme: Solver
    steps: float
    strays: bool = False
    drawn: bool = False


def last_resorts(game: Game, smallest: Callable[[], float], share: float = 0.0) -> Iterator[Resort]:
    """Yield schemes to be run in turn, each until it is left.

    Schemes that are proved to converge have as many steps as it takes: the second one follows where the first cannot
    start in floating-point numbers. Where it is not proved that there is an equilibrium, a piecewise-linear game is
    solved by pivots before, which may also prove that there is none; their number is limited. Where nothing is proved,
    or no proved scheme could go on, rounds of other schemes follow. They begin at the best profile so far, which may be
    a local minimum of the residual, with the residual of no equilibrium: in the end Newton's method begins at drawn
    profiles, a limited number of them.

    Where the time of the run did not suffice to know whether a scheme is proved, or can run, TimeUpError is raised
    after the last one.

    Parameters
    ----------
    game : Game
    smallest : callable
        Returns the smallest residual so far.
    share : float
        The cost of a step in a round over that of a step of Newton's method.
    """
    too_late: list[TimeUpError] = []
    proved = _known_in_time(licensed_schemes(game), too_late)
    first = next(proved, None)
    open_question = first is None or not existence_proved(first[1])
    if open_question and game.size <= LARGEST_DECIDED and registry.create("complementarity").applies(game) is None:
        yield Resort(registry.create("complementarity"), DECIDING, strays=True)
    if first is not None:
        for scheme, _ in chain((first,), proved):
            yield Resort(scheme, math.inf, strays=True)
    schemes = [registry.create(name, **options) for name, options in UNPROVED.items()]
    schemes = [scheme for scheme in schemes if _applies(scheme, game, too_late)]
    steps, before, rounds = STEPS, math.inf, 0
    while rounds < ROUNDS or smallest() < FALL * before:
        before = smallest()
        for scheme in schemes:
            yield Resort(scheme, steps)
        steps, rounds = 2 * steps, rounds + 1
    newton = registry.create("newton")
    # A start at which no scheme is defined is an error of whoever gave it.
    if math.isfinite(smallest()) and newton.applies(game) is None:
        made = (steps - STEPS) * len(schemes)
        for _ in range(int(min(MOST_DRAWN, DRAWN_COST * made * share / DRAWN_STEPS))):
            yield Resort(newton, DRAWN_STEPS, strays=True, drawn=True)
    if too_late:
        raise too_late[0]


def drawn_profile(best: Array, rng: np.random.Generator) -> Array:
    """Return a profile of independent normal entries, their size up to ten times that of the best one, or below it."""
    size = euclidean_length(best) / math.sqrt(best.size) or 1.0
    return np.asarray(size * 10 ** rng.uniform(-1, 1) * rng.standard_normal(best.size), dtype=best.dtype)


def licensed_schemes(game: Game) -> Iterator[tuple[Solver, Guarantee]]:
    """Yield the schemes that are proved to converge with their guarantees, those first that prove an equilibrium.

    A proof is made when it is reached. Large games are not asked for those that factorise or that take long to prove.
    Raises TimeUpError in a run that has to end before it is known which one is next.
    """
    without = []
    for name in list(PROVABLE)[: None if game.size <= LARGEST_ADVISED else 2]:
        scheme = registry.create(name, **PROVABLE[name])
        if scheme.applies(game) is not None:
            continue
        try:
            guarantee = scheme.guarantee(game)
        except (NNGamesError, ArithmeticError):
            # Figures that overflow prove nothing.
            continue
        if guarantee.proved and existence_proved(guarantee):
            yield scheme, guarantee
        elif guarantee.proved:
            without.append((scheme, guarantee))
    yield from without


def _known_in_time(schemes: Iterator[Any], too_late: list[TimeUpError]) -> Iterator[Any]:
    """Yield the schemes until the time of the run does not suffice for the next one, which is noted."""
    try:
        yield from schemes
    except TimeUpError as error:
        too_late.append(error)


def _applies(scheme: Solver, game: Game, too_late: list[TimeUpError]) -> bool:
    """Whether a scheme can run on the game; noted where the time of the run does not suffice to know."""
    try:
        return scheme.applies(game) is None
    except TimeUpError as error:
        too_late.append(error)
        return False
