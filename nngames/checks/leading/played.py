"""Profiles with what every player pays there, and the equilibria that a Stackelberg solution is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.checks.enumeration import enumerate_equilibria
from nngames.checks.existence import certify_equilibrium
from nngames.checks.leading.rational_costs import RationalCosts
from nngames.core.errors import NNGamesError
from nngames.core.exact import fraction, nearest_float, rational
from nngames.core.plain import plain
from nngames.core.profiles import Array, Player
from nngames.games import Game
from nngames.solvers import solve

#: The existence of an equilibrium near a solver's end is proved up to this size.
MOST_CERTIFIED = 100


@dataclass(frozen=True, eq=False)
class PlayedProfile:
    """A profile and its costs.

    Attributes
    ----------
    profile : ndarray (N,)
    exact : tuple of Fraction or None
        The same exactly, where it is known.
    costs : mapping player -> Fraction or float
        Exactly, where the profile is.
    radius : float or None
        Of an equilibrium that is not exact: one is proved within this distance in every coordinate.
    """

    profile: Array
    exact: tuple[Fraction, ...] | None
    costs: Mapping[Player, Fraction | float]
    radius: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as plain data, exact numbers as texts."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Equilibria:
    """The equilibria that are known.

    Attributes
    ----------
    found : tuple of PlayedProfile
        Of a continuum some of its points.
    complete : bool
        Whether it is proved that there is no other.
    """

    found: tuple[PlayedProfile, ...]
    complete: bool

    @property
    def exact(self) -> bool:
        """Whether all of them are known exactly."""
        return all(played.exact is not None for played in self.found)


def played_exactly(costs: RationalCosts, x: Sequence[Any]) -> PlayedProfile:
    """Return a profile of flint rationals with its costs."""
    exact = tuple(fraction(t) for t in x)
    paid: dict[Player, Fraction | float] = {}
    for player in costs.game.players:
        value = costs.value(player, list(x))
        paid[player] = np.inf if value is None else fraction(value)
    return PlayedProfile(np.array([nearest_float(t) for t in exact]), exact, paid)


def played(game: Game, profile: Array, radius: float | None = None) -> PlayedProfile:
    """Return a profile of floats with its costs."""
    return PlayedProfile(profile, None, {player: game.cost(player, profile) for player in game.players}, radius)


def exact_equilibria(costs: RationalCosts, max_seconds: float) -> Equilibria:
    """Return the equilibria of a game with piecewise linear responses."""
    found = enumerate_equilibria(costs.game, max_seconds)
    points = [*found.exact, *(v for c in found.components for face in c.faces for v in face.vertices)]
    profiles = tuple(played_exactly(costs, [rational(t) for t in point]) for point in dict.fromkeys(points))
    return Equilibria(profiles, found.complete.proved and not found.components)


def certified_equilibrium(game: Game, max_seconds: float) -> Equilibria:
    """Return one equilibrium that a solver finds, if its existence nearby is proved."""
    result = solve(game, max_seconds=max_seconds)
    if game.size > MOST_CERTIFIED:
        return Equilibria((), False)
    try:
        # Bounds that overflow prove nothing, and need no warning.
        with np.errstate(over="ignore", invalid="ignore"):
            near = certify_equilibrium(game, result.profile)
    except NNGamesError:
        return Equilibria((), False)
    if not near.proved:
        return Equilibria((), False)
    return Equilibria((played(game, result.profile, near.radius),), False)


def forward_pass(game: Game, order: Iterable[Player]) -> PlayedProfile:
    """Return the only equilibrium of a game whose couplings have no cycle: each answers after those that it hears."""
    x = np.zeros(game.size)
    for player in order:
        x[game.space.slice(player)] = game.answer(player, x)
    return played(game, x)
