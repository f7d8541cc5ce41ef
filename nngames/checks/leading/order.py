"""Orders of commitment: which player moves when, and whose commitment can come back to it through later players."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from nngames.core.errors import InputError, NotApplicableError, UnknownNameError
from nngames.core.operators import SparseMap
from nngames.core.profiles import Player
from nngames.games import CoupledGame, Game, TrackingGame
from nngames.networks import LinearCoupling

#: The players of each level; the first level moves first, and the players of one level move at the same time.
Levels = tuple[tuple[Player, ...], ...]
#: Whose actions a player's cost depends on.
Hearing = Mapping[Player, frozenset[Player]]
#: Games whose players are neurons are examined up to this size.
MOST_NEURONS = 2000


def levels_of(game: Game, order: Any) -> Levels:
    """Return the levels of an order.

    Parameters
    ----------
    game : Game
    order : sequence of players and of tuples or lists of players, or None
        Who moves first, second, ...; a tuple moves at the same time. Players that it leaves out move last, together.
        None: one after another, as in ``game.players``.

    Raises
    ------
    InputError, UnknownNameError
        If it is no sequence, such as a set, names a player twice or one that there is not, or has an empty level.
    """
    known = {player: player for player in game.players}
    if order is None:
        return tuple((player,) for player in known)
    if isinstance(order, str | bytes | Mapping | Set) or not isinstance(order, Iterable):
        raise InputError(f"order must be a list of players, leader first; got {order!r}")
    found: list[tuple[Player, ...]] = []
    seen: set[Player] = set()
    for entry in order:
        level = (entry,) if _is_player(entry, known) else entry
        if not isinstance(level, tuple | list):
            raise UnknownNameError("player in order", entry, [str(p) for p in known])
        if not level:
            raise InputError("order has an empty level; give each level at least one player")
        for player in level:
            if not _is_player(player, known):
                raise UnknownNameError("player in order", player, [str(p) for p in known])
            if player in seen:
                raise InputError(f"order names player {player} twice; each player commits once")
            seen.add(player)
        # By the names that the game uses: 1 is found as 1.0 too, and as an integer of NumPy.
        found.append(tuple(known[player] for player in level))
    rest = tuple(player for player in known if player not in seen)
    return (*found, rest) if rest else tuple(found)


def _is_player(value: Any, known: Mapping[Player, Player]) -> bool:
    try:
        return value in known
    except TypeError:
        return False


def hearing(game: Game) -> Hearing:
    """Return for each player whose actions its cost depends on, besides its own: the couplings that are not zero.

    Raises
    ------
    NotApplicableError
        If the game has another form, or too many neurons.
    """
    if not isinstance(game, CoupledGame | TrackingGame):
        raise NotApplicableError(f"the couplings of a {type(game).__name__} are not known")
    if not game.neurons:
        heard: dict[Player, set[Player]] = {player: set() for player in game.players}
        for coupling in game.network.couplings:
            if not (isinstance(coupling, LinearCoupling) and _is_zero(coupling.weight)):
                heard[coupling.target].update(coupling.sources)
        return {player: frozenset(others - {player}) for player, others in heard.items()}
    if game.size > MOST_NEURONS or not game.network.linear:
        raise NotApplicableError(f"more than {MOST_NEURONS} neurons, or couplings of them that are not linear")
    names, slices = game.players, game.network.space.slices
    by_neuron: dict[Player, set[Player]] = {player: set() for player in names}
    for (target, source), weight in game.network.weights.items():
        matrix = weight.matrix.toarray() if isinstance(weight, SparseMap) else weight.dense
        for i, j in zip(*np.nonzero(matrix), strict=True):
            by_neuron[names[slices[target].start + int(i)]].add(names[slices[source].start + int(j)])
    return {player: frozenset(others - {player}) for player, others in by_neuron.items()}


def _is_zero(weight: Any) -> bool:
    if isinstance(weight, SparseMap):
        return bool(weight.matrix.count_nonzero() == 0)
    return bool(weight.has_dense and not weight.dense.any())


def effective_leaders(heard: Hearing, levels: Levels) -> tuple[Player, ...]:
    """Return the players on a cycle of the couplings on which everybody else moves later.

    Only to them does their own commitment come back: along any other cycle it stops at a player that has committed
    before, or at the same time.
    """
    rank = {player: k for k, level in enumerate(levels) for player in level}
    listeners = _listeners(heard)
    return tuple(
        player
        for level in levels
        for player in level
        if heard[player] & _reached(player, listeners, lambda q, k=rank[player]: rank[q] > k)
    )


def listening_order(heard: Hearing, among: Collection[Player]) -> tuple[Player, ...] | None:
    """Return the players ``among`` so that each follows those of them that it hears, the same in every run; None if
    their couplings have a cycle.
    """
    chosen = frozenset(among)
    place = {player: k for k, player in enumerate(player for player in heard if player in chosen)}
    sorter: TopologicalSorter[Player] = TopologicalSorter(dict.fromkeys(place, ()))
    for player in place:
        # Sorted, since the order of a set is another one in each run.
        sorter.add(player, *sorted(heard[player] & chosen, key=place.__getitem__))
    try:
        return tuple(sorter.static_order())
    except CycleError:
        return None


def followers_acyclic(heard: Hearing, levels: Levels) -> bool:
    """Return whether the couplings among the players after the first level have no cycle: their answers are unique."""
    return listening_order(heard, [player for level in levels[1:] for player in level]) is not None


def _listeners(heard: Hearing) -> dict[Player, set[Player]]:
    found: dict[Player, set[Player]] = {player: set() for player in heard}
    for player, sources in heard.items():
        for source in sources:
            found[source].add(player)
    return found


def _reached(start: Player, listeners: Mapping[Player, set[Player]], allowed: Any) -> set[Player]:
    """Return the allowed players to which the action of ``start`` comes through allowed players."""
    found: set[Player] = set()
    stack = [start]
    while stack:
        for other in listeners[stack.pop()]:
            if other not in found and allowed(other):
                found.add(other)
                stack.append(other)
    return found
