"""What users give a network, turned into biases, activations and names, or refused with a located error."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations import Activation, activation
from nngames.core.errors import InputError, ShapeError
from nngames.core.profiles import Array, Player, ProfileSpace, float_array

ActivationLike = str | Mapping[str, Any] | Activation


def bias_vector(player: Player, bias: ArrayLike) -> Array:
    """Return a read-only copy of a bias (n,), or raise ShapeError or InputError naming the player."""
    array = np.atleast_1d(float_array(bias, f"the bias of {player}")).copy()
    if array.ndim != 1 or array.size == 0:
        raise ShapeError(f"the bias of {player} has shape {array.shape}; expected a vector (n,)")
    if not np.isfinite(array).all():
        index = int(np.argmax(~np.isfinite(array)))
        raise InputError(f"the bias of {player} has an entry that is not finite: [{index}] is {array[index]}")
    array.setflags(write=False)
    return array


def activations_of(given: Mapping[Any, ActivationLike], space: ProfileSpace) -> dict[Player, Activation]:
    """Return the activation of each player, checked against its size; errors name the player."""
    if not isinstance(given, Mapping):
        raise InputError(f"activations must map each player to an activation; got {given!r}")
    for player in given:
        if player not in space.dims:
            raise InputError(f"activations names {player!r}, which is not a player; players: {listed(space.dims)}")
    result = {}
    for player, n in space.dims.items():
        if player not in given:
            raise InputError(f"activations has none for the player {player!r}")
        result[player] = as_activation(given[player])
        try:
            result[player].check_size(n)
        except ShapeError as error:
            raise ShapeError(f"player {player}: {error}") from None
    return result


def as_activation(value: ActivationLike) -> Activation:
    """Return the activation that a name, a mapping with a ``name`` and parameters, or an object stands for.

    Raises
    ------
    InputError, UnknownNameError, OptionError
        If it stands for none.
    """
    if isinstance(value, Activation):
        return value
    if isinstance(value, str):
        return activation(value)
    if isinstance(value, Mapping) and "name" in value:
        return activation(value["name"], **{str(key): item for key, item in value.items() if key != "name"})
    raise InputError(f"{value!r} is not an activation; give a name, a mapping with a 'name', or an object")


def player_names(
    weights: Sequence[Any], biases: Sequence[Any], activations: Sequence[Any], names: Sequence[Hashable] | None
) -> tuple[Hashable, ...]:
    """Return the layers' names, default 1, ..., L, once all lists have the same length."""
    if isinstance(activations, str | Mapping | Activation):
        raise InputError("activations must be a list with one activation for each layer")
    for what, given in (("weights", weights), ("biases", biases), ("activations", activations), ("names", names)):
        if given is not None and (not isinstance(given, Sequence | np.ndarray) or isinstance(given, str | bytes)):
            raise InputError(f"{what} must be a list with one entry for each layer; got {given!r}")
        if isinstance(given, np.ndarray) and given.ndim == 0:
            raise InputError(f"{what} must be a list with one entry for each layer; got the number {given}")
    for what, given in (("weights", weights), ("biases", biases), ("activations", activations)):
        if given is None:
            raise InputError(f"{what} must be a list with one entry for each layer; got None")
    for name in names if names is not None else ():
        if not isinstance(name, Hashable):
            raise InputError(f"names must be hashable, such as texts or numbers; got {name!r}")
    count = len(weights)
    if count == 0:
        raise InputError("a network needs at least one layer: weights is empty")
    for what, given in (("biases", biases), ("activations", activations), ("names", names)):
        if given is not None and len(given) != count:
            raise InputError(f"{what} has {len(given)} entries; expected {count}, one for each of the weights")
    players = tuple(range(1, count + 1)) if names is None else tuple(names)
    if len(set(players)) != count:
        raise InputError(f"names must be distinct; got {list(players)}")
    return players


def listed(players: Mapping[Any, Any]) -> str:
    """Return the first players as text."""
    shown = [repr(player) for player in list(players)[:10]]
    return ", ".join(shown) + (", ..." if len(players) > 10 else "")
