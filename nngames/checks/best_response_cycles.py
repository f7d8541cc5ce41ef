"""Cycles of best responses in exact rational arithmetic: one player at a time, until a profile comes back.

Piecewise-linear responses to rational actions are rational. From small starts, every profile that best responses of
single players reach is explored as a directed graph whose edges are the moves; a directed cycle in it is a closed path
of best responses. The responses are unique, so each move that changes an action strictly improves its mover.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.checks.cycle_certificates import Certifier, Step
from nngames.checks.exact_game import rationals
from nngames.core.deadlines import TimeUpError, look
from nngames.core.profiles import Array, Player
from nngames.games import Game

#: Limits of the search: profiles from one start, and in all.
MOST_PROFILES = 300
MOST_IN_ALL = 2000
#: The largest numerator and denominator that are followed; the floats of larger ones grow without coming back.
LARGEST = 2**30
#: Starts are listed one by one up to this number, and drawn beyond it.
_LISTED = 128

#: A profile of small rationals as floats, which they are; and the moves from it: the mover and the profile reached.
_Node = tuple[float, ...]
_Graph = dict[_Node, list[tuple[Player, _Node]]]


@dataclass(frozen=True)
class Followed:
    """What following best responses gave.

    Attributes
    ----------
    path : list of (mover, profile before), or None
        A closed path, if one was found.
    profiles : int
        The profiles from which all players' answers were followed.
    out_of_time : bool
        Whether that ended before the last start.
    """

    path: list[Step] | None
    profiles: int = 0
    out_of_time: bool = False


def best_response_cycle(certifier: Certifier, rng: np.random.Generator, deadline: float) -> Followed:
    """Search for a closed path of best responses.

    Parameters
    ----------
    certifier : Certifier
        Of the game.
    rng : Generator
        Draws the starts of games with many coordinates.
    deadline : float
        A moment of time.monotonic.
    """
    game = certifier.game
    if not follows_answers(game):
        return Followed(None)
    seen: set[_Node] = set()
    for start in _starts(game, rng):
        node: _Node = tuple(_into_domain(game, start).tolist())
        if node in seen:
            continue
        graph = _explore(certifier, node, deadline)
        seen.update(graph)
        path = _cycle(graph)
        if path is not None:
            return Followed([(mover, np.array(profile)) for mover, profile in path], len(seen))
        if time.monotonic() > deadline:
            return Followed(None, len(seen), True)
        if len(seen) > MOST_IN_ALL:
            break
    return Followed(None, len(seen))


def follows_answers(game: Any) -> bool:
    """Return whether best responses to rational actions are rational, so that they can be followed exactly."""
    return all(activation.piecewise_linear for activation in game.network.activations.values())


def _starts(game: Game, rng: np.random.Generator) -> Iterator[Array]:
    """Yield the profiles of zeros and ones, of signs, and of both; drawn ones where there are too many."""
    for values in ((0.0, 1.0), (1.0, -1.0), (-1.0, 0.0, 1.0)):
        if len(values) ** game.size <= _LISTED:
            yield from (np.array(start) for start in itertools.product(values, repeat=game.size))
        else:
            yield from (rng.choice(values, size=game.size) for _ in range(16))


def _into_domain(game: Any, start: Array) -> Array:
    result = start.copy()
    for block, where in game.network.space.slices.items():
        activation = game.network.activations[block]
        if activation.monotone:
            result[where] = activation.domain.project(start[where])
    return result


def _explore(certifier: Certifier, start: _Node, deadline: float) -> _Graph:
    """Return the moves among the profiles reached from ``start``; profiles that are no floats are left out."""
    graph: _Graph = {}
    queue = deque([start])
    while queue and len(graph) < MOST_PROFILES and time.monotonic() < deadline:
        node = queue.popleft()
        if node in graph:
            continue
        graph[node] = []
        exact = rationals(np.array(node))
        for player, where in certifier.game.space.slices.items():
            try:
                look(deadline)
                answer = certifier.response(player, exact)
            except TimeUpError:
                break
            if answer is None or answer == exact[where] or not all(_small_float(t) for t in answer):
                continue
            reached = (*node[: where.start], *map(float, answer), *node[where.stop :])
            graph[node].append((player, reached))
            queue.append(reached)
    return graph


def _small_float(value: Any) -> bool:
    denominator = int(value.q)
    return denominator & (denominator - 1) == 0 and abs(int(value.p)) <= LARGEST and denominator <= LARGEST


def _cycle(graph: _Graph) -> list[tuple[Player, _Node]] | None:
    """Return a shortest directed cycle through the first profile that lies on one: (mover, profile before)."""
    import networkx

    digraph = networkx.DiGraph()
    digraph.add_edges_from((node, reached) for node, moves in graph.items() for _, reached in moves)
    components = {node: c for c in networkx.strongly_connected_components(digraph) if len(c) > 1 for node in c}
    first = next((node for node in graph if node in components), None)
    if first is None:
        return None
    inside = digraph.subgraph(components[first])
    paths = networkx.single_source_shortest_path(inside, first)
    nodes = min((paths[tail] for tail in inside.predecessors(first)), key=len)
    movers = {(node, reached): player for node in nodes for player, reached in graph[node]}
    return [(movers[node, nodes[(i + 1) % len(nodes)]], node) for i, node in enumerate(nodes)]
