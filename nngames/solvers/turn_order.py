"""Orders in which every player of a game answers after all that it listens to, so that one sweep ends the run."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from nngames.core.deadlines import ending
from nngames.core.profiles import Player
from nngames.core.verdicts import Decision
from nngames.games import Game, NetworkGame
from nngames.games.coupled_game import CoupledGame
from nngames.networks.forward import ForwardPass
from nngames.networks.levels import levels_of, strictly_lower
from nngames.networks.order import answers_in_order, layer_order
from nngames.solvers.solver import Guarantee, Rate, norm

#: What is known of a game: its players in such an order, and whether that is the listed one.
Known = tuple[list[Player] | None, bool]
_known: WeakKeyDictionary[Game, Known] = WeakKeyDictionary()


def forward_pass(game: Game) -> ForwardPass | None:
    """Return the forward pass of a network's game, which is such a sweep by whole levels; None for other games.

    By layers, or by their coordinates where these answer separately, whoever the players are. Raises TimeUpError where
    it is not known in the time of the run.
    """
    return game.network.joint.forward_before(ending()) if isinstance(game, NetworkGame) else None


def one_sweep_guarantee(game: Game, listed: bool) -> Guarantee | None:
    """Return the proof that one sweep of full best responses ends at the only equilibrium, or None.

    In the ``listed`` order of the players, or in a topological one. A player whose self-loop is a part of its own cost
    solves for its action, so that it does not listen to itself.
    """
    if not _one_sweep_ends(game, listed):
        return None
    order = "listed" if listed else "topological"
    return Guarantee(
        Decision.PROVED,
        f"in the {order} order each player answers after all that it listens to, so one sweep ends at the unique "
        "equilibrium",
        "induction over an order without cycles",
        witness={"map": "joint", "sweeps": 1, "unique": True},
        rate=Rate("distance", norm, lambda k, d: 0.0 if k else d, "x_k = x* for k >= 1"),
    )


def finite_passes_guarantee(game: Game) -> Guarantee | None:
    """Return the proof that plain passes over an acyclic network end at the only equilibrium, or None.

    What listens to nobody is exact after one pass, and what listens to exact ones alone after one more.
    """
    if forward_pass(game) is None or not _defined_everywhere(game):
        return None
    return Guarantee(
        Decision.PROVED,
        "no signal returns to where it came from, so plain passes reach the unique equilibrium after at most as many "
        "as there are coordinates",
        "induction over an order without cycles",
        witness={"map": "joint", "unique": True},
    )


def _defined_everywhere(game: Any) -> bool:
    return all(activation.defined_everywhere for activation in game.network.activations.values())


def _one_sweep_ends(game: Game, listed: bool) -> bool:
    network = getattr(game, "network", None)
    if network is None or not _defined_everywhere(game):
        return False
    forward = forward_pass(game)
    if forward is not None and (forward.in_listed_order or not listed):
        return True
    order, in_listed_order = players_in_order(game)
    return in_listed_order if listed else order is not None


def players_in_order(game: Game) -> Known:
    """Return the players, each after all others that it listens to, and whether it is the listed order.

    None where signals go round.
    """
    if game not in _known:
        _known[game] = _ordered(game)
    return _known[game]


def _ordered(game: Game) -> Known:
    if not isinstance(game, CoupledGame | NetworkGame):
        return None, False
    if game.space.count == game.network.space.count:
        if answers_in_order(game.network, besides_itself=True):
            return list(game.players), True
        return layer_order(game.network, besides_itself=True), False
    rows = _others_heard(game)
    levels = None if rows is None else levels_of(rows, ending())
    if rows is None or levels is None:
        return None, False
    return [game.players[i] for i in levels.order.tolist()], strictly_lower(rows)


def _others_heard(game: Any) -> Any:
    """Return a CSR matrix with an entry (i, j) where the neuron i listens to another neuron j; None if not known."""
    from scipy import sparse

    network = game.network
    if not network.linear or not all(hasattr(weight, "matrix") for weight in network.weights.values()):
        return None
    matrix: Any = network.joint.assembly(np.dtype(np.float64))[0].matrix
    others = sparse.csr_array(matrix - sparse.diags_array(matrix.diagonal()))
    others.eliminate_zeros()
    return others
