"""Norms: enclosures of a network's coupling norms, computed once, and Lipschitz constants of best responses."""

from __future__ import annotations

import math
from fractions import Fraction
from weakref import WeakKeyDictionary

import numpy as np

from nngames.core.bounds import Enclosure, spectral_norm, symmetric_extremes
from nngames.core.profiles import Player
from nngames.games import CoupledGame, Game, NetworkGame, OwnCost
from nngames.networks import Network

_norms: WeakKeyDictionary[Network, dict[tuple[Player, Player], Enclosure]] = WeakKeyDictionary()


def coupling_norms(network: Network) -> dict[tuple[Player, Player], Enclosure]:
    """Return an enclosure of |W_lk|_2 for each edge (l, k) of a linear network."""
    if network not in _norms:
        _norms[network] = {edge: spectral_norm(weight) for edge, weight in network.weights.items()}
    return _norms[network]


def partial_response_reason(game: Game) -> str | None:
    """Return why the game's joint map need not be defined at every profile; None if it is.

    A response to an own cost with a curvature of its own is defined everywhere, as is an activation on the line.
    """
    if not isinstance(game, NetworkGame | CoupledGame):
        return None
    for player, activation in game.network.activations.items():
        curved = not isinstance(game, NetworkGame) and game.own[player].metric is not None
        if not activation.defined_everywhere and not curved:
            return f"the activation {activation.name!r} of player {player} is not defined for every pre-activation"
    return None


def no_lipschitz_reason(game: Game) -> str | None:
    """Return why a response of a network's game has no Lipschitz constant; None if all have one."""
    if not isinstance(game, NetworkGame):
        return None
    for player, activation in game.network.activations.items():
        if not math.isfinite(activation.lipschitz):
            cause = "its slopes are unbounded" if activation.continuous else "it is not continuous"
            return f"the activation {activation.name!r} of player {player} has no Lipschitz constant: {cause}"
    return None


def several_answers_reason(game: Game) -> str | None:
    """Return why a player may have several best responses, of which r names one; None if they are unique."""
    if isinstance(game, NetworkGame | CoupledGame):
        for player, activation in game.network.activations.items():
            if not activation.continuous:
                return (
                    f"the activation {activation.name!r} of player {player} is not continuous: where it jumps, every "
                    "action between its limits is a best response"
                )
    return None


def response_lipschitz(cost: OwnCost) -> Fraction | float:
    """Return a Lipschitz constant of a player's best response to u: 1/modulus, exact for the enclosures it comes from.

    phi strongly convex with modulus m has a (1/m)-Lipschitz argmin of phi - <., u> [bauschke2017, Thm 18.15]; without
    a metric the response is r itself and m = 1/S.
    """
    high = cost.activation.slope_range[1]
    if high == 0:
        return Fraction(0)
    if cost.metric is None:
        return Fraction(high) if math.isfinite(high) else math.inf
    curvature = float(cost.metric.min()) if cost.metric.ndim == 1 else symmetric_extremes(cost.metric)[0].lower
    modulus = (1 / Fraction(high) if math.isfinite(high) else 0) + Fraction(curvature) - 1
    return 1 / modulus if modulus > 0 else math.inf


def coordinate_lipschitz(cost: OwnCost, n: int) -> np.ndarray:
    """Return upper bounds (n,) on the Lipschitz constants of a coordinatewise best response, one per coordinate."""
    from nngames.certificates.figures import round_up

    if cost.metric is None or cost.metric.ndim == 2:
        return np.full(n, round_up(response_lipschitz(cost)))
    bounds = [response_lipschitz(OwnCost(cost.activation, cost.metric[i : i + 1])) for i in range(n)]
    return np.array([round_up(bound) for bound in bounds])


def linear_map_reason(game: Game) -> str | None:
    """Return why a game has no joint map with linear couplings; None if it has one."""
    if not isinstance(game, NetworkGame | CoupledGame):
        return "the game has neither a network nor linear couplings between its players"
    if not game.network.linear:
        return "a coupling is not linear"
    return None


def no_lipschitz_map_reason(game: Game) -> str | None:
    """Return why a game has no joint map with linear couplings that is Lipschitz everywhere; None if it has one."""
    return linear_map_reason(game) or partial_response_reason(game) or no_lipschitz_reason(game)


def no_continuous_map_reason(game: Game) -> str | None:
    """Return why a game has no joint map with linear couplings that is continuous everywhere; None if it has one."""
    return linear_map_reason(game) or partial_response_reason(game) or several_answers_reason(game)
