"""Players that can improve in one direction only, whatever the others do: on closed paths they stand still.
still.

A player with one number z in an interval pays phi(z) - z u with phi strictly convex, and its best response grows with
u. If even the largest u that the others' domains allow has the lower end of the interval as its answer, then the cost
increases in z for every u, and each improvement is a step down; no path of improvements leads back up. The same for
the upper end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.checks.cycle_certificates import Certifier, rational_response
from nngames.core.exact import rational
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame

#: Ranges are computed in exact arithmetic, up to this many entries of couplings.
MOST_ENTRIES = 40_000


def one_way_players(game: Any) -> list[Player]:
    """Return the players of which it is proved, by exact ranges of what they hear; only for rational responses."""
    if not isinstance(game, CoupledGame) or game.size**2 > MOST_ENTRIES:
        return []
    lower, upper = _ends(game)
    certifier = Certifier(game)
    found: list[Player] = []
    for block, where in game.blocks.slices.items():
        own, n = game.own[block], where.stop - where.start
        scalar = game.neurons or n == 1
        if not (scalar and own.activation.separable and own.activation.piecewise_linear):
            continue
        metric = certifier.metric(block)
        names = game.players[where] if game.neurons else (block,)
        for i, player in enumerate(names):
            least, most = _heard_range(game, block, i, lower, upper)
            down = most is not None and _answers(own.activation, metric, [most] * n, lower[where], i)
            up = least is not None and _answers(own.activation, metric, [least] * n, upper[where], i)
            if down or up:
                found.append(player)
    return found


def _ends(game: CoupledGame) -> tuple[Array, Array]:
    """Return bounds of every coordinate over the domains; infinite where none is known."""
    lower, upper = np.full(game.size, -np.inf), np.full(game.size, np.inf)
    for block, where in game.blocks.slices.items():
        activation, n = game.own[block].activation, where.stop - where.start
        if activation.separable:
            lower[where] = activation.domain.project(np.full(n, -np.inf))
            upper[where] = activation.domain.project(np.full(n, np.inf))
    return lower, upper


def _heard_range(game: CoupledGame, block: Player, i: int, lower: Array, upper: Array) -> tuple[Any, Any]:
    """Return the exact ends of u for one coordinate; None where one is infinite."""
    network = game.network
    least: Any = rational(network.effective_bias(block)[i])
    most: Any = least
    for (target, source), weight in network.weights.items():
        if target != block:
            continue
        start = network.space.slices[source].start
        for j, w in enumerate(weight.dense[i].tolist()):
            if w == 0 or (source == block and j == i):
                continue
            ends = (lower[start + j], upper[start + j])
            at_least, at_most = ends if w > 0 else ends[::-1]
            least = least + rational(w) * rational(at_least) if least is not None and np.isfinite(at_least) else None
            most = most + rational(w) * rational(at_most) if most is not None and np.isfinite(at_most) else None
    return least, most


def _answers(activation: Activation, metric: Any, u: list[Any], ends: Array, i: int) -> bool:
    """Whether coordinate i answers u by the end of its interval."""
    answer = rational_response(activation, metric, u) if np.isfinite(ends[i]) else None
    return answer is not None and answer[i] == rational(ends[i])
