"""Improvement cycles of restricted games, in which a few players have two actions each and the others none.

With m movers a restricted game has 2^m profiles; its improving moves form a directed graph, whose directed cycles are
the improvement cycles. A ring of many movers has them along known paths: a mover that disagrees with what it hears
gains by changing, which passes the disagreement on to the next one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nngames.checks.cycle_certificates import Step
from nngames.core.deadlines import look
from nngames.core.profiles import Array, Player
from nngames.games import Game

#: Up to this many movers all profiles of the restricted game are compared.
MOST_MOVERS = 8
# Gains below this, relative to the costs, are rounding.
_FLOOR = 1e-13


def restricted_cycle(
    game: Game, low: Array, high: Array, movers: Sequence[Player], deadline: float = math.inf
) -> list[Step] | None:
    """Return an improvement cycle of the restricted game, as costs in floating point have it; None if there is none.

    Parameters
    ----------
    game : Game
    low, high : ndarray (N,)
        The two actions of each mover; the other players keep theirs in ``low``.
    movers : sequence of players
        In the order in which they hear each other, where there are more than ``MOST_MOVERS``.
    deadline : float
        A moment of time.monotonic, after which TimeUpError is raised.

    Returns
    -------
    list of (mover, profile before), or None
        Among all cycles one whose smallest gain is at least half of the best possible, and then a shortest.
    """
    if len(movers) > MOST_MOVERS:
        return _along_ring(game, low, high, movers, deadline)
    bits = (np.arange(2 ** len(movers))[:, None] >> np.arange(len(movers))) & 1
    profiles = np.repeat(low[None, :], len(bits), axis=0)
    for i, mover in enumerate(movers):
        where = game.space.slices[mover]
        profiles[:, where] = np.where(bits[:, i : i + 1] == 1, high[where], low[where])
    path = _best_cycle(_gains(game, profiles, movers, deadline))
    return None if path is None else [(movers[i], profiles[state]) for state, i in path]


def _gains(game: Game, profiles: Array, movers: Sequence[Player], deadline: float) -> Array:
    """Return what each mover gains by changing, (states, movers); -inf where it gains nothing beyond rounding."""
    states = np.arange(len(profiles))
    gains = np.empty((len(profiles), len(movers)))
    with np.errstate(invalid="ignore", over="ignore"):
        for i, mover in enumerate(movers):
            look(deadline)
            costs = np.asarray(game.cost(mover, profiles))
            gains[:, i] = costs - costs[states ^ (1 << i)]
            finite = np.abs(costs[np.isfinite(costs)])
            floor = _FLOOR * max(1.0, float(finite.max(initial=0.0)))
            gains[~(gains[:, i] > floor), i] = -np.inf
    return gains


def _best_cycle(gains: Array) -> list[tuple[int, int]] | None:
    """Return the (state, mover index) of a cycle of improving changes."""
    positive = np.unique(gains[np.isfinite(gains)])
    if positive.size == 0 or not _has_cycle(gains, positive[0]):
        return None
    low, high = 0, positive.size - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _has_cycle(gains, positive[middle]) else (low, middle - 1)
    return _shortest_cycle(gains, 0.5 * float(positive[low]))


def _edges(gains: Array, least: float) -> tuple[Any, Any, Any]:
    states, changed = np.nonzero(gains >= least)
    return states, states ^ (1 << changed), changed


def _has_cycle(gains: Array, least: float) -> bool:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    sources, targets, _ = _edges(gains, least)
    graph = csr_array((np.ones(len(sources)), (sources, targets)), shape=(len(gains),) * 2)
    count, _ = connected_components(graph, directed=True, connection="strong")
    return bool(count < len(gains))


def _shortest_cycle(gains: Array, least: float) -> list[tuple[int, int]]:
    import networkx

    sources, targets, changed = _edges(gains, least)
    graph = networkx.DiGraph()
    for source, target, i in zip(sources.tolist(), targets.tolist(), changed.tolist(), strict=True):
        graph.add_edge(source, target, mover=i)
    best: list[int] | None = None
    for component in networkx.strongly_connected_components(graph):
        if len(component) < 2:
            continue
        inside = graph.subgraph(component)
        first = min(component)
        paths = networkx.single_source_shortest_path(inside, first)
        nodes = min((paths[tail] for tail in inside.predecessors(first)), key=len)
        if best is None or len(nodes) < len(best):
            best = nodes
    nodes = best or []
    return [(node, graph[node][nodes[(i + 1) % len(nodes)]]["mover"]) for i, node in enumerate(nodes)]


def _along_ring(game: Game, low: Array, high: Array, movers: Sequence[Player], deadline: float) -> list[Step] | None:
    """Return the path on which disagreement travels round a ring of movers, if every step improves its mover."""
    m = len(movers)
    half = m // 2
    # One disagreement, where the ring reverses signs; or two that follow each other.
    once = [0] * m, list(range(m)) * 2
    twice = [0] * half + [1] * (m - half), [i % m for k in range(m) for i in (k, k + half)]
    for start, order in (once, twice):
        path = _follow(game, low, high, movers, start, order, deadline)
        if path is not None:
            return path
    return None


def _follow(
    game: Game,
    low: Array,
    high: Array,
    movers: Sequence[Player],
    start: list[int],
    order: list[int],
    deadline: float,
) -> list[Step] | None:
    x = low.copy()
    for bit, mover in zip(start, movers, strict=True):
        where = game.space.slices[mover]
        x[where] = (high if bit else low)[where]
    path, bits = [], list(start)
    for i in order:
        look(deadline)
        before, where = x.copy(), game.space.slices[movers[i]]
        bits[i] = 1 - bits[i]
        x[where] = (high if bits[i] else low)[where]
        with np.errstate(invalid="ignore", over="ignore"):
            gain = game.cost(movers[i], before) - game.cost(movers[i], x)
        if not gain > 0:
            return None
        path.append((movers[i], before))
    return path
