"""The potential of an exact or weighted potential game as a function of the profile."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array, Player, Profile
from nngames.games import TrackingGame
from nngames.games.game import scalar


def potential_function(game: Any, weights: Mapping[Player, Any]) -> Callable[[Profile], Any]:
    """Return the potential that belongs to the weights of a proved verdict.

    With phi_l the own cost (f_l + x_l'Q_l x_l/2), u(x) = c + B x what the players hear, a_l a point of aff dom f_l and
    y = x - a,

        sum_l w_l [phi_l(x_l) - <x_l, u_l(a)>] - (1/2) sum_l w_l <y_l, u_l(x) - u_l(a)>:

    a step d of player l changes it by w_l [Delta phi_l - <d, u_l(x)>] = w_l Delta J_l, since the w_l P_l B_lk P_k are
    symmetric. With a = 0 and unit weights it is Hopfield's energy [hopfield1984].

    Parameters
    ----------
    game : Game
        One whose exact or weighted potential was proved.
    weights : mapping player -> positive number
        The witness's ``weights``.

    Returns
    -------
    callable
        profile -> float, or (batch, N) -> array (batch,); +inf off the players' domains.

    Raises
    ------
    NotApplicableError
        If a weight lies outside the range of floats.
    """
    if game.potential_reason is not None:
        return game.potential
    scale = np.concatenate([np.full(n, _as_float(player, weights[player])) for player, n in game.dims.items()])
    hear, own, base = _tracking_parts(game) if isinstance(game, TrackingGame) else _coupled_parts(game)
    heard = hear(base)

    def potential(profile: Profile) -> Any:
        x = game.space.array(profile, batch=True)
        coupling = x * heard + 0.5 * (x - base) * (hear(x) - heard)
        return scalar(own(x, scale) - np.sum(scale * coupling, axis=-1))

    return potential


def _as_float(player: Player, weight: Any) -> float:
    try:
        value = float(weight)
    except OverflowError:
        value = math.inf
    if not 0 < value < math.inf:
        raise NotApplicableError(f"the weight of player {player} is no float: the potential cannot be evaluated")
    return value


def _coupled_parts(game: Any) -> tuple[Any, Any, Array]:
    """Return u, the weighted sum of the own costs, and a."""

    def own(x: Array, scale: Array) -> Any:
        total: Any = 0.0
        for block, where in game.blocks.slices.items():
            cost, z = game.own[block], x[..., where]
            if game.neurons:
                terms = cost.activation.penalty(z) + 0.5 * z * cost.quadratic(z)
                total = total + np.sum(scale[where] * terms, axis=-1)
            else:
                total = total + scale[where.start] * cost.value(z)
        return total

    hulls = [game.own[block].activation.domain.affine_hull(n) for block, n in game.blocks.dims.items()]
    return game.drive, own, np.concatenate([hull.point for hull in hulls])


def _tracking_parts(game: TrackingGame) -> tuple[Any, Any, Array]:
    """Return the joint map, affine here, the weighted squares, and 0: J_l = |z|^2/2 - <z, r_l(v_l(x))> + constant."""

    def own(x: Array, scale: Array) -> Any:
        return 0.5 * np.sum(scale * x**2, axis=-1)

    return game.network.joint, own, np.zeros(game.size)
