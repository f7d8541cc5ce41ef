"""Players that can improve in one direction only, whatever the others do: on closed paths they stand still.

A player with one number z in an interval pays phi(z) - z u with phi strictly convex, and its best response grows with
u. If even the largest u that the others' domains allow has the lower end of the interval as its answer, then the cost
increases in z for every u, and each improvement is a step down; no path of improvements leads back up. The same for
the upper end.

The shares (t, total - t) of two actions are such a player too: along t the cost of the simplex is quadratic, with the
slope d'Q z - d'u, d = (1, -1), which for every u is at least 0 where it is at t = 0 for the largest d'u.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.activations.foundations.domain import Simplex
from nngames.checks.exact_game import ExactGame, rational_response
from nngames.core.deadlines import look
from nngames.core.exact import rational
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame
from nngames.networks.rational_bias import rational_bias

#: Ranges are computed in exact arithmetic, up to this many entries of couplings.
MOST_ENTRIES = 40_000


def one_way_players(game: Any, deadline: float = math.inf) -> list[Player]:
    """Return the players of which it is proved, by exact ranges of what they hear; only for rational responses.

    After the ``deadline``, a moment of time.monotonic, TimeUpError is raised.
    """
    if not isinstance(game, CoupledGame) or game.size**2 > MOST_ENTRIES:
        return []
    lower, upper = _ends(game)
    exact = ExactGame(game, deadline)
    found: list[Player] = []
    for block, where in game.blocks.slices.items():
        own, n = game.own[block], where.stop - where.start
        metric, domain = exact.metric(block), own.activation.domain
        if isinstance(domain, Simplex) and own.activation.piecewise_linear and n == 2:
            least, most = _heard_range(game, block, [rational(1.0), rational(-1.0)], lower, upper)
            at = [_slope(metric, domain.total, vertex) for vertex in (0, 1)]
            if (most is not None and most <= at[1]) or (least is not None and least >= at[0]):
                found.append(block)
        scalar = game.neurons or n == 1
        if not (scalar and own.activation.separable and own.activation.piecewise_linear):
            continue
        names = game.players[where] if game.neurons else (block,)
        for i, player in enumerate(names):
            look(deadline)
            unit = [rational(float(j == i)) for j in range(n)]
            least, most = _heard_range(game, block, unit, lower, upper)
            down = most is not None and _answers(own.activation, metric, [most] * n, lower[where], i)
            up = least is not None and _answers(own.activation, metric, [least] * n, upper[where], i)
            if down or up:
                found.append(player)
    return found


def _slope(metric: Any, total: float, vertex: int) -> Any:
    """Return d'Q z at the vertex with all of the total on one of two actions, d = (1, -1)."""
    if metric is None:
        return rational(total) * (1 - 2 * vertex)
    return rational(total) * (metric[0, vertex] - metric[1, vertex])


def _ends(game: CoupledGame) -> tuple[Array, Array]:
    """Return bounds of every coordinate over the domains; infinite where none is known."""
    lower, upper = np.full(game.size, -np.inf), np.full(game.size, np.inf)
    for block, where in game.blocks.slices.items():
        activation, n = game.own[block].activation, where.stop - where.start
        if activation.separable:
            lower[where] = activation.domain.project(np.full(n, -np.inf))
            upper[where] = activation.domain.project(np.full(n, np.inf))
    return lower, upper


def _heard_range(game: CoupledGame, block: Player, g: list[Any], lower: Array, upper: Array) -> tuple[Any, Any]:
    """Return the exact ends of <g, u> for a block's u; None where one is infinite. Neurons do not hear themselves."""
    network = game.network
    bias = rational_bias(network, block)
    least: Any = sum((t * b for t, b in zip(g, bias, strict=True)), rational(0.0))
    most: Any = least
    for (target, source), weight in network.weights.items():
        if target != block or (source == block and not game.neurons):
            continue
        # Neurons hear one row only: the others would make the work of all of them cubic.
        rows = [i for i, t in enumerate(g) if t != 0]
        row = [
            sum((g[i] * rational(w) for i, w in zip(rows, c, strict=True) if w), rational(0.0))
            for c in weight.dense[rows].T.tolist()
        ]
        if source == block:
            row = [rational(0.0) if t != 0 else w for t, w in zip(g, row, strict=True)]
        low, high = _range(row, game.own[source].activation.domain, lower, upper, network.space.slices[source].start)
        least = None if least is None or low is None else least + low
        most = None if most is None or high is None else most + high
    return least, most


def _range(row: list[Any], domain: Any, lower: Array, upper: Array, start: int) -> tuple[Any, Any]:
    """Return the ends of <row, x> over a domain, exactly; None where one is infinite."""
    if isinstance(domain, Simplex):
        return rational(domain.total) * min(row), rational(domain.total) * max(row)
    least: Any = rational(0.0)
    most: Any = least
    for j, w in enumerate(row):
        if w == 0:
            continue
        ends = (lower[start + j], upper[start + j])
        at_least, at_most = ends if w > 0 else ends[::-1]
        least = least + w * rational(at_least) if least is not None and np.isfinite(at_least) else None
        most = most + w * rational(at_most) if most is not None and np.isfinite(at_most) else None
    return least, most


def _answers(activation: Activation, metric: Any, u: list[Any], ends: Array, i: int) -> bool:
    """Whether coordinate i answers u by the end of its interval."""
    answer = rational_response(activation, metric, u) if np.isfinite(ends[i]) else None
    return answer is not None and answer[i] == rational(ends[i])
